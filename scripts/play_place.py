"""Owns the repository of a trial: a project with a base and a change, checked out as GitHub checks out a pull request,
and the job around it.
"""

import json
import os
import subprocess
import tempfile
import zipfile
from pathlib import Path

from play_action import Job, Played, Player, runner_environment
from play_github import GitHub

ROOT = Path(__file__).resolve().parent.parent
PERFGATE = Path(os.environ.get("PERFGATE_BIN", ROOT / "target/release/perfgate")).resolve()
HOME, FORK = "owner/project", "somebody/project"
NUMBER = 7
# What reaches a shell has names like these: spaces, quotes, what a shell would take for a command.
PROJECT, CONFIG = "my project's $(touch pwned)", "perf gate.toml"
# A second gate of the same project, which no change touches.
OTHER = "other gate.toml"

CONFIGURATION = """reference = "fp16"
allow = ["scripted"]
[workload]
tasks = "tasks.jsonl"
gen_tokens = 5
[session]
rounds = 4
stop = "never"
[variants.fp16]
engine = "scripted"
script = { token_ms = 5.0, jitter = 0.001 }
[variants.int8]
engine = "scripted"
script = { token_ms = 5.0, jitter = 0.001 }
"""
RULES = '[rules]\nlatency = "20%"\nfailure_rate = { limit = "60pt" }\n'
SLOWER = CONFIGURATION[::-1].replace("0.5", "0.8", 1)[::-1]
BROKEN = "this is no TOML\n"


def git(folder: Path, *arguments: str) -> str:
    """Runs git as somebody, whatever the user's own settings are."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout.strip()


def program(folder: Path, name: str, text: str) -> Path:
    """A program of bash."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/usr/bin/env bash\n{text}\n")
    file.chmod(0o755)
    return file


class Place:
    """A pull request: its repository as the checkout leaves it, the job, and GitHub around them."""

    def __init__(self, folder: Path, configuration: str, head: str = HOME):
        self.folder, self.head = folder, head
        self.artifacts, self.temp = folder / "artifacts", folder / "the temp"
        self.temp.mkdir(parents=True)
        self.github = GitHub(HOME, folder / "releases")
        self.workspace = folder / "workspace"
        self.project = self.workspace / PROJECT
        self.project.mkdir(parents=True)
        self.make_repository(configuration)
        self.github.pulls[NUMBER] = self.pull()

    def write(self, configuration: str) -> None:
        (self.project / CONFIG).write_text(configuration)

    def make_repository(self, configuration: str) -> None:
        """A base and a change, and the merge of both that a pull request is checked out as."""
        git(self.workspace, "init", "-q", "-b", "main")
        tasks = [json.dumps({"id": f"t{n}", "prompt": f"Say {n} things."}) for n in range(1, 5)]
        (self.project / "tasks.jsonl").write_text("\n".join(tasks) + "\n")
        (self.project / "thresholds.toml").write_text(RULES)
        (self.workspace / ".gitignore").write_text(".perfgate/\n")
        self.write(CONFIGURATION)
        (self.project / OTHER).write_text(CONFIGURATION)
        self.commit("base")
        git(self.workspace, "checkout", "-qb", "change")
        (self.project / "README").write_text("A change.\n")
        self.write(configuration)
        self.head_sha = self.commit("change")
        self.base_sha = git(self.workspace, "rev-parse", "main")
        git(self.workspace, "checkout", "-q", "--detach", "main")
        git(self.workspace, "merge", "-q", "--no-ff", "-m", "merge", "change")
        self.merge_sha = git(self.workspace, "rev-parse", "HEAD")

    def commit(self, message: str) -> str:
        git(self.workspace, "add", "-A")
        git(self.workspace, "commit", "-qm", message)
        return git(self.workspace, "rev-parse", "HEAD")

    def repository(self, name: str) -> dict:
        return {"full_name": name, "id": 1 if name == HOME else 2, "owner": {"login": name.split("/")[0]}}

    def pull(self) -> dict:
        head = {"sha": self.head_sha, "ref": "change", "repo": self.repository(self.head)}
        base = {"sha": self.base_sha, "ref": "main", "repo": self.repository(HOME)}
        return {"number": NUMBER, "state": "open", "head": head, "base": base}

    def job(self, name: str, event: dict, **github: str) -> Job:
        said = {
            "ref": f"refs/pull/{NUMBER}/merge",
            "sha": self.merge_sha,
            "actor": "somebody",
            "repository": HOME,
            "run_id": "100",
            "run_attempt": "1",
            "server_url": self.github.url,
            "api_url": f"{self.github.url}/api",
            "token": "the-token",
            "action_repository": "",
            **github,
        }
        temp = Path(tempfile.mkdtemp(dir=self.temp))
        environment = {**runner_environment(), "TRIAL": "1"}
        return Job(self.workspace, temp, name, event, said, environment, self.artifacts)

    def gate(self, job: Job | None = None, **inputs: str) -> Played:
        """Plays the gate, by default in a pull request's job."""
        event = {"pull_request": self.pull(), "repository": self.repository(HOME)}
        given = {
            "binary": str(PERFGATE), "working-directory": PROJECT, "config": CONFIG, "artifact-name": "perfgate", **inputs,
        }  # fmt: skip
        return Player(ROOT, job or self.job("pull_request", event), given).play()

    def fork_comment(self, **inputs: str) -> Played:
        """Plays the comment of the workflow that runs after a fork's run."""
        run = {
            "id": 100, "run_attempt": 1, "event": "pull_request", "conclusion": "failure", "pull_requests": [],
            "html_url": f"{self.github.url}/{HOME}/actions/runs/100", "head_sha": self.head_sha,
            "head_branch": "change", "head_repository": self.repository(self.head),
        }  # fmt: skip
        event = {"workflow_run": run, "repository": self.repository(HOME)}
        job = self.job("workflow_run", event, ref="refs/heads/main", sha=self.base_sha, run_id="101")
        return Player(ROOT / "comment", job, {
            "binary": str(PERFGATE), "working-directory": PROJECT, "config": CONFIG, "artifact-name": "perfgate", **inputs,
        }).play()  # fmt: skip

    def artifact(self) -> dict[str, str]:
        """The files of the run's artifact."""
        return self.artifact_of("100")

    def artifact_of(self, run: str) -> dict[str, str]:
        """The files of a run's artifact."""
        file = self.artifacts / run / "perfgate.zip"
        if not file.exists():
            return {}
        with zipfile.ZipFile(file) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}

    def bodies(self) -> list[str]:
        return [comment["body"] for comment in self.github.comments.values()]

    def nothing_was_run(self) -> None:
        """No name was taken for a command."""
        found = list(self.folder.rglob("pwned"))
        assert not found, found
