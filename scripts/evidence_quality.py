"""Owns docs/evidence/quality.md: the tables of `scripts/evidence.sh quality`.

    python3 scripts/evidence_quality.py FOLDER   reads what the script left there; prints the page

How many documents would have done is computed here with SciPy, from the divergences that perfgate saved: the
smallest number, in the order of the file, from which on the lower bound lies over the limit.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from scipy import stats

LIMITS = ["30", "60", "120", "240", "480", "960", "all"]
KL_LIMIT = 0.05


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def level_of(results: dict[str, Any], rule: str) -> float:
    """The level that the rule had in the whole session."""
    verdicts = results["judgement"]["verdicts"]
    return next(v["resolution"]["level"] for v in verdicts if v["rule"]["id"] == rule)


def documents_needed(results: dict[str, Any], variant: str, forcing: str, level: float) -> int | None:
    """The documents after which the mean divergence stays proven beyond its limit; none if it is not at the end."""
    found = [
        one
        for one in results["parts"][0]["fidelity"]
        if one["variant"] == variant and one["forcing"] == forcing and "failure" not in one
    ]
    means = [sum(one["kl"]) / len(one["kl"]) for one in found]
    needed = None
    for count in range(2, len(means) + 1):
        some = means[:count]
        mean = sum(some) / count
        deviation = math.sqrt(sum((value - mean) ** 2 for value in some) / (count - 1))
        half = stats.t.ppf(1 - level, count - 1) * deviation / mean / math.sqrt(count)
        if math.log(mean) - half <= math.log(KL_LIMIT):
            needed = None
        elif needed is None:
            needed = count
    return needed


def verdicts_by_limit(folder: Path) -> str:
    reports = {limit: read(folder / f"{limit}.json") for limit in LIMITS}
    lines = ["| rule | " + " | ".join(f"{limit} tasks" for limit in LIMITS) + " |"]
    lines.append("| --- |" + " --- |" * len(LIMITS))
    rules = [rule["id"] for rule in reports["all"]["rules"] if rule["id"].startswith(("accuracy", "task_failure"))]
    for rule in rules:
        cells = []
        for limit in LIMITS:
            verdict = next(one["verdict"] for one in reports[limit]["rules"] if one["id"] == rule)
            cells.append(verdict)
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    codes = [(folder / f"{limit}.code").read_text().strip() for limit in LIMITS]
    lines.append("| exit code | " + " | ".join(codes) + " |")
    return "\n".join(lines)


def main() -> int:
    folder = Path(sys.argv[1])
    results = read(folder / "results.json")
    report = (folder / "report.md").read_text(encoding="utf-8")
    numpy = (folder / "numpy.txt").read_text(encoding="utf-8").strip()
    all_tasks = len(results["parts"][0]["header"]["plan"]["quality"]["tasks"])
    needed = []
    for variant in ("int4", "defective"):
        level = level_of(results, f"kl_divergence@{variant}")
        count = documents_needed(results, variant, "whole", level)
        needed.append(f"{variant}: {count if count is not None else 'not proven'}")
    print(
        f"""# Every task and document by seven set-ups

Made by `scripts/evidence.sh quality`, which runs `perfgate check --config examples/quality/perfgate.toml --only quality` with
all {all_tasks} tasks (exit code {(folder / "all.code").read_text().strip()}), and then with fewer of them. `defective` is what
OpenVINO GenAI makes of the 4-bit GGUF itself; `fp16` is candle; `cache-u8` is FP16 with a KV cache of 8 bits; `int8-exact` is
INT8 without quantized activations.

## How much it takes to prove it

What the gate says with so many of the tasks, each sample within the next:

{verdicts_by_limit(folder)}

Documents of 256 tokens after which the mean KL divergence is proven beyond {KL_LIMIT} nats, and stays so: {"; ".join(needed)}.

## The same by NumPy

`scripts/reference_fidelity.py check` runs the IRs again through OpenVINO's Python, recomputes every position and the summaries by
llama.cpp's definitions, and compares; 1e-4 is allowed:

```text
{numpy}
```

## The report

{report}"""
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
