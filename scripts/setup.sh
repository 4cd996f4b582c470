#!/usr/bin/env bash
# The virtual environment .venv, or the one that VENV names: every package pinned by version and hash, then dicomgate
# and its plugins, editable. Does nothing if it was already made from the same files.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PROJECTS=(. plugins/*/)
readonly VENV=${VENV:-.venv}
readonly STAMP=$VENV/setup.sha256

# The path counts too: a virtual environment cannot be moved.
fingerprint() {
    { pwd; cat requirements.lock pyproject.toml plugins/*/pyproject.toml scripts/setup.sh; } | sha256sum
}

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
makes_environments() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Prints the Python to use: one that can make virtual environments before one that needs a package for it.
choose_python() {
    local candidate recent=""
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        is_recent "$candidate" || continue
        makes_environments "$candidate" && { echo "$candidate"; return; }
        recent=${recent:-$candidate}
    done
    echo "$recent"
}

make_environment() {
    local python version
    python=$(choose_python)
    if [ -z "$python" ]; then
        echo "dicomgate needs Python 3.11 or newer. Install it (Debian 12: apt-get install python3 python3-venv)" \
             "or name it: make setup PYTHON=/path/to/python3" >&2
        exit 1
    fi
    if ! makes_environments "$python"; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        scripts/apt-install.sh "python$version-venv" && makes_environments "$python" || {
            echo "Python's venv is missing: apt-get install python$version-venv" >&2
            exit 1
        }
    fi
    echo "setup: a virtual environment with $("$python" --version), in $VENV"
    "$python" -m venv --clear "$VENV"
}

if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(fingerprint)" ] && is_recent "$VENV/bin/python"; then
    exit 0
fi
if ! is_recent "$VENV/bin/python" || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    make_environment
fi
rm -f "$STAMP"
pip=("$VENV/bin/python" -m pip install --quiet --disable-pip-version-check)
echo "setup: the packages of requirements.lock"
"${pip[@]}" --require-hashes -r requirements.lock
echo "setup: dicomgate and its plugins, editable"
editable=()
for project in "${PROJECTS[@]}"; do editable+=(-e "$project"); done
"${pip[@]}" --no-deps --no-build-isolation "${editable[@]}"
fingerprint >"$STAMP"
