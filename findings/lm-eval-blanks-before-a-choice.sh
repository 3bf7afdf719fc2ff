#!/usr/bin/env bash
# lm-evaluation-harness moves what is blank at the end of a prompt into each choice, line breaks too.
#
# Package: lm-eval 0.4.13 (the package alone; what it imports of others is replaced by nothing).
# One would expect: a single trailing space is moved, since tokenizers put it before the next word; a line break stays.
# Seen: all white space is moved. After a prompt that ends in "Answer:\n\n" the two line breaks are scored as part of each
# choice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target packages lm-eval==0.4.13
PYTHONPATH=packages python3 - <<'PYTHON'
import importlib.abc
import importlib.machinery
import importlib.metadata
import sys
import types
from unittest.mock import MagicMock


class Nothing(types.ModuleType):
    """A module that has whatever is taken from it."""

    __path__ = []
    __all__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {}) if name[:1].isupper() else MagicMock()


class Replacing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Asked last, for what is not installed."""

    def find_spec(self, name, path=None, target=None):
        return None if name.startswith("lm_eval") else importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Nothing(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.append(Replacing())
from lm_eval.api.model import TemplateLM


class Characters(TemplateLM):
    """Every character is a token."""

    backend = "causal"
    eot_token_id = 0

    def tok_encode(self, text, **_):
        return list(text)

    def _loglikelihood_tokens(self, requests, **_):
        raise NotImplementedError

    loglikelihood_rolling = generate_until = _loglikelihood_tokens


print("lm-eval", importlib.metadata.version("lm-eval"))
expected = {
    "Answer:": ("Answer:", " yes"),
    "Answer: ": ("Answer:", "  yes"),
    "Answer:\n\n": ("Answer:", "\n\n yes"),
    "Answer:\t": ("Answer:", "\t yes"),
}
found = {}
for prompt in expected:
    found[prompt] = tuple("".join(part) for part in Characters()._encode_pair(prompt, " yes"))
    print(f"{prompt!r} and ' yes': given {found[prompt][0]!r}, scored {found[prompt][1]!r}")
assert found == expected, "this has changed"
PYTHON
