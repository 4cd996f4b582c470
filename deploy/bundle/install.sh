#!/bin/sh
# install.sh: installs dicomgate from this folder, moves to a newer version, and goes back. It asks no network.
#
#   sudo ./install.sh                 install: user dicomgate, /opt, /etc, /var, the systemd unit, the command
#   sudo ./install.sh --upgrade       install this version beside the one in use, and move to it
#   sudo ./install.sh --rollback      go back to the version before; also as /opt/dicomgate/install.sh --rollback
#   ./install.sh --only-into FOLDER   a virtual environment in FOLDER, nothing else; needs no rights
#
#   --signers FILE   verify the signature, too: FILE has the keys you trust (ssh-keygen(1), ALLOWED SIGNERS)
#   --root FOLDER    put everything below FOLDER, and make no user: for packagers and tests
#
# Exit status: 0 done; 1 the new version did not get ready, the old one is in use again; 2 wrong usage, or the version
# to move to does not take the configuration; 3 the machine prevents it. With 2 and 3 the version in use is as before.
set -eu
umask 022  # whatever root's is: the service must be able to read the programs, and nobody else may change them
unset CDPATH PYTHONHOME PYTHONPATH        # root's own surroundings must not lead to other files than ours
export PIP_CONFIG_FILE=/dev/null          # --isolated leaves /etc/pip.conf, and what this variable names

here=$(cd "$(dirname "$0")" && pwd)
do=install root='' only='' signers=''
while [ $# -gt 0 ]; do
    case "$1" in
        --upgrade | --rollback) do=${1#--}; shift ;;
        --only-into | --root | --signers)
            [ -n "${2-}" ] || { echo "install.sh: $1 needs a path" >&2; exit 2; }
            case "$1" in --only-into) only=$2 ;; --root) root=$2 ;; *) signers=$2 ;; esac
            shift 2 ;;
        *) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
opt=$root/opt/dicomgate
configuration=$root/etc/dicomgate/dicomgate.toml

say() { echo "install.sh: $1" >&2; }
fail() { say "$1"; exit "${2:-3}"; }

# What came here is what was made.
verify() {
    [ -e "$here/SHA256SUMS" ] || fail "$here is not an unpacked bundle: it has no SHA256SUMS"
    [ -z "$signers" ] || verify_signature
    (cd "$here" && sha256sum --quiet --strict --check SHA256SUMS) ||
        fail "a file of the bundle is damaged or missing (see above): fetch the archive again, and unpack it in a new folder"
}

verify_signature() {
    signature=$here/SHA256SUMS.sig
    command -v ssh-keygen >/dev/null || fail "ssh-keygen is needed to verify the signature (Debian: openssh-client)"
    [ -r "$signers" ] || fail "the file of trusted keys cannot be read: $signers"
    [ -e "$signature" ] || fail "this bundle has no signature: ask for one that has, or leave out --signers"
    signer=$(ssh-keygen -Y find-principals -s "$signature" -f "$signers" 2>/dev/null | head -n 1)
    [ -n "$signer" ] || fail "the bundle is signed by a key that is not in $signers: do not install it"
    ssh-keygen -Y verify -n dicomgate -I "$signer" -s "$signature" -f "$signers" <"$here/SHA256SUMS" >/dev/null 2>&1 ||
        fail "SHA256SUMS is not what $signer signed: do not install it"
    say "signed by $signer"
}

# A virtual environment with everything, in a folder that is not there yet. pip comes with the bundle: Debian's python3
# has none. -I: Python would otherwise take modules from the folder that root happens to be in, which may be /tmp.
install_into() {
    into=$1
    trap 'rm -rf "$into"' EXIT
    version=$(cat "$here/PYTHON")
    python=$(command -v "python$version") ||
        fail "this bundle is for Python $version, which is not installed: install python$version, or get the bundle for your Python"
    pip=$here/$(sed -n 's|^[0-9a-f]*  \(wheels/pip-[^/]*\.whl\)$|\1|p' "$here/SHA256SUMS")  # no other: that was verified
    "$python" -I -m venv --without-pip "$1" || fail "Python cannot make a virtual environment in $1 (see above)"
    "$1/bin/python" -I "$pip/pip" --isolated --quiet --disable-pip-version-check --no-cache-dir install --no-index \
        --find-links "$here/wheels" --require-hashes -r "$here/requirements.txt" || fail "the packages could not be installed (see above)"
    "$1/bin/dicomgate" --version || fail "the gateway does not run on this machine (see above)"
    trap - EXIT
}

# The folder of this version. Its requirements.txt comes last: where it is missing, the power or the disk went.
install_beside() {
    if [ -e "$new/requirements.txt" ]; then
        cmp -s "$here/requirements.txt" "$new/requirements.txt" ||
            fail "$new is there already, with other packages than this bundle: remove it if it is not in use"
        return
    fi
    if [ -e "$new" ]; then
        [ "$(target_of current)" != "$release" ] || fail "$new is in use, and was not installed by this installer"
        say "removes $new: half an installation"
        rm -rf "$new"
    fi
    install_into "$new"
    cp "$here/deploy/systemd/dicomgate.service" "$new/dicomgate.service"
    cp "$here/requirements.txt" "$new/requirements.txt.part"
    sync -f "$new"
    mv "$new/requirements.txt.part" "$new/requirements.txt"
}

# ~: 1.0rc1 comes before 1.0.
is_older() { [ "$(printf '%s\n' "$1" "$2" | sed 's/[a-z]/~&/' | sort -V | head -n 1 | tr -d '~')" = "$1" ]; }

target_of() { readlink "$opt/$1" || true; }
point() { ln -sfn "$2" "$opt/.$1" && mv -fT "$opt/.$1" "$opt/$1"; }  # by rename(2): there is always one of the two

use() {
    point current "$1" &&
        install -m 0644 "$opt/$1/dicomgate.service" "$root/etc/systemd/system/dicomgate.service" &&
        { [ ! -d "$root/run/systemd/system" ] || systemctl daemon-reload; }
}

# Whether the service runs, or should: one that failed is to run again with the other version.
runs() {
    [ -d "$root/run/systemd/system" ] || return 1
    case $(systemctl is-active dicomgate) in active | activating | reloading | failed) return 0 ;; *) return 1 ;; esac
}

# `systemctl restart` waits for the gateway's READY=1 (Type=notify). One that ends at once thereafter is not ready.
restart() { systemctl restart dicomgate && sleep 3 && systemctl is-active --quiet dicomgate; }

takes_configuration() {
    if [ ! -e "$configuration" ]; then
        say "there is no $configuration to check"
        return
    fi
    credentials=/run/credentials/dicomgate.service  # what LoadCredential= in the unit gives the running service
    [ ! -d "$credentials" ] || export CREDENTIALS_DIRECTORY="$credentials"
    "$opt/$1/bin/dicomgate" check --config "$configuration" >/dev/null
}

# Rule: the version to move to is tried first, and what was in use is in use again if it does not get ready.
move_to() {
    next=$1 last=$(target_of current) before=$(target_of previous)
    takes_configuration "$next" || fail "dicomgate $next does not take $configuration (see above): $last stays in use" 2
    if runs; then running=yes; else running=''; fi
    trap '' HUP INT TERM  # from here on there is no half way
    # The installer of 0.1.0 kept no unit with its version.
    [ -e "$opt/$last/dicomgate.service" ] || cp "$root/etc/systemd/system/dicomgate.service" "$opt/$last/dicomgate.service"
    if ! { point previous "$last" && use "$next"; }; then
        use_last || true
        fail "dicomgate $next could not be put in place (see above): $last stays in use"
    elif [ -z "$running" ]; then
        say "dicomgate $next is in use in place of $last; the service does not run: systemctl start dicomgate"
    elif say "restarts the service: associations may finish (drain_timeout)" && restart; then
        say "dicomgate $next is in use in place of $last, and is ready"
    else
        say "dicomgate $next does not get ready (journalctl -u dicomgate says why): goes back to $last"
        use_last && restart || fail "$last does not get ready either: journalctl -u dicomgate"
        fail "$last is in use again, and is ready" 1
    fi
    say "to go back to $last: sudo $opt/install.sh --rollback"
}

use_last() {
    if [ -n "$before" ]; then point previous "$before"; else rm -f "$opt/previous"; fi
    use "$last"
}

# The service reads its configuration and cannot change it. Folders that are there stay as they are.
make_folders() {
    if [ -z "$root" ] && ! id dicomgate >/dev/null 2>&1; then
        useradd --system --no-create-home --home-dir /var/lib/dicomgate --shell /usr/sbin/nologin dicomgate
    fi
    for folder in etc var/lib var/log; do
        [ -d "$root/$folder/dicomgate" ] || {
            install -d -m 0750 "$root/$folder/dicomgate"
            owner=dicomgate:dicomgate
            [ $folder != etc ] || owner=root:dicomgate
            [ -n "$root" ] || chown $owner "/$folder/dicomgate"
        }
    done
    mkdir -p "$root/usr/local/bin" "$root/etc/systemd/system"
    ln -sfn /opt/dicomgate/current/bin/dicomgate "$root/usr/local/bin/dicomgate"
}

if [ -n "$only" ]; then
    verify
    mkdir -p "$(dirname "$only")" && mkdir "$only" || fail "$only must not be there yet (see above)"
    install_into "$only"
    exit 0
fi

[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail "needs root: sudo $0, or $0 --only-into FOLDER"
[ ! -e "$root/var/lib/dpkg/info/dicomgate.list" ] || fail "dicomgate is installed here as a Debian package: use apt, or purge it first"
[ ! -e "$opt/current" ] || [ -L "$opt/current" ] ||
    fail "$opt/current is a folder, and not a link to a version: rename it to the version it has, and link current to that"
mkdir -p "$opt"
umask 077; exec 9>"$opt/.lock"; umask 022  # whoever may read it could hold it
flock -n 9 || fail "another install.sh is at work"
trap 'fail interrupted' HUP INT TERM

used=$(target_of current)
if [ $do = rollback ]; then
    release=$(target_of previous)
    [ -n "$release" ] || fail "there is no version to go back to: $opt/previous is missing"
    [ -x "$opt/$release/bin/dicomgate" ] || fail "$opt/$release, the version before, was removed"
    move_to "$release"
    exit 0
fi

verify
release=$(sed -n 's/^dicomgate==\([^ ]*\) .*/\1/p' "$here/requirements.txt")
case $release in
    [0-9]*) case $release in *[!0-9a-z.+]*) release='' ;; esac ;;
    *) release='' ;;
esac
[ -n "$release" ] || fail "requirements.txt does not say which version of dicomgate this is: the bundle was not made right"
new=$opt/$release
if [ $do = upgrade ]; then
    [ -n "$used" ] || fail "nothing is installed here to upgrade: $0 without --upgrade installs" 2
    [ "$used" != "$release" ] || fail "dicomgate $release is in use already" 2
    # Somebody may offer what was signed long ago, with its known weaknesses, as the new version.
    is_older "$used" "$release" || fail "dicomgate $release is older than $used, which is in use: see --rollback" 2
else
    [ -z "$used" ] || [ "$used" = "$release" ] || fail "dicomgate $used is installed here: $0 --upgrade moves to $release" 2
fi
install_beside
cmp -s "$0" "$opt/install.sh" || cp "$here/install.sh" "$opt/install.sh"
if [ $do = upgrade ]; then
    move_to "$release"
    exit 0
fi

make_folders
use "$release"
cat <<END
Installed. Next, as root:
  cd /etc/dicomgate && dicomgate init        write dicomgate.toml; then edit it
  chgrp -R dicomgate . && chmod 0640 *       the service may read it, nobody else
  dicomgate check --config /etc/dicomgate/dicomgate.toml
  systemctl daemon-reload && systemctl enable --now dicomgate
END
