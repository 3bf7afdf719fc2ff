"""Owns the rules for workflows and actions that no general tool holds them to.

usage: check_workflows.py FILE.yml…  (with ruamel.yaml on the path; scripts/check_workflows.sh runs it)
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML

# An action is named by its commit, and a comment says which version that is.
PINNED = re.compile(r"^\s*(?:- )?uses: ([\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$")
USES = re.compile(r"^\s*(?:- )?uses: (?!\./)")


def steps(tree: dict) -> Iterator[dict]:
    """All steps of a workflow or an action."""
    for job in tree.get("jobs", {}).values():
        yield from job.get("steps", [])
    yield from tree.get("runs", {}).get("steps", [])


def bad_pins(text: str, seen: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Lines that name an action by something that can move, or by another commit than elsewhere."""
    for number, line in enumerate(text.splitlines(), 1):
        if not USES.match(line):
            continue
        pin = PINNED.match(line)
        if not pin:
            yield f"{number}: no commit of 40 digits with its version as a comment: {line.strip()}"
            continue
        action, *version = pin.groups()
        repository = "/".join(action.split("/")[:2])
        if seen.setdefault(repository, tuple(version)) != tuple(version):
            yield f"{number}: {action} is {seen[repository][1]} elsewhere"


def bad_steps(tree: dict) -> Iterator[str]:
    """Steps that put an expression into a shell, or leave a token in the clone."""
    for step in steps(tree):
        name = step.get("name") or step.get("id") or step.get("uses") or step.get("run")
        if "${{" in step.get("run", ""):
            yield f"{name}: an expression inside of `run`; give it as a variable of `env`"
        if step.get("uses", "").startswith("actions/checkout@"):
            if step.get("with", {}).get("persist-credentials") is not False:
                yield f"{name}: persist-credentials: false is missing"


def bad_jobs(tree: dict) -> Iterator[str]:
    """Workflows without the frame that each has: permissions, concurrency, deadlines."""
    top = tree.get("permissions")
    if not isinstance(top, dict) or any(right == "write" for right in top.values()):
        yield "permissions at the top are missing, or let something be written"
    if "concurrency" not in tree:
        yield "concurrency is missing"
    for name, job in tree["jobs"].items():
        if "timeout-minutes" not in job:
            yield f"job {name}: timeout-minutes is missing"
        if not top and "permissions" not in job:
            yield f"job {name}: permissions are missing"


def complaints(file: Path, seen: dict[str, tuple[str, str]]) -> Iterator[str]:
    """What is wrong with one file."""
    text = file.read_text()
    tree = YAML(typ="safe", pure=True).load(text)
    yield from bad_pins(text, seen)
    yield from bad_steps(tree)
    if "jobs" in tree:
        yield from bad_jobs(tree)


def main() -> int:
    """Returns the exit code."""
    seen: dict[str, tuple[str, str]] = {}
    found = [f"{file}: {what}" for file in map(Path, sys.argv[1:]) for what in complaints(file, seen)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
