.PHONY: run test figures capacity study features readme clean

VENV := .venv
BIN := $(VENV)/bin
# One process per core with one thread each; waiting threads must not steal the other's time.
ONE_THREAD := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

run: $(VENV)/.installed
	$(BIN)/simsplit run urban_5g

test: $(VENV)/.installed-test
	$(ONE_THREAD) $(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile --benchmark-disable

# The stamps make installation happen once, and again when pyproject.toml changes.
$(VENV)/.installed: pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/.installed-test: pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info

# The figures of the README's first part, and the tables that they rest on. About five minutes on two cores.
CLIFF := results/published/awgn_cliff
SPLIT := results/published/snr_split
WHERE := --where "cell.channel.snr_db == 10"

figures: $(VENV)/.installed
	$(BIN)/simsplit sweep awgn_cliff --axis cell.channel.snr_db=-5:25:1 --out results/awgn_cliff
	$(BIN)/simsplit plot results/awgn_cliff --kind cliff --out $(CLIFF)
	cp results/awgn_cliff/points.csv $(CLIFF)/points.csv
	$(BIN)/simsplit sweep snr_split
	$(BIN)/simsplit plot results/snr_split --kind metric --metric score_miou_in_time --out $(SPLIT)
	$(BIN)/simsplit plot results/snr_split --kind heatmap --metric score_miou_in_time --axis cell.channel.snr_db --against operating_point --out $(SPLIT)
	$(BIN)/simsplit plot results/snr_split --kind stages $(WHERE) --out $(SPLIT)
	$(BIN)/simsplit plot results/snr_split --kind pareto $(WHERE) --style ieee_page --out $(SPLIT)
	cp results/snr_split/points.csv $(SPLIT)/points.csv

# How many phones the cell of split_choice carries, cut and coded this way or that. About seven minutes.
capacity: $(VENV)/.installed
	for point in image stage2 stage3 learned; do \
	    $(BIN)/simsplit capacity split_choice --set devices.phones.operating_point=$$point --set cell.channel.snr_db=5 --where "deadline_misses <= 2 %, accuracy >= 0.6" --max-devices 200 --out results/capacity/$$point || exit 1; \
	    mkdir -p results/published/capacity && cp results/capacity/$$point/capacity.json results/published/capacity/$$point.json; \
	done

# The studies of policies: where Neurosurgeon cuts four networks as the rate and the server's load rise, and what
# early exit and an SNR threshold are worth. About ten minutes on two cores.
RATES := 1,2,3,5,8,12,18,25,40,60,100,160,273
NETWORKS := alexnet,vgg11,resnet50,mobilenet_v2
ENDS := {kind: fixed, point: cloud},{kind: fixed, point: mobile}
CHOOSERS := {kind: neurosurgeon, points: [cloud, cut, mobile]},{kind: oracle, points: [cloud, cut, mobile]}
FRUGAL := {kind: neurosurgeon, objective: energy, points: [cloud, cut, mobile]}
THRESHOLD := {kind: snr_threshold, hysteresis_db: 1, steps: [{snr_min_db: -200, point: analog}, {snr_min_db: 6, point: feature_8bit}]}

study: $(VENV)/.installed
	$(BIN)/simsplit sweep neurosurgeon --axis "networks.net.source=$(NETWORKS)" --axis cell.resource_blocks=$(RATES) --axis "devices.phone.policy=$(CHOOSERS),$(FRUGAL),$(ENDS)" --out results/neurosurgeon_rate
	$(BIN)/simsplit plot results/neurosurgeon_rate --kind policies --out results/published/neurosurgeon_rate
	$(BIN)/simsplit sweep neurosurgeon --axis "networks.net.source=alexnet,mobilenet_v2" --axis duration_s=60 --axis devices.others.arrivals.rate_hz=1,50,100,150,200,225,250 --axis "devices.phone.policy=$(CHOOSERS),$(ENDS)" --out results/neurosurgeon_load
	$(BIN)/simsplit plot results/neurosurgeon_load --kind policies --out results/published/neurosurgeon_load
	$(BIN)/simsplit sweep early_exit --axis "devices.cameras.policy={kind: fixed, point: exit},{kind: fixed, point: feature},{kind: fixed, point: whole},{kind: early_exit, exit: exit, then: feature, threshold: 0.905}" --out results/early_exit
	$(BIN)/simsplit sweep snr_threshold --axis "devices.phones.policy={kind: fixed, point: analog},{kind: fixed, point: feature_8bit},$(THRESHOLD)" --out results/snr_threshold
	$(BIN)/simsplit plot results/early_exit --kind policies --out results/published/early_exit
	$(BIN)/simsplit plot results/snr_threshold --kind policies --out results/published/snr_threshold

# System A: rates and distortions of the trained networks over their seeds, from the cards; the cell that their features
# share, codec by codec; how many cameras it carries; and the same cameras, paired. About fifteen minutes on two cores.
FEATURES := results/published/compressible_features
CELL := results/compressible_features_cell
PAIRS := features_e1_baseline:features_e1_proposed features_e2_baseline:features_e2_proposed
KPIS := --kpi payload_bits --kpi latency_s.p95 --kpi energy_j --kpi deadline_misses --kpi score_miou --kpi score_disparity_rmse_px --kpi score_psnr_db

features: $(VENV)/.installed
	mkdir -p $(FEATURES)
	$(BIN)/simsplit rd $(PAIRS) --method akima --out $(FEATURES)
	$(BIN)/simsplit rd $(PAIRS) --method akima --lowest-quality 80 --out $(FEATURES)/published_ladder
	$(BIN)/simsplit sweep compressible_features
	cp results/compressible_features/points.csv $(FEATURES)/points.csv
	$(BIN)/simsplit plot results/compressible_features --kind metric --metric latency_s.p95 --axis devices.cameras.count --by encoder --where "operating_point == png" --where "devices.cameras.count == 8, 16, 20, 24, 28" --out $(FEATURES)/cameras
	for net in e1_baseline e1_proposed e2_baseline e2_proposed; do \
	    $(BIN)/simsplit capacity compressible_features --set model=features_$$net --where "deadline_misses <= 2 %, score_miou >= 0.6" --max-devices 64 --max-replications 10 --out $(CELL)/$$net || exit 1; \
	    cp $(CELL)/$$net/capacity.json $(FEATURES)/capacity_$$net.json; \
	    $(BIN)/simsplit run compressible_features --set model=features_$$net --set devices.cameras.count=16 --replications 10 --out $(CELL)/paired_$$net || exit 1; \
	done
	for encoder in e1 e2; do \
	    $(BIN)/simsplit compare $(CELL)/paired_$${encoder}_baseline $(CELL)/paired_$${encoder}_proposed $(KPIS) --json > $(FEATURES)/paired_$$encoder.json || exit 1; \
	done

# The README's tables, from the published results and the cards.
readme: $(VENV)/.installed
	$(BIN)/python -m simsplit.published README.md
