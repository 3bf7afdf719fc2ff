"""Owns the evidence that perfgate's harness costs nothing: runs it and others in turn, prints docs/evidence/harness.md.

    cargo build --release --locked --bin perfgate --examples
    PYTHONPATH=.perfgate/python PYTHONNOUSERSITE=1 python3 scripts/evidence_harness.py [REPETITIONS]

Each run is kept as a line of .perfgate/evidence/harness/raw.jsonl and not run again; remove that folder to begin anew.
"""

import datetime
import hashlib
import importlib.metadata
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

from scipy import stats

ROOT = Path.cwd()
WORK = ROOT / ".perfgate/evidence/harness"
RAW = WORK / "raw.jsonl"
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR", "target")).absolute() / "release"
MODELS = ROOT / ".perfgate/models/smollm2-135m"
PYTHON = ROOT / ".perfgate/python"
PIN = re.search(r"^openvino==(\S+)$", Path("scripts/requirements.in").read_text(), re.M)[1]
RUNTIME = ROOT / f".perfgate/runtimes/openvino-{PIN}"

# The same for every harness, as in perfgate.toml.
THREADS, PROMPT_TOKENS, TOKENS, WARMUP = 2, 128, 32, 2
VARIANTS = {
    "fp16": f'engine = "candle"\nmodel = "{MODELS}/fp16"\ndtype = "f16"\nchat_template = "none"',
    "fp16-ov": f'engine = "openvino"\nmodel = "{MODELS}/ov-fp16"\nchat_template = "none"',
    "int8": f'engine = "openvino"\nmodel = "{MODELS}/ov-int8"\nchat_template = "none"',
}
OPENVINO = f"""runtime = "{RUNTIME}"
properties = {{ INFERENCE_PRECISION_HINT = "f32", KV_CACHE_PRECISION = "f16" }}"""

# What runs in each repetition: a process each.
LOCKSTEP = "lockstep"
OTHERS = {
    "int8": ["bare", "genai-sdpa", "genai-pa"],
    "fp16-ov": ["bare", "genai-sdpa", "genai-pa"],
    "fp16": ["bare"],
}
GROUPS = [*((variant, ["perfgate", *others]) for variant, others in OTHERS.items()), (LOCKSTEP, ["perfgate"])]
TITLES = {
    ("int8", "bare"): "bare loop over the `openvino` crate",
    ("fp16-ov", "bare"): "bare loop over the `openvino` crate",
    ("fp16", "bare"): "candle's own loop",
    "genai-sdpa": "OpenVINO GenAI, stateful model (SDPA)",
    "genai-pa": "OpenVINO GenAI, paged attention (its default)",
}
# An interval wholly below this contradicts that the harness costs nothing.
REQUIRED = {"bare": 0.98, "genai-sdpa": 1.0, "genai-pa": 1.0}


# ---- running ---------------------------------------------------------------------------------------------------------


def output_of(command: list, environment: dict | None = None, codes: tuple = (0,)) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env={**os.environ, **(environment or {})}
    )
    if done.returncode not in codes:
        sys.exit(f"error: {command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def write_config(group: str) -> Path:
    """perfgate.toml and thresholds.toml of one session: a single round, judged by a rule that always has an answer."""
    folder = WORK / group
    folder.mkdir(parents=True, exist_ok=True)
    names = list(VARIANTS) if group == LOCKSTEP else [group]
    parts = [
        'output = "results"',
        f'[workload]\ntasks = "{ROOT}/workloads/agent.jsonl"',
        f"prompt_tokens = {PROMPT_TOKENS}\ngen_tokens = {TOKENS}",
        f"[session]\nrounds = 1\nwarmup = {WARMUP}",
    ]
    for name in names:
        parts += [f"[variants.{name}]\nthreads = {THREADS}\n{VARIANTS[name]}"]
        parts += [OPENVINO] if "openvino" in VARIANTS[name] else []
    (folder / "perfgate.toml").write_text("\n".join(parts) + "\n")
    rule = f'[rules]\nttft = {{ variant = "{names[0]}", max = "1000 s" }}\n'
    (folder / "thresholds.toml").write_text(rule)
    return folder


def run_perfgate(group: str, repetition: int) -> dict:
    """One session, in lockstep or alone."""
    config = write_config(group) / "perfgate.toml"
    if group == LOCKSTEP:
        turn_variants(config, repetition)
    # One round decides nothing (3); that is not what it is run for.
    output_of([BINARIES / "perfgate", "check", "--quiet", "--config", config], codes=(0, 3))
    results = json.loads((config.parent / "results/benchmark_results.json").read_text())
    requests = [r for round_ in results["parts"][0]["rounds"] for r in round_["requests"] if r["phase"] == "timed"]
    if failed := [r["failure"] for r in requests if r.get("failure")]:
        sys.exit(f"error: a request failed under perfgate: {failed[0]}")
    return {
        "requests": [sample(r) for r in requests],
        "summaries": results["summaries"],
        "machine": results["parts"][0]["header"]["environment"]["machine"],
        "engines": {w["variant"]: w["engine"]["version"] for w in results["parts"][0]["rounds"][0]["workers"]},
    }


def turn_variants(config: Path, repetition: int) -> None:
    """Puts another variant first: a session of one round always starts its workers in the order of the file."""
    head, *tables = re.split(r"(?m)^(?=\[variants\.)", config.read_text())
    config.write_text(head + "".join(in_turn(tables, repetition)))


def sample(request: dict) -> dict:
    """A request of perfgate's record as the other harnesses print theirs, and its stamps."""
    stamps = [ns / 1e9 for ns in request["token_ns"]]
    return {
        "variant": request["variant"],
        "ttft_s": stamps[0],
        "decode_tok_s": (len(stamps) - 1) / (stamps[-1] - stamps[0]),
        "latency_s": stamps[-1],
        "tokens": request["tokens"],
        "stamps_s": stamps,
    }


def run_other(group: str, harness: str, prompts: Path) -> dict:
    model = re.search('model = "(.*)"', VARIANTS[group])[1]
    if harness.startswith("genai"):
        backend = harness.removeprefix("genai-").upper()
        command = [sys.executable, "scripts/bare_genai.py", backend, model, THREADS]
        environment = {"PYTHONPATH": f"{PYTHON}:{RUNTIME}", "PYTHONNOUSERSITE": "1"}
    elif "candle" in VARIANTS[group]:
        command, environment = [BINARIES / "examples/bare_candle", model], {"RAYON_NUM_THREADS": str(THREADS)}
    else:
        library = next((RUNTIME / "openvino/libs").glob("libopenvino_c.so*"))
        command, environment = [BINARIES / "examples/bare_openvino", library, model, THREADS], {}
    lines = output_of([*command, prompts, TOKENS, WARMUP], environment).splitlines()
    return {"requests": [{"variant": group, **json.loads(line)} for line in lines if line.startswith("{")]}


def in_turn(items: list, repetition: int) -> list:
    """Rotated, and reversed every other time round, so that each stands in each place equally often."""
    place = repetition % len(items)
    turned = items[place:] + items[:place]
    return turned[::-1] if repetition // len(items) % 2 else turned


def run_all(repetitions: int) -> None:
    prompts = WORK / "prompts.json"
    folder = write_config("int8")
    ids = [BINARIES / "examples/prompt_ids", folder / "perfgate.toml", "int8"]
    prompts.write_text(output_of(ids))
    setup = describe_setup(prompts)
    runs = read_runs(setup)
    for repetition in range(repetitions):
        for group, harnesses in in_turn(GROUPS, repetition):
            for harness in in_turn(harnesses, repetition):
                if (repetition, group, harness) in runs:
                    continue
                print(f"repetition {repetition + 1} of {repetitions}: {group}, {harness}", file=sys.stderr)
                is_ours = harness == "perfgate"
                run = run_perfgate(group, repetition) if is_ours else run_other(group, harness, prompts)
                key = {"repetition": repetition, "group": group, "harness": harness}
                now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
                append({**key, "ended": now, **run})


def append(record: dict) -> None:
    with RAW.open("a") as file:
        file.write(json.dumps(record) + "\n")


def describe_setup(prompts: Path) -> dict:
    """What must not change between the runs of one table."""
    files = [BINARIES / "perfgate", *(BINARIES / "examples" / n for n in ("bare_openvino", "bare_candle")), prompts]
    return {
        "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        "perfgate": output_of([BINARIES / "perfgate", "--version"]).split()[-1],
        "commit": output_of(["git", "rev-parse", "--short", "HEAD"]).strip(),
        "openvino crate": re.search(r'name = "openvino"\nversion = "(.*)"', Path("Cargo.lock").read_text())[1],
        "openvino-genai": importlib.metadata.version("openvino-genai"),
    }


def read_runs(setup: dict) -> dict:
    """The runs so far, by repetition, group and harness."""
    if not RAW.exists():
        append({"setup": setup})
    first, *lines = [json.loads(line) for line in RAW.read_text().splitlines()]
    if changed := [key for key in setup if key != "commit" and first["setup"][key] != setup[key]]:
        sys.exit(f"error: {RAW} was made with another {', '.join(changed)}; remove {WORK} to begin anew")
    return {(line["repetition"], line["group"], line["harness"]): line for line in lines}


# ---- judging ---------------------------------------------------------------------------------------------------------


def log_means(runs: dict, group: str, harness: str, variant: str, key: str) -> list[float]:
    """For each repetition the mean over its requests of the log of a figure."""
    means = []
    for repetition in range(len({r for r, _, _ in runs})):
        logs = [math.log(q[key]) for q in runs[repetition, group, harness]["requests"] if q["variant"] == variant]
        means.append(mean(logs))
    return means


def ratio(ours: list[float], others: list[float]) -> tuple[float, float, float]:
    """Student's t over repetitions, paired, at 95%: the ratio with its interval."""
    logs = [a - b for a, b in zip(ours, others, strict=True)]
    half = stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs)
    return math.exp(mean(logs)), math.exp(mean(logs) - half), math.exp(mean(logs) + half)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def same_tokens(runs: dict, group: str, harness: str) -> str:
    """How many prompts got the same tokens from both in every repetition."""
    pairs = zip(texts(runs, group, "perfgate"), texts(runs, group, harness), strict=True)
    same = [ours == theirs for ours, theirs in pairs]
    return f"{sum(same)} of {len(same)}"


def texts(runs: dict, group: str, harness: str) -> list[list]:
    """The tokens of each prompt, those of all repetitions side by side."""
    by_run = [[q["tokens"] for q in run["requests"]] for (_, g, h), run in runs.items() if (g, h) == (group, harness)]
    return list(zip(*by_run, strict=True))


def comparisons(runs: dict) -> list[tuple[str, str, str]]:
    return [(group, other, TITLES.get(other) or TITLES[group, other]) for group, all_ in OTHERS.items() for other in all_]


# ---- printing --------------------------------------------------------------------------------------------------------


def throughput_table(runs: dict) -> None:
    print("| variant | against | perfgate | the other | ratio | 95% interval | required | | same tokens |")
    print("|---|---|---|---|---|---|---|---|---|")
    for group, other, title in comparisons(runs):
        ours, theirs = (log_means(runs, group, harness, group, "decode_tok_s") for harness in ("perfgate", other))
        middle, low, high = ratio(ours, theirs)
        verdict = "holds" if high >= REQUIRED[other] else "**broken**"
        print(
            f"| {group} | {title} | {math.exp(mean(ours)):.1f} tok/s | {math.exp(mean(theirs)):.1f} tok/s | {middle:.3f} "
            f"| {low:.3f} to {high:.3f} | not wholly below {REQUIRED[other]:.2f} | {verdict} "
            f"| {same_tokens(runs, group, other)} |"
        )


def ttft_table(runs: dict) -> None:
    print("| variant | against | perfgate | the other | ratio | 95% interval |")
    print("|---|---|---|---|---|---|")
    for group, other, title in comparisons(runs):
        ours, theirs = (log_means(runs, group, harness, group, "ttft_s") for harness in ("perfgate", other))
        middle, low, high = ratio(ours, theirs)
        times = f"{math.exp(mean(ours)) * 1e3:.1f} ms | {math.exp(mean(theirs)) * 1e3:.1f} ms"
        print(f"| {group} | {title} | {times} | {middle:.3f} | {low:.3f} to {high:.3f} |")


def lockstep_table(runs: dict) -> None:
    print("| variant | TTFT, lockstep over alone | 95% interval | throughput, lockstep over alone | 95% interval |")
    print("|---|---|---|---|---|")
    for variant in VARIANTS:
        cells = []
        for key in ("ttft_s", "decode_tok_s"):
            together = log_means(runs, LOCKSTEP, "perfgate", variant, key)
            middle, low, high = ratio(together, log_means(runs, variant, "perfgate", variant, key))
            cells.append(f"{middle:.3f} | {low:.3f} to {high:.3f}")
        print(f"| {variant} | {' | '.join(cells)} |")


LLM_BENCH = "openvinotoolkit/openvino.genai, `tools/llm_bench/llm_bench_utils/metrics_print.py`"
VLLM = "vllm-project/vllm, `vllm/benchmarks/serve.py`"
VLLM_CLIENT = "vllm-project/vllm, `vllm/benchmarks/lib/endpoint_request_func.py`"
# Name, definition in a sentence, where it stands, and the figure of a variant's requests.
DEFINITIONS = [
    (
        "llm_bench: 1st token latency",
        "From the call of `generate` to the first token, without tokenizing; the mean over a prompt's iterations, here "
        "over the prompts.",
        f"{LLM_BENCH}, fed by `tools/llm_bench/task/text_generation.py`",
        lambda requests: f"{mean(ttfts(requests)) * 1e3:.1f} ms",
    ),
    (
        "llm_bench: 2nd token latency",
        "The mean of a request's gaps between tokens after the first, then the mean over iterations, here over the "
        "prompts.",
        LLM_BENCH,
        lambda requests: f"{mean([mean(gaps(r)) for r in requests]) * 1e3:.2f} ms",
    ),
    (
        "llm_bench: 2nd tokens throughput",
        "The batch size over the 2nd token latency: the harmonic mean of the requests' rates.",
        LLM_BENCH,
        lambda requests: f"{1 / mean([mean(gaps(r)) for r in requests]):.1f} tok/s",
    ),
    (
        "vLLM: mean TTFT",
        "From sending a request to its first streamed piece, seen by the client, with HTTP and waiting in the queue; "
        "there is neither here.",
        VLLM_CLIENT,
        lambda requests: f"{mean(ttfts(requests)) * 1e3:.1f} ms",
    ),
    (
        "vLLM: mean TPOT",
        "A request's latency less its TTFT, over the output tokens less one; the mean over requests.",
        VLLM,
        lambda requests: f"{mean([mean(gaps(r)) for r in requests]) * 1e3:.2f} ms",
    ),
    (
        "vLLM: mean ITL",
        "The mean of all gaps between streamed pieces of all requests; equal to TPOT where every request gives as "
        "many tokens and every piece is one token.",
        VLLM,
        lambda requests: f"{mean([gap for r in requests for gap in gaps(r)]) * 1e3:.2f} ms",
    ),
    (
        "vLLM: output token throughput",
        "All output tokens, the first ones too, over the duration of the benchmark; here the sum of the variant's "
        "latencies, since the others' turns lie between.",
        VLLM,
        lambda requests: f"{sum(len(r['stamps_s']) for r in requests) / duration(requests):.1f} tok/s",
    ),
    (
        "vLLM: request throughput",
        "Requests completed over the duration of the benchmark, which is taken as above.",
        VLLM,
        lambda requests: f"{len(requests) / duration(requests):.2f} req/s",
    ),
]
# perfgate's own figures come out of its results as they stand.
OURS = [
    (
        "ttft",
        "median",
        "From the first forward pass of the request to the first token chosen; the median of requests.",
        1e3,
        "ms",
    ),
    ("itl", "median", "The median of all gaps between tokens.", 1e3, "ms"),
    (
        "throughput",
        "mean",
        "A request's tokens after the first over the time after the first; the mean of requests.",
        1,
        "tok/s",
    ),
    ("latency", "median", "From the start to the last token; the median of requests.", 1, "s"),
]


def ttfts(requests: list[dict]) -> list[float]:
    return [request["ttft_s"] for request in requests]


def gaps(request: dict) -> list[float]:
    stamps = request["stamps_s"]
    return [after - before for before, after in zip(stamps, stamps[1:])]


def duration(requests: list[dict]) -> float:
    return sum(request["latency_s"] for request in requests)


def definitions_table(session: dict) -> None:
    print(f"| metric | definition | where it stands | {' | '.join(VARIANTS)} |")
    print(f"|---|---|---|{'---|' * len(VARIANTS)}")
    for metric, statistic, text, factor, unit in OURS:
        cells = []
        for variant in VARIANTS:
            found = [s for s in session["summaries"][variant] if (s["metric"], s["statistic"]) == (metric, statistic)]
            cells.append(f"{found[0]['value'] * factor:.4g} {unit}")
        print(f"| perfgate: {metric}, {statistic} | {text} | `docs/measuring.md` | {' | '.join(cells)} |")
    for name, text, source, figure in DEFINITIONS:
        cells = [figure([r for r in session["requests"] if r["variant"] == variant]) for variant in VARIANTS]
        print(f"| {name} | {text} | {source} | {' | '.join(cells)} |")


def print_document(runs: dict, setup: dict, repetitions: int) -> None:
    last = runs[repetitions - 1, LOCKSTEP, "perfgate"]
    machine, engines = last["machine"], last["engines"]
    requests = len(last["requests"]) // len(VARIANTS)
    print("# What the harness costs\n")
    print(f"Made by `scripts/evidence.sh harness`: {repetitions} repetitions, in each of which every")
    print("harness is a fresh process of its own, one after the other in an order that rotates. All do the same work:")
    print(f"the same models and properties, {THREADS} threads, {requests} requests of {PROMPT_TOKENS} tokens in and")
    print(f"{TOKENS} out, greedy, after {WARMUP} requests of warm-up. A repetition's figure is the mean of the logs over its")
    print("requests; the")
    print("intervals are Student's t over the repetitions' paired differences, two-sided, 95%, as ratios.\n")
    print(f"- machine: {machine['cpu']}, {machine['usable_cpus']} CPUs, {machine['memory_gib']} GiB")
    print(
        f"- versions: perfgate {setup['perfgate']} ({setup['commit']}), openvino crate {setup['openvino crate']}, "
        f"OpenVINO {engines['int8']}, OpenVINO GenAI {setup['openvino-genai']}, candle {engines['fp16']}\n"
    )
    print("## Throughput of decoding: perfgate over the others\n")
    print("Tokens after the first over the time after the first; above 1 perfgate is faster.\n")
    throughput_table(runs)
    print("\n\"Same tokens\": prompts that got token by token what perfgate got, in every repetition. Paged attention is")
    print("another way to compute the same model, with a cache of its own; its tokens need not be the same.")
    print("\n## Time to first token: perfgate over the others\n")
    print("Below 1 perfgate is faster. GenAI changes the model so that logits are computed for a prompt's last token")
    print("only, as a product would; perfgate and the bare loop run the model as it stands. The cache of")
    print("prefixes in GenAI's paged attention is off, so that every prompt is computed.\n")
    ttft_table(runs)
    print("\n## Lockstep against alone\n")
    print("The price of fairness: in lockstep each variant finds the caches full of the others' weights.\n")
    lockstep_table(runs)
    print("\n## What others call it\n")
    print("The last lockstep session, by the definitions of others, from the same stamps.\n")
    definitions_table(last)


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    if repetitions < 2:
        sys.exit("error: an interval needs 2 repetitions or more")
    WORK.mkdir(parents=True, exist_ok=True)
    run_all(repetitions)
    setup = json.loads(RAW.read_text().splitlines()[0])["setup"]
    runs = {key: run for key, run in read_runs(setup).items() if key[0] < repetitions}
    print_document(runs, setup, repetitions)


if __name__ == "__main__":
    main()
