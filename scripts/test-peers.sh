#!/usr/bin/env bash
# The real peers of the tests: Debian's DCMTK, Orthanc, slapd, Redis, PostgreSQL, FreeRADIUS; dcmjs-dimse on node.
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

# need_server COMMAND "PACKAGE..." SERVICE WHAT-IS-LOST: a server that this very run installed must not keep running, nor
# start at boot. One that was there before is its owner's: the tests use free ports and folders of their own.
need_server() {
    has "$1" && return
    need "$1" "$2" "$4"
    if has "$1"; then silence "$3"; fi
}

silence() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    if [ -d /run/systemd/system ]; then
        "${as_root[@]}" systemctl disable --now "$1"
    elif [ -x "/etc/init.d/$1" ]; then
        "${as_root[@]}" "/etc/init.d/$1" stop
    fi >/dev/null 2>&1 || true
}

# bonsai, of dicomgate-ldap, is built here: it has no wheels.
has_bonsai() { .venv/bin/python -c "import bonsai" >/dev/null 2>&1; }
make_bonsai() {
    has_bonsai && return
    if ! has gcc || [ ! -f /usr/include/ldap.h ] || [ ! -f /usr/include/sasl/sasl.h ]; then
        scripts/apt-install.sh gcc libc6-dev python3-dev libldap2-dev libsasl2-dev || true
    fi
    echo "test: the packages of requirements-ldap.lock"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-ldap.lock \
        && has_bonsai && return
    echo "test: bonsai cannot be built (apt-get install gcc python3-dev libldap2-dev libsasl2-dev):" \
         "the tests with LDAP are skipped"
}

# Where Debian puts servers; PostgreSQL's have a folder for each version.
PATH=$PATH:/usr/sbin:/sbin$(printf ':/usr/lib/postgresql/%s/bin' {13..19})
need git "git" "make check cannot look through the tree"
need openssl "openssl" "certificates cannot be looked at by hand"
need storescu "dcmtk" "the tests with DCMTK are skipped"
need_server Orthanc "orthanc" orthanc "the tests with Orthanc are skipped"
need_server slapd "slapd ldap-utils" slapd "the tests with a directory are skipped"
need_server redis-server "redis-server redis-tools" redis-server "the tests with Redis are skipped"
need_server freeradius "freeradius" freeradius "the tests with RADIUS are skipped"
need_server postgres "postgresql" postgresql "the tests with PostgreSQL are skipped"
need npm "nodejs npm" "the tests with dcmjs-dimse are skipped"
make_bonsai

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
