#!/usr/bin/env python3
"""Owns the suites of graded tasks: workloads/suites/NAME.jsonl (the tasks) and NAME.jinja (the prompt around each).

    python3 scripts/make_tasks.py           writes all
    python3 scripts/make_tasks.py --check   exits with 1 if a file on disk differs from what would be written

They are made from workloads/templates/NAME.toml. Every group of a template (a tool, a story, a sum) draws its words
with a seed of its own, so a group that is appended changes no task that stands before it, and no id. No single
task is kept or dropped by who solves it. Python 3.11 or newer, for tomllib.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import operator
import random
import re
import string
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKLOADS = Path(__file__).resolve().parent.parent / "workloads"
LICENSE = "Apache-2.0"
SEED = 7
# How often a sentence is used, each time with other words.
REPEATS = 2
# The same where the first sentence is spent on the worked example.
REPEATS_BESIDE_EXAMPLE = 3
# So many draws of new words until a prompt is given up as a repetition.
ATTEMPTS = 50

Table = dict[str, Any]


class TemplateError(Exception):
    """A template that says what cannot be made into tasks."""


@dataclass(frozen=True)
class Task:
    """What a task asks and what it expects, before it has an id."""

    tags: list[str]
    prompt: str
    grader: str
    expect: Any


class Words:
    """Deals words like cards: each list is dealt out before one of its words comes again."""

    def __init__(self, seed: str, lists: dict[str, list[Any]]) -> None:
        self.generator = random.Random(seed)
        self.lists = lists
        self.decks: dict[str, list[Any]] = {}

    def next_of(self, name: str) -> Any:
        """The next word of the list `name`."""
        if name not in self.lists:
            raise TemplateError(f"no list of words is called '{name}'")
        if not self.decks.get(name):
            self.decks[name] = self.generator.sample(self.lists[name], len(self.lists[name]))
        return self.decks[name].pop()

    def fill(self, places: list[str]) -> Table:
        """A word for each place; {city} and {city2} are two different words of the list `city`."""
        values: Table = {}
        for place in places:
            name = place.rstrip("0123456789")
            taken = [value for other, value in values.items() if other.rstrip("0123456789") == name]
            value = self.next_of(name)
            while value in taken:
                value = self.next_of(name)
            values[place] = value
        return values


def places_of(*texts: str) -> list[str]:
    """The names in braces, each once, in the order of their first use."""
    fields = (field for text in texts for _, field, _, _ in string.Formatter().parse(text) if field)
    return list(dict.fromkeys(fields))


def names_in(formula: str) -> list[str]:
    return re.findall(r"[a-z]+\d*", formula)


def compute(formula: str, values: Table) -> int:
    """The value of a formula of integers, names, + - * and //."""
    operators: dict[type, Callable[[int, int], int]] = {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.FloorDiv: operator.floordiv,
    }

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name):
                return int(values[name])
            case ast.BinOp(left=left, op=op, right=right) if type(op) in operators:
                return operators[type(op)](value(left), value(right))
        raise TemplateError(f"'{formula}' holds more than integers, names, + - * and //")

    return value(ast.parse(formula, mode="eval").body)


# One suite after the other: each takes its template and a group of it, and yields functions that draw a task.
# Drawing again gives the same task with other words.
Draw = Callable[[Words], Task]


def tool_choice(template: Table, group: Table) -> Iterator[Draw]:
    """All tools of a list, one request: three tasks of five ask for the likeliest name, two for a written one."""
    tools = [tool for tool in template["tool"] if tool["list"] == group["list"]]
    names = [tool["name"] for tool in tools]
    described = "\n".join(f"{tool['does']} -> {tool['name']}" for tool in tools)
    requests = [(level, request) for level in ("easy", "hard") for request in group[level]]
    for number, (level, request) in enumerate(requests, start=len(requests) * template["tool"].index(group)):
        prompt = template["prompt"]["text"].format(tools=described, request=request)
        tags = [f"{len(tools)}-tools", level]
        if number % 5 < 3:
            expect = {"choices": names, "gold": names.index(group["name"]), "normalize": "none"}
            task = Task([*tags, "likelihood"], prompt, "choice", expect)
        else:
            task = Task([*tags, "written"], prompt, "exact", group["name"])
        yield lambda words, task=task: task


def alternatives(place: str, values: Table, group: Table) -> list[Any]:
    """What counts as the word of a place: the word, and what the group's `also` makes of it."""
    return [values[place], *(text.format(**values) for text in group.get("also", {}).get(place, []))]


def call_text(name: str, argument: str, value: Any) -> str:
    """A call of a tool that takes one argument."""
    return f"{name}({argument}={json.dumps(value)})"


def signature(name: str, parameters: Any) -> str:
    return f"{name}({', '.join(parameters)})"


def arguments(template: Table, group: Table) -> Iterator[Draw]:
    """One tool with an example of its use, and one request that holds all its arguments but the optional ones."""
    optional = {name: ["", *values] for name, values in group.get("optional", {}).items()}
    parameters = [*group["args"], *(f"{name}={values[1]}" for name, values in optional.items())]
    shown, *asked = group["sentences"]
    example = template["example"] | group.get("example", {})
    call = {"name": group["name"], "arguments": {name: example[place] for name, place in group["args"].items()}}
    count = len(group["args"])
    tags = [f"{count}-arguments", "easy" if count < 3 else "hard", *(["optional"] if optional else [])]

    def draw(words: Words, sentence: str) -> Task:
        values = words.fill(places_of(sentence))
        wanted = {name: alternatives(place, values, group) for name, place in group["args"].items()}
        prompt = template["prompt"]["text"].format(
            signature=signature(group["name"], parameters),
            example=shown.format(**example),
            call=json.dumps(call),
            request=sentence.format(**values),
        )
        return Task(tags, prompt, "tool_calls", {"calls": [{group["name"]: wanted | optional}]})

    for sentence in asked:
        for _ in range(REPEATS_BESIDE_EXAMPLE):
            yield lambda words, sentence=sentence: draw(words, sentence)


def kind(value: Any) -> tuple[str, Table]:
    """A value's type in words and as a JSON schema."""
    match value:
        case bool():
            return "boolean", {"type": "boolean"}
        case int():
            return "integer", {"type": "integer"}
        case str():
            return "string", {"type": "string"}
        case list():
            return "array of strings", {"type": "array", "items": {"type": "string"}}
    raise TemplateError(f"{value!r} is no value of a record")


def record(group: Table, values: Table) -> Table:
    """The record that a sentence tells: a field is a word, or a list of some."""
    return {
        name: [values[place] for place in places] if isinstance(places, list) else values[places]
        for name, places in group["fields"].items()
    }


def json_objects(template: Table, group: Table) -> Iterator[Draw]:
    """The keys of a record, and a sentence that tells it."""
    says = group.get("says", {})

    def draw(words: Words, sentence: str) -> Task:
        values = words.fill(places_of(sentence))
        # A truth is told by one of two phrases.
        told = {place: says[place][0 if value else 1] if place in says else value for place, value in values.items()}
        wanted = record(group, values)
        kinds = {name: kind(value) for name, value in wanted.items()}
        keys = ", ".join(f"{name} ({word})" for name, (word, _) in kinds.items())
        prompt = template["prompt"]["text"].format(keys=keys, request=sentence.format(**told))
        properties = {name: schema for name, (_, schema) in kinds.items()}
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        types = sorted({word.split()[0] for word, _ in kinds.values()} - {"string"})
        tags = [f"{len(wanted)}-keys", "easy" if len(wanted) < 3 else "hard", *types]
        return Task(tags, prompt, "json_schema", {"schema": schema, "equals": wanted})

    for sentence in group["sentences"]:
        for _ in range(REPEATS):
            yield lambda words, sentence=sentence: draw(words, sentence)


def usages_of(example: Table, tools: list[Table]) -> str:
    """Plans as examples: each tool is once the first and once the last, so they favor no order."""

    def clause(tool: Table) -> str:
        return tool["clauses"][0].format(**example)

    def call(tool: Table) -> str:
        ((argument, place),) = tool["args"].items()
        return call_text(tool["name"], argument, example[place])

    return "\n".join(
        f"{clause(one).capitalize()}, then {clause(two)}. -> [{call(one)}, {call(two)}]"
        for one, two in itertools.pairwise([*tools, tools[0]])
    )


def plans(template: Table, group: Table) -> Iterator[Draw]:
    """Pairs of tools in each order, said plainly and in other ways, and all three in every other order."""
    prompt = template["prompt"]
    example = template["example"] | group.get("example", {})
    usages = usages_of(example, group["tools"])

    def draw(words: Words, tools: tuple[Table, ...], joins: str, tag: str) -> Task:
        clauses = [words.generator.choice(tool["clauses"]) for tool in tools]
        values = words.fill(places_of(*clauses))
        said = [clause.format(**values) for clause in clauses]
        starts = [clause[0].upper() + clause[1:] for clause in said]
        named = dict(zip("abc", said)) | dict(zip("ABC", starts))
        request = words.generator.choice(prompt[joins]).format(**named)
        calls = [
            {tool["name"]: {name: alternatives(place, values, group) for name, place in tool["args"].items()}}
            for tool in tools
        ]
        text = prompt["text"].format(examples=usages, request=request)
        return Task([f"{len(tools)}-calls", tag], text, "tool_calls", {"calls": calls, "ordered": True})

    pairs = list(itertools.permutations(group["tools"], 2))
    triples = list(itertools.permutations(group["tools"], 3))[::2]
    plain = [(pairs, "joins_two", "easy")] * REPEATS
    for orders, joins, tag in [*plain, (pairs, "joins_two_hard", "hard"), (triples, "joins_three", "hard")]:
        for tools in orders:
            yield lambda words, tools=tools, joins=joins, tag=tag: draw(words, tools, joins, tag)


def first_of_each_tool(rows: list[list[str]]) -> list[list[str]]:
    return list({row[1]: row for row in reversed(rows)}.values())[::-1]


def refusal(template: Table, group: Table) -> Iterator[Draw]:
    """As many requests that a tool serves as requests that none does: far from the tools, or near to them."""

    def usages(shown: Table) -> str:
        example = template["example"] | shown.get("example", {})
        rows = first_of_each_tool(shown["fits"])
        calls = [call_text(tool, shown["tools"][tool], example[place]) for _, tool, place in rows]
        lines = [f"{row[0].format(**example)} -> {call}" for row, call in zip(rows, calls, strict=True)]
        return "\n".join([lines[0], f"{shown['near'][0]} -> none", *lines[1:]])

    def fitting(words: Words, sentence: str, tool: str, place: str) -> Task:
        values = words.fill(places_of(sentence))
        prompt = template["prompt"]["text"].format(examples=usages(group), request=sentence.format(**values))
        call = {tool: {group["tools"][tool]: alternatives(place, values, group)}}
        return Task(["fits"], prompt, "tool_calls", {"calls": [call]})

    def unfit(words: Words, sentence: str, shown: Table, tag: str) -> Task:
        request = sentence.format(**words.fill(places_of(sentence)))
        prompt = template["prompt"]["text"].format(examples=usages(shown), request=request)
        return Task(["none", tag], prompt, "no_call", ["none"])

    beside = next(other for other in template["set"] if other["name"] == group["beside"])
    near = group["near"][1:]
    asked = [row for row in group["fits"] if row not in first_of_each_tool(group["fits"])] * REPEATS
    for row in asked:
        yield lambda words, row=row: fitting(words, *row)
    for sentence in near:
        yield lambda words, sentence=sentence: unfit(words, sentence, group, "near")
    far = [row[0] for row in asked[len(near) :]]
    for number, sentence in enumerate(far):
        if number % 2:
            yield lambda words, sentence=sentence: unfit(words, sentence, beside, "far")
        else:
            yield lambda words: unfit(words, words.next_of("chat"), group, "chat")


def reading(template: Table, group: Table) -> Iterator[Draw]:
    """A story and one question, which some of its words answer."""

    def draw(words: Words, question: str, answer: str | list[str]) -> Task:
        values = words.fill(places_of(group["text"]))
        story, asked = group["text"].format(**values), question.format(**values)
        texts = [f"{{{answer}}}"] if isinstance(answer, str) else answer
        expect = [text.format(**values) for text in texts]
        prompt = template["prompt"]["text"].format(story=story, question=asked)
        tag = "number" if expect[0].isdigit() else "word"
        return Task([f"{len(values)}-facts", tag], prompt, "normalized", expect)

    for question, answer in group["questions"]:
        for _ in range(REPEATS):
            yield lambda words, question=question, answer=answer: draw(words, question, answer)


def worked(formula: str, values: Table) -> str:
    """A formula with its numbers and its value, with the one sign for division that is common."""
    numbers = re.sub(r"[a-z]+\d*", lambda name: str(values[name[0]]), formula)
    return f"{numbers.replace('//', '/')} = {compute(formula, values)}"


def arithmetic(template: Table, group: Table) -> Iterator[Draw]:
    """A question that a formula answers, beside a worked one; some of the numbers shown are made by formulas, too."""
    shown = group.get("shown", {})
    first, *asked = group["questions"]

    def with_shown(values: Table) -> Table:
        return values | {name: compute(formula, values) for name, formula in shown.items()}

    example = with_shown(template["example"])

    def draw(words: Words, question: str) -> Task:
        named = [name for formula in (*shown.values(), group["answer"]) for name in names_in(formula)]
        places = [place for place in dict.fromkeys([*places_of(question), *named]) if place not in shown]
        values = with_shown(words.fill(places))
        prompt = template["prompt"]["text"].format(
            example=first.format(**example),
            worked=worked(group["answer"], example),
            question=question.format(**values),
        )
        return Task(group["tags"], prompt, "numeric", compute(group["answer"], values))

    for question in asked:
        for _ in range(REPEATS_BESIDE_EXAMPLE):
            yield lambda words, question=question: draw(words, question)


# The name of a suite, the key of its template's groups, and what makes tasks of a group.
SUITES: dict[str, tuple[str, Callable[[Table, Table], Iterator[Draw]]]] = {
    "tool-choice": ("tool", tool_choice),
    "arguments": ("tool", arguments),
    "json": ("record", json_objects),
    "plans": ("house", plans),
    "refusal": ("set", refusal),
    "reading": ("story", reading),
    "arithmetic": ("sum", arithmetic),
}


def read_toml(name: str) -> Table:
    return tomllib.loads((WORKLOADS / "templates" / f"{name}.toml").read_text(encoding="utf-8"))


def refuse_shown_words(example: Table, lists: dict[str, list[Any]]) -> None:
    """A word of the worked examples must be in no task: a model could repeat it. Small numbers may come again."""
    for place, value in example.items():
        if isinstance(value, str) and value in lists.get(place.rstrip("0123456789"), []):
            raise TemplateError(f"'{value}' stands in the example and in the list of words '{place}'")


def new_task(draw: Draw, words: Words, seen: set[str]) -> Task:
    """A task whose prompt is not among those seen."""
    for _ in range(ATTEMPTS):
        task = draw(words)
        if task.prompt not in seen:
            seen.add(task.prompt)
            return task
    raise TemplateError(f"no words make another prompt of this one: {task.prompt}")


def tasks(suite: str, template: Table) -> Iterator[Task]:
    """All tasks of a suite, in the order of the template's groups."""
    key, draws = SUITES[suite]
    lists = read_toml("words")
    seen: set[str] = set()
    for group in template[key]:
        known = lists | {"chat": template.get("chat", [])} | group.get("words", {})
        refuse_shown_words(template["example"] | group.get("example", {}), known)
        words = Words(f"{SEED}/{suite}/{group['name']}", known)
        for draw in draws(template, group):
            yield new_task(draw, words, seen)


def line(suite: str, number: int, task: Task) -> str:
    return json.dumps(
        {
            "id": f"{suite}-{number:04}",
            "suite": suite,
            "tags": task.tags,
            "license": LICENSE,
            "prompt": task.prompt,
            "grader": task.grader,
            "expect": task.expect,
        }
    )


def files() -> dict[Path, str]:
    """The text of every file that there should be."""
    result: dict[Path, str] = {}
    for suite in SUITES:
        template = read_toml(suite) | {"example": read_toml("words")["example"]}
        lines = (line(suite, number, task) for number, task in enumerate(tasks(suite, template), start=1))
        result[WORKLOADS / "suites" / f"{suite}.jsonl"] = "".join(f"{text}\n" for text in lines)
        result[WORKLOADS / "suites" / f"{suite}.jinja"] = template["prompt"]["template"]
    return result


def stale(made: dict[Path, str]) -> list[Path]:
    """The files that differ from what is made, or that nothing makes."""
    differ = [path for path, text in made.items() if not path.is_file() or path.read_bytes() != text.encode()]
    return differ + [path for path in sorted((WORKLOADS / "suites").glob("*")) if path not in made]


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes the suites of graded tasks and their prompt templates.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file differs")
    check = parser.parse_args().check
    made = files()
    if not check:
        for path, text in made.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        return 0
    wrong = stale(made)
    for path in wrong:
        print(f"{path} is not what this script writes: run python3 scripts/make_tasks.py", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
