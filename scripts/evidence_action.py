"""Owns docs/evidence/action.md: the GitHub action on a real model, played step by step on this machine: a pull request
that makes INT8 slower, and the push after it that takes that back. Each measures with OpenVINO, beside its base.

Run by `scripts/evidence.sh action`, with the trial's tools on the path.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import evidence_against as real
import play_place
from play_action import Played
from play_place import NUMBER, PERFGATE, Place, git

FILES = ["agent.jsonl", "tool-calls.jsonl", "tool-calls.jinja"]


def slower(text: str) -> str:
    return text.replace("threads = 2 # of int8", "threads = 1 # of int8")


class RealPlace(Place):
    """A pull request with the models and the workload of docs/evidence/against.md."""

    def make_repository(self, configuration: str) -> None:
        git(self.workspace, "init", "-q", "-b", "main")
        (self.workspace / ".gitignore").write_text(".perfgate/\n")
        for name in FILES:
            lines = (real.ROOT / "workloads" / name).read_text().splitlines(keepends=True)
            (self.project / name).write_text("".join(lines[:24] if name == "tool-calls.jsonl" else lines))
        (self.project / "thresholds.toml").write_text(real.RULES)
        self.write(configuration)
        subprocess.run([PERFGATE, "doctor", "--lock"], cwd=self.project, check=True, capture_output=True)
        self.base_sha = self.commit("the target branch")
        git(self.workspace, "checkout", "-qb", "change")
        self.push(slower, "one thread for INT8")

    def push(self, edit, message: str) -> None:
        """A commit on the pull request, and the merge that GitHub checks out."""
        git(self.workspace, "checkout", "-q", "change")
        self.write(edit((self.project / play_place.CONFIG).read_text()))
        self.head_sha = self.commit(message)
        git(self.workspace, "checkout", "-q", "--detach", "main")
        git(self.workspace, "merge", "-q", "--no-ff", "-m", "merge", "change")
        self.merge_sha = git(self.workspace, "rev-parse", "HEAD")
        self.github.pulls[NUMBER] = self.pull()

    def run(self, number: str) -> tuple[Played, float]:
        event = {"pull_request": self.pull(), "repository": self.repository(play_place.HOME)}
        began = time.monotonic()
        played = self.gate(self.job("pull_request", event, run_id=number))
        return played, time.monotonic() - began


def quoted(body: str) -> str:
    """A comment as it is shown, set apart."""
    body = body.replace(str(real.ROOT), "/home/you/perfgate")
    return "".join(f"> {line}".rstrip() + "\n" for line in body.splitlines())


def told(place: RealPlace, title: str, run: str) -> str:
    played, seconds = place.run(run)
    marks = [f"`{mark['file']}`, line {mark['line']}: {mark['title']}" for mark in played.annotations("error") if "line" in mark]
    body = list(place.github.comments.values())[-1]["body"]
    lines = [
        f"## {title}",
        "",
        f"The job: {played.conclusion}, exit code {played.exit_code}, {seconds:.0f} s. Output `verdict`: "
        f"`{played.outputs['verdict']}`. Annotations: {'; '.join(marks) or 'none'}. "
        f"Comments on the pull request: {len(place.github.comments)}. The artifact: "
        f"{', '.join(f'`{name}`' for name in sorted(place.artifact_of(run)))}.",
        "",
        quoted(body),
    ]
    return "\n".join(lines)


def main() -> None:
    # Plain names, which are read here.
    play_place.PROJECT, play_place.CONFIG = ".", "perfgate.toml"
    folder = Path(tempfile.mkdtemp(prefix="perfgate-action-"))
    place = RealPlace(folder, real.CONFIG)
    first = told(place, "A push that gives INT8 one thread in place of two", "100")
    place.push(lambda text: text.replace("threads = 1 # of int8", "threads = 2 # of int8"), "two threads again")
    second = told(place, "The push after it takes that back", "101")
    print(
        "# The action on a real model\n\nMade by `scripts/evidence.sh action`: the steps of `action.yml`, played in the "
        "environment that GitHub gives, in a real repository with merge commits, on SmolLM2-135M with OpenVINO; GitHub's "
        "API is a server on this machine. The comment is shown as it stood on the pull request after each run. What is "
        "`unchanged` by its content is not measured twice.\n"
    )
    print(first)
    print(second)
    place.github.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
