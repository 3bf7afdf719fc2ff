"""Owns the evidence that chat templates are rendered as transformers renders them: real templates, several conversations
each, byte for byte. Prints the page.

    python scripts/evidence_templates.py FOLDER PROGRAM

FOLDER holds the templates (*.jinja) and PROGRAM is target/release/examples/render_templates. transformers and jinja2 have
to be importable, PyTorch does not. `scripts/evidence.sh templates` makes all three.
"""

import datetime
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

from transformers.utils import chat_template_utils

DAY = (2024, 7, 26)
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
WEATHER = {
    "name": "get_weather",
    "description": 'Gets the weather of a city, in °C <now> & "later"',
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city's name"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "default": 3},
            "detailed": {"type": "boolean", "default": False},
        },
        "required": ["city"],
    },
}
ADD = {
    "name": "add",
    "description": "Adds two numbers",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
}
TOOLS = [{"type": "function", "function": function} for function in (WEATHER, ADD)]
BRIEF = {"role": "system", "content": "Be brief & <b>it's</b> \"important\"."}
QUESTION = {"role": "user", "content": "What's the weather in Zürich?\nAnd in Oslo?"}
ANSWER = {"role": "assistant", "content": "It is 5 °C in Zürich."}
THANKS = {"role": "user", "content": "Thanks! And tomorrow?"}
ARGUMENTS = {"city": "Zürich", "days": 2, "detailed": True}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "call12345", "type": "function", "function": {"name": "get_weather", "arguments": ARGUMENTS}}],
}
RESULT = {"role": "tool", "tool_call_id": "call12345", "name": "get_weather", "content": '{"temperature": 5.0}'}
CONVERSATIONS = {
    "user": {"messages": [QUESTION]},
    "system and user": {"messages": [BRIEF, QUESTION]},
    "several turns": {"messages": [QUESTION, ANSWER, THANKS]},
    "system and several turns": {"messages": [BRIEF, QUESTION, ANSWER, THANKS]},
    "no generation prompt": {"messages": [QUESTION, ANSWER], "add_generation_prompt": False},
    "enable_thinking = false": {"messages": [BRIEF, QUESTION], "enable_thinking": False},
    "content in parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
    "tools": {"messages": [QUESTION], "tools": TOOLS},
    "system and tools": {"messages": [BRIEF, QUESTION], "tools": TOOLS},
    "tools, a call and its result": {"messages": [QUESTION, CALL, RESULT], "tools": TOOLS},
    "the same, content null": {"messages": [QUESTION, {**CALL, "content": None}, RESULT], "tools": TOOLS},
    "system, call, several turns": {"messages": [BRIEF, QUESTION, CALL, RESULT, ANSWER, THANKS], "tools": TOOLS},
}
OUTCOMES = ["equal", "both refuse", "differs", "refused by perfgate alone", "rendered by perfgate alone"]
# Why these remain, by what transformers says or by the template.
REASONS = [
    (
        lambda name, theirs, ours: "'NoneType' object is not iterable" in theirs,
        "the template goes through a list that is none (tools, or a message's content); minijinja goes through none as "
        "through an empty list, and Python does not. Nothing of the conversation is lost",
    ),
    (
        lambda name, theirs, ours: "generator is not JSON serializable" in theirs,
        "`map` in Python makes a generator, which cannot be written as JSON; in minijinja it makes a list",
    ),
    (
        lambda name, theirs, ours: "&lt;" in theirs or "&#34;" in theirs,
        "the template adds texts to one that is marked `safe`, and Python escapes what is added (`&lt;`, `&#34;`) although "
        "nothing asks for it; minijinja does not. It meets tools alone",
    ),
]


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(*DAY)


def theirs(template: str, conversation: dict) -> tuple[str, str]:
    given = dict(conversation)
    messages, tools = given.pop("messages"), given.pop("tools", None)
    prompt = given.pop("add_generation_prompt", True)
    try:
        rendered, _ = chat_template_utils.render_jinja_template(
            [messages], tools=tools, chat_template=template, add_generation_prompt=prompt, **SPECIAL, **given
        )
        return "text", rendered[0]
    except Exception as error:  # noqa: BLE001  whatever a template brings about
        return "problem", f"{type(error).__name__}: {error}"


def outcome(a: tuple[str, str], b: tuple[str, str]) -> str:
    match a[0], b[0]:
        case "text", "text":
            return "equal" if a[1] == b[1] else "differs"
        case "problem", "problem":
            return "both refuse"
        case "text", _:
            return "refused by perfgate alone"
        case _:
            return "rendered by perfgate alone"


def reason(name: str, a: str, b: str) -> str:
    return next((why for test, why in REASONS if test(name, a, b)), f"NOT EXPLAINED: {b[:120]}")


def main() -> None:
    folder, program = Path(sys.argv[1]), sys.argv[2]
    chat_template_utils.datetime = Fixed
    files = sorted(folder.glob("*.jinja"))
    asked = [(file, name) for file in files for name in CONVERSATIONS]
    given = "".join(
        f"{file}\t{json.dumps({**SPECIAL, **CONVERSATIONS[name]}, ensure_ascii=False)}\n" for file, name in asked
    )
    done = subprocess.run([program], input=given, capture_output=True, text=True, check=True)
    ours = [next(iter(json.loads(line).items())) for line in done.stdout.splitlines()]
    assert len(ours) == len(asked)
    # Newlines as they are: a template may end its lines in another way.
    sources = {file: file.read_bytes().decode() for file in files}
    rows = [(file.stem, name, theirs(sources[file], CONVERSATIONS[name]), mine) for (file, name), mine in zip(asked, ours)]
    by_conversation: dict[str, Counter] = defaultdict(Counter)
    left: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    whole = Counter()
    failed = set()
    for template, name, a, b in rows:
        found = outcome(a, b)
        by_conversation[name][found] += 1
        whole[found] += 1
        if found not in ("equal", "both refuse"):
            failed.add(template)
            left[f"{found}: {reason(template, a[1], b[1])}"][template].append(name)
    rendered = sum(1 for _, _, a, _ in rows if a[0] == "text")
    packages = f"transformers {version('transformers')} with jinja2 {version('jinja2')}"
    print("# Chat templates\n")
    print(
        f"Made by `scripts/evidence.sh templates`: the {len(files)} chat templates that the PyPI package llama_cpp_python "
        f"{sys.argv[3]} carries (llama.cpp's `models/templates`), in {len(CONVERSATIONS)} conversations each, rendered by "
        f"{packages} and by perfgate, and compared byte for byte. `strftime_now` is told {'-'.join(f'{x:02}' for x in DAY)} "
        "on both sides.\n"
    )
    print(
        f"Of {len(rows)} renderings transformers makes {rendered}; {whole['equal']} of them are the same text by perfgate. "
        f"{len(files) - len(failed)} of the {len(files)} templates have no other outcome in any conversation.\n"
    )
    print(f"| conversation | {' | '.join(OUTCOMES)} |\n|---|{'---|' * len(OUTCOMES)}")
    for name in CONVERSATIONS:
        print(f"| {name} | {' | '.join(str(by_conversation[name][found]) for found in OUTCOMES)} |")
    print(f"| **all** | {' | '.join(f'**{whole[found]}**' for found in OUTCOMES)} |\n")
    print("'Both refuse' is what a template itself does not take, such as a system message or content in parts.\n")
    if left:
        print("## What is left\n")
    for why, templates in sorted(left.items()):
        print(f"- {why}.")
        for template, names in sorted(templates.items()):
            print(f"    - {template}: {'; '.join(names)}")
    print("\n## All templates\n")
    print(", ".join(file.stem for file in files) + ".")


if __name__ == "__main__":
    main()
