#!/usr/bin/env bash
# What the benchmarks measure against: Debian's HAProxy and DCMTK. What cannot be installed is said here in one line;
# the contestant, or the benchmark, is then left out.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

# need COMMAND PACKAGE WHAT-IS-LOST
need() {
    command -v "$1" >/dev/null 2>&1 && return
    scripts/apt-install.sh "$2" && command -v "$1" >/dev/null 2>&1 && return
    echo "bench: $1 is missing (apt-get install $2): $3"
}

# A HAProxy that this very run installed must not keep running as a service; one that was there is its owner's.
silence_haproxy() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    if [ -d /run/systemd/system ]; then "${as_root[@]}" systemctl disable --now haproxy >/dev/null 2>&1 || true; fi
}

if ! command -v haproxy >/dev/null 2>&1; then
    need haproxy haproxy "dicomgate is compared with a direct connection alone"
    if command -v haproxy >/dev/null 2>&1; then silence_haproxy; fi
fi
need storescu dcmtk "the benchmarks with storescu are left out"
