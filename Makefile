.PHONY: run test figures clean

VENV := .venv
BIN := $(VENV)/bin

run: $(VENV)/.installed
	$(BIN)/simsplit run urban_5g

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not slow"

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

# The figure and tables of the README, and the table of the cliff that they rest on.
figures: $(VENV)/.installed
	$(BIN)/simsplit sweep awgn_cliff --axis cell.channel.snr_db=-5:25:1 --out results/awgn_cliff
	$(BIN)/simsplit plot results/awgn_cliff --kind cliff --out results/published
	cp results/awgn_cliff/points.csv results/published/awgn_cliff.csv
