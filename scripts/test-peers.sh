#!/usr/bin/env bash
# The real DICOM peers of tests/system: Debian's DCMTK and Orthanc, and dcmjs-dimse on node.
# What cannot be installed is said here in one line, and its tests are skipped: never a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

has() { command -v "$1" >/dev/null 2>&1; }

# need COMMAND "PACKAGE..." WHAT-IS-LOST
need() {
    has "$1" && return
    # The package names are meant to be split into words.
    # shellcheck disable=SC2086
    scripts/apt-install.sh $2 && has "$1" && return
    echo "test: $1 is missing (apt-get install $2): $3"
}

# A system Orthanc that this very run installed must not keep running, nor start at boot. One that was there before
# is its owner's: the tests use free ports and a private configuration.
silence_orthanc() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    if [ -d /run/systemd/system ]; then
        "${as_root[@]}" systemctl disable --now orthanc
    elif [ -x /etc/init.d/orthanc ]; then
        "${as_root[@]}" /etc/init.d/orthanc stop
    fi >/dev/null 2>&1 || true
}

need git "git" "make check cannot look through the tree"
need openssl "openssl" "certificates cannot be looked at by hand"
need storescu "dcmtk" "the tests with DCMTK are skipped"
if ! has Orthanc; then
    need Orthanc "orthanc" "the tests with Orthanc are skipped"
    if has Orthanc; then silence_orthanc; fi
fi
need npm "nodejs npm" "the tests with dcmjs-dimse are skipped"

clients=tests/clients
stamp=$clients/node_modules/setup.sha256
if has npm && has node; then
    wanted=$(cat $clients/package.json $clients/package-lock.json | sha256sum)
    if [ ! -f $stamp ] || [ "$(cat $stamp)" != "$wanted" ]; then
        echo "test: npm ci in $clients"
        if npm ci --prefix $clients --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error </dev/null; then
            echo "$wanted" >$stamp
        else
            rm -rf $clients/node_modules
            echo "test: npm could not install dcmjs-dimse: the tests with dcmjs-dimse are skipped"
        fi
    fi
fi
