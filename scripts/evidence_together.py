"""Owns docs/evidence/together.md: what answering tasks together saves, and what it changes.

    python3 scripts/evidence_together.py FOLDER   reads what `scripts/evidence.sh together` left there; prints the page
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

VARIANTS = ("fp16-ov", "int8")


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def answers(results: dict[str, Any], variant: str) -> dict[str, dict[str, Any]]:
    return {one["task"]: one for one in results["parts"][0]["answers"] if one["variant"] == variant}


def changed(alone: dict[str, Any], together: dict[str, Any]) -> str:
    """What of the answers to free-running tasks is another one in a batch, by variant."""
    lines = [
        "| variant | free-running tasks | other tokens in a batch of 8 | other grade | lost | won |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for variant in VARIANTS:
        one, eight = answers(alone, variant), answers(together, variant)
        free = [task for task in one if "log_likelihoods" not in one[task]]
        tokens = sum(one[task].get("tokens") != eight[task].get("tokens") for task in free)
        grades = [(one[task]["grade"], eight[task]["grade"]) for task in free]
        other = sum(a != b for a, b in grades)
        lost = sum(a == "right" != b for a, b in grades)
        won = sum(b == "right" != a for a, b in grades)
        lines.append(f"| {variant} | {len(free)} | {tokens} | {other} | {lost} | {won} |")
    return "\n".join(lines)


def choices_apart(alone: dict[str, Any], together: dict[str, Any], variant: str) -> str:
    one, eight = answers(alone, variant), answers(together, variant)
    asked = [task for task in one if "log_likelihoods" in one[task]]
    pairs = [pair for task in asked for pair in zip(one[task]["log_likelihoods"], eight[task]["log_likelihoods"], strict=True)]
    furthest = max(abs(a - b) for a, b in pairs)
    return f"{variant}: {len(asked)} questions, the furthest of {len(pairs)} log likelihoods {furthest:.1e} nats apart"


def main() -> int:
    folder = Path(sys.argv[1])
    alone, together = (read(folder / f"batch-{size}.json") for size in (1, 8))
    machine = alone["parts"][0]["header"]["environment"]["machine"]
    lines = [
        "# Tasks answered together",
        "",
        "Made by `scripts/evidence.sh together`: the tasks of `examples/quality` by two OpenVINO variants of SmolLM2-135M, one by one",
        f"and in batches of 8, on {machine['cpu']}. All rows of a call have as many tokens, so a batch holds what happens to fit.",
        "",
        "## What it changes",
        "",
        "The same 240 tasks. Nothing is padded; in a larger product the runtime adds in another order, and INT8 quantizes",
        "activations for all rows of a call where the processor has VNNI.",
        "",
        changed(alone, together),
        "",
        *(f"- {choices_apart(alone, together, variant)}" for variant in VARIANTS),
        "",
        "## What it saves",
        "",
        "Each way in turn, twice.",
    ]
    for variant in VARIANTS:
        times = (folder / f"together-{variant}.txt").read_text(encoding="utf-8").strip()
        lines += ["", f"{variant}:", "", "| way | time | times as fast |", "| --- | --- | --- |", times]
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
