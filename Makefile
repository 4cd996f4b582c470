# dicomgate: from a bare machine to a running gateway.
# `make demo` and `make test` set everything up by themselves; each step is quick when nothing changed.

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz pythons stamina soak bench check audit proof advisories format lock build bundle release release-test man docs clean
MAKEFLAGS += --no-print-directory
BIN := .venv/bin

help:                  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup:                 ## the virtual environment .venv, every package pinned by its hash
	@scripts/setup.sh

demo: setup            ## a PACS, the gateway in front of it, and which logins it admits
	@$(BIN)/dicomgate demo

test: setup            ## everything: the real peers (DCMTK, Orthanc, dcmjs-dimse), make check, the tests
	@scripts/test-peers.sh
	@$(MAKE) check
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	@scripts/coverage.sh

fuzz: setup            ## mutated inputs for everything that reads what strangers send, for a minute or two; FUZZ_TARGETS=wire FUZZ_EXECUTIONS=10000000
	$(BIN)/python -m fuzz $(FUZZ_TARGETS) $(if $(FUZZ_EXECUTIONS),--executions $(FUZZ_EXECUTIONS),--seconds 5)

pythons:               ## make check and the core's tests with each Python 3.11 to 3.14 that is installed
	@scripts/pythons.sh

stamina: setup         ## long tests with slow peers, floods and faults; needs a quiet machine for an hour
	DICOMGATE_STAMINA=full $(BIN)/pytest --timeout=7200 tests/stamina

soak: setup            ## eight hours of a hospital in SOAK_SECONDS (1200): all identity types, and all that happens to a gateway
	@scripts/test-peers.sh
	DICOMGATE_STAMINA=full SOAK_SECONDS=$${SOAK_SECONDS:-1200} $(BIN)/pytest -q -p no:logging tests/stamina/test_long_run.py

bench: setup           ## the speed compared with HAProxy and pynetdicom, into docs/performance.md; needs a quiet machine for half an hour
	@scripts/bench-peers.sh
	$(BIN)/python -m bench --write

check: setup           ## style, types, imports between the floors, and what must not be in the tree
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_floors.py
	@scripts/check-tree.sh
	@$(BIN)/python scripts/advisories.py

audit: setup           ## the locks against advisories.json, and by pip-audit where that is installed
	@$(BIN)/python scripts/advisories.py
	@if [ -x $(BIN)/pip-audit ]; then for lock in requirements*.lock; do $(BIN)/pip-audit --no-deps --disable-pip -r $$lock || exit 1; done; \
	else echo "audit: pip-audit, which asks over the network, is skipped: it is not in .venv ($(BIN)/pip install pip-audit)"; fi

proof: setup           ## the checks of docs/threat-model.md, with day and commit into the page; some minutes
	$(BIN)/python scripts/proof.py

advisories: setup      ## ask the package index anew, into advisories.json
	@$(BIN)/python scripts/advisories.py take

format: setup          ## let ruff format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup            ## remake requirements.lock with the newest versions that pyproject.toml allows
	@scripts/lock.sh

build: setup           ## wheels and source archives of dicomgate and its plugins, in dist/
	@$(BIN)/python -m release wheels

bundle: setup          ## one archive to install from without a package index, in dist/: wheels, hashes, install.sh
	@$(BIN)/python -m release bundle

release: setup         ## everything to install from, in dist/dicomgate-VERSION: the same commit gives the same bytes
	@$(BIN)/python -m release

release-test: release  ## the release made again, installed, upgraded and taken back in chroots with Debian's base alone; as root
	DICOMGATE_RELEASE_TEST=1 DICOMGATE_CHROOTS=$${DICOMGATE_CHROOTS:-build/chroots} \
	$(BIN)/pytest -n 0 tests/release/whole tests/release/chroot

man: setup             ## a manual page for each command, in dist/man/
	@$(BIN)/python scripts/man_pages.py dist/man

docs: setup            ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean:                 ## remove what make made
	rm -rf .venv .pythons dist build site tests/clients/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage* fuzz-findings
