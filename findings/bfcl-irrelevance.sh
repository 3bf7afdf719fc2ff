#!/usr/bin/env bash
# Where no call is right, the Berkeley Function-Calling Leaderboard takes a call that it cannot read for a right answer.
#
# Package: bfcl-eval 2026.3.23 (the package alone; what it imports of others, such as vendors' clients, is replaced by
# nothing).
# One would expect: an answer that is plainly a call, in JSON or with a bracket missing, is a call and so wrong.
# Seen: in the irrelevance categories an answer is right as soon as decoding it raises an error. [f(x=1)] is wrong; f(x=1
# and {"name": "f", "arguments": {"x": 1}} are right. So damage to a model's syntax raises this accuracy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target packages bfcl-eval==2026.3.23
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
        return None if name.startswith("bfcl_eval") else importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Nothing(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.append(Replacing())
table = types.ModuleType("bfcl_eval.constants.model_config")
table.MODEL_CONFIG_MAPPING = {}
sys.modules["bfcl_eval.constants.model_config"] = table
for language in ("java", "js"):  # of other languages than Python's
    name = f"bfcl_eval.model_handler.parser.{language}_parser"
    sys.modules[name] = Nothing(name)

from bfcl_eval.eval_checker.eval_runner import _evaluate_single_relevance_entry as evaluate
from bfcl_eval.model_handler.utils import default_decode_ast_prompting


def decode(answer, language, has_tool_call_tag):
    return default_decode_ast_prompting(answer, language, has_tool_call_tag)


handler = types.SimpleNamespace(decode_ast=decode)
expected = {
    "No function fits.": True,
    "[f(x=1)]": False,
    "f(x=1)": False,
    "[f(x=1]": True,
    "f(x=1": True,
    '{"name": "f", "arguments": {"x": 1}}': True,
}
print("bfcl-eval", importlib.metadata.version("bfcl-eval"))
found = {}
for answer in expected:
    found[answer] = evaluate(handler, "irrelevance_0", answer, {}, "any", "irrelevance")["valid"]
    print(f"{answer!r}: {'right' if found[answer] else 'wrong'}")
assert found == expected, "this has changed"
PYTHON
