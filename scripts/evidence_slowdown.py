"""Owns the tables of docs/evidence/slowdown.md: reads the reports and samples of sessions, prints Markdown."""

import json
import math
import sys
from pathlib import Path

SESSIONS = Path(".perfgate/sessions")
IDENTICAL = ("int8", "int8-copy")


def verdict_table(reports: list[tuple[str, dict]]) -> None:
    print("| session | exit code | variant | rule | change | interval | verdict |")
    print("|---|---|---|---|---|---|---|")
    seen: dict[str, list[str]] = {}
    for code, report in reports:
        groups = [group for section in report["sections"] for group in section["groups"]]
        for group in sorted(groups, key=lambda group: group["now_title"]):
            for row in group["rows"]:
                name = group["now_title"]
                seen.setdefault(name, []).append(row["verdict"])
                print(
                    f"| {report['sessions'][0]} | {code} | {name} | {row['what']} ({row['limit']}) "
                    f"| {row['change']} | {row['interval']} | {row['verdict']} |"
                )
    print()
    for name, verdicts in sorted(seen.items()):
        counts = {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}
        text = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        print(f"- {name}, {len(verdicts)} verdicts: {text}")


def log_throughput(request: dict) -> float:
    """Of tokens after the first, as docs/measuring.md defines it; in tokens per nanosecond."""
    stamps = request["token_ns"]
    return math.log((len(stamps) - 1) / (stamps[-1] - stamps[0]))


def place_table(sessions: list[str]) -> None:
    """Throughput of the two identical variants by their place in the round's order of starts."""
    by_place: dict[int, list[float]] = {}
    for session in sessions:
        results = json.loads((SESSIONS / session / "benchmark_results.json").read_text())
        for round_ in results["parts"][0]["rounds"]:
            workers = sorted(round_["workers"], key=lambda worker: worker["spawn_ns"])
            place = {worker["variant"]: index + 1 for index, worker in enumerate(workers)}
            for name in IDENTICAL:
                requests = [r for r in round_["requests"] if r["variant"] == name and r["phase"] == "timed"]
                mean = sum(map(log_throughput, requests)) / len(requests)
                by_place.setdefault(place[name], []).append(mean)
    everything = [value for values in by_place.values() for value in values]
    overall = sum(everything) / len(everything)
    print("| place in the order of starts | rounds | throughput against the mean of all places |")
    print("|---|---|---|")
    for place, values in sorted(by_place.items()):
        change = math.exp(sum(values) / len(values) - overall) - 1
        print(f"| {place} | {len(values)} | {change:+.1%} |")


def read_reports(folder: Path) -> list[tuple[str, dict]]:
    """The exit code and report of each session, in order."""
    files = sorted(folder.glob("*.json"), key=lambda path: int(path.stem))
    return [(f.with_suffix(".code").read_text().strip(), json.loads(f.read_text())) for f in files]


def main() -> None:
    folder = Path(sys.argv[1])
    slowed, unchanged = read_reports(folder / "slowed"), read_reports(folder / "unchanged")
    print("# A slowdown of 20% is seen, an unchanged copy is not accused\n")
    print("Made by `scripts/evidence.sh slowdown`: sessions of `examples/slowdown/perfgate.toml`, in which")
    print("INT8 is held against a copy of itself and against a copy slowed on purpose by 20%.\n")
    verdict_table(slowed)
    print(f"- machine: {dict(slowed[0][1]['environment'])['machine']}")
    print("\n## The unchanged copy alone\n")
    print("Sessions of `examples/slowdown/unchanged.toml`.\n")
    verdict_table(unchanged)
    print("\n## Why the order of starts rotates\n")
    print("The first sessions again: the two identical variants, by the place at which their process was")
    print("started in the round.\n")
    place_table([report["sessions"][0] for _, report in slowed])


if __name__ == "__main__":
    main()
