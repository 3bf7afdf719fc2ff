#!/usr/bin/env python3
"""Owns the page on load: the tables of a report, and what the same results say when they are computed anew.

    python3 scripts/evidence_load.py RESULTS.json REPORT.md > docs/evidence/load.md

Run by `scripts/evidence.sh load`.
"""

import json
import pathlib
import sys


def sections(report: str) -> str:
    """What the report says of load, and how it was put on."""
    load = report[report.index("### Load") :].split("\n<details>", 1)[0]
    method = [line for line in report.splitlines() if line.startswith(("- Sustained load:", "- Concurrency:"))]
    known = ("- perfgate:", "- session:", "- commit:", "- machine:")
    where = [line for line in report.splitlines() if line.startswith(known)]
    return load.strip() + "\n\n" + "\n".join(method + where)


def done(request: dict) -> bool:
    return not request.get("failure")


def end(request: dict) -> float:
    return (request["start_ns"] + request["token_ns"][-1]) * 1e-9


def quantile(values: list[float], p: float) -> float:
    """Type 7 of Hyndman and Fan."""
    values = sorted(values)
    place = p * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def anew(loads: list[dict]) -> list[str]:
    """Closed and open loops from the raw requests."""
    lines = [
        "| variant | load | requests | tokens/s | latency P50, s | waiting, s | as by its own clock P90, s | as by arrival P90, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for load in loads:
        requests = [one for one in load.get("requests", []) if done(one)]
        if load["kind"] == "sustained" or not requests:
            continue
        what = f"{load['rate']:.2f} arrivals/s" if load.get("rate") else f"{load['streams']} at once"
        seconds = max(end(one) for one in requests)
        tokens = sum(len(one["token_ns"]) for one in requests)
        latency = [end(one) - one["arrival_ns"] * 1e-9 for one in requests]
        waiting = [(one["start_ns"] - one["arrival_ns"]) * 1e-9 for one in requests]
        service = [one["token_ns"][-1] * 1e-9 for one in requests]
        lines.append(
            f"| {load['variant']} | {what} | {len(requests)} | {tokens / seconds:.1f} | {quantile(latency, 0.5):.3f} "
            f"| {sum(waiting) / len(waiting):.3f} | {quantile(service, 0.9):.3f} | {quantile(latency, 0.9):.3f} |"
        )
    return lines


def main() -> None:
    results = json.loads(pathlib.Path(sys.argv[1]).read_text())
    report = pathlib.Path(sys.argv[2]).read_text()
    print("# Load on the real model\n")
    print("Made by `scripts/evidence.sh load`: `perfgate run --only load --config examples/load/perfgate.toml` on a shared virtual")
    print("machine with two cores; SmolLM2-135M in OpenVINO, FP16 and INT8, 32 tokens in and 8 out.")
    print("[What the words mean](../load.md).\n")
    print(sections(report))
    print("\n## The same requests, computed anew\n")
    print("By `scripts/evidence_load.py` from the raw requests of the results, probes of the search among them. A clock that starts")
    print("with the service would show the last column but one, and hide the queue.\n")
    loads = [load for part in results["parts"] for load in part.get("load", [])]
    print("\n".join(anew(loads)))


if __name__ == "__main__":
    main()
