#!/usr/bin/env bash
# Owns the long evidence: real sessions whose tables stand in docs/evidence/. Resumable: a session that is done is kept
# under .perfgate/evidence and not run again; remove that folder to begin anew.
#
#     scripts/evidence.sh slowdown     ten sessions of examples/slowdown -> docs/evidence/slowdown.md (20 minutes)
#     scripts/evidence.sh int4         INT4 in place of INT8: examples/int4 -> docs/evidence/int4.md (5 minutes)
#     scripts/evidence.sh quality      every task and document by seven set-ups -> docs/evidence/quality.md (2 hours, once)
#     scripts/evidence.sh together     tasks answered together and one by one -> docs/evidence/together.md (20 minutes)
#     scripts/evidence.sh baseline     three accepted sessions and a fourth -> docs/evidence/baseline.md (15 minutes)
#     scripts/evidence.sh harness      perfgate against bare loops and GenAI -> docs/evidence/harness.md (25 minutes)
#     scripts/evidence.sh aa           INT8 against itself, and slowed by 5% and 10% -> docs/evidence/aa.md (60 minutes, once)
#     scripts/evidence.sh speed        the bootstrap against NumPy, and compare -> docs/evidence/speed.md (5 minutes)
#     scripts/evidence.sh energy       what reading energy counters costs -> docs/evidence/energy.md (5 minutes)
#     scripts/evidence.sh load         minutes of load, streams, arrivals: examples/load -> docs/evidence/load.md (18 minutes)
#     scripts/evidence.sh against      pull requests against their base -> docs/evidence/against.md (40 minutes)
#     scripts/evidence.sh older-openvino  the runtime of another year alone, for a test -> .perfgate/evidence/against
#     scripts/evidence.sh action       the GitHub action on a real pull request -> docs/evidence/action.md (5 minutes)
#     scripts/evidence.sh start        cold starts by condition, step by step -> docs/evidence/start.md (10 minutes)
#     scripts/evidence.sh explain      why one variant is faster, bandwidth beside scripts/stream.c -> docs/explain.md (10 minutes)
#     scripts/evidence.sh precision    INT8 as deployed and with f32 pinned: examples/precision -> docs/evidence/precision.md (30 minutes)
#     scripts/evidence.sh scale        random models of 15 million to 1.1 billion parameters -> docs/scale.md (2 hours)
#     scripts/evidence.sh scale SHAPE… these alone -> .perfgate/evidence/scale/page.md
#     scripts/evidence.sh architectures  tiny exports of sixty architectures, held to transformers -> docs/evidence/architectures.md
#                                      (6 GB of Python packages; 2 hours, once)
#     scripts/evidence.sh simulation   the statistics on data of known truth -> docs/evidence/simulation.md (5 minutes)
#     scripts/evidence.sh readme       the report of this repository's own check -> README.md, docs/recommend.md (10 minutes)
#     scripts/evidence.sh html         the page of the latest session, seen by Chromium -> docs/images/ (a minute)
#     scripts/evidence.sh templates    real chat templates by transformers and perfgate -> docs/evidence/templates.md (3 minutes)
#     scripts/evidence.sh conformance  architectures, templates and bfcl, on one page -> docs/evidence/conformance.md
#     scripts/evidence.sh change-points  change points on series of known truth -> docs/evidence/change_points.md (seconds)
#     scripts/evidence.sh bfcl         the graders of calls against the leaderboard's checker -> docs/evidence/bfcl.md (10 minutes)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

sessions() { # NAME CONFIG: five sessions, each kept as N.json with its exit code in N.code
    local folder=.perfgate/evidence/slowdown/$1 number code
    mkdir -p "$folder"
    for number in 1 2 3 4 5; do
        [[ -e $folder/$number.json ]] && continue
        echo "$1, session $number of 5"
        code=0
        target/release/perfgate check --quiet --format json --config "$2" >"$folder/report.tmp" || code=$?
        [[ $code == 0 || $code == 1 || $code == 3 ]] || exit "$code"
        echo "$code" >"$folder/$number.code"
        mv "$folder/report.tmp" "$folder/$number.json"
    done
}

slowdown() {
    sessions slowed examples/slowdown/perfgate.toml
    sessions unchanged examples/slowdown/unchanged.toml
    python3 scripts/evidence_slowdown.py .perfgate/evidence/slowdown >.perfgate/evidence/table.tmp
    mv .perfgate/evidence/table.tmp docs/evidence/slowdown.md
    cat docs/evidence/slowdown.md
}

# A page of the documentation: what was run, what it exited with, and its report.
page() { # TITLE COMMAND EXIT-CODE TEXT
    printf '# %s\n\nMade by `%s`, which exited with %s.\n\n%s\n\n' "$1" "$2" "$3" "$4"
    cat .perfgate/report.md
}

check() { # ARGUMENTS: runs the gate; its exit code is in $code
    code=0
    target/release/perfgate check --quiet "$@" >/dev/null || code=$?
    [[ $code == 0 || $code == 1 || $code == 3 ]] || exit "$code"
}

quality() {
    local folder=.perfgate/evidence/quality limit
    scripts/setup.sh --with-int4 --with-defective
    mkdir -p "$folder"
    if [[ ! -e $folder/all.json ]]; then
        echo "quality: every task and document"
        check --config examples/quality/perfgate.toml --only quality --limit all --export "json=$folder/report.tmp"
        cp .perfgate/benchmark_results.json "$folder/results.json"
        echo "$code" >"$folder/all.code"
        mv "$folder/report.tmp" "$folder/all.json"
    fi
    # What a gate would have said with fewer tasks; the answers are in the cache by now.
    for limit in 960 480 240 120 60 30; do
        [[ -e $folder/$limit.json ]] && continue
        echo "quality: $limit tasks"
        answers_alone 8
        check --config "$alone" --thresholds "$rules" --only quality --limit "$limit" \
            --export "json=$folder/report.tmp"
        rm "$alone" "$rules"
        echo "$code" >"$folder/$limit.code"
        mv "$folder/report.tmp" "$folder/$limit.json"
    done
    if [[ ! -e $folder/numpy.txt ]]; then
        echo "quality: every prediction again, by NumPy"
        # From the folder of the configuration, where the models' paths begin.
        (cd examples/quality && PYTHONPATH=../../.perfgate/runtimes/openvino-2026.4.1:../../.perfgate/python \
            python3 ../../scripts/reference_fidelity.py check "../../$folder/results.json" ../../workloads/documents.jsonl) \
            >.perfgate/evidence/numpy.tmp
        mv .perfgate/evidence/numpy.tmp "$folder/numpy.txt"
    fi
    code=0
    target/release/perfgate report --format markdown "$folder/results.json" >"$folder/report.md" || code=$?
    [[ $code == [013] ]] || exit "$code"
    PYTHONPATH=.perfgate/python python3 scripts/evidence_quality.py "$folder" >.perfgate/evidence/table.tmp
    mv .perfgate/evidence/table.tmp docs/evidence/quality.md
}

# The same set-ups with each task answered once and no documents in $alone, and the rules on answers in $rules; both have
# to lie beside the originals.
answers_alone() { # BATCH
    alone=examples/quality/alone.tmp.toml
    rules=examples/quality/rules.tmp.toml
    sed -E '/^(kl|top1|perplexity|engine-kl)/d' examples/quality/thresholds.toml >"$rules"
    sed -e "s/^batch = 8/batch = $1/" -e '/^\[quality.again\]/,/^$/d' -e '/^\[quality.fidelity\]/,/^$/d' \
        examples/quality/perfgate.toml >"$alone"
}

# What answering together saves, and what it changes: the same tasks in batches and one by one.
together() {
    local folder=.perfgate/evidence/together variant batch
    mkdir -p "$folder"
    cargo build --release --locked --example together
    # Not candle, which runs one row after the other and shares the prefix alone.
    for variant in fp16-ov int8; do
        [[ -e $folder/together-$variant.txt ]] && continue
        echo "answered together: $variant"
        target/release/examples/together examples/quality/perfgate.toml "$variant" 60 >"$folder/together.tmp"
        mv "$folder/together.tmp" "$folder/together-$variant.txt"
    done
    for batch in 1 8; do
        [[ -e $folder/batch-$batch.json ]] && continue
        echo "answered in batches of $batch"
        answers_alone "$batch"
        target/release/perfgate run fp16-ov int8 --config "$alone" --only quality \
            --limit 240 --quiet --output "$folder/results.tmp" >/dev/null
        rm "$alone" "$rules"
        mv "$folder/results.tmp" "$folder/batch-$batch.json"
    done
    python3 scripts/evidence_together.py "$folder" >.perfgate/evidence/together.tmp
    mv .perfgate/evidence/together.tmp docs/evidence/together.md
}

int4() {
    scripts/setup.sh --with-int4
    check --config examples/int4/perfgate.toml
    page "INT4 in place of INT8" "perfgate check --config examples/int4/perfgate.toml" "$code" \
        "NNCF's INT4_SYM (groups of 64, all layers) is smaller, and much worse at the agent's tasks: the gate stops it for that." \
        >docs/evidence/int4.md
}

baseline() {
    local rules=examples/baseline/thresholds.toml stored
    stored=$(target/release/perfgate baseline list | sed -n "s/.*this machine's class: \([0-9]*\) .*/\1/p")
    stored=${stored:-0}
    while ((stored < 3)); do
        check --rounds 3
        # Pages made before may not be committed yet; the stored files are marked by it.
        target/release/perfgate baseline update --allow-dirty
        stored=$((stored + 1))
    done
    check --rounds 3 --thresholds "$rules"
    page "A fourth session against three stored ones" "perfgate check --rounds 3 --thresholds $rules" "$code" \
        "Nothing was changed between the sessions. The three stored ones lie in [baselines](../../baselines)." \
        >docs/evidence/baseline.md
}

harness() {
    cargo build --release --locked --bin perfgate --examples
    PYTHONPATH=.perfgate/python PYTHONNOUSERSITE=1 python3 scripts/evidence_harness.py 6 >.perfgate/evidence/harness.tmp
    mv .perfgate/evidence/harness.tmp docs/evidence/harness.md
}

# What is recorded lies in examples/aa/recorded and is committed; a session that is there is not run again.
aa() {
    local recorded=examples/aa/recorded config=examples/aa/perfgate.toml
    cargo build --release --locked --bin perfgate --example replay
    count() { find "$recorded/$1" -name '*.json' 2>/dev/null | wc -l; }
    while (($(count same) < 3)); do
        target/release/perfgate calibrate --quiet --config "$config" --rounds 70 --folder "$recorded/same" >/dev/null
    done
    if (($(count slowed) < 1)); then
        target/release/perfgate run --quiet --config examples/aa/slowed.toml --output .perfgate/evidence/slowed.json \
            >/dev/null
        target/release/examples/replay compact .perfgate/evidence/slowed.json "$recorded/slowed"
    fi
    {
        printf '# A variant against itself, and slowed by a known share\n\n'
        printf 'Made by `scripts/evidence.sh aa` from sessions that were recorded on a shared virtual machine with two cores and\n'
        printf 'lie in [examples/aa/recorded](../../examples/aa/recorded): INT8 against a copy of itself in lockstep, and against copies that wait\n'
        printf 'busily for 5%% and 10%% of each forward pass (the test switch `slowdown_percent`).\n\n'
        printf '## `perfgate calibrate --config %s --sessions 0 --folder %s/same --compare 5`\n\n' "$config" "$recorded"
        target/release/perfgate calibrate --quiet --config "$config" --sessions 0 --folder "$recorded/same" --compare 5 \
            --format markdown
        printf '\n## The same samples, judged by others\n\n'
        target/release/examples/replay same "$recorded/same"
        printf '\n## Real slowdowns\n\nA limit of 0, one rule; rounds predicted for a change of the share asked for, from the noise, by the formula\n'
        printf 'of the plan. The measured change is somewhat more than the share: a pause between passes has a price of its own.\n\n'
        target/release/examples/replay slowed "$recorded/slowed"
    } >.perfgate/evidence/aa.tmp
    mv .perfgate/evidence/aa.tmp docs/evidence/aa.md
}

speed() {
    cargo build --release --locked --bin perfgate --example speed
    PYTHONPATH=.perfgate/python PYTHONNOUSERSITE=1 python3 scripts/evidence_speed.py >.perfgate/evidence/speed.tmp
    mv .perfgate/evidence/speed.tmp docs/evidence/speed.md
}

energy() {
    local rounds=4
    mkdir -p .perfgate/evidence
    cargo build --release --locked --bin perfgate --example energy
    {
        printf '# What reading the energy counters costs\n\n'
        printf 'Made by `scripts/evidence.sh energy` (`target/release/examples/energy perfgate.toml target/release/perfgate %s`): a session of\n' "$rounds"
        printf '%s rounds with the real models on a made-up machine of two sockets, whose files lie in memory (tmpfs); behind each round\n' "$rounds"
        printf 'each reading is timed 2,000 times. Counters are read right before a request is sent and right after its answer came, so a\n'
        printf 'request costs two readings, both outside of what is timed.\n\n'
        target/release/examples/energy perfgate.toml target/release/perfgate "$rounds"
        printf '\nWhat this does not show: behind real counters stands the kernel. For each package and memory it reads a register of that\n'
        printf 'package (`rdmsrl_safe_on_cpu` in `drivers/powercap/intel_rapl_msr.c`), with an interrupt of another CPU where that is elsewhere.\n'
        printf 'That was not measured here, where there are no counters. Others found system calls to be slower than the instruction behind them\n'
        printf '([arXiv:2604.26815](https://arxiv.org/abs/2604.26815)); even a hundred microseconds for each of the four would be\n'
        printf 'eight tenths of a millisecond for a request.\n'
    } >.perfgate/evidence/energy.tmp
    mv .perfgate/evidence/energy.tmp docs/evidence/energy.md
}

load() {
    local folder=.perfgate/evidence/load
    mkdir -p "$folder"
    target/release/perfgate run --quiet --only load --config examples/load/perfgate.toml --output "$folder/results.json" \
        >/dev/null
    python3 scripts/evidence_load.py "$folder/results.json" "$folder/report.md" >.perfgate/evidence/load.tmp
    mv .perfgate/evidence/load.tmp docs/evidence/load.md
}

# OpenVINO of another year beside the one of the set-up, for a pull request that changes it.
older_openvino() {
    local folder=.perfgate/evidence/against/openvino-2025.4.1
    [[ -e $folder/openvino ]] && return
    mkdir -p "$(dirname "$folder")"
    python3 -m pip install --quiet --no-deps --only-binary :all: --require-hashes --target "$folder" -r scripts/older_openvino.txt
}

against() {
    older_openvino
    PYTHONPATH=.perfgate/python python3 scripts/evidence_against.py >.perfgate/evidence/against.tmp
    mv .perfgate/evidence/against.tmp docs/evidence/against.md
}

action() {
    mkdir -p .perfgate/evidence
    PYTHONPATH=scripts:.perfgate/python:$(scripts/dev_tools.sh) python3 scripts/evidence_action.py >.perfgate/evidence/action.tmp
    mv .perfgate/evidence/action.tmp docs/evidence/action.md
}

# The latest session's page, narrow and wide, light and dark; fails if it is not self-contained or too wide. Needs
# Debian's chromium.
html() {
    local folder=.perfgate/evidence/html code=0
    mkdir -p "$folder" docs/images
    [[ -e $folder/python/playwright ]] ||
        python3 -m pip install --quiet --only-binary :all: --require-hashes --target "$folder/python" -r scripts/screenshots.txt
    [[ -e .perfgate/benchmark_results.json ]] || check
    target/release/perfgate report --format html >"$folder/report.html" || code=$?
    [[ $code == 0 || $code == 1 || $code == 3 ]] || exit "$code"
    PYTHONPATH=$folder/python python3 scripts/screenshots.py "$folder" "$folder/report.html"
    cp "$folder"/report-1280-light.png "$folder"/report-375-dark.png docs/images/
}

starts() { # NAME ARGUMENT...: measures cold starts, once, and prints their tables
    local file=.perfgate/evidence/start/$1.json
    shift
    if [[ ! -e $file ]]; then
        target/release/perfgate start --quiet --output "$file.tmp" "$@" >/dev/null
        mv "$file.tmp" "$file"
    fi
    target/release/perfgate start --results "$file" --format markdown
}

start() {
    local page=.perfgate/evidence/start.tmp tiny=examples/tinyllama/random.toml
    mkdir -p .perfgate/evidence/start
    {
        printf '# Cold starts, step by step\n\nMade by `scripts/evidence.sh start`, which runs the commands below: '
        printf '[what is measured, and how](../start.md).\n\n'
        printf '## SmolLM2-135M: `perfgate start --repeats 6`\n\n'
        starts smollm2 --repeats 6
        if [[ -d .perfgate/models/random/tinyllama-1.1b/fp16-ov ]]; then
            printf '\n## TinyLlama-1.1B'"'"'s shape, random weights: `perfgate start --config %s --repeats 3 --vary page-cache,model-cache`\n\n' "$tiny"
            starts tinyllama --config "$tiny" --repeats 3 --vary page-cache,model-cache
        fi
    } >"$page"
    mv "$page" docs/evidence/start.md
}

readme() {
    local report=.perfgate/evidence/readme.txt
    mkdir -p .perfgate/evidence
    check
    target/release/perfgate report >"$report" || true
    python3 - "$report" <<'PYTHON'
import pathlib, re, sys

report = pathlib.Path(sys.argv[1]).read_text().rstrip()


def put(page: str, name: str, text: str) -> None:
    path = pathlib.Path(page)
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = path.read_text()
    before, after = old.split(begin)[0], old.split(end)[1]
    path.write_text(f"{before}{begin}\n```text\n{text}\n```\n{end}{after}")


put("README.md", "report", report)
where = re.search(r"^Which variant where\n(?:.+\n)*", report, re.M)
put("docs/recommend.md", "recommended", where[0].rstrip())
PYTHON
}

explain() {
    local folder=.perfgate/evidence/explain
    mkdir -p "$folder"
    cc -O3 -march=native -pthread -o "$folder/stream" scripts/stream.c
    [[ -e $folder/results.json ]] ||
        target/release/perfgate run --quiet --only timing --rounds 6 --output "$folder/results.json" >/dev/null
    python3 scripts/evidence_explain.py perfgate.toml "$folder/results.json" "$folder/stream"
}

precision() {
    local folder=.perfgate/evidence/precision
    mkdir -p "$folder"
    [[ -e $folder/results.json ]] ||
        target/release/perfgate run --quiet --config examples/precision/perfgate.toml --output "$folder/results.json" >/dev/null
    python3 scripts/evidence_precision.py "$folder/results.json" >.perfgate/evidence/precision.tmp
    mv .perfgate/evidence/precision.tmp docs/evidence/precision.md
}

# The models of all sizes take 8 GB of disk. A larger one is only measured by name.
scale() { # [SHAPE...]
    local all=(15m 42m 110m 350m tinyllama-1.1b) shapes page=.perfgate/evidence/scale/page.md
    shapes=("$@")
    ((${#shapes[@]} > 0)) || shapes=("${all[@]}")
    scripts/random_llama.sh "${shapes[@]}"
    python3 scripts/evidence_scale.py measure "${shapes[@]}"
    python3 scripts/evidence_scale.py page "${shapes[@]}" >"$page.tmp"
    mv "$page.tmp" "$page"
    if (($# > 0)); then
        echo "$page"
    else
        cp "$page" docs/scale.md
    fi
}

# Python's packages for exporting and for the reference: transformers in four releases, see scripts/architectures/configs.py.
exporters() { # FOLDER
    local releases=scripts/architectures python=$1/venv/bin/python
    [[ -e $1/venv.stamp ]] && return
    python3 -m venv "$1/venv"
    "$python" -m pip install --quiet --only-binary :all: -r "$releases/requirements.in"
    "$python" -m pip install --quiet --no-deps --target "$1/transformers-4.57.6" transformers==4.57.6 huggingface-hub==0.36.2
    "$python" -m pip install --quiet --no-deps --target "$1/transformers-5.0.0" transformers==5.0.0
    "$python" -m pip install --quiet --no-deps --target "$1/transformers-5.2.0" transformers==5.2.0
    touch "$1/venv.stamp"
}

architectures() {
    local folder=$PWD/.perfgate/evidence/architectures release packages step
    mkdir -p "$folder"
    exporters "$folder"
    python3 scripts/architectures/cases.py "$folder/cases"
    for release in 5.5.4 4.57.6 5.0.0 5.2.0; do
        packages=$folder/transformers-$release
        for step in "make.py $folder/models" "reference.py $folder/models $folder/cases"; do
            # The words of a step are its arguments.
            # shellcheck disable=SC2086
            (cd scripts/architectures && PYTHONPATH=$packages TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" -W ignore $step)
        done
    done
    python3 scripts/evidence_architectures.py run "$folder/models" "$folder/cases" "$folder/sessions" target/release/perfgate
    python3 scripts/evidence_architectures.py page "$folder/models" "$folder/cases" "$folder/sessions" \
        >.perfgate/evidence/architectures.tmp
    mv .perfgate/evidence/architectures.tmp docs/evidence/architectures.md
}

simulation() {
    mkdir -p .perfgate/evidence
    cargo run --release --locked --example simulate >.perfgate/evidence/simulation.tmp
    mv .perfgate/evidence/simulation.tmp docs/evidence/simulation.md
}

change-points() {
    mkdir -p .perfgate/evidence
    cargo run --release --locked --example change_points >.perfgate/evidence/change_points.tmp
    mv .perfgate/evidence/change_points.tmp docs/evidence/change_points.md
}

# The templates of the source package are read, and nothing of it is built or run but what pip asks for its name.
templates() {
    local folder=.perfgate/evidence/templates version=0.3.36
    mkdir -p "$folder"
    if [[ ! -e $folder/jinja-$version ]]; then
        python3 -m pip download --quiet --no-deps --no-binary llama_cpp_python --dest "$folder" "llama_cpp_python==$version"
        mkdir -p "$folder/jinja.tmp"
        tar -xzf "$folder/llama_cpp_python-$version.tar.gz" -C "$folder/jinja.tmp" --strip-components=5 \
            --wildcards '*/vendor/llama.cpp/models/templates/*.jinja'
        mv "$folder/jinja.tmp" "$folder/jinja-$version"
        rm "$folder/llama_cpp_python-$version.tar.gz"
    fi
    if [[ ! -e $folder/venv/done ]]; then
        python3 -m venv "$folder/venv"
        "$folder/venv/bin/pip" install --quiet transformers==5.5.4 jinja2==3.1.6
        touch "$folder/venv/done"
    fi
    cargo build --release --locked --example render_templates
    "$folder/venv/bin/python" scripts/evidence_templates.py "$folder/jinja-$version" \
        target/release/examples/render_templates "$version" >"$folder/page.tmp"
    mv "$folder/page.tmp" docs/evidence/templates.md
}

# Needs NumPy, as scripts/reference_graders.py says.
bfcl() {
    mkdir -p .perfgate/evidence
    cargo build --release --locked --example grade_answers
    PYTHONPATH=scripts:.perfgate/python python3 scripts/evidence_bfcl.py target/release/examples/grade_answers >.perfgate/evidence/bfcl.tmp
    mv .perfgate/evidence/bfcl.tmp docs/evidence/bfcl.md
}

conformance() {
    local step
    for step in architectures templates bfcl; do
        scripts/evidence.sh "$step"
    done
    conformance_page >docs/evidence/conformance.md
}

# The first table of each page.
conformance_page() {
    local step
    printf '# Held to what others compute\n\nMade by `scripts/evidence.sh conformance`: the first table of each page, which says how it was made and why rows differ.\n'
    for step in architectures templates bfcl; do
        printf '\n## %s\n\nFrom [%s.md](%s.md).\n\n' "$(sed -n '1s/^# //p' "docs/evidence/$step.md")" "$step" "$step"
        awk '/^\|/ { table = 1; print; next } table { exit }' "docs/evidence/$step.md"
    done
}

case ${1:-} in
    conformance | conformance_page) # its steps set up what they need
        "$1"
        ;;
    simulation | change-points | templates | bfcl) # need no model
        "$1"
        ;;
    older-openvino) # nor does this
        older_openvino
        ;;
    slowdown | int4 | quality | together | baseline | harness | aa | speed | energy | load | against | action | html | start | explain | precision | readme | scale | architectures)
        # No argument at all, unless it is that case.
        # shellcheck disable=SC2046
        scripts/setup.sh $([[ $1 != against ]] || echo --with-int4)
        cargo build --release --locked --bin perfgate
        "$@"
        ;;
    *)
        sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 2
        ;;
esac
