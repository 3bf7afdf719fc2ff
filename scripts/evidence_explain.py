"""Owns the real report in docs/explain.md: an explanation of the README's variants, the machine's bandwidth beside an
independent measure of it, and the counted bytes beside the sizes of the files.

    python3 scripts/evidence_explain.py CONFIG RESULTS.json STREAM

`scripts/evidence.sh explain` calls it, which has measured RESULTS.json by CONFIG and compiled scripts/stream.c to
STREAM. It puts the report between the page's markers.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

BINARY = "target/release/perfgate"
PAGE = Path("docs/explain.md")
BEGIN, END = "<!-- report: scripts/evidence.sh explain -->", "<!-- end of the report -->"
SIZES = {"32 KiB": 32 << 10, "512 KiB": 512 << 10, "8 MiB": 8 << 20, "256 MiB": 256 << 20}
# Each measures in turn, so that what else the machine does hits both alike; the best of each counts.
TURNS = 5


def explain(config: str, results: str, *more: str) -> str:
    command = [BINARY, "explain", results, "--quiet", "--config", config, *more]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def gigabytes(text: str) -> float:
    """Of a cell such as `27.5 GB/s`."""
    value, unit = text.split()
    return float(value) * {"GB/s": 1.0, "TB/s": 1e3, "MB/s": 1e-3}[unit]


def of_perfgate(config: str, results: str) -> dict[tuple[str, int], float]:
    sheet = json.loads(explain(config, results, "--measure", "--format", "json"))
    table = next(table for table in sheet["tables"] if table["title"] == "Read bandwidth")
    threads = [int(words.split()[0]) for words in table["header"][2:]]
    return {
        (row[0], count): gigabytes(text)
        for row in table["rows"]
        if row[0] in SIZES
        for count, text in zip(threads, row[2:])
    }


def of_stream(stream: str, size: str, threads: int) -> float:
    command = [stream, str(threads), str(SIZES[size])]
    return float(re.search(r"[\d.]+", subprocess.run(command, check=True, capture_output=True, text=True).stdout)[0])


def bandwidths(config: str, results: str, stream: str) -> list[str]:
    ours: dict[tuple[str, int], float] = {}
    theirs: dict[tuple[str, int], float] = {}
    for _ in range(TURNS):
        for key, value in of_perfgate(config, results).items():
            ours[key] = max(value, ours.get(key, 0.0))
            theirs[key] = max(of_stream(stream, *key), theirs.get(key, 0.0))
    lines = ["| working set | threads | `perfgate explain --measure` | `scripts/stream.c` | ratio |", "|---|---|---|---|---|"]
    for key, value in ours.items():
        size, threads = key
        ratio = f"{value / theirs[key]:.2f}"
        lines.append(f"| {size} | {threads} | {value:.1f} GB/s | {theirs[key]:.1f} GB/s | {ratio} |")
    return lines


def weights_file(folder: Path) -> Path:
    return next(file for name in ("openvino_model.bin", "model.safetensors") if (file := folder / name).exists())


def counted(config: str, results: str) -> list[str]:
    variants = tomllib.loads(Path(config).read_text())["variants"]
    part = json.loads(Path(results).read_text())["parts"][0]
    lines = ["| variant | counted | weights file | ratio |", "|---|---|---|---|"]
    for name, work in part["work"].items():
        file = weights_file(Path(config).parent / variants[name]["model"])
        size = file.stat().st_size
        bytes_ = work["weight_bytes"] + work["looked_up_bytes"] + work["other_bytes"]
        lines.append(f"| {name} | {bytes_:,} bytes | {file.name}, {size:,} bytes | {bytes_ / size:.4f} |")
    return lines


def report(config: str, results: str) -> str:
    """The explanation, its heads one level down."""
    text = explain(config, results, "--format", "markdown")
    return re.sub(r"^(#+) ", r"#\1 ", text, flags=re.M).strip()


def main() -> None:
    config, results, stream = sys.argv[1:]
    lines = [
        BEGIN,
        "",
        "Made by `scripts/evidence.sh explain`: a session of this repository's own variants, explained.",
        "",
        report(config, results),
        "",
        "### Bandwidth beside an independent measure",
        "",
        f"{TURNS} turns of each, one after the other; the best of each.",
        "",
        *bandwidths(config, results, stream),
        "",
        "### Counted bytes beside the files",
        "",
        *counted(config, results),
        "",
        END,
    ]
    page = PAGE.read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(before + "\n".join(lines) + after)


if __name__ == "__main__":
    main()
