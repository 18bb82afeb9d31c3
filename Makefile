# The commands of the project. Everything runs from a fresh clone, in any order.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PY := .venv/bin/python
export TOKENIZERS_PARALLELISM := false
export HF_HUB_OFFLINE := 1

.PHONY: setup run test check bench soak docs lock clean

setup: .venv/.ready ## create .venv with everything
	@$(PY) -m compileall -q -j 0 src # a process that may not write bytecode finds it

.venv/.ready: requirements.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh

run: setup ## the main job on real data, ending in a live server and console (CI=true: ends after the calls)
	@$(PY) -m hanlin demo $(if $(filter true 1,$(CI)),--ci)

test: setup ## all tests but the long campaigns
	@scripts/browser.sh
	@scripts/postgres.sh
	@$(PY) scripts/run_tests.py

check: setup ## format, lint, types, generated docs
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) scripts/generate_docs.py --check
	@$(PY) scripts/generate_proto.py --check

docs: setup ## write the generated pages
	@$(PY) scripts/generate_docs.py

bench: setup ## the measured claims of docs/benchmarks.md (long)
	@$(PY) bench/run_all.py

soak: setup ## long campaigns: hundreds of kills, millions of rows, a mixed load of SOAK_MINUTES (15; a day: 1440)
	@$(PY) scripts/clients.py vllm
	@SOAK_MINUTES=$(or $(SOAK_MINUTES),15) $(PY) -m pytest -m soak

lock: ## renew requirements.lock from pyproject.toml in a fresh environment
	@scripts/lock.sh

clean:
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
