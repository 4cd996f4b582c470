#!/usr/bin/env bash
# `make check` and the core's tests with each Python from 3.11 to 3.14 that this machine has, each in a virtual environment
# of its own below .pythons. Fails if one of them fails; a Python that is missing is only named.
set -uo pipefail
cd "$(dirname "$0")/.."

# find_python VERSION: the command or path of that Python: one on the PATH that runs, or one of pyenv's.
find_python() {
    local found
    if "python$1" -c '' >/dev/null 2>&1; then echo "python$1"; return; fi
    command -v pyenv >/dev/null || return
    found=$(pyenv versions --bare | grep -E "^${1//./[.]}[.][0-9]+$" | sort -V | tail -n 1)
    [ -z "$found" ] || echo "$(pyenv prefix "$found")/bin/python"
}

# try VERSION PYTHON
try() {
    local bin=.pythons/$1/bin
    export VENV=.pythons/$1 PYTHON=$2
    make check BIN="$bin" && "$bin/pytest" -q -n 2 --dist loadfile --no-loadscope-reorder tests --ignore=tests/system --ignore=tests/stamina
}

results=() failed=0
for version in ${*:-3.11 3.12 3.13 3.14}; do
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        results+=("$version: missing")
    elif try "$version" "$python"; then
        results+=("$version: passed")
    else
        results+=("$version: FAILED")
        failed=1
    fi
done
printf 'Python %s\n' "${results[@]}"
exit $failed
