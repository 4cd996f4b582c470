#!/usr/bin/env bash
# What the benchmarks measure against: Debian's HAProxy, nginx and DCMTK; and strace. What cannot be installed is said
# here in one line; the contestant, or the benchmark, is then left out. The servers of `logins` are those of
# scripts/test-peers.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

# need COMMAND "PACKAGE..." WHAT-IS-LOST
need() {
    command -v "$1" >/dev/null 2>&1 && return
    # The package names are meant to be split into words.
    # shellcheck disable=SC2086
    scripts/apt-install.sh $2 && command -v "$1" >/dev/null 2>&1 && return
    echo "bench: $1 is missing (apt-get install $2): $3"
}

# need_server: the same for one that must not keep running as a service if this very run installed it. One that was
# there is its owner's.
need_server() {
    command -v "$1" >/dev/null 2>&1 && return
    need "$@"
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    if command -v "$1" >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
        "${as_root[@]}" systemctl disable --now "$1" >/dev/null 2>&1 || true
    fi
}

need_server haproxy haproxy "dicomgate is not compared with it"
need_server nginx "nginx-light libnginx-mod-stream" "dicomgate is not compared with it"
need storescu dcmtk "the benchmarks with storescu are left out"
need strace strace "system calls are not counted"
