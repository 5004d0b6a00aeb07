.PHONY: run test clean

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
