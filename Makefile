# make site   the whole site, from nothing          make test   the whole suite, with a browser
# make check  formatting, lint and types            make quick  tests without a site, a browser or big networks
# make serve  look at the site
# make same REF=main   builds a small site at a commit and from here, and prints every file that differs
# make families  opens a network of every family      make lighthouse  the site's scores in Lighthouse, which npm fetches
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: site test quick check format serve benchmarks families same lighthouse clean

site: $(VENV)/.installed
	$(BIN)/cutaway build

serve: $(VENV)/.installed
	$(BIN)/cutaway serve

# One process a core, one thread each: two threads of torch get in each other's way.
test: $(VENV)/.tested browser
	$(MAKE) check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --dist loadfile

quick: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --dist loadfile -q \
		-m "not weights and not build and not browser and not slow"

check: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.tested
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(VENV)/.tested
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

families: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/families.py

same: $(VENV)/.tested
	$(BIN)/python tests/same.py $(REF)

lighthouse: $(VENV)/.tested browser
	test -f site/index.html || $(MAKE) site
	$(BIN)/python tests/lighthouse.py site

# torch comes first: with it in place, what depends on it takes the build that is there.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11, 5) and 'Cutaway needs Python 3.11.5 or newer: make PYTHON=python3.12')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet torch
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(PIP) install --quiet --editable '.[test]'
	touch $@

.PHONY: browser
browser: $(VENV)/.tested
	$(BIN)/python tests/install_browser.py

clean:
	rm -rf build site
