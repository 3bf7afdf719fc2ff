#!/usr/bin/env python3
"""Owns the speed figures: perfgate's bootstrap against the same in NumPy, and the processor time of `compare`.

    PYTHONPATH=.perfgate/python python3 scripts/evidence_speed.py > docs/evidence/speed.md

Run by `scripts/evidence.sh speed`. Both sides of a ratio are measured in this one run, in turn.
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import numpy

FOLDER = pathlib.Path(".perfgate/evidence/speed")
REPEATS = 3
RESAMPLES = 10_000
SPEED = "target/release/examples/speed"


def of_numpy() -> float:
    """The resampling as one writes it with NumPy: whole rounds, drawn with replacement, and numpy.quantile."""
    sides = [numpy.fromfile(FOLDER / f"{name}.f64").reshape(20, 5000) for name in ("now", "base")]
    random = numpy.random.default_rng(99)
    start = time.perf_counter()
    drawn = numpy.empty(RESAMPLES)
    for index in range(RESAMPLES):
        rounds = random.integers(0, 20, 20)
        now, base = (numpy.quantile(side[rounds], 0.99) for side in sides)
        drawn[index] = numpy.log(now / base)
    seconds = time.perf_counter() - start
    scale = numpy.sqrt(20 / 19)
    return seconds, float(numpy.std(drawn, ddof=1) * scale)


def of_perfgate() -> dict:
    out = subprocess.run([SPEED, "bootstrap", FOLDER], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def compare() -> float:
    """Processor time of one comparison, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["target/release/perfgate", "compare", FOLDER / "old.json", FOLDER / "new.json", "--quiet",
         "--config", FOLDER / "perfgate.toml"],
        capture_output=True, text=True,
    )
    if done.returncode not in (0, 1, 3):
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def setting() -> None:
    """A configuration for the example's variants, with ten rules."""
    variants = json.loads((FOLDER / "new.json").read_text())["variants"]
    (FOLDER / "tasks.jsonl").write_text('{"id": "t", "prompt": "p"}\n')
    text = f'reference = "{variants[0]}"\n[workload]\ntasks = "tasks.jsonl"\ngen_tokens = 8\n'
    text += "".join(f'[variants.{name}]\nengine = "scripted"\n' for name in variants)
    (FOLDER / "perfgate.toml").write_text(text)
    rules = ["throughput", "latency", "ttft", "itl", "memory", "cold_start", "output_rate"]
    text = "[rules]\n" + "".join(f'{rule} = "5%"\n' for rule in rules)
    text += 'failure_rate = "0.1%"\n'
    text += 'p90 = { metric = "latency", statistic = "p90", limit = "5%" }\n'
    text += 'p99 = { metric = "latency", statistic = "p99", max = "10 s" }\n'
    (FOLDER / "thresholds.toml").write_text(text)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    pairs = []
    for _ in range(REPEATS):
        ours = of_perfgate()
        pairs.append((ours["seconds"], *of_numpy(), ours["spread"]))
    requests = subprocess.run([SPEED, "results", FOLDER], check=True, capture_output=True, text=True).stdout.strip()
    setting()
    times = [compare() for _ in range(REPEATS)]
    size = os.path.getsize(FOLDER / "new.json") / 1e6
    ratios = [numpys / ours for ours, numpys, _, _ in pairs]
    print("# Speed\n\nMade by `scripts/evidence.sh speed`, both sides of the ratio in turn in one run.\n")
    print(f"**Bootstrap.** {RESAMPLES} resamples of the log ratio of the P99 of two variants, 100,000 requests each in 20")
    print(f"rounds, against the same in NumPy {numpy.__version__} (`numpy.quantile` of the rounds drawn):\n")
    print("| run | perfgate | NumPy | ratio | spread, perfgate | spread, NumPy |\n|---|---|---|---|---|---|")
    for number, (ours, numpys, spread, own) in enumerate(pairs, 1):
        print(f"| {number} | {ours:.3f} s | {numpys:.1f} s | {numpys / ours:.0f} | {own:.5f} | {spread:.5f} |")
    print(f"\nThe smallest ratio is {min(ratios):.0f}.\n")
    print(f"**`perfgate compare`** of two files of results with {requests} requests each ({size:.0f} MB each) and ten rules:")
    print(f"{statistics.median(times):.2f} s of processor time, user and system (median of {REPEATS};")
    print(f"{', '.join(f'{seconds:.2f}' for seconds in times)}).")


if __name__ == "__main__":
    main()
