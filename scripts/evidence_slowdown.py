"""Owns the table of docs/evidence/slowdown.md: reads the reports of several sessions and prints Markdown."""

import json
import sys
from pathlib import Path


def main() -> None:
    folder = Path(sys.argv[1])
    reports = sorted(folder.glob("*.json"), key=lambda path: int(path.stem))
    print("# A slowdown of 20% is seen, an unchanged copy is not accused\n")
    print("Made by `scripts/evidence.sh slowdown`: sessions of `examples/slowdown`, in which INT8 is")
    print("held against a copy of itself and against a copy slowed on purpose by 20%.\n")
    print("| session | exit code | variant | rule | change | interval | verdict |")
    print("|---|---|---|---|---|---|---|")
    machine = ""
    seen = {}
    for path in reports:
        report = json.loads(path.read_text())
        code = path.with_suffix(".code").read_text().strip()
        machine = dict(report["environment"])["machine"]
        for group in report["groups"]:
            for row in group["rows"]:
                name = group["now_title"]
                seen.setdefault(name, []).append(row["verdict"])
                print(
                    f"| {report['session']} | {code} | {name} | {row['what']} ({row['limit']}) "
                    f"| {row['change']} | {row['interval']} | {row['verdict']} |"
                )
    print()
    for name, verdicts in sorted(seen.items()):
        counts = {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}
        text = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        print(f"- {name}, {len(verdicts)} verdicts: {text}")
    print(f"- machine: {machine}")


if __name__ == "__main__":
    main()
