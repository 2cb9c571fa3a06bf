# SPDX-License-Identifier: Apache-2.0
#
# tests/packages.sh - installs what a script needs; sourced by tests/run.sh and bench/run.sh.
#
# A LIST is a function of the script's that prints a line for each thing that is needed: Debian's
# package, and the command that sees whether it is there.

missing_packages() {
    while read -r package probe; do
        sh -c "$probe" >/dev/null 2>&1 || echo "$package"
    done
}

# install LIST: what of it is missing; answers 1 if something still is.
install() {
    missing=$("$1" | missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "run.sh: as root: apt-get install $missing" >&2
        return 1
    fi
    echo "installing: $missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null && return 0
    # One that cannot be had takes all others with it: each by itself.
    failed=""
    for package in $missing; do
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
            failed="$failed $package"
    done
    [ -z "$failed" ] || echo "run.sh: could not be installed:$failed" >&2
    [ -z "$failed" ]
}
