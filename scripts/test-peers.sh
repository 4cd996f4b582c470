#!/usr/bin/env bash
# The real peers of the tests: Debian's DCMTK, odil, Orthanc, slapd, Samba, Redis, PostgreSQL, FreeRADIUS, Prometheus,
# rsyslog, Chromium, and what signs and verifies SAML; in Python pynetdicom2 and tiny-pacs; on node dcmjs-dimse, an OpenID provider and a SAML one.
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

# need_server COMMAND "PACKAGE..." "SERVICE..." WHAT-IS-LOST: a server that this very run installed must not keep running,
# nor start at boot. One that was there before is its owner's: the tests use free ports and folders of their own.
need_server() {
    has "$1" && return
    need "$1" "$2" "$4"
    has "$1" || return 0
    for service in $3; do silence "$service"; done
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

imports() { "$1" -c "import $2" >/dev/null 2>&1; }

# locked MODULE LOCK: a library with what it needs, from a lock of its own.
locked() {
    echo "test: the packages of $2"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$2" \
        && imports .venv/bin/python "$1"
}

# compile MODULE EXTRA HEADER "PACKAGE...": a library without wheels, from the lock of its extra.
compile() {
    local module=$1 lock=requirements-$2.lock header=$3 packages="gcc libc6-dev python3-dev $4"
    imports .venv/bin/python "$module" && return
    # shellcheck disable=SC2086
    if ! has gcc || [ ! -f "/usr/include/$header" ]; then scripts/apt-install.sh $packages || true; fi
    locked "$module" "$lock" && return
    echo "test: $module cannot be built (apt-get install $packages): the tests with it are skipped"
}

# Where Debian puts servers; PostgreSQL's have a folder for each version.
PATH=$PATH:/usr/sbin:/sbin$(printf ':/usr/lib/postgresql/%s/bin' {13..19})
need git "git" "make check cannot look through the tree"
need openssl "openssl" "certificates cannot be looked at by hand"
need strace "strace" "which files an assertion makes the gateway open is not watched"
need_server haproxy "haproxy" haproxy "the tests behind HAProxy are skipped, and those of getscu and movescu with certificates"
need storescu "dcmtk" "the tests with DCMTK are skipped"
need chromedriver "chromium chromium-driver" "the status page is not tried in a browser"
need_server Orthanc "orthanc" orthanc "the tests with Orthanc are skipped"
need_server slapd "slapd ldap-utils" slapd "the tests with a directory are skipped"
need_server samba "samba-ad-dc samba-ad-provision" "samba-ad-dc smbd nmbd winbind" "the tests with Active Directory are skipped"
need_server redis-server "redis-server redis-tools" redis-server "the tests with Redis are skipped"
need_server freeradius "freeradius" freeradius "the tests with RADIUS are skipped"
need_server postgres "postgresql" postgresql "the tests with PostgreSQL are skipped"
need xmlsec1 "xmlsec1" "the tests with pysaml2 are skipped"
need samlsign "opensaml-tools" "the tests with OpenSAML are skipped"
need npm "nodejs npm" "the tests with dcmjs-dimse, with an OpenID provider and with npm's saml are skipped"
need_server krb5kdc "krb5-kdc krb5-admin-server krb5-user" krb5-kdc "the tests with Kerberos are skipped"
need_server prometheus "prometheus" prometheus "alert rules and dashboard are not put to a Prometheus"
need_server rsyslogd "rsyslog rsyslog-gnutls" rsyslog "the tests of the audit with rsyslog are skipped"
need faketime "faketime" "the tests with clocks that go wrong are skipped"
compile ldap ldap sasl/sasl.h "libldap2-dev libsasl2-dev"
compile gssapi kerberos gssapi/gssapi_krb5.h "libkrb5-dev"
imports .venv/bin/python tiny_pacs || locked tiny_pacs requirements-clients.lock \
    || echo "test: pynetdicom2 and tiny-pacs cannot be installed: the tests with them are skipped"
imports /usr/bin/python3 odil || { scripts/apt-install.sh python3-odil && imports /usr/bin/python3 odil; } \
    || echo "test: odil is missing (apt-get install python3-odil): the tests with it are skipped"

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
            echo "test: npm could not install dcmjs-dimse, oidc-provider and saml: the tests with them are skipped"
        fi
    fi
fi
