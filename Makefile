.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install demo test long-tests proof fuzz drills alert-drills jmeter jmeter-observer mutants frameworks lint schemas monitoring lock clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

install: .venv/installed  ## .venv with the enroll command in it

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) deploy/local/check_tools.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: install  ## run a small real registration day through the whole system
	ENROLL_STATE_DIR=.enroll/demo $(BIN)/enroll down --wipe
	ENROLL_STATE_DIR=.enroll/demo $(BIN)/enroll day loadtests/data/pu-cs-fal07

test: install lint  ## every default test, on real Kafka and PostgreSQL
	$(BIN)/pytest -n 2

long-tests: install  ## the tests that play whole experiments: overload, drills, lost answers, nights of trouble
	$(BIN)/pytest -n 2 -m long

proof: install  ## simulator, explorer, planted bugs, a storm: what speaks for the promises, in an hour
	$(BIN)/enroll simulate --seeds 21000 --minutes 25
	$(BIN)/python -m services.simulation.covering --seeds 1000
	$(BIN)/enroll explore
	$(BIN)/python -m services.simulation.bugs
	ENROLL_STATE_DIR=.enroll/chaos $(BIN)/enroll chaos --minutes 5 --seed 5

fuzz: install  ## 2000 requests to each HTTP operation by each caller, others each time
	OPENAPI_CASES=2000 $(BIN)/pytest --log-cli-level=INFO services/tests/http/test_openapi.py

drills: install  ## kill and stall one thing after the other, and measure each recovery
	ENROLL_STATE_DIR=.enroll/chaos $(BIN)/enroll chaos --drills

alert-drills: install  ## cause each alert, see it fire and go, and measure how soon
	ENROLL_STATE_DIR=.enroll/drills $(BIN)/python -m loadtests.drills

jmeter: install  ## play JMeter's plans, and judge what they show
	loadtests/jmeter/run_tests.sh all

jmeter-observer: install  ## hold the times of JMeter's Kafka sampler against those of an observer
	$(BIN)/python -m loadtests.jmeter.observing

mutants: install build/mutmut/installed  ## change the decisions in every small way: does a test fail?
	PYTHONPATH=$(CURDIR)/build/mutmut $(BIN)/python -m services.simulation.mutation

build/mutmut/installed: services/simulation/mutation/requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade \
		--target build/mutmut -r services/simulation/mutation/requirements.lock
	@touch $@

frameworks: install build/frameworks/installed  ## measure frameworks and servers by our own POST
	PYTHONPATH=$(CURDIR)/build/frameworks $(BIN)/python -m loadtests.frameworks

build/frameworks/installed: loadtests/frameworks/requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade \
		--target build/frameworks -r loadtests/frameworks/requirements.lock
	@touch $@

lint: install  ## ruff, mypy --strict and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

schemas: install  ## renew the published schemas of events and of HTTP, unless a change would break someone
	$(BIN)/python -m schemas write

monitoring: install  ## renew what is made from the tables of metrics, alerts and panels
	$(BIN)/python -m deploy.monitoring write

lock:  ## renew requirements.lock (needs uv)
	uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --no-header \
		--python-version 3.11 --extra local --extra dev pyproject.toml -o requirements.lock
	cd services/simulation/mutation && uv pip compile --quiet --generate-hashes \
		--no-emit-index-url --universal --no-header --python-version 3.11 requirements.in \
		-o requirements.lock
	cd loadtests/frameworks && uv pip compile --quiet --generate-hashes \
		--no-emit-index-url --universal --no-header --python-version 3.11 \
		--constraints ../../requirements.lock requirements.in -o requirements.lock

clean:  ## forget the Python environment and caches
	rm -rf .venv build loadtests/jmeter/target *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
