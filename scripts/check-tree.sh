#!/usr/bin/env bash
# Nothing in the tree names one machine, one package index or one download: the lock pins hashes, the index is the
# reader's own affair. Looks at every file that is committed or could be.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v git >/dev/null || { echo "check-tree needs git: apt-get install git" >&2; exit 1; }
failed=0

# refuse WHAT-IS-WRONG GREP-ARGUMENT...: fails when a file of the tree matches.
refuse() {
    local message=$1 status=0
    shift
    git grep --no-index --exclude-standard -nIE "$@" >&2 || status=$?
    case $status in
        0) echo "check-tree: $message" >&2; failed=1 ;;
        1) ;;                                            # no match
        *) echo "check-tree: git grep failed" >&2; exit 2 ;;
    esac
}

refuse "an address of a package index" -e 'https?://(pypi|registry|files|index|mirror)[.]' -e '--(extra-)?index-url'
refuse "a download address" -e 'https?://[^ "]+[.](whl|tar[.]gz|tgz|zip|deb)("|$|#)'
refuse "an address in the lock" -e 'https?://' -e 'file:' -- 'requirements*.lock'
refuse "an address in the lock" -e '"resolved"' -- tests/clients/package-lock.json
refuse "a path of one machine" -e '(^|[^A-Za-z0-9_.])/(home|Users|root|work)/[A-Za-z.]'
refuse "the path of this checkout" -F -e "$PWD/"

for file in uv.lock pylock.toml; do
    if [ -n "$(git ls-files -- "$file" "**/$file" 2>/dev/null)" ]; then
        echo "check-tree: $file is committed; requirements.lock is the lock" >&2
        failed=1
    fi
done
exit $failed
