# Words behind ## are what `make help` prints.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help site test quick check format serve benchmarks families same kills screenshots lighthouse scale clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

site: $(VENV)/.installed  ## the whole site, from nothing
	$(BIN)/cutaway build

serve: $(VENV)/.installed  ## look at the site
	$(BIN)/cutaway serve

# One process a core, one thread each: two threads of torch get in each other's way.
test: $(VENV)/.tested browser  ## everything: lint, types, the whole suite, a real browser
	$(MAKE) check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --dist loadfile

quick: $(VENV)/.tested  ## tests that need no site, no browser and no big network
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --dist loadfile -q \
		-m "not weights and not build and not browser and not slow"

check: $(VENV)/.tested  ## formatting, lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.tested  ## mend formatting and what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(VENV)/.tested  ## how fast things are, against something else, and each limit
	OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python benchmarks

scale: $(VENV)/.tested  ## how time, bytes and memory grow with the work (FAR=--far: 30,000 pictures)
	OMP_NUM_THREADS=1 $(BIN)/python tests/scale.py $(FAR)

families: $(VENV)/.tested  ## open a network of every family, and build 25 of them
	OMP_NUM_THREADS=1 $(BIN)/python tests/families.py --build 25

same: $(VENV)/.tested  ## REF=main: what differs in a small site between a commit and here
	$(BIN)/python tests/same.py $(REF)

kills: $(VENV)/.tested  ## kill builds at random moments, and see that they end with the same site
	PYTHONPATH=. $(BIN)/python tests/kills.py

screenshots: $(VENV)/.tested browser  ## pictures of every kind of page, in both palettes and three widths
	test -f site/index.html || $(MAKE) site
	$(BIN)/python tests/screenshots.py site build/screenshots

lighthouse: $(VENV)/.tested browser  ## the site's scores in Lighthouse, which npm fetches
	test -f site/index.html || $(MAKE) site
	$(BIN)/python tests/lighthouse.py site

# torch comes first: with it in place, what depends on it takes the build that is there.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11, 5) and 'Cutaway needs Python 3.11.5 or newer: make PYTHON=python3.12')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet torch
	$(PIP) install --quiet --editable '.[live]'
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(PIP) install --quiet --editable '.[test]'
	touch $@

.PHONY: browser
browser: $(VENV)/.tested
	$(BIN)/python tests/install_browser.py

clean:  ## delete what was built
	rm -rf build site
