"""Owns docs/scale.md: sessions of random models from 15 million to 1.1 billion parameters, and their page.

    python3 scripts/evidence_scale.py measure SHAPE...   the sessions that are missing, into .perfgate/evidence/scale
    python3 scripts/evidence_scale.py page SHAPE...      prints the page

`scripts/evidence.sh scale` calls it. A session that is done is kept and not run again, one that was interrupted goes
on; remove its folder to begin it anew.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from make_random_model import SHAPES, describe

ROOT = Path.cwd()
WORK = ROOT / ".perfgate/evidence/scale"
BINARY = Path(os.environ.get("CARGO_TARGET_DIR", "target")).absolute() / "release/perfgate"
MODELS = ROOT / ".perfgate/models/random"
PIN = re.search(r"^openvino==(\S+)$", Path("scripts/requirements.in").read_text(), re.M)[1]
RUNTIME = ROOT / f".perfgate/runtimes/openvino-{PIN}"

# 18 tokens out are what the published latencies come to: (latency - TTFT) times throughput is 17 tokens after the first.
PROMPT_TOKENS, GEN_TOKENS = 128, 18
ROUNDS = 6

# What OpenVINO computes in: the processor's own choice, where that is 16 bits, and 32 bits.
NATIVE, SINGLE = "native", "f32"
HINTS = {NATIVE: "", SINGLE: 'INFERENCE_PRECISION_HINT = "f32", '}
CANDLE, FP16, INT8 = "candle-fp16", "fp16", "int8"
TITLES = {CANDLE: "candle FP16", FP16: "OpenVINO FP16", INT8: "OpenVINO INT8"}

# Read somewhere, not measured: FP16 and INT8 of TinyLlama-1.1B.
PUBLISHED = {
    "throughput": ("29.1 tok/s", "27.8 tok/s"),
    "latency P50": ("0.67 s", "0.72 s"),
    "latency P99": ("0.75 s", "0.76 s"),
    "TTFT": ("76.8 ms", "77.3 ms"),
    "memory": ("2.7 GB", "2.9 GB"),
    "cold start": ("1.1 s", "0.69 s"),
    "accuracy": ("99.0%", "98.2%"),
    "failure rate": ("under 0.1%", "under 0.01%"),
}
PUBLISHED_SHAPE = "tinyllama-1.1b"
LARGE = "7b"


# ---- Measuring -------------------------------------------------------------------------------------------------


def variant_tables(shape: str, arithmetic: str) -> str:
    models = MODELS / shape
    properties = f'properties = {{ {HINTS[arithmetic]}KV_CACHE_PRECISION = "f16" }}'
    tables = [
        f'[variants.{name}]\nengine = "openvino"\nmodel = "{models / folder}"\nruntime = "{RUNTIME}"\n'
        f'chat_template = "none"\n{properties}\n'
        for name, folder in ((FP16, "fp16-ov"), (INT8, "int8"))
    ]
    if arithmetic == NATIVE:
        model = f'model = "{models / "fp16"}"\ndtype = "f16"'
        tables.append(f'[variants.{CANDLE}]\nengine = "candle"\n{model}\nchat_template = "none"\n')
    return "\n".join(tables)


def write_config(shape: str, arithmetic: str) -> Path:
    """The session's perfgate.toml and thresholds.toml: all rounds, and one rule, which need not share its level."""
    folder = WORK / shape / arithmetic
    folder.mkdir(parents=True, exist_ok=True)
    config = f"""output = "out"
reference = "{FP16}"

[workload]
tasks = "{ROOT / "workloads/agent.jsonl"}"
prompt_tokens = {PROMPT_TOKENS}
gen_tokens = {GEN_TOKENS}
seed = 42

[session]
rounds = {ROUNDS}
stop = "never"
warmup = 2
load_deadline = "600s"
request_deadline = "300s"

{variant_tables(shape, arithmetic)}"""
    (folder / "perfgate.toml").write_text(config)
    rule = f'throughput = {{ variant = "{INT8}", against = "{FP16}", limit = "0%" }}'
    (folder / "thresholds.toml").write_text(f"[rules]\n{rule}\n")
    return folder


def results_of(shape: str, arithmetic: str) -> Path:
    return WORK / shape / arithmetic / "results.json"


def measure(shape: str, arithmetic: str) -> None:
    done = results_of(shape, arithmetic)
    if done.exists():
        return
    folder = write_config(shape, arithmetic)
    print(f"{shape}, {arithmetic}", file=sys.stderr)
    command = [str(BINARY), "check", "--quiet", "--config", str(folder / "perfgate.toml")]
    interrupted = any((folder / "out/sessions").glob("*/journal.jsonl"))
    code = subprocess.run([*command, "--resume"] if interrupted else command, stdout=subprocess.DEVNULL).returncode
    if code not in (0, 1, 3):
        sys.exit(f"error: the session of {shape} ended with {code}; to begin it anew, remove {folder}")
    (folder / "machine.json").write_text(json.dumps({"caches": caches()}))
    (folder / "out/benchmark_results.json").replace(done)


def caches() -> dict[str, str]:
    """The largest cache of each level that a processor uses, as the kernel tells."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found[f"L{level}"] = size
    return found


def arithmetics(shape: str) -> list[str]:
    """Where the processor's own choice is 32 bits, one session says it all."""
    return [NATIVE] if precision(Session.read(shape, NATIVE)) == "f32" else [NATIVE, SINGLE]


def measure_all(shapes: list[str]) -> None:
    for shape in shapes:
        measure(shape, NATIVE)
        for arithmetic in arithmetics(shape)[1:]:
            measure(shape, arithmetic)


# ---- Reading ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Session:
    results: dict[str, Any]
    caches: dict[str, str]

    @staticmethod
    def read(shape: str, arithmetic: str) -> Session:
        file = results_of(shape, arithmetic)
        machine = json.loads((file.parent / "machine.json").read_text())
        return Session(json.loads(file.read_text()), machine["caches"])

    @property
    def part(self) -> dict[str, Any]:
        return self.results["parts"][0]

    def summary(self, variant: str, metric: str, statistic: str) -> dict[str, Any]:
        found = self.results["summaries"][variant]
        return next(s for s in found if (s["metric"], s["statistic"]) == (metric, statistic))

    def effect(self) -> dict[str, Any]:
        """INT8's throughput over FP16's less one, with its interval."""
        return self.results["judgement"]["verdicts"][0]["effect"]

    def engine(self, variant: str) -> dict[str, Any]:
        workers = (worker for round_ in self.part["rounds"] for worker in round_["workers"])
        return next(worker["engine"] for worker in workers if worker["variant"] == variant and worker.get("engine"))


def precision(session: Session) -> str:
    return session.engine(FP16)["properties"]["INFERENCE_PRECISION_HINT"]


# ---- The page --------------------------------------------------------------------------------------------------

METRICS = (
    ("throughput", "throughput", "mean"),
    ("TTFT", "ttft", "median"),
    ("memory", "memory", "mean"),
    ("cold start", "cold_start", "mean"),
)


def shown(metric: str, value: float) -> str:
    if metric == "throughput":
        return f"{value:.1f} tok/s" if value < 100 else f"{value:.0f} tok/s"
    if metric == "memory":
        return f"{value / 1e9:.2f} GB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.1f} ms"


def cell(session: Session, variant: str, metric: str, statistic: str) -> str:
    """The value, and from low to high of its 95% interval where it has one."""
    summary = session.summary(variant, metric, statistic)
    text = shown(metric, summary["value"])
    interval = summary.get("interval")
    return text if interval is None else f"{text} ({shown(metric, interval[0])} to {shown(metric, interval[1])})"


def ratio(session: Session) -> str:
    effect = session.effect()
    low, high = (f"{1 + effect[key]:.2f}" for key in ("low", "high"))
    return f"{1 + effect['point']:.2f} ({low} to {high})"


def parameters(shape: str) -> str:
    """Of the weights, in millions: two bytes each."""
    return f"{int(describe(shape).split()[0]) / 2:.0f}"


def shares(shape: str) -> dict[str, str]:
    """Of each variant: how much of its bound a generated token reaches, and what limits it."""
    command = [str(BINARY), "explain", str(results_of(shape, NATIVE)), "--quiet", "--format", "json"]
    sheet = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    table = next(table for table in sheet["tables"] if table["title"] == "Rooflines")
    rows = [dict(zip(table["header"], row)) for row in table["rows"]]
    return {row["variant"]: f"{row['of bound']}, {row['limited by']}" for row in rows if row["for each"] == "token"}


def size_table(shapes: list[str]) -> list[str]:
    titles = [title for title, _, _ in METRICS]
    lines = [f"| shape | million parameters | variant | {' | '.join(titles)} | share of the roofline |"]
    lines.append("|---|---|---|" + "---|" * (len(titles) + 1))
    for shape in shapes:
        session, reached = Session.read(shape, NATIVE), shares(shape)
        for variant in TITLES:
            cells = [cell(session, variant, metric, statistic) for _, metric, statistic in METRICS]
            cells.append(reached[variant])
            lines.append(f"| {shape} | {parameters(shape)} | {TITLES[variant]} | {' | '.join(cells)} |")
    return lines


def ratio_table(shapes: list[str]) -> list[str]:
    native = precision(Session.read(shapes[0], NATIVE))
    single = len(arithmetics(shapes[0])) > 1
    heads = [f"computed in {native}", "computed in f32"][: 1 + single]
    lines = [f"| shape | FP16 weights, MB | INT8 over FP16, {' | INT8 over FP16, '.join(heads)} |"]
    lines.append("|---|---|" + "---|" * len(heads))
    for shape in shapes:
        cells = [ratio(Session.read(shape, arithmetic)) for arithmetic in arithmetics(shape)]
        lines.append(f"| {shape} | {describe(shape).split()[0]} | {' | '.join(cells)} |")
    return lines


def claim(shapes: list[str]) -> list[str]:
    """Whether what is said of the two sizes was seen."""
    lines = [
        "It is said that at 1.1 billion parameters FP16 can be as fast as INT8 on a machine with large caches and native",
        "16-bit arithmetic, while at 7 billion INT8 wins two to three times. Here:",
        "",
    ]
    caches = Session.read(shapes[0], NATIVE).caches
    largest = caches[max(caches)] if caches else "unknown"
    for shape, words in ((PUBLISHED_SHAPE, "as fast as INT8"), (LARGE, "two to three times slower than INT8")):
        if shape not in shapes:
            lines.append(f"- {shape}: not measured. FP16 {words} is neither seen nor refuted.")
            continue
        for arithmetic in arithmetics(shape):
            session = Session.read(shape, arithmetic)
            effect = session.effect()
            low, high = 1 + effect["low"], 1 + effect["high"]
            seen = low <= 1 <= high if shape == PUBLISHED_SHAPE else low >= 2 and high <= 3
            out = low > 1 or high < 1 if shape == PUBLISHED_SHAPE else high < 2 or low > 3
            verdict = "is compatible with this" if seen else "is refuted for this machine" if out else "is undecided"
            lines.append(
                f"- {shape}, computed in {precision(session)}: INT8 over FP16 is {ratio(session)}. FP16 {words} {verdict}."
            )
    lines.append(
        f"- The largest cache has {largest}; the FP16 weights of {PUBLISHED_SHAPE} have {describe(PUBLISHED_SHAPE).split()[0]} MB."
    )
    return lines


def published_table(shapes: list[str]) -> list[str]:
    titles = ["FP16, published, not verified here", "INT8, published, not verified here", "FP16, here", "INT8, here"]
    lines = [f"| | {' | '.join(titles)} |", "|---|---|---|---|---|"]
    here = {
        **{title: (metric, statistic) for title, metric, statistic in METRICS},
        "latency P50": ("latency", "median"),
        "latency P99": ("latency", "p99"),
    }
    for title, published in PUBLISHED.items():
        ours = ["no meaning", "no meaning"] if title == "accuracy" else ["not measured", "not measured"]
        if PUBLISHED_SHAPE in shapes:
            session = Session.read(PUBLISHED_SHAPE, NATIVE)
            if title in here:
                ours = [cell(session, variant, *here[title]) for variant in (FP16, INT8)]
            elif title == "failure rate":
                ours = [failures(session, variant) for variant in (FP16, INT8)]
        lines.append(f"| {title} | {' | '.join([*published, *ours])} |")
    return lines


def failures(session: Session, variant: str) -> str:
    requests = [q for round_ in session.part["rounds"] for q in round_["requests"]]
    timed = [q for q in requests if q["variant"] == variant and q["phase"] == "timed"]
    return f"{sum(q.get('failure') is not None for q in timed)} of {len(timed)}"


def reading(shapes: list[str]) -> list[str]:
    """What memory the published rates take, beside what is here."""
    if PUBLISHED_SHAPE not in shapes:
        return []
    part = Session.read(PUBLISHED_SHAPE, NATIVE).part
    rates = [float(text.split()[0]) for text in PUBLISHED["throughput"]]
    weights = [part["work"][variant]["weight_bytes"] for variant in (FP16, INT8)]
    fp16, int8 = (rate * bytes_ / 1e9 for rate, bytes_ in zip(rates, weights))
    threads = part["header"]["variants"][FP16]["threads"]
    of_all = [one for one in part["hardware"]["bandwidth"] if one["threads"] == threads]
    memory = max(of_all, key=lambda one: one["bytes"])["bytes_per_second"] / 1e9
    return [
        "",
        f"A token of {PUBLISHED_SHAPE} reads {weights[0] / 1e9:.2f} GB of FP16 weights, or {weights[1] / 1e9:.2f} GB of INT8, so the published rates take at least",
        f"{fp16:.0f} and {int8:.0f} GB/s of memory or cache; this machine reads {memory:.0f} GB/s. Whatever held INT8 back where they were published, it was not",
        "reading: it read half as fast as FP16 did on the same machine. Here reading limits both, as the table of sizes shows.",
    ]


def clean_requests(rate: float) -> str:
    """How many requests without a failure show at 95% that fewer than so many fail."""
    return f"{math.ceil(math.log(0.05) / math.log1p(-rate)):,}"


def setup_lines(shapes: list[str]) -> list[str]:
    session = Session.read(shapes[0], NATIVE)
    machine = session.part["header"]["environment"]["machine"]
    engines = [session.engine(variant) for variant in (CANDLE, FP16)]
    threads = session.part["header"]["variants"][FP16]["threads"]
    return [
        f"- machine: {machine['cpu']}, {machine['usable_cpus']} CPUs, {machine['memory_gib']} GiB, "
        f"{', '.join(machine['instruction_sets'])}; caches "
        f"{', '.join(f'{level} {size}' for level, size in session.caches.items())}",
        f"- engines: {', '.join(e['engine'] + ' ' + e['version'] for e in engines)}; {threads} threads",
        f"- OpenVINO's own choice of arithmetic on this processor: {precision(session)}",
        f"- {ROUNDS} rounds of {len(session.part['header']['plan']['tasks'])} requests, {PROMPT_TOKENS} tokens in, "
        f"{GEN_TOKENS} out; {session.effect()['confidence']:.0%} intervals of ratios, 95% of values",
    ]


def machines_differ(shapes: list[str]) -> list[str]:
    keys = {json.dumps(Session.read(s, NATIVE).part["header"]["environment"]["machine"]) for s in shapes}
    return [] if len(keys) == 1 else ["", "**The sessions are of different machines: their rows do not compare.**"]


def page(shapes: list[str]) -> str:
    lines = [
        "# By size: 15 million to 1.1 billion parameters",
        "",
        "Made by `scripts/evidence.sh scale`: a real session for each size, with all its variants in lockstep. The weights",
        "are random (`scripts/random_llama.sh`): neither speed nor memory nor cold start depends on what they say.",
        "",
        *setup_lines(shapes),
        *machines_differ(shapes),
        "",
        "## Every size and variant",
        "",
        *size_table(shapes),
        "",
        "The share of the roofline: the least time that a generated token needs on this machine, as a share of what it takes,",
        "and what limits it ([how that is found](explain.md)). Memory is the peak of the variant's own process, loading included.",
        "",
        "## INT8 over FP16",
        "",
        "Throughput of decoding in OpenVINO, as a ratio; above 1 INT8 is faster. Below a size the weights fit into a cache",
        "and arithmetic decides, above it the bytes that are read for each token do. FP16 weights that are computed in f32",
        "are also held in it: four bytes a weight.",
        "",
        *ratio_table(shapes),
        "",
        *claim(shapes),
        "",
        "## Beside published figures",
        "",
        *published_table(shapes),
        "",
        "Why ours differ: another machine, of which the published figures say nothing that we could repeat, and two CPUs here;",
        "random weights, which change no speed and have no accuracy; memory that is the peak of one process, loading",
        f"included; 128 tokens in, while the published prompts are unknown. The published latencies come to {GEN_TOKENS} tokens out,",
        f"and so many are generated here. A failure rate under 0.1% takes {clean_requests(0.001)} requests without a failure to show,",
        f"and one under 0.01% takes {clean_requests(0.0001)}.",
        *reading(shapes),
    ]
    if LARGE not in shapes:
        lines += [
            "",
            f"Not made here: {LARGE}, whose FP16 weights alone have {describe(LARGE).split()[0]} MB. On a machine with the memory:",
            f"`scripts/random_llama.sh {LARGE}` and `scripts/evidence.sh scale {LARGE}`.",
        ]
    return "\n".join(lines)


def main() -> None:
    command, shapes = sys.argv[1], sys.argv[2:]
    unknown = [shape for shape in shapes if shape not in SHAPES]
    if not shapes or unknown:
        sys.exit(f"error: name shapes of {', '.join(SHAPES)}")
    if command == "measure":
        measure_all(shapes)
    else:
        # In the order of their sizes, whatever was named.
        print(page([shape for shape in SHAPES if shape in shapes]))


if __name__ == "__main__":
    main()
