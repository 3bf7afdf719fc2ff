#!/usr/bin/env bash
# Owns the one command that makes checkpoints of known shapes with random weights, for examples/tinyllama/random.toml,
# for scripts/evidence.sh scale, and for the tests.
#
# Each step works in .perfgate/tmp and moves its folder into place when it is complete, with a .stamp that names what
# it was made from. So an interrupted run leaves nothing half-made, and a second run does only what is missing.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"
# The examples name this folder, so setup.sh's choice of another does not hold here.
unset PERFGATE_DIR
home=.perfgate
models=$home/models/random
maker=scripts/make_random_model.py
converter=scripts/convert_model.py

usage() {
    cat <<'TEXT'
usage: scripts/random_llama.sh SHAPE…|all|tests
       scripts/random_llama.sh --help

Makes folders of a shape with random weights, seeded, under .perfgate/models/random/SHAPE/:

  fp16/      F16 safetensors, for candle
  fp16-ov/   F16 OpenVINO IR
  int8/      INT8 OpenVINO IR (not of the shapes for tests)

  SHAPE            layers  width  of which known     MB of F16 weights
  15m              6       288    stories15M         31
  42m              8       512    stories42M         84
  110m             12      768    stories110M        220
  350m             32      960    MobileLLM-350M     691
  tinyllama-1.1b   22      2048   TinyLlama-1.1B     2201
  7b               32      4096   Llama 2 7B         13477

On disk all three folders take two and a half times the F16 weights, and four times while they are made. In memory GenAI
takes up to six times the F16 weights while it makes the IR: 12 GB for tinyllama-1.1b. 7b was never tried.

`all` is 15m to tinyllama-1.1b. `tests` is llama-tiny, mistral-tiny and qwen2-tiny, of 2 MB each: the families of models
that candle runs. Nothing is downloaded but what scripts/setup.sh needs.

environment:
  PYTHON   the Python to use, the one that scripts/setup.sh used (default: the first suitable one on PATH)
TEXT
}

fail() {
    echo "error: $*" >&2
    exit 1
}

# ---- what is to do ---------------------------------------------------------------------------------------------

# The shapes need no package, so any Python 3.10 tells them.
ask() { "${PYTHON:-python3}" "$maker" "$@"; }

shapes_of_group() { # GROUP
    awk -v group="$1" '$2 == group { print $1 }' <<<"$all_shapes"
}

wanted_shapes() { # ARGUMENT...
    local argument
    all_shapes=$(ask shapes)
    shapes=()
    for argument in "$@"; do
        case $argument in
            all | tests) mapfile -t -O "${#shapes[@]}" shapes < <(shapes_of_group "$argument") ;;
            *)
                grep -q "^$argument " <<<"$all_shapes" || { usage >&2; fail "no shape '$argument'"; }
                shapes+=("$argument")
                ;;
        esac
    done
}

kinds_of() { # SHAPE
    if grep -q "^$1 tests$" <<<"$all_shapes"; then echo fp16 fp16-ov; else echo fp16 fp16-ov int8; fi
}

recipe() { # FILE
    sed -n 's/^RECIPE_VERSION = //p' "$1"
}

pins() { # PACKAGE...: their lines "name==version" of requirements.txt
    local package
    for package in "$@"; do
        sed -n "s/^\($package==[^ ]*\).*/\1/p" scripts/requirements.txt
    done
}

# Other sizes, a higher version of a recipe, or another version of a tool make a folder out of date.
stamp_of() { # SHAPE KIND
    echo "$2, recipes $(recipe $maker) and $(recipe $converter)"
    echo "${description#* }"
    case $2 in
        fp16) pins gguf numpy ;;
        fp16-ov) pins gguf numpy openvino openvino-genai openvino-tokenizers ;;
        int8) pins gguf numpy openvino openvino-genai openvino-tokenizers nncf ;;
    esac
}

# The file without which a folder is not what its stamp says.
weights_of() {
    case $1 in
        fp16) echo model.safetensors ;;
        *) echo openvino_model.bin ;;
    esac
}

is_done() { # SHAPE KIND
    local folder=$models/$1/$2
    [[ -f $folder/$(weights_of "$2") && -f $folder/.stamp && $(<"$folder/.stamp") == "$(stamp_of "$1" "$2")" ]]
}

find_todo() { # SHAPE
    local kind
    description=$(ask describe "$1")
    todo=()
    for kind in $(kinds_of "$1"); do
        is_done "$1" "$kind" || todo+=("$kind")
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
    scripts/setup.sh --with-tools
    openvino=$(pins openvino)
    runtime=$home/runtimes/openvino-${openvino#*==}
    find_python
}

need_disk() { # SHAPE
    local free needed=$((4 * ${description%% *} + 50)) # the three folders, and for a while the checkpoint as GGUF
    free=$(df -Pm "$home" | awk 'NR == 2 { print $4 }')
    ((free >= needed)) || fail "not enough disk space in $home for $1: $needed MB needed, $free MB free"
}

take_lock() {
    # Where flock is missing, two runs at once are not guarded against.
    command -v flock >/dev/null 2>&1 || return 0
    exec 9>"$home/.random.lock"
    flock -n 9 && return
    echo "another run is making random models; waiting for it"
    flock 9
}

# ---- running ---------------------------------------------------------------------------------------------------

run_step() { # SHAPE KIND
    local started=$SECONDS log=$home/logs/random-$1-$2.log folder=$models/$1 arguments
    work=$home/tmp/random-$1-$2
    rm -rf "$work"
    mkdir -p "$work" "$folder" "$home/logs"
    case $2 in
        fp16) arguments=(huggingface "$1") ;;
        fp16-ov) arguments=(openvino "$1" "$folder/fp16") ;;
        int8) arguments=(int8 "$1" "$folder/fp16-ov") ;;
    esac
    printf '  %-24s ' "$1/$2"
    PYTHONPATH="$home/python:$runtime" PYTHONNOUSERSITE=1 PYTHONHASHSEED=0 TMPDIR="$PWD/$work" \
        "$python" "$maker" "${arguments[@]}" "$work/made" >"$log" 2>&1 || {
        echo "failed"
        tail -n 15 "$log" >&2
        fail "$1/$2 failed; all it said is in $log. Killed without a word means: not enough memory"
    }
    stamp_of "$1" "$2" >"$work/made/.stamp"
    # Two renames: never a moment with half a folder.
    [[ ! -e $folder/$2 ]] || mv "$folder/$2" "$work/old"
    mv "$work/made" "$folder/$2"
    rm -rf "$work"
    echo "done in $((SECONDS - started)) s, $(du -sm "$folder/$2" | cut -f1) MB"
}

make_shape() { # SHAPE
    local kind
    find_todo "$1" # again: another run may have made it in the meantime
    ((${#todo[@]} > 0)) || return 0
    need_disk "$1"
    for kind in "${todo[@]}"; do
        run_step "$1" "$kind"
    done
}

# ---- main ------------------------------------------------------------------------------------------------------

case ${1:-} in
    -h | --help) usage; exit 0 ;;
    '') usage >&2; fail "which shape?" ;;
esac
wanted_shapes "$@"
missing=no
for shape in "${shapes[@]}"; do
    find_todo "$shape"
    ((${#todo[@]} == 0)) || missing=yes
done
if [[ $missing == no ]]; then
    echo "Random models are complete: $models"
    exit 0
fi
find_tools
take_lock
rm -rf "$home"/tmp/random-* # left by a run that was killed
trap 'rm -rf "$home"/tmp/random-*' EXIT
echo "Random models, in $models:"
for shape in "${shapes[@]}"; do
    make_shape "$shape"
done
echo "Random models are complete after $SECONDS s: $models"
