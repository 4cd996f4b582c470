#!/usr/bin/env bash
# Remakes requirements.lock, requirements-ldap.lock, requirements-kerberos.lock and requirements-clients.lock: hashes for
# every Python from 3.11 on, and no address of any package index. What needs a compiler stands in the second and the
# third, so that the first installs on a bare machine; the last has the libraries of foreign clients, for the tests alone.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
trap 'rm -f uv.lock' EXIT
export=(.venv/bin/uv export --quiet --format requirements-txt --no-emit-workspace --no-header)
"${export[@]}" --all-extras --no-extra ldap --no-extra kerberos --all-groups --no-group clients -o requirements.lock
for extra in ldap kerberos; do "${export[@]}" --extra $extra --no-default-groups -o requirements-$extra.lock; done
"${export[@]}" --only-group clients -o requirements-clients.lock
scripts/check-tree.sh
