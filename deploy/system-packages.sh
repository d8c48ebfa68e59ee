#!/bin/sh
# Installs the named Debian packages if it may, and says so first. If it may not, it prints the one command and goes on.
set -eu
missing=""
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "optional system packages are not here:$missing (names as in Debian); going on without them"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "optional system packages are not here; to install them: sudo apt-get install$missing"
    exit 0
fi
echo "installing system packages:$missing"
# shellcheck disable=SC2086
if ! { $as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 ||
    { $as_root apt-get update -qq >/dev/null && $as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null; }; }; then
    echo "could not install$missing; going on without them"
    exit 0
fi
# Only their programs are wanted: what Debian starts and enables on its own is stopped again, if this script brought it.
if command -v systemctl >/dev/null 2>&1; then
    for package in $missing; do
        $as_root systemctl disable --quiet --now "$package" >/dev/null 2>&1 || true
    done
fi
