#!/bin/sh
# install.sh: installs dicomgate from this folder. It asks no package index and no network.
#
#   sudo ./install.sh                 for the system: user dicomgate, /opt, /etc, /var, and the systemd unit
#   ./install.sh --only-into FOLDER   a virtual environment in FOLDER, nothing else; needs no rights
#
# An upgrade is the same command from a newer bundle. Each version has a folder of its own below /opt/dicomgate, and
# /opt/dicomgate/current is a link to the one in use: `ln -sfn VERSION /opt/dicomgate/current` goes back to another.
# --root FOLDER puts everything below FOLDER, and makes no user: for packagers and tests.
set -eu
umask 022  # whatever root's is: the service must be able to read the programs, and nobody else may change them
here=$(cd "$(dirname "$0")" && pwd)
root= only=
while [ $# -gt 0 ]; do
    case "$1" in
        --only-into) only=$2; shift 2 ;;
        --root) root=$2; shift 2 ;;
        *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done

fail() { echo "install.sh: $1" >&2; exit 3; }

(cd "$here" && sha256sum --quiet --check SHA256SUMS) || fail "a file of the bundle is damaged or missing: fetch it again"
version=$(cat "$here/PYTHON")
python=$(command -v "python$version") || fail "this bundle is for Python $version, which is not installed"

# -I: `python -m` would otherwise take its modules from the folder that root happens to be in, which may be /tmp.
install_into() {
    "$python" -I -m venv "$1" || fail "no virtual environment: install python$version-venv"
    "$1/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-index --find-links "$here/wheels" \
        --require-hashes -r "$here/requirements.txt"
    "$1/bin/dicomgate" --version
}

if [ -n "$only" ]; then
    install_into "$only"
    exit 0
fi

[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail "needs root: sudo ./install.sh, or ./install.sh --only-into FOLDER"
if [ -z "$root" ] && ! id dicomgate >/dev/null 2>&1; then
    useradd --system --no-create-home --home-dir /var/lib/dicomgate --shell /usr/sbin/nologin dicomgate
fi
owner() { [ -n "$root" ] || chown "$@"; }

release=$(sed -n 's/^dicomgate==\([^ ]*\) .*/\1/p' "$here/requirements.txt")
mkdir -p "$root/opt/dicomgate"
install_into "$root/opt/dicomgate/$release"
ln -sfn "$release" "$root/opt/dicomgate/current"
mkdir -p "$root/usr/local/bin" "$root/etc/systemd/system"
ln -sfn /opt/dicomgate/current/bin/dicomgate "$root/usr/local/bin/dicomgate"
install -m 0644 "$here/deploy/systemd/dicomgate.service" "$root/etc/systemd/system/dicomgate.service"

# The service reads its configuration and cannot change it.
for folder in etc/dicomgate var/lib/dicomgate var/log/dicomgate; do install -d -m 0750 "$root/$folder"; done
owner root:dicomgate /etc/dicomgate
owner dicomgate:dicomgate /var/lib/dicomgate /var/log/dicomgate

cat <<END
Installed. Next, as root:
  cd /etc/dicomgate && dicomgate init        write dicomgate.toml; then edit it
  chgrp -R dicomgate . && chmod 0640 *       the service may read it, nobody else
  dicomgate check --config /etc/dicomgate/dicomgate.toml
  systemctl daemon-reload && systemctl enable --now dicomgate
END
