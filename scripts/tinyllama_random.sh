#!/usr/bin/env bash
# Owns the one command that makes the random checkpoint of TinyLlama's shape, for examples/tinyllama/random.toml.
#
# Each step works in .perfgate/tmp and moves its folder into place when it is complete, with a .stamp that names what
# it was made from. So an interrupted run leaves nothing half-made, and a second run does only what is missing.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/tinyllama_random.sh [--help]
       scripts/tinyllama_random.sh check [ARGUMENTS of perfgate check]

Makes folders of TinyLlama-1.1B's shape with random weights under .perfgate/models/tinyllama-random/, 5.6 GB in all:

  fp16/      F16 safetensors, for candle
  ov-fp16/   F16 OpenVINO IR
  ov-int8/   INT8 OpenVINO IR

Nothing is downloaded but what scripts/setup.sh needs. 12 GB of disk and of memory are needed while it works.
With `check` it then runs `perfgate check` on them and prints the peak memory of all its processes together.

environment:
  PYTHON   the Python to use, the one that scripts/setup.sh used (default: the first suitable one on PATH)
TEXT
}

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"
# random.toml names this folder, so setup.sh's choice of another does not hold here.
unset PERFGATE_DIR
home=.perfgate
models=$home/models/tinyllama-random
maker=scripts/make_random_tinyllama.py
converter=scripts/convert_model.py
binary=target/release/perfgate
disk_needed=12000 # MB: all folders, and for a while the checkpoint twice as a GGUF file

fail() {
    echo "error: $*" >&2
    exit 1
}

# ---- what is to do ---------------------------------------------------------------------------------------------

recipe() { # FILE
    sed -n 's/^RECIPE_VERSION = //p' "$1"
}

pins() { # PACKAGE...: their lines "name==version" of requirements.txt
    local package
    for package in "$@"; do
        sed -n "s/^\($package==[^ ]*\).*/\1/p" scripts/requirements.txt
    done
}

# Raising a recipe's version, or another version of a tool, makes a folder out of date.
stamp_of() {
    echo "$1, recipes $(recipe $maker) and $(recipe $converter)"
    case $1 in
        gguf | fp16) pins gguf ;;
        ov-fp16) pins gguf openvino openvino-genai openvino-tokenizers ;;
        ov-int8) pins gguf openvino openvino-genai openvino-tokenizers nncf ;;
    esac
}

# The file without which a folder is not what its stamp says.
weights_of() {
    case $1 in
        gguf) echo model-f16.gguf ;;
        fp16) echo model.safetensors ;;
        *) echo openvino_model.bin ;;
    esac
}

is_done() {
    [[ -f $models/$1/$(weights_of "$1") && -f $models/$1/.stamp && $(<"$models/$1/.stamp") == "$(stamp_of "$1")" ]]
}

find_todo() {
    local step
    todo=()
    # The GGUF file is only a means: it is not missed once what is made from it is there.
    is_done gguf || { is_done fp16 && is_done ov-fp16; } || todo+=(gguf)
    for step in fp16 ov-fp16 ov-int8; do
        is_done $step || todo+=("$step")
    done
}

# ---- the tools -------------------------------------------------------------------------------------------------

# The packages under .perfgate/python belong to one Python, which their stamp names.
find_python() {
    local candidate candidates=(python3 python3.13 python3.12 python3.11 python3.10 python3.14 python) abi
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        abi=$("$candidate" -c 'import sysconfig; print(sysconfig.get_config_var("SOABI"))' 2>/dev/null) || continue
        [[ $(<$home/python/.stamp) != "python $abi,"* ]] || { python=$candidate; return; }
    done
    fail "no Python found for the packages in $home/python ($(<$home/python/.stamp)); name it with PYTHON=…"
}

find_tools() {
    local openvino
    openvino=$(pins openvino)
    runtime=$home/runtimes/openvino-${openvino#*==}
    # Where its models are all there, setup.sh does not fetch the tools again that once made them.
    [[ -f $home/python/.stamp ]] ||
        fail "$home/python is missing: rm -r $home/models/smollm2-135m/ov-int8 && scripts/setup.sh"
    find_python
}

need_disk() {
    local free
    free=$(df -Pm "$home" | awk 'NR == 2 { print $4 }')
    ((free >= disk_needed)) || fail "not enough disk space in $home: $disk_needed MB needed, $free MB free"
}

# ---- running ---------------------------------------------------------------------------------------------------

make_step() { # STEP OUT
    local arguments gguf
    gguf=$models/gguf/$(weights_of gguf)
    case $1 in
        gguf) arguments=(gguf) ;;
        fp16) arguments=(huggingface "$gguf") ;;
        ov-fp16) arguments=(openvino "$gguf" "$models/fp16") ;;
        ov-int8) arguments=(int8 "$models/ov-fp16") ;;
    esac
    PYTHONPATH="$home/python:$runtime" PYTHONNOUSERSITE=1 PYTHONHASHSEED=0 TMPDIR="$PWD/$work" \
        "$python" "$maker" "${arguments[@]}" "$2"
}

run_step() { # STEP
    local started=$SECONDS log=$home/logs/tinyllama-$1.log
    work=$home/tmp/tinyllama-$1
    rm -rf "$work"
    mkdir -p "$work" "$models" "$home/logs"
    printf '  %-8s ' "$1"
    make_step "$1" "$work/made" >"$log" 2>&1 || {
        echo "failed"
        tail -n 15 "$log" >&2
        fail "step $1 failed; all it said is in $log. Killed without a word means: not enough memory"
    }
    stamp_of "$1" >"$work/made/.stamp"
    # Two renames: never a moment with half a folder.
    [[ ! -e $models/$1 ]] || mv "$models/$1" "$work/old"
    mv "$work/made" "$models/$1"
    rm -rf "$work"
    echo "done in $((SECONDS - started)) s, $(du -sm "$models/$1" | cut -f1) MB"
}

make_models() {
    find_todo
    if ((${#todo[@]} == 0)); then
        echo "Complete: $models"
        return
    fi
    scripts/setup.sh
    find_tools
    # Where flock is missing, two runs at once are not guarded against.
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$home/.tinyllama.lock"
        flock -n 9 || fail "another run is making these models; wait for it"
    fi
    rm -rf "$home"/tmp/tinyllama-* # left by a run that was killed
    need_disk
    trap 'rm -rf "$home"/tmp/tinyllama-*' EXIT
    echo "Random checkpoint of TinyLlama's shape, in $models. To do: ${todo[*]}"
    local step
    for step in "${todo[@]}"; do
        run_step "$step"
    done
    rm -rf "$models/gguf"
    exec 9>&- # what comes next needs no lock
    echo "Complete after $SECONDS s: $models"
}

check() {
    [[ -x $binary ]] || fail "$binary is missing: cargo build --release --locked --bin perfgate"
    exec "${PYTHON:-python3}" scripts/peak_memory.py \
        "$binary" check --config examples/tinyllama/random.toml "$@"
}

case ${1:-} in
    '') make_models ;;
    check) make_models; shift; check "$@" ;;
    -h | --help) usage ;;
    *) usage >&2; fail "unknown argument '$1'" ;;
esac
