#!/usr/bin/env bash
# The whole way of docs/your_network.md, in the working folder: pictures, network, two codes, a sweep, a figure.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cp -r "$here"/{code,models,marks.yaml} .
export SIMSPLIT_PATH=$PWD/code
python "$here/make_pictures.py"
python -m simsplit data pictures --show pictures.png
for model in marks_net marks_jscc marks_entropic; do
    python -m simsplit train models/$model/recipe.yaml
done
python -m simsplit check marks.yaml --allow-code
python -m simsplit sweep marks.yaml --axis cell.channel.snr_db=-10:20:5 --out sweep
python -m simsplit plot sweep --kind metric --metric score_accuracy --out figures  # metric.png is docs/your_network/accuracy.png
python -m simsplit table sweep --columns cell.channel.snr_db,score_accuracy,channel_uses,energy_j,latency_s.p95 --out table.md
