"""Owns docs/evidence/against.md: real pull requests in a real repository, each judged by `perfgate check --against
main`, and unchanged ones that are measured nevertheless.

Resumable: a case that is done is kept in the folder. Run by `scripts/evidence.sh against`, with SciPy on the path.
"""

import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".perfgate/evidence/against"
REPO = FOLDER / "repository"
MODELS = ROOT / ".perfgate/models/smollm2-135m"
RUNTIMES = {"new": ROOT / ".perfgate/runtimes/openvino-2026.4.1", "old": FOLDER / "openvino-2025.4.1"}
PERFGATE = ROOT / "target/release/perfgate"
SAME = 6  # unchanged pull requests that are measured

CONFIG = f"""reference = "fp16"
[workload]
tasks = "agent.jsonl"
prompt_tokens = 64
gen_tokens = 16
[quality]
tasks = "tool-calls.jsonl"
prompt_template = "tool-calls.jinja"
max_tokens = 48
stop = ["\\n"]
variants = ["int8"]
[session]
rounds = 6
[variants.fp16]
engine = "openvino"
model = "{MODELS}/ov-fp16"
runtime = "{RUNTIMES['new']}"
threads = 2
chat_template = "none"
properties = {{ INFERENCE_PRECISION_HINT = "f32", KV_CACHE_PRECISION = "f16" }}
[variants.int8]
engine = "openvino"
model = "{MODELS}/ov-int8"
runtime = "{RUNTIMES['new']}" # of int8
threads = 2 # of int8
chat_template = "none" # of int8
properties = {{ INFERENCE_PRECISION_HINT = "f32", KV_CACHE_PRECISION = "f16" }}
"""

RULES = """[defaults]
variant = "int8"
against = "base"
[rules]
throughput = "5%"
latency = "5%"
latency-p90 = { metric = "latency", statistic = "p90", limit = "10%" }
ttft = { statistic = "median", limit = "10%" }
cold_start = "10%"
memory = "5%"
model_size = "1%"
accuracy = "1pt"
task_failure_rate = { limit = "2pt" }
"""

GRADED = "graded"  # a target branch with all graded tasks, 96; main has 24 of them

# What a pull request does, and how it edits perfgate.toml.
CASES = [
    ("unchanged", "A comment is added to perfgate.toml", lambda text: "# nothing new\n" + text),
    ("threads", "One thread in place of two", lambda text: text.replace("threads = 2 # of int8", "threads = 1")),
    ("int4", "INT4 in place of INT8 (with all 96 graded tasks; the others with 24)", lambda text: text.replace("/ov-int8", "/ov-int4")),
    (
        "template",
        "The model's chat template around each prompt",
        lambda text: text.replace('chat_template = "none" # of int8', 'chat_template = "model"'),
    ),
    (
        "openvino",
        "OpenVINO 2025.4.1 in place of 2026.4.1",
        lambda text: text.replace(f"{RUNTIMES['new']}\" # of int8", f"{RUNTIMES['old']}\""),
    ),
    ("fp16", "`int8` points to the FP16 model", lambda text: text.replace("/ov-int8", "/ov-fp16")),
]


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=evidence", "-c", "user.email=evidence@example.com"]
    return subprocess.run(["git", *identity, *arguments], cwd=REPO, check=True, capture_output=True, text=True).stdout


def perfgate(*arguments: str) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
    return subprocess.run([PERFGATE, *arguments], cwd=REPO, capture_output=True, text=True, env=environment)


def lock() -> None:
    done = perfgate("doctor", "--lock")
    if done.returncode != 0:
        sys.exit(done.stderr)


def make_repository() -> None:
    if (REPO / ".git").exists():
        return
    REPO.mkdir(parents=True, exist_ok=True)
    git("init", "-q", "-b", "main")
    (REPO / ".gitignore").write_text(".perfgate/\n")
    for name in ["agent.jsonl", "tool-calls.jsonl", "tool-calls.jinja"]:
        lines = (ROOT / "workloads" / name).read_text().splitlines(keepends=True)
        (REPO / name).write_text("".join(lines[:24] if name == "tool-calls.jsonl" else lines))
    (REPO / "perfgate.toml").write_text(CONFIG)
    (REPO / "thresholds.toml").write_text(RULES)
    lock()
    git("add", "-A")
    git("commit", "-qm", "the target branch")
    # Some graded tasks will do where accuracy is not what is at stake.
    git("checkout", "-q", "-B", GRADED, "main")
    (REPO / "tool-calls.jsonl").write_text((ROOT / "workloads/tool-calls.jsonl").read_text())
    git("commit", "-qam", "all graded tasks")


def run(name: str, edit, *more: str, base: str = "main") -> dict:
    """Makes the pull request's commit and judges it; keeps what came of it."""
    kept = FOLDER / f"{name}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    print(f"{name} …", file=sys.stderr)
    git("checkout", "-q", "-f", "-B", name, base)
    git("clean", "-qfd")
    text = (REPO / "perfgate.toml").read_text()
    edited = edit(text)
    assert edited != text, name
    (REPO / "perfgate.toml").write_text(edited)
    lock()
    git("commit", "-qam", name)
    plan = perfgate("check", "--against", base, "--dry-run", *more).stdout
    started = time.monotonic()
    done = perfgate("check", "--against", base, "--quiet", "--format", "json", *more)
    if done.returncode not in (0, 1, 3):
        sys.exit(f"{name}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    results = json.loads((REPO / ".perfgate/benchmark_results.json").read_text())
    part = results["parts"][0]
    found = {
        "code": done.returncode,
        "report": json.loads(done.stdout),
        "verdicts": results["judgement"]["verdicts"],
        "rounds": len(part["rounds"]),
        "planned": part["header"]["plan"]["rounds"],
        "looks": (part["header"]["plan"].get("stopping") or {}).get("looks", []),
        "measured": part["header"]["plan"]["variants"],
        "plan": plan,
        "seconds": time.monotonic() - started,
    }
    kept.write_text(json.dumps(found))
    return found


def rows(found: dict) -> list[dict]:
    groups = [group for section in found["report"]["sections"] for group in section["groups"]]
    return [row for group in groups for row in group["rows"]]


def parts(found: dict) -> list[dict]:
    """What the session measured, whole."""
    session = found["report"]["sessions"][0]
    return json.loads((REPO / ".perfgate/sessions" / session / "benchmark_results.json").read_text())["parts"]


def engines(found: dict) -> str:
    """What each variant's engine said of itself."""
    versions = {}
    for worker in parts(found)[0]["rounds"][0]["workers"]:
        versions[worker["variant"]] = worker["engine"]["version"].split("-")[0]
    return ", ".join(f"{name} OpenVINO {versions[name]}" for name in found["measured"])


def case(name: str, words: str, edit) -> None:
    found = run(name, edit, base=GRADED if name == "int4" else "main")
    print(f"\n## {words}\n")
    print(f"Exit code {found['code']}. **{found['report']['headline']}**\n")
    if found["rounds"] == 0:
        print(f"Nothing was measured; {found['seconds']:.1f} s in all, the hashing of the models and prompts.\n")
    else:
        looks = ", ".join(map(str, found["looks"]))
        print(
            f"{', '.join(found['measured'])}: {found['rounds']} of at most {found['planned']} rounds (looks after "
            f"{looks}), {found['seconds']:.0f} s in all. Engines: {engines(found)}.\n"
        )
    print("| rule | base | now | change | interval | limit | verdict |\n|---|---|---|---|---|---|---|")
    for row in rows(found):
        cells = [row[key] for key in ["what", "base", "now", "change", "interval", "limit", "verdict"]]
        print(f"| {' | '.join(cells)} |")


def unchanged_ones() -> None:
    from scipy.stats import beta

    def comment(number: int):
        return lambda text: f"# {number}\n" + text

    sessions = [run(f"same-{number}", comment(number), "--measure-unchanged") for number in range(1, SAME + 1)]
    alarms = [session for session in sessions if session["code"] == 1]
    count, hits = len(sessions), len(alarms)
    low = beta.ppf(0.025, hits, count - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, count - hits)
    print("\n## Unchanged, and measured nevertheless\n")
    print(
        f"{count} such pull requests with `--measure-unchanged`, the rules as above: {hits} false alarms, "
        f"{hits / count:.0%} (95% Clopper-Pearson {low:.1%} to {high:.1%}; 5% is what the gate promises at most).\n"
    )
    print("| session | rounds | latency | throughput | cold start | verdicts |\n|---|---|---|---|---|---|")
    for number, session in enumerate(sessions, 1):
        by_id = {verdict["rule"]["id"]: verdict for verdict in session["verdicts"]}
        change = lambda rule: f"{by_id[rule]['effect']['point']:+.1%}"  # noqa: E731
        kinds: dict[str, int] = {}
        for verdict in session["verdicts"]:
            kinds[verdict["verdict"]] = kinds.get(verdict["verdict"], 0) + 1
        words = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        cells = [str(number), str(session["rounds"]), *map(change, ["latency", "throughput", "cold_start"]), words]
        print(f"| {' | '.join(cells)} |")


def bisection() -> None:
    """Five commits after the target branch, of which the third takes a thread away."""
    kept = FOLDER / "bisection.json"
    if not kept.exists():
        print("bisection …", file=sys.stderr)
        git("checkout", "-q", "-f", "-B", "bent", "main")
        for number in range(1, 6):
            text = (REPO / "perfgate.toml").read_text()
            if number == 3:
                text = text.replace("threads = 2 # of int8", "threads = 1")
            (REPO / "perfgate.toml").write_text(f"# {number}\n{text}")
            git("commit", "-qam", f"change {number}" + (", with one thread" if number == 3 else ""))
        started = time.monotonic()
        done = perfgate("bisect", "main", "bent", "latency", "--quiet", "--format", "markdown")
        if done.returncode not in (0, 3):
            sys.exit(done.stderr)
        kept.write_text(json.dumps({"text": done.stdout, "seconds": time.monotonic() - started}))
    found = json.loads(kept.read_text())
    print("\n## Which of five commits took a thread away\n")
    print(f"`perfgate bisect main bent latency`, {found['seconds']:.0f} s:\n")
    # Its headings stand below this page's.
    print(found["text"].replace("\n### ", "\n#### ").rstrip())


def logs(session: dict, variant: str) -> dict[str, float]:
    """Means of logs over a session: latency and throughput of timed requests, cold start of the rounds."""
    rounds = parts(session)[0]["rounds"]
    requests = [r for one in rounds for r in one["requests"] if r["variant"] == variant and r["phase"] == "timed"]
    stamps = [request["token_ns"] for request in requests]
    starts = [w["first_token_ns"] for one in rounds for w in one["workers"] if w["variant"] == variant]
    mean = lambda values: statistics.fmean(map(math.log, values))  # noqa: E731
    return {
        "latency": mean(times[-1] for times in stamps),
        "throughput": mean((len(times) - 1) / (times[-1] - times[0]) for times in stamps),
        "cold start": mean(starts),
    }


def noise() -> str:
    """What each kind of comparison says of a change when there is none, as a table."""
    sessions = [run(f"same-{number}", None) for number in range(1, SAME + 1)]
    now, base, reference = ([logs(s, name) for s in sessions] for name in ["int8", "int8@base", "fp16"])
    rounds = {session["rounds"] for session in sessions}
    lines = [
        f"Standard deviation of the change that each shows where there is none, over {len(sessions)} sessions of "
        f"{'/'.join(map(str, sorted(rounds)))} rounds on one virtual machine within one morning (`scripts/evidence.sh "
        "against`; other sessions: that of one session's value, times the square root of two):",
        "",
        "| comparison | latency | throughput | cold start |",
        "|---|---|---|---|",
    ]

    def row(title: str, deviation) -> None:
        cells = [f"{deviation(metric):.1%}" for metric in ["latency", "throughput", "cold start"]]
        lines.append(f"| {title} | {' | '.join(cells)} |")

    ratio = lambda metric: [a[metric] - b[metric] for a, b in zip(now, base)]  # noqa: E731
    through = lambda metric: [a[metric] - b[metric] for a, b in zip(now, reference)]  # noqa: E731
    row("base beside head, in lockstep (`--against`)", lambda m: statistics.stdev(ratio(m)))
    row("another session, same machine", lambda m: math.sqrt(2) * statistics.stdev([a[m] for a in now]))
    row("another session, through the reference variant", lambda m: math.sqrt(2) * statistics.stdev(through(m)))
    return "\n".join(lines)


def write_noise() -> None:
    page = ROOT / "docs/baselines.md"
    head, rest = page.read_text().split("<!-- noise -->\n")
    tail = rest.split("<!-- /noise -->")[1]
    page.write_text(f"{head}<!-- noise -->\n{noise()}\n<!-- /noise -->{tail}")


def main() -> None:
    make_repository()
    version = subprocess.run([PERFGATE, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print("# Pull requests against their base\n")
    print(f"Made by `scripts/evidence.sh against` with {version}, on {cpu()}.\n")
    print(
        "A repository with SmolLM2-135M in OpenVINO: FP16 as the reference, INT8 as what is deployed. Each pull request "
        "below is a commit on a branch of its own, judged by `perfgate check --against main`: the base's INT8 runs beside "
        "the change's, in lockstep, by the rules of `main`:\n"
    )
    print(f"```toml\n{RULES}```")
    for name, words, edit in CASES:
        case(name, words, edit)
    bisection()
    unchanged_ones()
    print(f"\n## The noise of each comparison\n\n{noise()}")
    write_noise()


def cpu() -> str:
    text = Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", text)
    return f"{os.cpu_count()} CPUs of {name.group(1) if name else 'an unnamed processor'}"


if __name__ == "__main__":
    main()
