#!/usr/bin/env python3
"""Owns docs/evidence/bfcl.md: our graders of calls held to the Berkeley Function-Calling Leaderboard's own checker, on
every task of its data and many damaged answers to each.

    python3 scripts/evidence_bfcl.py target/release/examples/grade_answers [SHARE]

SHARE (a number from 0 to 1, default 1) takes so many of the tasks. The package is downloaded by
scripts/reference_graders.py, whose damages are used too; nothing of its data is kept. Fails if an answer is graded
otherwise than by the leaderboard and no documented rule says why.
"""

from __future__ import annotations

import ast
import collections
import io
import itertools
import json
import random
import re
import subprocess
import sys
import tokenize
import zlib
from pathlib import Path
from typing import Any, Callable, Iterator

import reference_graders as reference

PLACE = reference.PLACE.parent / "bfcl"
DATA = reference.PLACE / "bfcl" / "bfcl_eval" / "data"

# Damages of the text, a few of each for every task.


def at_random(change: Callable[[str, int, random.Random], str]) -> Callable[[str, random.Random], str]:
    return lambda text, chance: change(text, chance.randrange(len(text)), chance) if text else text


MARKS = "()[]{}'\",=:.-+*#\\ \n0aT_"
TEXT: dict[str, Callable[[str, random.Random], str]] = {
    "a character left out": at_random(lambda text, at, _: text[:at] + text[at + 1 :]),
    "a character twice": at_random(lambda text, at, _: text[:at] + text[at] + text[at:]),
    "a character more": at_random(lambda text, at, chance: text[:at] + chance.choice(MARKS) + text[at:]),
    "two characters exchanged": at_random(lambda text, at, _: text[:at] + text[at : at + 2][::-1] + text[at + 2 :]),
    "another letter case": at_random(lambda text, at, _: text[:at] + text[at].swapcase() + text[at + 1 :]),
    "cut somewhere": at_random(lambda text, at, _: text[:at]),
    "a word left out": lambda text, chance: without(text, r"\w+", chance),
    "a mark left out": lambda text, chance: without(text, r"[()\[\]{}'\",=:]", chance),
    "a number changed": lambda text, chance: put(text, r"\d", str(chance.randrange(10)), chance),
    "other quotes": lambda text, chance: put(text, r"['\"]", chance.choice("'\"`"), chance),
}
# Ways of writing the same answer, once for each task.
STYLE: dict[str, Callable[[str], str]] = {
    "in backticks": lambda text: f"`{text}`",
    "in a code fence": lambda text: f"```\n{text}\n```",
    "in a code fence with a language": lambda text: f"```python\n{text}\n```",
    "in single quotes": lambda text: f"'{text}'",
    "without the first bracket": lambda text: text[1:],
    "without the last bracket": lambda text: text[:-1],
    "in brackets twice": lambda text: f"[{text}]",
    "calls in parentheses": lambda text: f"[({text[1:-1]})]",
    "a comment behind it": lambda text: f"{text} # that is all",
    "a comment inside": lambda text: text.replace("[", "[ # calls\n", 1),
    "a semicolon behind it": lambda text: f"{text};",
    "a keyword as a value": lambda text: re.sub(r"=('[^']*'|\d+)", "=from", text, count=1),
    "an ellipsis as a value": lambda text: re.sub(r"=('[^']*'|\d+)", "=...", text, count=1),
    "a value in parentheses": lambda text: re.sub(r"=(\d+|'[^']*')", r"=(\1)", text, count=1),
    "a sum as a value": lambda text: re.sub(r"=(\d+)\b(?!\.)", r"=\1+0", text, count=1),
    "a plus sign": lambda text: re.sub(r"=(\d+)", r"=+\1", text, count=1),
    "a tuple for a list": lambda text: re.sub(r"=\[([^\[\]]*)\]", r"=(\1,)", text, count=1),
    "an item of a list": lambda text: re.sub(r"='(\w+)'", r"=\1[0]", text, count=1),
    "an argument without a name": lambda text: text.replace("(", "(1, ", 1),
    "an argument twice": lambda text: re.sub(r"\((\w+)=", r"(\1=0, \1=", text, count=1),
    "Qwen's wrapper": lambda text: f"<tool_call>\n{text}\n</tool_call>",
    "reasoning before it": lambda text: f"<think>\nWhich function fits?\n</think>\n\n{text}",
}


def without(text: str, what: str, chance: random.Random) -> str:
    return put(text, what, "", chance)


def put(text: str, what: str, other: str, chance: random.Random) -> str:
    places = list(re.finditer(what, text))
    if not places:
        return text
    place = chance.choice(places)
    return text[: place.start()] + other + text[place.end() :]


def answers(truth: list[Any], chance: random.Random) -> dict[str, str]:
    """Answers to one task by what was done to them, each text once."""
    right = reference.written(reference.answer(truth))
    full = reference.written(reference.answer(truth, -1, True))
    found = dict(reference.variants(truth, chance))
    for name, damage in TEXT.items():
        for number in range(5):
            found[f"{name} {number}"] = damage(chance.choice([right, full]), chance)
    # Twice, as a broken model would.
    for number in range(50):
        first, second = chance.choice(list(TEXT.values())), chance.choice(list(TEXT.values()))
        found[f"two damages {number}"] = second(first(full, chance), chance)
    for name, damage in reference.VALUES.items():
        for number in range(4):
            calls = reference.answer(truth, chance.choice([0, -1]), chance.random() < 0.5)
            found[f"{name} {number}"] = reference.written(reference.with_value(calls, damage, chance))
    for name, style in STYLE.items():
        found[name] = style(right)
    for number in range(3):
        calls = reference.answer(truth, chance.choice([0, -1]))
        chance.shuffle(calls)
        found[f"calls shuffled {number}"] = reference.written(calls)
    calls = reference.answer(truth)
    as_json = [{"name": name, "arguments": arguments} for name, arguments in calls]
    found["JSON"] = json.dumps(as_json)
    found["JSON in Qwen's wrapper"] = "\n".join(f"<tool_call>\n{json.dumps(one)}\n</tool_call>" for one in as_json)
    found["JSON in Mistral's wrapper"] = f"[TOOL_CALLS] {json.dumps(as_json)}"
    unique: dict[str, str] = {}
    for damage, text in found.items():
        if text not in unique.values():
            unique[damage] = text
    return unique


# The documented differences: a rule and whether an answer is touched by it. The first that fits counts.


def tree(text: str) -> ast.AST | None:
    """What the leaderboard's reader sees, or nothing."""
    text = text.strip("`\n ")
    text = text if text.startswith("[") else "[" + text
    text = text if text.endswith("]") else text + "]"
    try:
        return ast.parse(text.strip().strip("'"), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def nodes(text: str, *kinds: type) -> list[Any]:
    found = tree(text)
    return [] if found is None else [node for node in ast.walk(found) if isinstance(node, kinds)]


def has_comment(text: str) -> bool:
    try:
        kinds = [token.type for token in tokenize.generate_tokens(io.StringIO(text).readline)]
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return "#" in re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", "''", text)
    return tokenize.COMMENT in kinds


def twice(text: str) -> bool:
    for call in nodes(text, ast.Call):
        names = [keyword.arg for keyword in call.keywords]
        if len(set(names)) < len(names):
            return True
    for one in nodes(text, ast.Dict):
        keys = [ast.dump(key) for key in one.keys if key]
        if len(set(keys)) < len(keys):
            return True
    return False


def parenthesized(text: str) -> bool:
    """Calls in parentheses, which Python takes off or makes a tuple of."""
    bare = text.strip("`\n '")
    return bool(re.match(r"\[?\s*\(", bare))


def bracket_missing(text: str) -> bool:
    bare = text.strip("`\n '")
    return bare.startswith("[") != bare.endswith("]")


def keyword_used(text: str) -> bool:
    import keyword

    words = re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", "''", text))
    return any(keyword.iskeyword(word) and word not in ("True", "False", "None") for word in words)


def calls_elsewhere(text: str) -> bool:
    """A call of what is no name, which the leaderboard's reader gives the name that is left of it."""
    return any(not named(call.func) for call in nodes(text, ast.Call))


def named(node: Any) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def strange_number(text: str) -> bool:
    constants = [node.value for node in nodes(text, ast.Constant)]
    numbers = [one for one in constants if isinstance(one, (int, float, complex)) and not isinstance(one, bool)]
    return any(isinstance(one, complex) or abs(one) == float("inf") or abs(one) >= 2**64 for one in numbers)


def signs(text: str) -> bool:
    unary = nodes(text, ast.UnaryOp)
    return any(not isinstance(node.op, ast.USub) or not isinstance(node.operand, ast.Constant) for node in unary) or any(
        isinstance(node.operand.value, (bool, str)) for node in unary if isinstance(node.operand, ast.Constant)
    )


def other_literals(text: str) -> bool:
    strings = nodes(text, ast.Constant)
    return any(isinstance(node.value, bytes) for node in strings) or r"\N{" in text or bool(nodes(text, ast.JoinedStr))


RULES: list[tuple[str, Callable[[str], bool]]] = [
    ("a native wrapper, JSON, or reasoning before the calls is read", lambda t: bool(re.match(r"\s*(<|\[TOOL_CALLS\]|\[?\s*\{)", t))),
    ("a code fence with a language is taken off", lambda t: t.startswith("```") and "\n" in t and t[3] not in "\n"),
    ("a semicolon behind the calls is taken off", lambda t: t.rstrip("`\n ").endswith(";")),
    ("a comment is malformed", has_comment),
    ("backticks around the calls are malformed", lambda t: t.strip()[:1] == "`" or t.strip()[-1:] == "`"),
    ("one bracket alone is malformed", bracket_missing),
    ("parentheses around calls are malformed", parenthesized),
    ("a name that stands twice is malformed", twice),
    ("an argument without a name is malformed", lambda t: any(call.args for call in nodes(t, ast.Call))),
    ("nothing is computed", lambda t: bool(nodes(t, ast.BinOp, ast.Lambda))),
    ("a sign is a number's sign", signs),
    ("`...` and an item such as `a[0]` are malformed", lambda t: bool(nodes(t, ast.Subscript)) or "..." in t),
    ("a keyword of Python is a name as any other", keyword_used),
    ("a call of what has no name is malformed", calls_elsewhere),
    ("a number beyond a double, or complex, is malformed", strange_number),
    ("bytes, f-strings and characters by name are malformed", other_literals),
    ("white space around the point of a name is malformed", lambda t: bool(re.search(r"\s\.|\.\s", re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", "''", t)))),
    ("`**` is malformed", lambda t: any(word.arg is None for call in nodes(t, ast.Call) for word in call.keywords) or any(None in one.keys for one in nodes(t, ast.Dict))),
    ("a tuple is a list", lambda t: bool(nodes(t, ast.Tuple))),
]  # fmt: skip


def of_values(entry: dict[str, Any], text: str, right: bool) -> str | None:
    """The documented differences that lie in the comparison and not in the reading."""
    if not right and re.search(r"\bTrue\b|\bFalse\b", text):
        return "True is not 1, also within an object"
    if right and len(entry["calls"]) > 1 and in_some_order(entry, text):
        return "calls find their expectations in any order"
    return None


def in_some_order(entry: dict[str, Any], text: str) -> bool:
    """Whether the leaderboard's checker takes the same calls in another order."""
    check, read, python = reference.leaderboard()
    try:
        orders = itertools.islice(itertools.permutations(read(text)), 5040)
        return any(check(entry["tools"], list(calls), entry["calls"], python, "parallel", "any")["valid"] for calls in orders)
    except Exception:  # what its reader does not take
        return False


def explained(entry: dict[str, Any], text: str, right: bool) -> str | None:
    for rule, applies in RULES:
        try:
            if applies(text):
                return rule
        except (AttributeError, TypeError, IndexError):
            continue
    return of_values(entry, text, right)


# The tasks.


def entries(share: float) -> Iterator[tuple[str, dict[str, Any]]]:
    for category in reference.CATEGORIES:
        lines = [json.loads(line) for line in open(DATA / f"BFCL_v4_{category}.json")]
        file = DATA / "possible_answer" / f"BFCL_v4_{category}.json"
        truths = {one["id"]: one["ground_truth"] for one in map(json.loads, open(file))}
        for line in lines:
            if zlib.crc32(line["id"].encode()) / 2**32 < share:
                yield category, {"id": line["id"], "tools": line["function"], "calls": truths[line["id"]]}


def pairs(share: float) -> None:
    check, read, python = reference.leaderboard()
    with open(PLACE / "pairs.jsonl", "w") as ours, open(PLACE / "verdicts.jsonl", "w") as theirs:
        for category, entry in entries(share):
            chance = random.Random(f"{reference.SEED}/{entry['id']}")
            texts = answers(entry["calls"], chance)
            verdicts = []
            for text in texts.values():
                try:
                    calls = read(text)
                except Exception:  # whatever the reader throws, the leaderboard counts as no call
                    verdicts.append(False)
                    continue
                try:
                    verdicts.append(check(entry["tools"], calls, entry["calls"], python, category, "any")["valid"])
                except Exception:  # its own checker fails on a few answers, and the leaderboard's run would end
                    verdicts.append(None)
            expect = {"calls": entry["calls"], "tools": entry["tools"]}
            ours.write(json.dumps({"grader": "tool_calls", "expect": expect, "answers": list(texts.values())}) + "\n")
            theirs.write(json.dumps({"category": category, "kinds": list(texts), "valid": verdicts, **entry}) + "\n")


# Answers to tasks that no function fits.

REFUSALS = [
    "I'm sorry, but none of the provided functions can answer this.",
    "The function {f}({p}) cannot do that; it {d}",
    "None of the functions fits. `{f}` requires {p}, which the request does not say.",
    "To use {f} I need to know {p}. Could you tell me?",
    "The given question lacks the parameters required by the function {f}().",
    "I can't help with that. Parameters: {p}. Function: {f}.",
    "<think>\nThe user asks: {q} The tool {f}({p}) does not help.\n</think>\n\nNo function fits the request.",
    "1. {f}: not suitable.\n2. Nothing else is there.",
    "{q}",
    "{d}",
    '{{"error": "no function fits", "reason": "{f} is for something else"}}',
    "[No function call]",
    "[]",
]
WORDS = {"string": "'Oslo'", "integer": "30", "float": "2.5", "boolean": "True", "array": "[1, 2]", "dict": "{'a': 1}"}


def calls_of(function: dict[str, Any]) -> dict[str, str]:
    """Calls of a function as models write them."""
    properties = function["parameters"].get("properties", {})
    shown = {key: WORDS.get(one.get("type"), "'x'") for key, one in list(properties.items())[:4]}
    name, python = function["name"], ", ".join(f"{key}={value}" for key, value in shown.items())
    values = {key: ast.literal_eval(value) for key, value in shown.items()}
    as_json = json.dumps({"name": name, "arguments": values})
    return {
        "Python": f"[{name}({python})]",
        "Python without brackets": f"{name}({python})",
        "without the arguments' names": f" [{name}({', '.join(shown.values())})]",
        "with words before": f"Let me do that.\n[{name}({python})]",
        "with words around": f"I will use {name}({python}) for that.",
        "JSON": as_json,
        "Llama's JSON": json.dumps({"name": name, "parameters": values}),
        "Qwen's wrapper": f"<tool_call>\n{as_json}\n</tool_call>",
        "Qwen's wrapper after reasoning": f"<think>\nSo.\n</think>\n\n<tool_call>\n{as_json}\n</tool_call>",
        "Mistral's wrapper": f"[TOOL_CALLS] [{as_json}]",
        "OpenAI's": json.dumps({"tool_calls": [{"id": "1", "type": "function", "function": {"name": name, "arguments": json.dumps(values)}}]}),
        "in a code fence": f"```python\n[{name}({python})]\n```",
    }  # fmt: skip


def irrelevant(share: float) -> None:
    _, read, _ = reference.leaderboard()
    with open(PLACE / "none.jsonl", "w") as ours, open(PLACE / "none-verdicts.jsonl", "w") as theirs:
        for category in ("irrelevance", "live_irrelevance"):
            for line in map(json.loads, open(DATA / f"BFCL_v4_{category}.json")):
                if not line["function"] or zlib.crc32(line["id"].encode()) / 2**32 >= share:
                    continue
                chance = random.Random(f"{reference.SEED}/{line['id']}")
                function = chance.choice(line["function"])
                texts = []
                for kind, text in calls_of(function).items():
                    texts.append(("a call", kind, text))
                    for name, damage in TEXT.items():
                        damaged = damage(text, chance)
                        if damaged != text:
                            texts.append(("a damaged call", f"{kind}, {name}", damaged))
                question = line["question"][0][-1]["content"]
                parameters = ", ".join(function["parameters"].get("properties", {})) or "nothing"
                described = function.get("description", "")
                for refusal in REFUSALS:
                    text = refusal.format(f=function["name"], p=parameters, q=question, d=described)
                    texts.append(("no call", refusal, text))
                noise = bytes(chance.randrange(256) for _ in range(chance.randrange(4, 60))).decode("utf-8", "replace")
                texts.append(("noise", "random bytes", noise))
                verdicts = []
                for _, _, text in texts:
                    try:
                        calls = read(text)
                        verdicts.append(not calls or all(not call for call in calls))
                    except Exception:
                        verdicts.append(True)
                only = [text for *_, text in texts]
                for rule in ("strict", "leaderboard"):
                    expect = {"tools": line["function"], "rule": rule}
                    ours.write(json.dumps({"grader": "no_call", "expect": expect, "answers": only}) + "\n")
                theirs.write(json.dumps({"category": category, "kinds": [t[:2] for t in texts], "right": verdicts, "answers": only}) + "\n")


def graded(program: str, name: str) -> list[list[list[str]]]:
    output = PLACE / f"{name}-grades.jsonl"
    with open(output, "w") as out:
        subprocess.run([program, PLACE / f"{name}.jsonl"], check=True, stdout=out)
    return [json.loads(line) for line in open(output)]


def share_of(count: int, of: int) -> str:
    return f"{count:,}" + (f" ({100 * count / of:.1f}%)" if of else "")


def page(program: str) -> int:
    unexplained = []
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    rules: collections.Counter[tuple[str, str]] = collections.Counter()
    examples: dict[tuple[str, str], str] = {}
    theirs = [json.loads(line) for line in open(PLACE / "verdicts.jsonl")]
    asked = [json.loads(line)["answers"] for line in open(PLACE / "pairs.jsonl")]
    for entry, texts, grades in zip(theirs, asked, graded(program, "pairs"), strict=True):
        row = table[entry["category"]]
        for kind, text, valid, (grade, reason) in zip(entry["kinds"], texts, entry["valid"], grades, strict=True):
            row["pairs"] += 1
            right = grade == "right"
            if kind == "none":
                row["own"] += 1
                row["own right there"] += bool(valid)
                row["own right here"] += right
            if valid is None:
                row["thrown"] += 1
                row["thrown and right"] += right
                continue
            row["right by both"] += right and valid
            row["not right by both"] += not right and not valid
            if right == valid:
                continue
            row["differing"] += 1
            rule = explained(entry, text, right)
            if rule is None:
                unexplained.append((entry["id"], text, valid, grade, reason))
                continue
            key = (rule, "right here" if right else "right there")
            rules[key] += 1
            if len(text) < len(examples.get(key, "x" * 10**6)):
                examples[key] = text
    print("# The graders of calls and the Berkeley Function-Calling Leaderboard's checker\n")
    print("Made by `scripts/evidence.sh bfcl`. What differs on purpose is listed in [docs/tasks.md](../tasks.md); this page counts it.\n")
    total = sum((row for row in table.values()), collections.Counter())
    print(f"{total['pairs']:,} answers to {len(theirs):,} tasks of bfcl-eval {reference.BFCL[1]}: its own right answers, these written in "
          "other ways, and these damaged in values, types, order, names, marks and single characters, drawn with a fixed seed. "
          "The leaderboard's own code (`default_decode_ast_prompting`, `ast_checker`) says which are right.\n")  # fmt: skip
    print("The first allowed values of a task's own answer, what is optional left out, are not always right by its own checker: here and there "
          "stand in the second column.\n")  # fmt: skip
    print("| category | own answers right: there, here, of | answers | right by both | not right by both | differ | of these unexplained | its checker throws |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    missing = collections.Counter(next(e["category"] for e in theirs if e["id"] == one[0]) for one in unexplained)
    for category, row in [*table.items(), ("all", total)]:
        lost = len(unexplained) if category == "all" else missing[category]
        own = f"{row['own right there']:,}, {row['own right here']:,}, {row['own']:,}"
        print(f"| {category} | {own} | {row['pairs']:,} | {row['right by both']:,} | {row['not right by both']:,} | {row['differing']:,} | {lost} | {row['thrown']:,} |")
    print("\n## Why they differ\n\n| rule | right here, not there | right there, not here | an answer |\n| --- | ---: | ---: | --- |")
    for rule in dict.fromkeys(rule for rule, _ in sorted(rules, key=lambda key: -rules[key])):
        example = examples.get((rule, "right here")) or examples[rule, "right there"]
        example = example.replace("\n", "⏎").replace("|", "\\|")
        example = example if len(example) <= 90 else example[:89] + "…"
        print(f"| {rule} | {rules[rule, 'right here']:,} | {rules[rule, 'right there']:,} | `` {example} `` |")
    none(program)
    for one in unexplained[:40]:
        print("unexplained:", *one, sep="\n  ", file=sys.stderr)
    return len(unexplained)


def notation(what: str, kind: str) -> str:
    """Whether a call stands in the syntax that the leaderboard's reader is for."""
    if "call" not in what or what == "no call":
        return ""
    python = ("Python", "without the arguments' names", "with words")
    return ", Python's syntax" if kind.startswith(python) else ", another notation or a code fence"


def none(program: str) -> None:
    theirs = [json.loads(line) for line in open(PLACE / "none-verdicts.jsonl")]
    grades = graded(program, "none")
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    kinds: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for entry, strict, lenient in zip(theirs, grades[::2], grades[1::2], strict=True):
        for (what, kind), there, (grade, _), (parity, _) in zip(entry["kinds"], entry["right"], strict, lenient, strict=True):
            row = table[what + notation(what, kind)]
            row["answers"] += 1
            row[grade] += 1
            row["there"] += there
            row["parity"] += parity == "right"
            row["as there"] += (parity == "right") == there
            if what in ("a call", "no call"):
                kinds[f"{what}: {kind}"][grade] += 1
    print("\n## Answers that must not call\n")
    print(f"Made-up answers to {len(theirs):,} tasks that no function fits (`irrelevance`, `live_irrelevance`): calls of an offered function as "
          "model families write them, the same with one damage, refusals that name functions and parameters, the task's own "
          "question and description, and random bytes. By the leaderboard's rule all that its reader cannot parse is right. That reader is the one for prompts that ask for Python's "
          "syntax; it has others for the notations of model families, which here are read always.\n")  # fmt: skip
    print("| answers | number | no call: right | a call: wrong | unreadable: failed | right on the leaderboard | right with `no_call = \"leaderboard\"` | the same verdict |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for what, row in table.items():
        of = row["answers"]
        print(f"| {what} | {of:,} | {share_of(row['right'], of)} | {share_of(row['wrong'], of)} | {share_of(row['failed'], of)} | {share_of(row['there'], of)} | {share_of(row['parity'], of)} | {share_of(row['as there'], of)} |")
    print("\n| answer | right | wrong | failed |\n| --- | ---: | ---: | ---: |")
    for kind, row in kinds.items():
        kind = kind.replace("\n", "⏎").replace("|", "\\|")
        print(f"| {kind} | {row['right']:,} | {row['wrong']:,} | {row['failed']:,} |")


def main() -> int:
    program, share = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    PLACE.mkdir(parents=True, exist_ok=True)
    pairs(share)
    irrelevant(share)
    return 1 if page(program) else 0


if __name__ == "__main__":
    sys.exit(main())
