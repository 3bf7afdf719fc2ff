"""Owns the playing of a composite action as GitHub's runner would: its steps, conditions, variables and files. The
actions that it uses are played by the few lines of each that matter here.
"""

import json
import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from play_expressions import Open, Unknown, filled_in, holds
from ruamel.yaml import YAML

SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}
ANNOTATION = re.compile(r"^::(error|warning|notice)(?: (.*?))?::(.*)$", re.M)
# As the runner reads the texts of commands, and with the last two their properties.
ESCAPES = {"%0A": "\n", "%0D": "\r", "%3A": ":", "%2C": ",", "%25": "%"}


@dataclass
class Job:
    """What a job gives to each of its steps."""

    workspace: Path
    temp: Path
    event_name: str
    event: Mapping
    # Of the `github` context, what depends on the event: ref, sha, actor, …
    github: dict[str, str]
    # Variables of the runner's own environment.
    environment: dict[str, str]
    # Where artifacts are kept, a folder for each run.
    artifacts: Path
    cancelled: bool = False


@dataclass
class Played:
    """What came of an action."""

    conclusion: str = "success"
    exit_code: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, dict] = field(default_factory=dict)
    # Names of the steps that were run, in their order.
    ran: list[str] = field(default_factory=list)
    log: str = ""
    summary: str = ""

    def annotations(self, level: str) -> list[dict[str, str]]:
        """The annotations of a level: `text`, and `file`, `line` and `title` where they have them."""
        found = []
        for kind, properties, text in ANNOTATION.findall(self.log):
            pairs = dict(pair.split("=", 1) for pair in properties.split(",") if pair)
            if kind == level:
                found.append({name: unescaped(value) for name, value in {**pairs, "text": text}.items()})
        return found


def unescaped(text: str) -> str:
    """A text or a property of a command, as a person reads it."""
    return re.sub("|".join(ESCAPES), lambda match: ESCAPES[match[0]], text)


def read_outputs(text: str) -> dict[str, str]:
    """A file of outputs, by the runner's own rules: a line that is none of its two forms is an error."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        equals, twice = line.find("="), line.find("<<")
        if twice > 0 and not 0 <= equals < twice:
            name, mark, value = line[:twice], line[twice + 2 :], []
            for part in lines:
                if part == mark:
                    break
                value.append(part)
            else:
                raise ValueError(f"the value of {name} has no end")
            found[name] = "\n".join(value)
        elif equals > 0:
            found[line[:equals]] = line[equals + 1 :]
        else:
            raise ValueError(f"{line!r} is no output")
    return found


class Player:
    """Plays one action in one job."""

    def __init__(self, folder: Path, job: Job, inputs: Mapping[str, str]):
        self.folder, self.job = folder.resolve(), job
        self.action = YAML(typ="safe", pure=True).load((folder / "action.yml").read_text())
        self.done = Played()
        self.environment = self.base_environment()
        self.inputs = self.all_inputs(inputs)

    def base_environment(self) -> dict[str, str]:
        """What the runner sets, before any step's own."""
        job = self.job
        event = job.temp / "event.json"
        event.write_text(json.dumps(job.event))
        self.summary_file = job.temp / "summary.md"
        self.summary_file.write_text("")
        names = ("ref", "sha", "actor", "repository", "run_id", "run_attempt", "server_url", "api_url")
        return {
            **job.environment,
            **{f"GITHUB_{name.upper()}": job.github[name] for name in names},
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(self.folder),
            "GITHUB_EVENT_NAME": job.event_name,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_STEP_SUMMARY": str(self.summary_file),
            "GITHUB_WORKSPACE": str(job.workspace),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_TEMP": str(job.temp),
        }

    def all_inputs(self, given: Mapping[str, str]) -> dict[str, str]:
        """The inputs with their defaults; one that the action does not have is an error."""
        known = self.action.get("inputs", {})
        for name in given.keys() - known.keys():
            raise Unknown(f"the input {name}")
        return {name: given.get(name, self.fill(str(about.get("default", "")))) for name, about in known.items()}

    def contexts(self) -> dict[str, Mapping]:
        """What expressions may name."""
        job = self.job
        github = {
            **job.github,
            "event": Open(job.event),
            "event_name": job.event_name,
            "action_path": str(self.folder),
            "workspace": str(job.workspace),
        }
        runner = {"os": "Linux", "arch": "X64", "temp": str(job.temp)}
        steps = {name: {**step, "outputs": Open(step["outputs"])} for name, step in self.done.steps.items()}
        return {"inputs": getattr(self, "inputs", {}), "steps": steps, "github": github, "runner": runner}

    def functions(self) -> dict[str, Callable]:
        """The functions that ask for the status; what else an action would use is not played."""
        good = self.done.conclusion == "success"
        return {
            "always": lambda: True,
            "cancelled": lambda: self.job.cancelled,
            "success": lambda: good and not self.job.cancelled,
            "failure": lambda: not good and not self.job.cancelled,
        }

    def fill(self, text: str) -> str:
        return filled_in(text, self.contexts(), self.functions())

    def fill_all(self, given: Mapping) -> dict[str, str]:
        """Variables or inputs as texts; true and false as YAML writes them."""
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
        return {name: self.fill(text) for name, text in texts.items()}

    def play(self) -> Played:
        """Plays all steps."""
        for step in self.action["runs"]["steps"]:
            self.play_step(step)
        for name, about in self.action.get("outputs", {}).items():
            self.done.outputs[name] = self.fill(about["value"])
        self.done.summary = self.summary_file.read_text()
        return self.done

    def play_step(self, step: Mapping) -> None:
        name = step.get("name", step.get("id", "?"))
        if not holds(str(step.get("if", "success()")), self.contexts(), self.functions()):
            self.keep(step, "skipped", {})
            return
        self.done.ran.append(name)
        code, outputs = self.use(step) if "uses" in step else self.run(step)
        self.keep(step, "success" if code == 0 else "failure", outputs)
        if code != 0 and not step.get("continue-on-error", False):
            self.done.conclusion = "failure"
            self.done.exit_code = self.done.exit_code or code

    def keep(self, step: Mapping, outcome: str, outputs: dict[str, str]) -> None:
        if "id" in step:
            self.done.steps[step["id"]] = {"outcome": outcome, "outputs": outputs}

    def run(self, step: Mapping) -> tuple[int, dict[str, str]]:
        """A step of the shell: its exit code and outputs."""
        output = Path(tempfile.mkstemp(dir=self.job.temp, prefix="output-")[1])
        environment = {**self.environment, **self.fill_all(step.get("env", {})), "GITHUB_OUTPUT": str(output)}
        script = Path(tempfile.mkstemp(dir=self.job.temp, suffix=".sh")[1])
        # Not filled in: no `run` of this repository holds an expression (check_workflows.py).
        script.write_text(step["run"])
        command = [*SHELLS[step["shell"]], str(script)]
        folder = self.job.workspace / self.fill(step.get("working-directory", "."))
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300, check=False,
        )  # fmt: skip
        self.done.log += done.stdout
        return done.returncode, read_outputs(output.read_text())

    def use(self, step: Mapping) -> tuple[int, dict[str, str]]:
        """A step of another action."""
        known = {
            "actions/cache/restore": self.restore,
            "actions/cache/save": self.save,
            "actions/upload-artifact": self.upload,
            "actions/download-artifact": self.download,
        }
        action = step["uses"].split("@")[0]
        if action not in known:
            raise Unknown(f"the action {action}")
        return known[action](self.fill_all(step.get("with", {})))

    def restore(self, given: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """A cache that never holds anything."""
        assert given["path"] and given["key"], given
        return 0, {"cache-hit": ""}

    def save(self, given: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """A cache that takes everything."""
        assert given["path"] and given["key"], given
        return 0, {}

    def upload(self, given: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """Packs a folder without its hidden files, as the real one does."""
        run = self.job.artifacts / self.job.github["run_id"]
        run.mkdir(parents=True, exist_ok=True)
        files = [file for file in Path(given["path"]).rglob("*") if file.is_file() and not file.name.startswith(".")]
        if not files:
            return 0, {}
        with zipfile.ZipFile(run / f"{given['name']}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(given["path"]))
        return 0, {"artifact-id": "1"}

    def download(self, given: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """Hands out an artifact as it is."""
        assert given["skip-decompress"] == "true" and given["github-token"], given
        archive = self.job.artifacts / given["run-id"] / f"{given['name']}.zip"
        if not archive.exists():
            return 1, {}
        folder = Path(given["path"])
        folder.mkdir()
        (folder / archive.name).write_bytes(archive.read_bytes())
        return 0, {}


def runner_environment() -> dict[str, str]:
    """The variables of a runner that says nothing yet of any job."""
    kept = ("PATH", "HOME", "LANG", "RUSTUP_HOME", "CARGO_HOME")
    return {name: os.environ[name] for name in kept if name in os.environ}
