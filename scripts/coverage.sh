#!/usr/bin/env bash
# The coverage of the test run that has just ended, in one line. In CI it must not be below the floor; elsewhere tests may
# have been skipped for want of a peer.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly FLOOR=97      # percent of the lines and branches of the core and the plugins
.venv/bin/coverage combine --quiet
total=$(.venv/bin/coverage report --format=total)
echo "coverage: $total % of lines and branches; the floor is $FLOOR % (details: .venv/bin/coverage report)"
[ -z "${CI:-}" ] || .venv/bin/coverage report --fail-under=$FLOOR >/dev/null
