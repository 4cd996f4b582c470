#!/usr/bin/env bash
# Wheels and source archives of dicomgate and every plugin, in dist/, built by the hatchling of requirements.lock.
set -euo pipefail
cd "$(dirname "$0")/.."

hatchling=$PWD/.venv/bin/hatchling
for project in . plugins/*/; do
    (cd "$project" && "$hatchling" build -d "$OLDPWD/dist")
done
