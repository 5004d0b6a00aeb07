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

# Studies are files, scenarios/studies/*.yaml; `simsplit reproduce --list` says what each shows and how long it takes.
# What was finished is kept, so that the same target goes on. The last one writes the tables of README and docs alone.
figures: $(VENV)/.installed
	$(BIN)/simsplit reproduce awgn_cliff snr_split

capacity: $(VENV)/.installed
	$(BIN)/simsplit reproduce capacity

study: $(VENV)/.installed
	$(BIN)/simsplit reproduce neurosurgeon early_exit snr_threshold

features: $(VENV)/.installed
	$(BIN)/simsplit reproduce compressible_features

readme: $(VENV)/.installed
	$(BIN)/simsplit reproduce readme
