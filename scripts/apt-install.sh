#!/usr/bin/env bash
# apt-install.sh PACKAGE...: installs Debian packages when that needs no question: as root, or with sudo that asks for
# no password. Exit status 1 when it cannot; the caller says what is then missing.
set -euo pipefail

command -v apt-get >/dev/null || exit 1
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true >/dev/null 2>&1 || exit 1
    as_root=(sudo -n)
fi
# RUNLEVEL=1 keeps invoke-rc.d from starting the services of what is installed; systemd takes no notice of it.
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120)

install() { "${apt[@]}" install -y --no-install-recommends "$@" >"$log" 2>&1 </dev/null; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "setup: apt-get install $*"
# apt's lists may be missing or old; they are fetched only when the install fails without.
if ! install "$@"; then
    "${apt[@]}" update >/dev/null 2>&1 </dev/null || true
    install "$@" || { tail -n 5 "$log" >&2; exit 1; }
fi
