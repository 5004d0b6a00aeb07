"""Runs a scenario and prints as JSON which files it opened and which of our modules it imported.

``python audited.py {run|pipeline} SCENARIO OUT``; PYTHONPATH says where simsplit is. ``run`` stores
a result; ``pipeline`` prepares every operating point and scores a delivery that arrived, one that
was lost and a retry on the device.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

_opened: set[str] = set()
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str | os.PathLike | bytes):
        return
    if not (isinstance(arguments[2], int) and arguments[2] & _WRITING):
        _opened.add(os.path.abspath(os.fsdecode(arguments[0])))


def _run(scenario: str, out: str) -> None:
    from simsplit.study.run import run

    run(scenario, out=out)


def _pipeline(scenario: str, out: str) -> None:
    """The scenario comes as JSON: reading YAML is not the pipeline's."""
    from simsplit.messages import Delivery, ScoreRequest
    from simsplit.pipeline.scenario import open_pipeline
    from simsplit.scenario.scenario import Scenario

    content = json.loads(Path(scenario).read_text())
    made = Scenario.model_validate(content["scenario"])
    pipeline = open_pipeline(made, Path(content["models_dir"]), Path(out))
    prepared = pipeline.prepare()
    for name in prepared:
        pipeline.workload(name)
        uses = int(prepared[name].channel_uses[0])
        air = {"symbol_counts": (uses,), "symbol_snr_db": (10.0,)} if uses else {}
        deliveries = [Delivery(1, True, **air), Delivery(2, False), Delivery(3, False, True)]
        pipeline.score([ScoreRequest(name, 0, delivery) for delivery in deliveries])


if __name__ == "__main__":
    sys.addaudithook(_listen)
    {"run": _run, "pipeline": _pipeline}[sys.argv[1]](*sys.argv[2:])
    ours = sorted(name for name in sys.modules if name.split(".")[0] == "simsplit")
    print(json.dumps({"opened": sorted(_opened), "modules": ours}))
