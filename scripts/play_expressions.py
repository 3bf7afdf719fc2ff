"""Owns GitHub's expression language as far as this repository's actions use it: `${{ … }}` and `if:`.

What is not known is an error, never an empty string: a name that is mistyped would be one on GitHub too, unseen.
"""

import re
from collections.abc import Callable, Mapping

Value = str | int | float | bool | None | Mapping

TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>==|!=|&&|\|\||[!().,]))"
)
STATUS = re.compile(r"\b(success|failure|always|cancelled)\s*\(")


class Unknown(Exception):
    """An expression that uses what is not known here, or is none."""


class Open(dict):
    """A context of which any part may be missing: what an event holds depends on the event."""


def tokens(text: str) -> list[tuple[str, str]]:
    """The expression's words."""
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise Unknown(f"{text!r} at {text[at:]!r}")
        found.append((match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    return found


def as_number(value: Value) -> float:
    """A value as `==` compares values of two kinds."""
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def equal(left: Value, right: Value) -> bool:
    """GitHub's `==`: strings without regard to case, different kinds as numbers."""
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    return left == right if type(left) is type(right) else as_number(left) == as_number(right)


def as_text(value: Value) -> str:
    """A value within a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        raise Unknown("an object within a text")
    return f"{value:.15g}" if isinstance(value, int | float) else value


class Expression:
    """One expression, read from its words and worked out at once."""

    def __init__(self, text: str, contexts: Mapping[str, Value], functions: Mapping[str, Callable[..., Value]]):
        self.text, self.words, self.at = text, tokens(text), 0
        self.contexts, self.functions = contexts, functions

    def value(self) -> Value:
        """What it comes to."""
        value = self.either()
        if self.at != len(self.words):
            raise Unknown(f"{self.text!r} goes on after its end")
        return value

    def next_is(self, sign: str) -> bool:
        if self.at < len(self.words) and self.words[self.at] == ("sign", sign):
            self.at += 1
            return True
        return False

    def either(self) -> Value:
        value = self.both()
        while self.next_is("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Value:
        value = self.compared()
        while self.next_is("&&"):
            other = self.compared()
            value = value and other
        return value

    def compared(self) -> Value:
        value = self.negated()
        while True:
            if self.next_is("=="):
                value = equal(value, self.negated())
            elif self.next_is("!="):
                value = not equal(value, self.negated())
            else:
                return value

    def negated(self) -> Value:
        return not self.negated() if self.next_is("!") else self.single()

    def single(self) -> Value:
        if self.next_is("("):
            value = self.either()
            self.need(")")
            return value
        if self.at == len(self.words):
            raise Unknown(f"{self.text!r} ends too early")
        kind, word = self.words[self.at]
        self.at += 1
        if kind == "string":
            return word[1:-1].replace("''", "'")
        if kind == "number":
            return float(word)
        if kind != "name":
            raise Unknown(f"{word!r} in {self.text!r}")
        if word in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[word]
        return self.call(word) if self.next_is("(") else self.path(word)

    def need(self, sign: str) -> None:
        if not self.next_is(sign):
            raise Unknown(f"no {sign!r} in {self.text!r}")

    def call(self, name: str) -> Value:
        arguments = []
        while not self.next_is(")"):
            arguments.append(self.either())
            if not self.next_is(","):
                self.need(")")
                break
        if name not in self.functions:
            raise Unknown(f"the function {name}")
        return self.functions[name](*arguments)

    def path(self, name: str) -> Value:
        if name not in self.contexts:
            raise Unknown(f"the context {name}")
        value, said = self.contexts[name], name
        while self.next_is("."):
            kind, key = self.words[self.at]
            self.at += 1
            said += f".{key}"
            if kind != "name":
                raise Unknown(said)
            if value is None or isinstance(value, Open):
                value = value.get(key) if value else None
                value = Open(value) if isinstance(value, dict) else value
            elif isinstance(value, Mapping) and key in value:
                value = value[key]
            else:
                raise Unknown(said)
        return value


def filled_in(text: str, contexts: Mapping[str, Value], functions: Mapping[str, Callable[..., Value]]) -> str:
    """A text with each `${{ … }}` in it worked out."""
    return re.sub(
        r"\$\{\{(.*?)\}\}", lambda match: as_text(Expression(match[1], contexts, functions).value()), text, flags=re.S
    )


def holds(condition: str, contexts: Mapping[str, Value], functions: Mapping[str, Callable[..., Value]]) -> bool:
    """An `if:`. Without a function that asks for the status it means `success() && …`."""
    text = condition.strip()
    if text.startswith("${{") and text.endswith("}}"):
        text = text[3:-2]
    if not STATUS.search(text):
        text = f"success() && ({text})"
    return bool(Expression(text, contexts, functions).value())
