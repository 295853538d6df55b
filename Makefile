# Each target works on a fresh checkout: its first step checks the machine and says all that is missing, then prepares
# `.venv` (and `.tools`), which is all that is ever installed. `make help` lists the targets.

PYTHON  ?=
VENV    ?= .venv
BROKER  ?= embedded
PORT    ?=
DATA    ?=
ONCE    ?=
ARGS    ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
export PYTHON VENV BROKER FUZZ_SECONDS

RUN      = $(VENV)/bin/python
PYTEST   = $(RUN) -m pytest
SETUP    = @tests/tools/setup
ORACLE   = PROTOC="$(CURDIR)/$(VENV)/bin/protoc"
FAST     = tests/unit tests/functional tests/conformance tests/fastapi tests/docs tests/typing
REAL     = tests/pulsar tests/conformance tests/functional tests/fastapi tests/docs
DEMO     = $(RUN) -m fastapi_pulsar.demo --broker $(BROKER) $(if $(ONCE),--once) $(if $(PORT),--port $(PORT)) $(if $(DATA),--data $(DATA)) $(ARGS)

.DEFAULT_GOAL = help
.PHONY: help demo test test-python test-pulsar test-cluster chaos bench soak lint fuzz dist images clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "PYTHON=/path/to/python chooses the interpreter (3.11 or newer), VENV= another folder than .venv."

demo: ## 20,000 flights through typed handlers [ONCE=1 BROKER=embedded|pulsar|URL PORT= DATA=]
	$(SETUP) demo
	@$(if $(filter pulsar,$(BROKER)),$(RUN) tests/pulsar/standalone.py run -- )$(DEMO)

test: ## the fast tests, on the embedded broker: no Java
	$(SETUP) test
	cargo test --locked --no-default-features
	$(ORACLE) cargo test --locked --package interop
	@$(MAKE) --no-print-directory test-python

# The Python half of `test`, which CI runs on the highest Python too.
test-python:
	$(SETUP) test
	$(PYTEST) -m "not pulsar" $(FAST) $(ARGS)
	@PYTHONPATH="$(CURDIR)/$(VENV)/lowest" $(RUN) -c \
	    "import fastapi, pydantic; print('The handler tests on FastAPI', fastapi.__version__, 'and Pydantic', pydantic.__version__)"
	PYTHONPATH="$(CURDIR)/$(VENV)/lowest" $(PYTEST) -m "not pulsar" tests/fastapi $(ARGS)

test-pulsar: ## the proof: functional, conformance and failover on real Apache Pulsar
	$(SETUP) test-pulsar
	$(RUN) tests/pulsar/standalone.py run --tuned -- \
	    cargo test --locked --no-default-features --features real-broker --test 'real_broker*'
	$(ORACLE) $(RUN) tests/pulsar/standalone.py run -- cargo test --locked --package interop --test smoke
	$(PYTEST) --pulsar=real -m pulsar $(REAL) $(ARGS)

test-cluster: ## the services of docker/ as processes in namespaces: failover of every role, security (Linux, root; minutes)
	$(SETUP) test-cluster
	$(PYTEST) -m cluster tests/pulsar -s $(ARGS)

chaos: ## 100,000 messages through failing handlers, restarts and a SIGKILL on a real broker [ARGS=--chaos-seed=N]
	$(SETUP) test-pulsar
	$(PYTEST) --pulsar=real -m pulsar --chaos=full -s tests/pulsar/test_chaos.py $(ARGS)

bench: ## the clients on one broker, then the embedded broker beside a real one; results in target/bench
	$(SETUP) bench
	$(RUN) -m tests.bench $(ARGS)
	$(RUN) -m tests.bench.broker

soak: ## mixed load on the embedded broker, a fault every second, for SOAK_SECONDS
	$(SETUP) soak
	$(RUN) -m tests.soak --seconds $(SOAK_SECONDS) $(ARGS)

lint: ## format, lints, types, licences, layers, the documentation's site
	$(SETUP) lint
	cargo fmt --all --check
	PYO3_PYTHON="$(CURDIR)/$(RUN)" cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings
	.tools/bin/cargo-deny --log-level error check bans licenses sources
	cargo test --locked --quiet --no-default-features --test layering
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(RUN) -m mypy.stubtest fastapi_pulsar._core
	$(VENV)/bin/lint-imports
	$(RUN) tests/tools/licences.py --check
	$(RUN) -m mkdocs build --strict --quiet
	$(PYTEST) --quiet tests/unit/test_house.py

fuzz: ## every fuzz target for FUZZ_SECONDS each
	$(SETUP) fuzz
	@$(or $(PYTHON),python3) tests/tools/fuzz.py

dist: ## sdist and wheel in dist/, checked in an empty environment
	$(SETUP) dist
	$(RUN) tests/tools/dist.py

images: ## the images of docker/Dockerfile, each tried: by Docker, Podman or buildah
	@$(or $(PYTHON),python3) -B tests/tools/images.py $(ARGS)

clean: ## removes all that make made
	rm -rf .venv* .tools dist target .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f python/fastapi_pulsar/_core*.so
	find python tests -name __pycache__ -type d -prune -exec rm -rf {} +
