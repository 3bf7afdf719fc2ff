"""Owns the trial of the actions: their steps, played as GitHub's runner would, in real repositories with the merge
commits that GitHub makes, against a GitHub on this machine. Measured is with the scripted engine.

usage: try_action.py [CASE…]   (scripts/try_action.sh runs it, with its tools on the path)
environment: PERFGATE_BIN, the binary that measures (default: target/release/perfgate)
"""

import json
import re
import stat
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from pathlib import Path

import try_release
from play_action import Played
from play_expressions import Expression, Open, Unknown, holds
from play_place import BROKEN, CONFIG, CONFIGURATION, FORK, HOME, NUMBER, OTHER, PROJECT, ROOT, SLOWER, Place, git, program
from ruamel.yaml import YAML

REPORTS = {"benchmark_results.json", "report.html", "report.md", "junit.xml"}


def assert_red(played: Played, code: int) -> None:
    assert (played.conclusion, played.exit_code) == ("failure", code), played.log
    assert played.ran[-1] == "Pass or fail", "everything else comes before"


def assert_green(played: Played) -> None:
    assert (played.conclusion, played.exit_code) == ("success", 0), played.log


def assert_reports(place: Place, played: Played) -> None:
    """Every report is there, in the artifact and behind the outputs."""
    artifact = place.artifact()
    assert artifact.keys() == REPORTS, artifact.keys()
    assert json.loads(artifact["benchmark_results.json"])["reference"] == "fp16"
    for output, name in [("results", "benchmark_results.json"), ("report-html", "report.html"),
                         ("report-markdown", "report.md"), ("junit", "junit.xml")]:  # fmt: skip
        assert Path(played.outputs[output]).read_text() == artifact[name], output
    assert "<testsuites" in artifact["junit.xml"], artifact["junit.xml"][:200]
    assert "<html" in artifact["report.html"]


def a_regression_is_red(folder: Path) -> None:
    place = Place(folder, SLOWER)
    played = place.gate()
    assert_red(played, 1)
    outputs = played.outputs
    assert (outputs["verdict"], outputs["exit-code"], outputs["regressions"]) == ("regressed", "1", "2"), outputs
    assert outputs["headline"].startswith("REGRESSION: ") and outputs["problem"] == "", outputs
    assert_reports(place, played)
    assert "latency" in played.summary and "REGRESSION" in played.summary, played.summary
    place_of_rule = {"file": f"{PROJECT}/thresholds.toml", "line": "2"}
    errors = played.annotations("error")
    assert any(place_of_rule.items() <= error.items() and "latency" in error["title"] for error in errors), errors
    [body] = place.bodies()
    assert "latency" in body, body
    # The comment is one, and is brought up to date.
    assert_red(place.gate(), 1)
    assert len(place.bodies()) == 1
    place.nothing_was_run()


def a_clean_change_is_green(folder: Path) -> None:
    place = Place(folder, CONFIGURATION)
    played = place.gate()
    assert_green(played)
    assert played.outputs["verdict"] == "holds" and played.outputs["regressions"] == "0", played.outputs
    assert_reports(place, played)
    assert len(place.bodies()) == 1 and "PASS" in played.summary
    assert not played.annotations("error"), played.log
    assert [step for step in played.ran if "answers" in step or "models" in step] == [
        "Restore models and runtimes", "Restore answers to graded tasks",
        "Keep models and runtimes", "Keep answers to graded tasks",
    ], played.ran  # fmt: skip
    # Nothing is asked for where it is not wanted.
    place.github.comments.clear()
    place.github.requests.clear()
    quiet = place.gate(**{"comment": "never", "upload-artifact": "false", "cache": "false"})
    assert_green(quiet)
    assert quiet.ran == ["Get perfgate", "Plan", "Measure", "Pass or fail"], quiet.ran
    assert not place.github.requests
    place.nothing_was_run()


def a_push_is_held_against_nothing_and_not_commented(folder: Path) -> None:
    place = Place(folder, SLOWER)
    git(place.workspace, "checkout", "-q", "main")
    job = place.job("push", {}, ref="refs/heads/main", sha=place.base_sha)
    played = place.gate(job)
    assert_green(played)
    assert "int8@base" not in played.outputs["headline"] + played.summary
    assert not place.github.requests
    # Against a commit that is named.
    job = place.job("push", {}, ref="refs/heads/main", sha=place.base_sha)
    git(place.workspace, "checkout", "-q", "change")
    assert_red(place.gate(job, against="main"), 1)


def a_merge_queue_is_held_against_the_target_branch(folder: Path) -> None:
    place = Place(folder, SLOWER)
    event = {"merge_group": {"base_sha": place.base_sha, "base_ref": "refs/heads/main"}}
    played = place.gate(place.job("merge_group", event, ref=f"refs/heads/gh-readonly-queue/main/pr-{NUMBER}"))
    assert_red(played, 1)
    assert place.base_sha[:12] in played.log and "int8@base" in played.log, played.log
    assert not place.github.requests


def a_fork_s_token_is_not_tried(folder: Path) -> None:
    for head, actor in [(FORK, "somebody"), (HOME, "dependabot[bot]")]:
        place = Place(folder / actor, SLOWER, head)
        event = {"pull_request": place.pull(), "repository": place.repository(HOME)}
        played = place.gate(place.job("pull_request", event, actor=actor))
        assert_red(played, 1)
        assert_reports(place, played)
        assert not place.github.requests, place.github.requests
        [notice] = played.annotations("notice")
        assert "second workflow" in notice["text"] and notice["text"] in played.summary, (notice, played.summary)
        cached = any("Restore" in step for step in played.ran)
        assert cached == (head == HOME), "a stranger's pull request has a cache that it may have filled"


def a_fork_s_run_is_commented_by_the_second_workflow(folder: Path) -> None:
    place = Place(folder, SLOWER, FORK)
    assert_red(place.gate(), 1)
    played = place.fork_comment()
    assert_green(played)
    [body] = place.bodies()
    assert "latency" in body, body
    assert place.github.comments[1]["number"] == NUMBER
    # A run that left nothing.
    (place.artifacts / "100/perfgate.zip").unlink()
    assert_green(place.fork_comment())
    assert len(place.bodies()) == 1


def two_gates_of_a_run_keep_a_comment_and_an_artifact_each(folder: Path) -> None:
    """The green gate comes last and its report does not replace the red one's; neither is named by the workflow."""
    for head in (HOME, FORK):
        place = Place(folder / head, SLOWER, head)
        gates = [{"config": name, "artifact-name": ""} for name in (CONFIG, OTHER)]
        red, green = (place.gate(**gate) for gate in gates)
        assert_red(red, 1)
        assert_green(green)
        files = sorted(file.name for file in (place.artifacts / "100").iterdir())
        assert len(files) == 2 and all(name.startswith("perfgate-") for name in files), files
        if head == FORK:
            assert not place.github.requests, place.github.requests
            for gate in gates:
                assert_green(place.fork_comment(**gate))
        assert ["REGRESSION" in body for body in place.bodies()] == [True, False], place.bodies()
        place.nothing_was_run()


def expressions_mean_what_github_says(_: Path) -> None:
    contexts = {"inputs": {"a": "", "b": "Yes", "n": "1"}, "github": {"event": Open({"pull_request": None})}}
    functions = {"success": lambda: False, "always": lambda: True, "cancelled": lambda: False}
    for text, meant in [
        ("inputs.b == 'yes'", True),
        ("inputs.a == null && inputs.n == 1", True),
        ("github.event.pull_request.head.repo.full_name == ''", True),
        ("inputs.a || inputs.b", "Yes"),
        ("inputs.b && inputs.a", ""),
        ("!(inputs.a != '' || false) && !cancelled()", True),
        ("'it''s'", "it's"),
    ]:
        assert Expression(text, contexts, functions).value() == meant, text
    assert not holds("inputs.b == 'yes'", contexts, functions), "without a word on the status it wants success"
    assert holds("${{ always() && inputs.b == 'yes' }}", contexts, functions)
    for wrong in ("inputs.c", "steps.x.outputs.y", "github.reff", "toJSON(inputs)", "inputs.a ==", "inputs.a)"):
        try:
            Expression(wrong, contexts, functions).value()
        except Unknown:
            continue
        raise AssertionError(f"{wrong} is taken")


def the_second_workflow_comments_where_the_first_cannot(_: Path) -> None:
    workflow = YAML(typ="safe", pure=True).load((ROOT / ".github/workflows/perfgate-comment.yml").read_text())
    condition = workflow["jobs"]["comment"]["if"]
    for wanted, head, actor, event, conclusion in [
        (True, FORK, "somebody", "pull_request", "failure"),
        (True, FORK, "somebody", "pull_request", "success"),
        (True, HOME, "dependabot[bot]", "pull_request", "success"),
        (True, "", "somebody", "pull_request", "success"),  # the fork is deleted
        (False, HOME, "somebody", "pull_request", "success"),
        (False, FORK, "somebody", "push", "success"),
        (False, FORK, "somebody", "pull_request", "cancelled"),
    ]:
        repository = {"full_name": head} if head else None
        run = {"event": event, "conclusion": conclusion, "actor": {"login": actor}, "head_repository": repository}
        github = {"repository": HOME, "event": Open({"workflow_run": run})}
        assert holds(condition, {"github": github}, {"success": lambda: True}) == wanted, run


def hostile_archives(good: bytes) -> list[tuple[str, list[tuple[zipfile.ZipInfo | str, bytes]]]]:
    """What a fork might upload in place of its results, each after the words by which it is refused."""
    link = zipfile.ZipInfo("benchmark_results.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    results = "benchmark_results.json"
    return [
        ("is larger than", [(results, b'{"a": "' + b" " * (64 << 20) + b'"}')]),
        ("is larger than", [("problem.txt", b" " * 20_000)]),
        ("is no plain file", [(link, b"/etc/passwd")]),
        ("cannot be read", [(results, b"not at all")]),
        ("cannot be read", [(results, b"[" * 100_000)]),
        ("cannot be read", [("problem.txt", b"\xff\xfe\x00")]),
        ("holds no results", [(results, b"[]")]),
        ("which perfgate does not make", [(results, good), ("run.sh", b"touch pwned")]),
        ("which perfgate does not make", [(results, good), ("../../workspace/pwned", b"")]),
        ("which perfgate does not make", [("/tmp/pwned", b"")]),
        ("which perfgate does not make", [(results, good), ("deep/", b"")]),
        ("neither results nor a problem", []),
        ("two files of one name", [(results, good), (results, b"{}")]),
    ]


def a_hostile_artifact_is_refused(folder: Path) -> None:
    place = Place(folder, CONFIGURATION, FORK)
    assert_green(place.gate())
    file = place.artifacts / "100/perfgate.zip"
    good = place.artifact()["benchmark_results.json"].encode()
    for reason, entries in hostile_archives(good):
        with warnings.catch_warnings(), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            warnings.simplefilter("ignore", UserWarning)  # two files of one name, on purpose
            for entry, data in entries:
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
        assert_refused(place, reason)
    file.write_bytes(b"no archive")
    assert_refused(place, "not a zip file")
    # JSON of somebody else's: perfgate itself does not take it.
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("benchmark_results.json", '{"format": 1, "evil": "@everyone"}')
    assert_refused(place, "benchmark_results.json")


def assert_refused(place: Place, reason: str) -> None:
    played = place.fork_comment()
    assert_green(played)
    assert not place.bodies(), f"{reason}: {place.bodies()}"
    assert played.annotations("warning") and reason in played.log, f"{reason}: {played.log}"
    place.nothing_was_run()


def a_stranger_s_words_are_quoted(folder: Path) -> None:
    place = Place(folder, CONFIGURATION, FORK)
    assert_green(place.gate())
    words = "::error::@everyone <img src=x onerror=y> [click](javascript:z)\n```\n</details>\n# PASS\n"
    with zipfile.ZipFile(place.artifacts / "100/perfgate.zip", "w") as archive:
        archive.writestr("problem.txt", words)
    played = place.fork_comment()
    assert_green(played)
    [body] = place.bodies()
    # A block of code, by a fence that is longer than any within: nothing of it is live.
    block = re.search(r"^(`{4,})text\n(.*?)\n\1$", body, re.M | re.S)
    assert block and "@everyone" in block[2] and "# PASS" in block[2] and "````" not in block[2], body
    assert "everyone" not in body.replace(block[0], ""), body
    assert not played.annotations("error"), played.log


def a_check_that_cannot_run_is_red_and_says_why(folder: Path) -> None:
    place = Place(folder, BROKEN)
    played = place.gate(against="none", args="--policy-from worktree")
    assert_red(played, 2)
    outputs = played.outputs
    assert (outputs["verdict"], outputs["exit-code"], outputs["results"]) == ("error", "2", ""), outputs
    assert CONFIG in outputs["problem"], outputs
    artifact = place.artifact()
    assert artifact.keys() == {"problem.txt"} and CONFIG in artifact["problem.txt"], artifact
    assert CONFIG in played.summary, played.summary
    assert any(error.get("file", "").endswith(CONFIG) for error in played.annotations("error")), played.log
    [body] = place.bodies()
    assert CONFIG in body, body


def a_comment_that_fails_changes_nothing(folder: Path) -> None:
    for status in (500, 403):
        for configuration, code in [(CONFIGURATION, 0), (SLOWER, 1)]:
            place = Place(folder / f"{status}-{code}", configuration)
            place.github.broken = status
            played = place.gate()
            assert played.exit_code == code and (played.conclusion == "success") == (code == 0), played.log
            assert_reports(place, played)
            said = [warning["text"] for warning in played.annotations("warning")]
            assert any("comment could not be written" in text for text in said), played.log
            assert "comment could not be written" in played.summary
            assert place.github.requests and not place.bodies()


def what_is_in_an_input_is_no_command(folder: Path) -> None:
    place = Place(folder, CONFIGURATION)
    played = place.gate(args="$(touch pwned) ; touch pwned\n`touch pwned` '${IFS}'", **{"comment-id": "x; touch pwned"})
    assert_red(played, 2)
    assert "no verdict" in played.outputs["problem"], played.outputs
    assert_red(place.gate(args="--rounds '4"), 2)
    # Words as a shell would split them.
    played = place.gate(args="--rounds '5'  \"--quiet\"\n--policy-from worktree")
    assert_green(played)
    results = json.loads(place.artifact()["benchmark_results.json"])
    assert len(results["parts"][0]["rounds"]) == 5
    place.nothing_was_run()


def what_ends_without_a_verdict_is_red(folder: Path) -> None:
    place = Place(folder, CONFIGURATION)
    for text, said in [
        ("kill -9 $$", "ended by signal 9"),
        ("exit 101", "exit code 101"),
        ("exit 0", "no verdict"),
        ('echo "verdict=holds" >>"$GITHUB_OUTPUT"; kill -9 $$', "ended by signal 9"),
    ]:
        played = place.gate(binary=str(program(folder, "ends", text)))
        assert_red(played, 2)
        assert said in played.outputs["problem"] and played.outputs["verdict"] == "error", played.outputs
        assert said in place.artifact()["problem.txt"] and said in played.summary
    played = place.gate(binary=str(folder / "not-there"))
    assert_red(played, 2)
    assert "no program" in played.outputs["problem"] and "no program" in played.summary
    job = place.job("pull_request", {"pull_request": place.pull()})
    job.cancelled = True
    played = place.gate(job)
    assert_red(played, 2)
    assert played.ran == ["Pass or fail"], played.ran


CASES = [
    a_regression_is_red,
    a_clean_change_is_green,
    a_push_is_held_against_nothing_and_not_commented,
    a_merge_queue_is_held_against_the_target_branch,
    a_fork_s_token_is_not_tried,
    a_fork_s_run_is_commented_by_the_second_workflow,
    two_gates_of_a_run_keep_a_comment_and_an_artifact_each,
    expressions_mean_what_github_says,
    the_second_workflow_comments_where_the_first_cannot,
    a_hostile_artifact_is_refused,
    a_stranger_s_words_are_quoted,
    a_check_that_cannot_run_is_red_and_says_why,
    a_comment_that_fails_changes_nothing,
    what_is_in_an_input_is_no_command,
    what_ends_without_a_verdict_is_red,
    *try_release.CASES,
]


def main() -> int:
    """Returns the exit code."""
    wanted = set(sys.argv[1:]) or {case.__name__ for case in CASES}
    failed = 0
    for case in CASES:
        if case.__name__ not in wanted:
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="perfgate-trial-") as folder:
            try:
                case(Path(folder).resolve())
                word = "ok"
            except Exception:  # each case is its own, and all are to be seen
                traceback.print_exc(file=sys.stdout)
                word, failed = "FAILED", failed + 1
        print(f"{word:6} {case.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
