#!/usr/bin/env bash
# Remakes requirements.lock: hashes for every Python from 3.11 on, and no address of any package index.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
trap 'rm -f uv.lock' EXIT
.venv/bin/uv export --quiet --format requirements-txt --no-emit-workspace --all-extras --all-groups --no-header \
    -o requirements.lock
scripts/check-tree.sh
