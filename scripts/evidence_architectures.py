"""Owns docs/evidence/architectures.md: perfgate held to transformers in f32 on an export of each architecture.

    evidence_architectures.py run MODELS CASES FOLDER PERFGATE [ARCHITECTURE...]   asks every export; keeps results
    evidence_architectures.py page MODELS CASES FOLDER                             prints the page; exits with 1 where
                                                                                   a difference is not explained
    evidence_architectures.py brief MODELS CASES FOLDER                            prints one line for each architecture

MODELS is what scripts/architectures/make.py and reference.py made: of each architecture an export in FP32, which has to give what
transformers does, and one in FP16, of which is said how far it is off. Each export has two sessions, whose files are kept in
FOLDER/EXPORT/NAME: `1`, with timing, documents and tasks that are answered one by one, and `8`, with the same tasks answered together.
A session that is there is not run again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts" / "architectures"))
from cases import BATCH, DOCUMENT_TOKENS, GENERATED  # noqa: E402
from configs import ARCHITECTURES  # noqa: E402
from make import EXPORTS  # noqa: E402

Json = dict[str, Any]

# Where transformers finds two tokens as probable as that, nats, either may be the most probable one elsewhere.
TIE = 0.001
# Most that a log likelihood may differ by, nats for each token that is summed.
LIKELIHOOD = 0.0005

SESSIONS = ("1", str(BATCH))
COLUMNS = ("timed tokens", "answers", f"answers, batch {BATCH}", "choices", "documents", "documents, stepwise")

# What differs for a reason that is not perfgate's: by architecture and column, in a sentence.
CROSSING = (
    "transformers computes the cache anew with the long factors as soon as a sequence passes the original context (token 65 "
    "here); the graph that optimum-cli makes keeps the keys of earlier tokens as the short factors turned them. Equal up to "
    "token 64, and equal where a prompt is beyond it from the start."
)
SCAN = (
    "Of prompts of about 100 tokens alone; those of 6 to 9 agree. A prompt goes in with one call, as a server feeds it, and the scan of the "
    "exported graph is less exact the longer the call is. Plain calls of OpenVINO from Python give perfgate's figures to four "
    "digits with the prompt in one call, and transformers' token by token (mamba, the first choice of the first long question: "
    "-75.6848, -75.7038). Documents are fed token by token for that reason."
)
EXPLAINED: dict[str, dict[str, str]] = {
    "falcon_mamba": {"choices": SCAN},
    "mamba": {"choices": SCAN},
    "phi3long": dict.fromkeys(("timed tokens", "answers", f"answers, batch {BATCH}", "documents, stepwise"), CROSSING),
}


def configuration(model: Path, cases: Path, batch: str) -> str:
    variant = "\n".join(
        (
            'engine = "openvino"',
            f'model = "{model}"',
            f'runtime = "{sorted(REPOSITORY.glob(".perfgate/runtimes/openvino-*"))[-1]}"',
            "threads = 2",
            'chat_template = "none"',
            'properties = { INFERENCE_PRECISION_HINT = "f32", KV_CACHE_PRECISION = "f32", '
            'DYNAMIC_QUANTIZATION_GROUP_SIZE = "0" }',
        )
    )
    return f"""# Written by scripts/evidence_architectures.py.
reference = "model"
output = "output"

[workload]
tasks = "{cases}/timing.jsonl"
gen_tokens = {GENERATED}
seed = 1

[quality]
variants = ["model"]
batch = {batch}
max_tokens = {GENERATED}

[quality.suites]
alone = {{ tasks = "{cases}/alone.jsonl" }}
shared = {{ tasks = "{cases}/shared.jsonl", prompt_template = "{cases}/shared.txt" }}
choices = {{ tasks = "{cases}/choices.jsonl" }}

[quality.fidelity]
documents = "{cases}/documents.jsonl"
tokens = {DOCUMENT_TOKENS}
stepwise = 3
variants = ["copy"]

[session]
rounds = 1
warmup = 1
load_deadline = "300s"
request_deadline = "300s"

[variants.model]
{variant}

# A text is always forced through two: the same model twice.
[variants.copy]
{variant}
"""


def session(place: Path, model: Path, cases: Path, batch: str, perfgate: Path) -> None:
    results, failed = place / f"{batch}.json", place / f"{batch}.failed"
    if results.exists() or failed.exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    config = place / f"perfgate-{batch}.toml"
    config.write_text(configuration(model, cases, batch), encoding="utf-8")
    only = [] if batch == "1" else ["--only", "quality"]
    unfinished = place / f"{batch}.tmp"
    words = [perfgate, "run", "--quiet", "--fresh", "--config", config, "--output", unfinished, *only]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        failed.write_text(done.stderr or f"exit code {done.returncode}\n", encoding="utf-8")
        return
    unfinished.rename(results)
    (place / f"{batch}.report").write_text(done.stdout, encoding="utf-8")


def read(file: Path) -> Json:
    return json.loads(file.read_text(encoding="utf-8"))


# ---- what differs ----------------------------------------------------------------------------------------------


@dataclass
class Cell:
    """One kind of question to one architecture."""

    asked: int = 0
    equal: int = 0
    ties: int = 0
    # The furthest apart, nats for each token; of likelihoods alone.
    apart: float | None = None
    failure: str | None = None

    @property
    def good(self) -> bool:
        return self.failure is None and self.asked > 0 and self.equal + self.ties == self.asked

    def add(self, equal: bool, tie: bool = False) -> None:
        self.asked += 1
        self.equal += int(equal)
        self.ties += int(tie and not equal)

    def add_likelihood(self, apart: float, tokens: int) -> None:
        each = apart / tokens
        self.apart = max(each, self.apart or 0.0)
        self.add(each <= LIKELIHOOD)

    def __str__(self) -> str:
        if self.failure is not None:
            return "refused"
        ties = f", {self.ties} tie" + "s" * (self.ties > 1) if self.ties else ""
        apart = "" if self.apart is None else f" ({self.apart:.1g})"
        words = "equal" if self.good else f"**{self.asked - self.equal - self.ties} of {self.asked} differ**"
        return f"{words}{ties}{apart}"


def add_tokens(cell: Cell, found: list[int], wanted: Json) -> None:
    tokens, margins = wanted["tokens"], wanted["margins"]
    apart = next((place for place, (a, b) in enumerate(zip(found, tokens)) if a != b), None)
    same_length = len(found) == len(tokens)
    tie = apart is not None and margins[apart] < TIE
    cell.add(apart is None and same_length, tie)


def answers_of(results: Json) -> Iterator[Json]:
    return (answer for answer in results["parts"][0]["answers"] if answer["variant"] == "model")


def why(place: Path, batch: str) -> str | None:
    file = place / f"{batch}.failed"
    return file.read_text(encoding="utf-8").strip() if file.exists() else None


def cells_of(place: Path, reference: Json) -> dict[str, Cell]:
    cells = {name: Cell() for name in COLUMNS}
    timed, one, together, choices, whole, stepwise = cells.values()
    for batch, answers in zip(SESSIONS, (one, together), strict=True):
        failure = why(place, batch)
        if failure is not None:
            # Both sessions choose, so a failure of one of them is a failure of all that it was asked.
            for cell in (answers, choices, *((timed, whole, stepwise) if batch == "1" else ())):
                cell.failure = failure
            continue
        results = read(place / f"{batch}.json")
        for answer in answers_of(results):
            name = answer["task"]
            if name in reference["choices"]:
                found, wanted = answer.get("log_likelihoods", []), reference["choices"][name]
                if len(found) != len(wanted):
                    choices.add(False)
                for value, choice in zip(found, wanted):
                    apart = abs(value - choice["log_likelihood"])
                    choices.add_likelihood(apart, len(choice["tokens"]))
            else:
                add_tokens(answers, answer.get("tokens", []), reference["answers"][name])
        if batch != "1":
            continue
        for request in (request for found in results["parts"][0]["rounds"] for request in found["requests"]):
            if request["phase"] != "warmup":
                add_tokens(timed, request.get("tokens", []), reference["timing"][request["task"]])
        for document in results["parts"][0]["fidelity"]:
            wanted = reference["documents"][document["document"]]
            cell = whole if document["forcing"] == "whole" else stepwise
            for key in ("nll", "reference_nll"):
                cell.add_likelihood(abs(document[key] - wanted["nll"]), len(wanted["each"]))
    return cells


def rows(models: Path, folder: Path, export: str) -> Iterator[tuple[str, dict[str, Cell]]]:
    for name in ARCHITECTURES:
        reference, place = models / name / "reference.json", folder / export / name
        done = all((place / f"{batch}.json").exists() or why(place, batch) for batch in SESSIONS)
        if reference.exists() and done:
            yield name, cells_of(place, read(reference))


def brief(models: Path, folder: Path) -> int:
    for name, cells in rows(models, folder, EXPORTS[0]):
        differs = "; ".join(f"{column}: {cell}" for column, cell in cells.items() if not cell.good)
        failure = next((cell.failure for cell in cells.values() if cell.failure), None)
        print(f"{name}: {differs or 'all equal'}{f' [{failure[:300]}]' if failure else ''}")
    return 0


# ---- the page --------------------------------------------------------------------------------------------------


def in_half(cells: dict[str, Cell] | None) -> str:
    """How far the export in FP16 is off: its choices, and the answers that part though transformers has no tie there."""
    if cells is None:
        return "not asked"
    answers, choices = cells["answers"], cells["choices"]
    if answers.failure or choices.apart is None:
        return "refused"
    parted = answers.asked - answers.equal - answers.ties
    return f"{choices.apart:.1g}" + (f", {parted} of {answers.asked} answers differ" if parted else "")


def page(models: Path, folder: Path) -> int:
    table, reasons, unexplained, left_out = [], [], [], []
    halves = dict(rows(models, folder, EXPORTS[1]))
    for name, cells in rows(models, folder, EXPORTS[0]):
        explained = EXPLAINED.get(name, {})
        open_columns = [column for column, cell in cells.items() if not cell.good and column not in explained]
        unexplained += [f"{name}: {column}" for column in open_columns]
        version = read(models / name / "reference.json")["transformers"]
        good = all(cell.good for cell in cells.values())
        row = "equal" if good else "not explained" if open_columns else "explained"
        cells_of_row = [name, version, *map(str, cells.values()), row, in_half(halves.get(name))]
        table.append(f"| {' | '.join(cells_of_row)} |")
        for reason in dict.fromkeys(explained.values()):
            columns = ", ".join(column for column, one in explained.items() if one == reason)
            reasons.append(f"- **{name}** ({columns}): {reason}")
    for name in ARCHITECTURES:
        failed = models / name / "failed.txt"
        if failed.exists():
            first = failed.read_text(encoding="utf-8").strip().splitlines()[0]
            left_out.append(f"| {name} | {ARCHITECTURES[name].transformers} | {first[:160].replace('|', ' ')} |")
    seen = {name for name, _ in rows(models, folder, EXPORTS[0])}
    waiting = [name for name in ARCHITECTURES if name not in seen and not (models / name / "failed.txt").exists()]
    header = "| architecture | transformers | " + " | ".join(COLUMNS) + " | row | in FP16 |"
    text = (REPOSITORY / "scripts" / "architectures" / "page.md").read_text(encoding="utf-8")
    values = {
        "COUNT": str(len(table)),
        "TABLE": "\n".join((header, "| --- |" + " --- |" * (len(COLUMNS) + 3), *table)),
        "REASONS": "\n".join(reasons) or "None: all rows are equal.",
        "WAITING": f"Not asked yet ({len(waiting)}): {', '.join(waiting)}." if waiting else "None is left to be asked.",
        "LEFT_OUT": "\n".join(("| architecture | transformers | error |", "| --- | --- | --- |", *left_out)) if left_out else "None.",
        "TIE": f"{TIE:g}",
        "LIKELIHOOD": f"{LIKELIHOOD:g}",
        "GENERATED": str(GENERATED),
        "BATCH": str(BATCH),
    }
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", value)
    print(text, end="")
    for line in unexplained:
        print(f"not explained: {line}", file=sys.stderr)
    return int(bool(unexplained) or not table)


def main() -> int:
    what, models, cases, folder = sys.argv[1], *map(lambda word: Path(word).resolve(), sys.argv[2:5])
    if what == "brief":
        return brief(models, folder)
    if what == "page":
        return page(models, folder)
    perfgate = Path(sys.argv[5]).resolve()
    for name in sys.argv[6:] or ARCHITECTURES:
        if (models / name / "reference.json").exists():
            for export in EXPORTS:
                for batch in SESSIONS:
                    session(folder / export / name, models / name / export, cases, batch, perfgate)
            print(f"{name}: asked", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
