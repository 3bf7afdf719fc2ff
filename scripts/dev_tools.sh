#!/usr/bin/env bash
# Owns the tools that only checks of this repository need: fetched once into .perfgate/dev-tools, pinned with hashes.
# Prints the folder; Python finds them there by PYTHONPATH, and its bin/ holds the programs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    echo "error: $*" >&2
    exit 1
}

python=${PYTHON:-python3}
home=${PERFGATE_DIR:-$PWD/.perfgate}
[[ $home == /* ]] || home=$PWD/$home
folder=$home/dev-tools
abi=$("$python" -c 'import sys, sysconfig
if sys.version_info >= (3, 10): print(sysconfig.get_config_var("SOABI"))') || fail "$python does not run; name a Python with PYTHON=…"
[[ -n $abi ]] || fail "$python is older than 3.10; name another with PYTHON=…"
stamp="python $abi, requirements-dev.txt $(cksum <scripts/requirements-dev.txt)"

if [[ ! -f $folder/.stamp || $(<"$folder/.stamp") != "$stamp" ]]; then
    mkdir -p "$home/tmp" "$home/logs"
    work=$(mktemp -d "$home/tmp/dev-tools-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    # A user's own pip settings that don't go with a private folder are overruled.
    PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 TMPDIR=$work "$python" -m pip install --disable-pip-version-check --no-input \
        --progress-bar off --no-warn-script-location --no-deps --only-binary :all: --require-hashes --no-compile \
        --target "$work/made" -r scripts/requirements-dev.txt >"$home/logs/dev-tools.log" 2>&1 || {
        tail -n 15 "$home/logs/dev-tools.log" >&2
        fail "the tools for checks could not be fetched; all pip said is in $home/logs/dev-tools.log"
    }
    echo "$stamp" >"$work/made/.stamp"
    # Two renames: never a moment with half a folder.
    [[ ! -e $folder ]] || mv "$folder" "$work/old"
    mv "$work/made" "$folder"
fi
echo "$folder"
