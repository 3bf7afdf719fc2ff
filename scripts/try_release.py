"""Owns the trial of what comes before and after the gate: the step that gets perfgate from a release or builds it,
the script that makes a release's files, and the one that proposes stored sessions. scripts/try_action.py runs it.
"""

import os
import subprocess
from pathlib import Path

from play_action import read_outputs, runner_environment
from play_github import GitHub
from play_place import ROOT, git, program


class Release:
    """The action's own folder, as the runner lays it out, and a server with a release of it."""

    VERSION = next(
        line.split('"')[1] for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("version")
    )

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "_actions/owner/perfgate/v1"
        self.github = GitHub("owner/perfgate", folder / "server")
        self.files = folder / f"server/owner/perfgate/releases/download/v{self.VERSION}"
        self.files.mkdir(parents=True)
        (self.root / "scripts").mkdir(parents=True)
        subprocess.run(["cp", "-r", ROOT / "scripts/action", self.root / "scripts/"], check=True)
        for name in ("Cargo.toml", "LICENSE"):
            (self.root / name).write_bytes((ROOT / name).read_bytes())
        self.cargo = program(folder, "cargo", self.stand_in())

    def stand_in(self) -> str:
        """A cargo that writes down how it was called, and makes a perfgate that says its version."""
        return f"""echo "$PWD $* ${{GH_TOKEN:-no token}}" >>"{self.folder}/cargo.log"
for last; do :; done
target=target
[[ $* != *--target-dir* ]] || target=$last
mkdir -p "$target/release"
printf '#!/bin/sh\\necho "perfgate {self.VERSION}"\\n' >"$target/release/perfgate"
chmod +x "$target/release/perfgate\""""

    def publish(self, platform: str | None = None) -> Path:
        """Makes the release's files, by the script that makes them for a tag."""
        platform = platform or f"linux-{os.uname().machine}"
        done = self.pack(f"v{self.VERSION}", platform)
        assert done.returncode == 0, done.stderr
        archive = self.files / f"perfgate-{self.VERSION}-{platform}.tar.gz"
        archive.write_bytes((self.root / "dist" / archive.name).read_bytes())
        self.sum_up(archive)
        (self.folder / "cargo.log").unlink()
        return archive

    def sum_up(self, archive: Path) -> None:
        """Writes the checksums."""
        with (self.files / "SHA256SUMS").open("w") as sums:
            subprocess.run(["sha256sum", archive.name], cwd=self.files, stdout=sums, check=True)

    def pack(self, tag: str, platform: str) -> subprocess.CompletedProcess:
        variables = {**runner_environment(), "CARGO": str(self.cargo), "PLATFORM": platform, "GITHUB_REF_NAME": tag}
        script = self.root / "scripts/action/pack.sh"
        return subprocess.run(["bash", script], env=variables, capture_output=True, text=True, check=False)

    def get(self, gh: str | None = None, **variables: str) -> tuple[dict[str, str], str]:
        """Runs the step that gets perfgate; its outputs, and how cargo was called."""
        log, output = self.folder / "cargo.log", self.folder / "output"
        log.write_text("")
        output.write_text("")
        # Of all programs that may be installed, gh alone makes a difference.
        programs = self.folder / ("with-gh" if gh is not None else "without-gh")
        self.link_programs(programs)
        if gh is not None:
            program(programs, "gh", gh)
        environment = {
            "PATH": str(programs), "GITHUB_SERVER_URL": self.github.url, "GITHUB_OUTPUT": str(output),
            "RUNNER_TEMP": str(self.folder / "the temp"), "CARGO": str(self.cargo), "GH_TOKEN": "t", **variables,
        }  # fmt: skip
        script = self.root / "scripts/action/binary.sh"
        done = subprocess.run(["/bin/bash", script], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return read_outputs(output.read_text()), log.read_text()

    def link_programs(self, folder: Path) -> None:
        names = "bash env uname cut sed head mktemp mkdir curl awk basename sha256sum tar gzip dirname cat chmod"
        folder.mkdir(exist_ok=True)
        for name in names.split():
            if not (folder / name).exists():
                real = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
                (folder / name).symlink_to(real)


ATTESTED = """echo '[{"verificationResult": {}}]'; echo "$*" >"$(dirname "$0")/said\""""


def the_release_s_binary_is_verified(folder: Path) -> None:
    release = Release(folder)
    release.publish()
    for gh in (None, ATTESTED):
        outputs, built = release.get(gh)
        assert outputs["source"] == "release" and not built, (outputs, built)
        said = subprocess.run([outputs["binary"]], capture_output=True, text=True, check=True).stdout
        assert said == f"perfgate {release.VERSION}\n"
    asked = (folder / "with-gh/said").read_text()
    for part in ("--repo owner/perfgate", "--signer-workflow owner/perfgate/.github/workflows/release.yml",
                 f"--source-ref refs/tags/v{release.VERSION}"):  # fmt: skip
        assert part in asked, asked
    # The runner may say whose the action is.
    outputs, _ = release.get(ACTION_REPOSITORY="owner/perfgate", VERSION=f"v{release.VERSION}")
    assert outputs["source"] == "release", outputs
    # A local action is the change's own code, of which there is no release.
    outputs, built = release.get(ACTION_REPOSITORY="owner/perfgate", GITHUB_WORKSPACE=str(release.root))
    assert_built(release, outputs, built)
    assert release.pack("v9.9.9", "linux-x86_64").returncode == 1, "a tag that is not the version"


def what_cannot_be_verified_is_built_and_never_run(folder: Path) -> None:
    release = Release(folder)
    archive = release.publish()
    # No attestation, or a gh of the kind that says nothing and ends well.
    for gh in ("exit 1", "exit 0"):
        outputs, built = release.get(gh)
        assert_built(release, outputs, built)
    (release.files / "SHA256SUMS").rename(folder / "kept")
    assert_built(release, *release.get())
    (folder / "kept").rename(release.files / "SHA256SUMS")
    archive.write_bytes(archive.read_bytes() + b"x")
    outputs, built = release.get()
    assert "is not what the SHA256SUMS beside it say" in outputs["problem"], outputs
    assert "binary" not in outputs and not built, (outputs, built)
    archive.unlink()
    assert_built(release, *release.get())
    assert_built(release, *release.get(ACTION_REPOSITORY="owner/another"))
    for variables, said in [
        ({"BUILD": "never"}, "build-from-source is never"),
        ({"VERSION": "9.9.9"}, f"the action's own source is of {release.VERSION}"),
        ({"VERSION": "1.0/../../../other"}, "is no version"),
        ({"BUILD": "perhaps"}, "is none of auto, always, never"),
        ({"CARGO": "/no/cargo"}, "cargo is not installed"),
        ({"CARGO": "/bin/false"}, "could not be built"),
    ]:
        outputs, _ = release.get(**variables)
        assert said in outputs["problem"] and "binary" not in outputs, (variables, outputs)
    # One that does not run here, as for want of a newer C library.
    publish_unfit(release)
    assert_built(release, *release.get())


def publish_unfit(release: Release) -> None:
    """A binary that is what the checksums say, and does not start."""
    archive = release.publish()
    broken = program(release.root / "unfit", "perfgate", "echo version GLIBC_9.99 not found; exit 1")
    subprocess.run(["tar", "-czf", archive, "-C", broken.parent, "perfgate"], check=True)
    release.sum_up(archive)


def assert_built(release: Release, outputs: dict[str, str], built: str) -> None:
    assert outputs.get("source") == "build", outputs
    assert built.startswith(f"{release.root} build --release --locked --bin perfgate"), built
    assert built.endswith(" no token\n"), built
    assert Path(outputs["binary"]).exists()


def a_new_baseline_is_a_pull_request(folder: Path) -> None:
    origin, clone = folder / "origin", folder / "clone"
    git(folder, "init", "-q", "--bare", "-b", "main", str(origin))
    git(folder, "clone", "-q", str(origin), str(clone))
    git(clone, "commit", "-q", "--allow-empty", "-m", "first")
    git(clone, "push", "-q", "origin", "HEAD:main")
    before = git(origin, "rev-parse", "main")
    programs = folder / "programs"
    program(programs, "gh", f'echo "$*" >>"{folder}/gh.log"; [[ "$1 $2" != "pr list" ]] || cat "{folder}/open"')
    (folder / "open").write_text("")
    script = ROOT / "scripts/action/propose_baseline.sh"
    base = runner_environment()
    variables = {**base, "PATH": f"{programs}:{base['PATH']}", "FOLDER": "baselines", "BASE": "main",
                 "BRANCH": "perfgate/baseline", "GH_TOKEN": "t"}  # fmt: skip
    for round_, calls in [(1, ["pr list", "pr create"]), (2, ["pr list"])]:
        git(clone, "checkout", "-q", "main")
        (clone / "baselines").mkdir(exist_ok=True)
        (clone / f"baselines/{round_}.json").write_text("{}")
        subprocess.run(["bash", script], cwd=clone, env=variables, check=True, capture_output=True)
        assert git(origin, "rev-parse", "main") == before, "nothing is pushed to the default branch"
        assert f"baselines/{round_}.json" in git(origin, "ls-tree", "-r", "--name-only", "perfgate/baseline")
        log = (folder / "gh.log").read_text()
        assert [call for call in ("pr list", "pr create") if call in log] == calls, log
        (folder / "gh.log").unlink()
        (folder / "open").write_text("12\n")


CASES = [
    the_release_s_binary_is_verified,
    what_cannot_be_verified_is_built_and_never_run,
    a_new_baseline_is_a_pull_request,
]
