#!/usr/bin/env python3
"""Owns the page on what is pinned: INT8 as it is deployed, with f32 pinned, and with its activations left alone.

    python3 scripts/evidence_precision.py RESULTS.json > docs/evidence/precision.md

Run by `scripts/evidence.sh precision`.
"""

import json
import pathlib
import sys

CANDIDATE = "int8"
PROPERTIES = {
    "INFERENCE_PRECISION_HINT": "inference precision",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "group size",
    "KV_CACHE_PRECISION": "KV cache",
}
# What the tables show of the summaries: metric, statistic, digits, factor.
SHOWN = {
    "right answers": ("accuracy", "rate", "{:.1%}"),
    "KL divergence, nats": ("kl_divergence", "mean", "{:.4f}"),
    "top-1 agreement": ("top1_agreement", "mean", "{:.1%}"),
    "throughput, tokens/s": ("throughput", "mean", "{:.1f}"),
    "TTFT, ms": ("ttft", "mean", "{:.0f}"),
}
VNNI = {"avx512_vnni", "avx_vnni"}


def engine_of(part: dict, variant: str) -> dict:
    workers = [worker for one in part["rounds"] for worker in one["workers"]]
    found = [worker["engine"] for worker in workers if worker["variant"] == variant and worker.get("engine")]
    return found[0] if found else part["engines"][variant]


def value(results: dict, variant: str, metric: str, statistic: str, shape: str) -> str:
    for summary in results["summaries"].get(variant, []):
        if (summary["metric"], summary["statistic"]) == (metric, statistic) and summary.get("value") is not None:
            number = summary["value"]
            return shape.format(number * 1000 if metric == "ttft" else number)
    return "not measured"


def setups(part: dict, variants: list[str]) -> list[str]:
    lines = ["| variant | " + " | ".join(PROPERTIES.values()) + " | set by perfgate.toml |", "|---" * (len(PROPERTIES) + 2) + "|"]
    for name in variants:
        effective = engine_of(part, name)["properties"]
        asked = part["header"]["variants"][name].get("properties", {})
        cells = [effective.get(key, "-") for key in PROPERTIES]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {', '.join(asked) or 'nothing'} |")
    return lines


def figures(results: dict, variants: list[str]) -> list[str]:
    lines = ["| variant | " + " | ".join(SHOWN) + " |", "|---" * (len(SHOWN) + 1) + "|"]
    for name in variants:
        cells = [value(results, name, *how) for how in SHOWN.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def answers(part: dict, variants: list[str]) -> list[str]:
    """Answers of other tokens, and of another grade, than the candidate's as it is deployed."""
    by = {name: {a["task"]: a for a in part["answers"] if a["variant"] == name} for name in variants}
    base = by[CANDIDATE]
    lines = [f"| variant | answers | of other tokens than {CANDIDATE}'s | of another grade |", "|---|---|---|---|"]
    for name in variants:
        if name == CANDIDATE:
            continue
        both = [(base[task], answer) for task, answer in by[name].items() if task in base]
        other = sum(a.get("tokens") != b.get("tokens") for a, b in both)
        graded = sum(a.get("grade") != b.get("grade") for a, b in both)
        lines.append(f"| {name} | {len(both)} | {other} | {graded} |")
    return lines


def main() -> None:
    results = json.loads(pathlib.Path(sys.argv[1]).read_text())
    (part,) = results["parts"]
    variants = part["header"]["plan"]["variants"]
    machine = part["header"]["environment"]["machine"]
    sets = set(machine["instruction_sets"])
    defaults = engine_of(part, CANDIDATE).get("defaults", {})
    lines = [
        "# INT8 as deployed, and with its arithmetic pinned",
        "",
        "Made by `scripts/evidence.sh precision` (`examples/precision`): one INT8 model in three set-ups against FP16 without any,",
        f"answers one at a time. [What follows for a configuration](../measuring.md#what-to-pin).",
        "",
        f"Session {part['header']['session']} on {machine['cpu']} ({' '.join(machine['instruction_sets'])}); "
        f"{engine_of(part, CANDIDATE)['version']}; {len(part['rounds'])} rounds. This processor's default inference precision is "
        f"{defaults.get('INFERENCE_PRECISION_HINT', 'not known')}.",
        "",
        "It has VNNI, so with activations of 32 bits OpenVINO quantizes them in groups."
        if sets & VNNI
        else "It has no VNNI, so OpenVINO quantizes no activations here whatever the group size: what follows shows that, and not "
        "what f32 changes elsewhere. Run the step on a processor with VNNI or AMX to see it.",
        "",
        "## Effective settings",
        "",
        *setups(part, variants),
        "",
        "## Figures",
        "",
        *figures(results, variants),
        "",
        "## The answers",
        "",
        *answers(part, variants),
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
