"""Owns the reference values for text: what transformers makes of chat templates and of tokenizers' files, and how
lm-evaluation-harness splits a prompt from a choice.

    python3 -m venv VENV && VENV/bin/pip install transformers==5.5.4 jinja2==3.1.6
    VENV/bin/pip download --no-deps --dest WHEELS lm_eval==0.4.13
    VENV/bin/python scripts/reference_text.py WHEELS/lm_eval-0.4.13-py3-none-any.whl

writes tests/reference/text.json. The templates are our own, one for each construct; the tokenizers are trained on a few
sentences in this file. PyTorch is not needed.
"""

import ast
import datetime
import inspect
import json
import os
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

REFERENCE = Path(__file__).resolve().parent.parent / "tests/reference/text.json"
DAY = (2024, 7, 26)
SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<pad>"]
SENTENCES = [
    "What colour is a ripe tomato? A ripe tomato is red, and a plum is blue.",
    "Question: What is six times seven?\nAnswer: forty two, that is 42.\n\nQuestion: What is nine times nine?\nAnswer: 81.",
    "The sea is blue. The capital of France is Paris, and that of Norway is Oslo.",
    "system user assistant message begins here and ends there",
] * 3


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(*DAY)


chat_template_utils.datetime = Fixed
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Weather in °C <now> & \"later\"",
     "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 3}}}}},
]  # fmt: skip
MESSAGES = [
    {"role": "system", "content": "Be brief & <b>it's</b> \"important\"."},
    {"role": "user", "content": "What's the weather in Zürich?\nAnd in Oslo?"},
    {"role": "assistant", "content": "It is 5 °C."},
]
NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

TEMPLATES = [
    # JSON.
    "{{ messages | tojson }}",
    "{{ messages[0] | tojson(indent=2) }}",
    "{{ tools | tojson(indent=4, sort_keys=true) }}",
    "{{ messages[0]|tojson(separators=(',', ':')) }}",
    "{{ messages|tojson(ensure_ascii=True) }}",
    "{{ {'a': [1, 2.0, 1e20, 1e-7, none, true], 'z': {}, 'e': []} | tojson(indent='\\t') }}",
    "{{ {'b': 1, 'a': [1, 2], 'é': true, 'n': none, 'f': 1.0, 'big': 1e22} | tojson(indent=2) }}",
    "{{ {'b': 1, 'a': 2}|tojson(true, 2) }}{{ messages|tojson(indent=0) }}",
    "{{ ([1] + [2]) | tojson }}{{ messages|tojson|length }}{{ (messages|tojson)[:5] }}",
    # Mappings in their order, and values as Python writes them.
    "{% for k in {'z': 1, 'a': 2} %}{{ k }}{% endfor %}{% for k, v in {'z': 1, 'a': 2}.items() %}{{ k }}={{ v }};{% endfor %}",
    "{{ {'z': 1, 'a': 'x'} }} {{ [true, none, 1.0, 'a\\'b'] }} {{ (1,) }} {{ () }}",
    "{{ {'z':1,'a':2}.keys() | list }}{{ {'z':1,'a':2}|dictsort }}{{ {'z':1}|items|list }}",
    "{{ 1 }}{{ 1.5 }}{{ 10/2 }}{{ 7//2 }}{{ 7%3 }}{{ 2**3 }}{{ 1e3 }}{{ true }}{{ none }}{{ False or 'x' }}{{ -3 // 2 }}{{ 'ab' * 2 }}",
    "{{ 'a' ~ 1 }}{{ 'a' 'b' }}{{ [1]*2 }}{{ [1]+[2] }}{{ 1 < 2 < 3 }}{{ 1 < 2 > 5 }}",
    "{{ [1,true,none]|join('-') }}{{ [{'a':1},{'a':2}]|join(',', attribute='a') }}{{ true|string }}{{ none|string }}",
    # What is passed, and what is not.
    "{% if tools is not none %}[TOOLS]{% endif %}{{ tools is defined }}{{ documents is none }}{{ nothing is defined }}",
    "{{ pad_token }}{{ unk_token }}{{ bos_token }}{{ eos_token }}{{ sep_token is defined }}{{ add_generation_prompt }}",
    "{{ nothing|length }}{{ {'a':1}|length }}{{ messages|count }}{{ 'x'|length }}",
    "{{ messages[0].nope }}|{{ messages[0].nope is defined }}|{{ none.x is defined }}|{{ messages[9] }}|{{ messages[0].content.x }}",
    "{{ nothing.x }}",
    "{{ nothing + 'a' }}",
    "{{ 'a' + 1 }}",
    "{{ none|length }}",
    "{{ messages.append(1) }}",
    # Functions and blocks of transformers.
    "{{ raise_exception('no ' ~ 'roles') }}",
    "{% if raise_exception is defined and strftime_now is defined %}d{% endif %}",
    "{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ strftime_now('%B %-d, %Y, %A %j %p %I') }}",
    "{% generation %}{{ messages[0].content }}{% endgeneration %}",
    "A {%- generation -%} {% set x = 1 %}{{ x }} {%- endgeneration -%} B\n{% generation %}\n  y\n{% endgeneration %}\nz",
    "{# {% generation %} #}{% raw %}{% generation %}{{ x }}{% endraw %}!",
    # White space and lines.
    "  {% if true %}\n  a\n  {% endif %}\n  {#- c -#}  \n{{ 'x' }}\n\n",
    "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc\r",
    "   {%+ if true +%}\n  x\n{%- endif %}\n",
    "{%- set a = [1] -%}\n{{- a -}}\n x",
    # Loops, macros, sets.
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for m in messages %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.previtem.role if loop.previtem }}{{ loop.nextitem is defined }};{% else %}none{% endfor %}",
    "{% for m in messages if m.role == 'user' %}{{ m.role }}{{ loop.last }}{% endfor %}{% for x in nothing %}x{% endfor %}",
    "{% set ns = namespace(a=1) %}{% for m in messages %}{% set ns.a = ns.a + 1 %}{% endfor %}{{ ns.a }}",
    "{% macro f(x, y='d') %}[{{ x }}{{ y }}{{ bos_token }}]{% endmacro %}{{ f(1) }}{{ f(1, y=2) }}{{ f() }}{{ f(3) | length }}{{ f(1) ~ 'b' }}",
    "{% macro f(x) %}<{{ caller() }}{{ x }}>{% endmacro %}{% call f(2) %}in{% endcall %}",
    "{% macro rec(n) %}{{ n }}{% if n > 0 %}{{ rec(n - 1) }}{% endif %}{% endmacro %}{{ rec(3) }}",
    "{% set x %}  a {{ 1 }}\n{% endset %}[{{ x }}]{{ x|length }}{% set a, b = 1, 2 %}{{ a }}{{ b }}{% with c=1 %}{{ c }}{% endwith %}",
    "{% set j = joiner(', ') %}{{ j() }}a{{ j() }}b",
    # Tests and filters.
    "{{ 'x' is sequence }}{{ {} is sequence }}{{ 'x' is iterable }}{{ {} is iterable }}{{ none is iterable }}{{ 1 is iterable }}{{ nothing is sequence }}",
    "{{ true is number }}{{ true is integer }}{{ 1.0 is float }}{{ 1 is integer }}{{ 'x' is mapping }}{{ {} is mapping }}{{ true is boolean }}{{ 'x' is string }}",
    "{{ messages|selectattr('role','equalto','user')|list|length }}{{ messages|map(attribute='role')|list }}{{ (messages|rejectattr('role','eq','user')|first).role }}",
    "{{ 'a' in 'abc' }}{{ 'a' not in ['b'] }}{{ 'k' in {'k':1} }}{{ 1 == 1.0 }}{{ true == 1 }}{{ 'a' < 'b' }}",
    "{{ [3,1,2]|sort }}{{ [3,1]|max }}{{ [1,2]|sum }}{{ 'abc'|reverse }}{{ [1,1,2]|unique|list }}{{ 3.7|int }}{{ '3'|int + 1 }}{{ 2.5|round }}{{ 'x'|default('d') }}{{ nothing|default('d') }}{{ ''|default('d', true) }}",
    "{{ 'a\\nb\\n\\nc'|indent(2) }}|{{ 'a\\nb'|indent(2, true) }}|{{ 'a\\nb'|indent(first=true, width=3) }}|{{ 'a b c'|replace(' ', '_') }}|{{ '\\n\\na\\n'|trim }}|{{ 'a b'|wordcount }}",
    "{{ 'a<b'|e }}{{ 'a\"'|escape }}{{ '<b>'|safe }}",
    # Methods and slices of texts and lists.
    "{{ '  a b  c '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a b c'.split(maxsplit=1) }}{{ ''.split() }}{{ ''.split(',') }}{{ 'a--b'.partition('--') }}{{ 'ab'.rpartition('-') }}",
    "{{ '\\n x \\t'.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abc'.lstrip('ab') }}|{{ 'abc'.rstrip('bc') }}|{{ '\\x1c a'.strip() }}",
    "{{ 'hello world'.title() }}{{ 'hELLO'.capitalize() }}{{ 'aB'.upper() }}{{ 'aB'.lower() }}{{ 'ab'.center(7,'*') }}{{ 'ab'.ljust(4) }}|{{ 'ab'.rjust(4) }}{{ '-7'.zfill(4) }}",
    "{{ 'user_name'.title() }}{{ '3rd'.title() }}{{ \"it's\".title() }}{{ 'hELLO wORLD'.title() }}{{ 'straße ßa éa x2y'.title() }}",
    "{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x','bc')) }}{{ 'abcabc'.find('c') }}{{ 'abcabc'.find('a', 1) }}{{ 'abcabc'.rfind('c') }}{{ 'abcabc'.index('b') }}{{ 'aaa'.count('a') }}{{ 'aaa'.replace('a','b',2) }}{{ 'abc'.startswith('b', 1) }}",
    "{{ 'a\\nb\\r\\nc\\x0bd'.splitlines() }}{{ 'a\\nb'.splitlines(true) }}{{ 'unprefix'.removeprefix('un') }}{{ 'a.py'.removesuffix('.py') }}{{ '-'.join(['a','b']) }}",
    "{{ messages[0].get('x') }}{{ messages[0].get('x', 'd') }}{{ messages[0]['content'][:2] }}{{ messages[0].content[-3:] }}{{ 'abcdef'[::-1] }}{{ 'abcdef'[1:-1:2] }}{{ [1,2,3][::-1] }}{{ messages[1:]|length }}",
    "{{ '%s=%s'|format('a', 1) }}{{ '{}-{x}'.format(1, x=2) }}{{ [1,2].index(2) }}{{ [1,1].count(1) }}",
    # A template of several roles and tools.
    "{{ bos_token }}{%- if tools %}\n<tools>\n{%- for tool in tools %}\n{{ tool.function | tojson }}{% endfor %}\n</tools>\n{% endif %}{% for message in messages %}<|im_start|>{{ message['role'] + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
]  # fmt: skip

# Rendered otherwise than by transformers, each for its reason.
OTHERWISE = {
    "{% for x in none %}x{% endfor %}": "minijinja goes through none as through an empty list; transformers refuses it",
    "{{ '<'|safe + '&' }}": "transformers escapes what is added to a text that is marked as safe; perfgate does not",
    "{% macro f() %}{{ varargs }}{% endmacro %}{{ f(1) }}": "minijinja's macros have no varargs and refuse more arguments than they name",
    "{{ '%s' % 'a' }}": "minijinja's % is of numbers alone; it refuses it",
    "{{ '%s-%d' % ('a', 3) }}": "minijinja's % is of numbers alone; it refuses it",
    "{{ 'a\\ab' }}": "minijinja knows no escape \\a and keeps both characters",
    "{{ 'a\\\nb' }}": "minijinja keeps a backslash and the line's end behind it within a text; Python takes both away",
    "{{ 1e16 ~ 'x' }}": "minijinja joins numbers by its own way of writing them",
}


def render(template: str, tools: list | None) -> dict:
    """The text, and the conversation as text: the order of its keys counts."""
    conversation = json.dumps({"messages": MESSAGES, "tools": tools, **NAMES}, ensure_ascii=False)
    return {"template": template, "conversation": conversation, **rendered(template, tools)}


def rendered(template: str, tools: list | None) -> dict:
    try:
        text = chat_template_utils.render_jinja_template(
            [MESSAGES], tools=tools, chat_template=template, add_generation_prompt=True, **NAMES
        )[0][0]
        return {"text": text}
    except Exception as error:
        return {"refused": type(error).__name__}


def byte_level() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet))
    return made


def metaspace() -> Tokenizer:
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    strip = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(strip)
    special = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    made.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=500, special_tokens=special, max_token_length=12))
    return made


def around(bos: bool, eos: bool) -> dict:
    made = processors.TemplateProcessing(
        single=f"{'<s> ' if bos else ''}$A{' </s>' if eos else ''}", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return json.loads(made.__getstate__())


CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
CUT = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
FILLED = {"strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 2, "pad_type_id": 0, "pad_token": "</s>"}  # fmt: skip
MINE = {"default": "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}", "tool_use": "{% for m in messages %}T{{ m.content }}{% endfor %}"}  # fmt: skip
SPECIALS = "{% for m in messages %}{{ m.content }}{% endfor %}|{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|{{ pad_token }}|{{ sep_token is defined }}|{{ image_token }}"


def folders() -> list[dict]:
    """Folders as models have them: what is in the tokenizer's file, and the other small files."""
    def one(name, tokenizer=None, config=CONFIG, post=None, own=None, why=None, **files):
        return {"name": name, "base": tokenizer or "metaspace", "post": post, "own": own, "why": why,
                "files": {"tokenizer_config.json": json.dumps(config), **files}, "set": {}}  # fmt: skip

    def saved(name, key, value, tokenizer="metaspace"):
        made = one(name, tokenizer, post=around(True, False))
        made["set"] = {key: value}
        return made

    no_end = "an end of sequence behind a prompt leaves nothing to answer; transformers 4 takes it away by add_eos_token, 5 keeps it"
    no_start = "transformers 4 obeys add_bos_token for Llama's and Gemma's classes, 5 does not where there is a tokenizer.json"
    flags = lambda bos, eos: {**CONFIG, "add_bos_token": bos, "add_eos_token": eos}  # noqa: E731
    without = {key: value for key, value in CONFIG.items() if not key.endswith("_token")}
    yield_ = [
        one("plain bytes", "byte_level"),
        one("begins", post=around(True, False)),
        saved("truncation is saved", "truncation", CUT),
        saved("padding is saved", "padding", FILLED),
        one("ends too", post=around(True, True), own="without the last", why=no_end),
        one("ends, and is not to", config=flags(True, False), post=around(True, True), own="without the last", why=no_end),
        one("ends, as it is to", config=flags(True, True), post=around(True, True)),
        one("begins, and is not to", config=flags(False, False), post=around(True, False), own="without the first", why=no_start),
        one("is to begin, and does not", config=flags(True, False)),
        one("a template in JSON", config={**CONFIG, "chat_template": SPECIALS}, post=around(True, False)),
        one("tokens of the class", config={**without, "tokenizer_class": "LlamaTokenizerFast", "chat_template": SPECIALS}, post=around(True, False)),
        one("no token by name", config={**without, "tokenizer_class": "LlamaTokenizer", "unk_token": None, "chat_template": SPECIALS}, post=around(True, False)),
        one("tokens of GPT-2's class", "byte_level", config={"tokenizer_class": "GPT2Tokenizer", "chat_template": SPECIALS}),
        one(
            "tokens in the map alone",
            config={"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": SPECIALS},
            **{"special_tokens_map.json": json.dumps({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}})},
        ),
        one(
            "tokens in both",
            config={**CONFIG, "image_token": "<pad>", "chat_template": SPECIALS},
            **{"special_tokens_map.json": json.dumps({"bos_token": "<|im_start|>"})},
        ),
        one("templates in a list", config={**CONFIG, "chat_template": [{"name": name, "template": text} for name, text in MINE.items()]}),
        one("a file", config={**CONFIG, "chat_template": "{{ messages[0].content }} of JSON"}, **{"chat_template.jinja": MINE["default"]}),
        one("files", **{"chat_template.jinja": MINE["default"], "additional_chat_templates/tool_use.jinja": MINE["tool_use"]}),
    ]  # fmt: skip
    return yield_


TEXT = "What colour is a ripe tomato?"


def ask(case: dict, bases: dict) -> dict:
    """What transformers makes of a folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer = {**bases[case["base"]], "post_processor": case["post"], **case["set"]}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        (folder / "config.json").write_text(json.dumps({"model_type": "llama", "eos_token_id": 2}))
        for file, text in case["files"].items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text)
        made = AutoTokenizer.from_pretrained(folder)
        found = {"ids": made(TEXT).input_ids}
        if made.chat_template:
            messages = [{"role": "user", "content": TEXT}]
            found["chat"] = made.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            found["ids"] = made(found["chat"], add_special_tokens=False).input_ids
        if type(made).__name__ != "TokenizersBackend":
            # A class of its own makes another tokenizer than its file says; what it adds to a template is what counts.
            plain = Tokenizer.from_str(json.dumps(tokenizer))
            found["ids"] = plain.encode(found["chat"], add_special_tokens=False).ids
    own = {"without the last": found["ids"][:-1], "without the first": found["ids"][1:], None: None}[case["own"]]
    return {**case, **found, **({"own": own} if own else {})}


PROMPTS = [
    "Question: What colour is a ripe tomato?\nAnswer:", "Question: What colour is a ripe tomato?\nAnswer: ",
    "Question: What colour is a ripe tomato?\nAnswer:\n", "The sea is", "The sea is  ", "The sea is\t", "a\u00a0", "6 times 7 is \n\n", "(", "The sea is bl",
]  # fmt: skip
CHOICES = [(" ", "red"), ("", "red"), (" ", "42"), ("", " blue"), ("\n", "blue"), ("", "ue.")]


def pairs(wheel: str, bases: dict) -> list[dict]:
    """lm-evaluation-harness's own function, run by itself: its module imports more than it needs."""
    with zipfile.ZipFile(wheel) as files:
        tree = ast.parse(files.read("lm_eval/api/model.py").decode())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "_encode_pair")
    scope: dict = {}
    exec(compile(ast.Module([found], []), "model.py", "exec"), scope)  # noqa: S102
    cases = []
    for base, post in [("byte_level", None), ("metaspace", around(True, False))]:
        tokenizer = Tokenizer.from_str(json.dumps({**bases[base], "post_processor": post}))

        class Model:
            backend = "causal"

            @staticmethod
            def tok_encode(text: str, **_) -> list[int]:
                return tokenizer.encode(text).ids

        for prompt in PROMPTS:
            for delimiter, choice in CHOICES:
                context, continuation = scope["_encode_pair"](Model(), prompt, delimiter + choice)
                cases.append({"base": base, "post": post, "prompt": prompt, "delimiter": delimiter, "choice": choice,
                              "context": context, "continuation": continuation})  # fmt: skip
    return cases


def classes() -> dict:
    """Special tokens that classes of tokenizers have by themselves."""
    names = ["CodeLlamaTokenizer", "CohereTokenizer", "GPT2Tokenizer", "GPTNeoXTokenizer", "GemmaTokenizer", "LlamaTokenizer", "Qwen2Tokenizer"]
    standard = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
    found = {}
    for name in names:
        signature = inspect.signature(getattr(transformers, name).__init__)
        defaults = {key: value.default for key, value in signature.parameters.items()}
        found[name] = {
            f"{key}_token": str(defaults[f"{key}_token"]) for key in standard if defaults.get(f"{key}_token")
        }
    return found


def main() -> None:
    wheel = sys.argv[1]
    bases = {"byte_level": json.loads(byte_level().to_str()), "metaspace": json.loads(metaspace().to_str())}
    templates = [
        render(template, tools)
        for template in TEMPLATES
        for tools in ([None, TOOLS] if "tools" in template else [None])
    ]
    otherwise = [{"why": why, **render(template, None)} for template, why in OTHERWISE.items()]
    parts = {
        "command": "scripts/reference_text.py",
        "made_by": f"transformers {version('transformers')}, jinja2 {version('jinja2')}, tokenizers {version('tokenizers')}, lm_eval 0.4.13",
        "day": "-".join(f"{part:02}" for part in DAY),
        "text": TEXT,
        "bases": bases,
        "classes": classes(),
        "templates": templates,
        "otherwise": otherwise,
        "folders": [ask(case, bases) for case in folders()],
        "pairs": pairs(wheel, bases),
    }

    def lines(value: object) -> str:
        if isinstance(value, list):
            return "[\n" + ",\n".join(f"    {json.dumps(one)}" for one in value) + "\n  ]"
        return json.dumps(value)

    body = ",\n".join(f"  {json.dumps(key)}: {lines(value)}" for key, value in parts.items())
    REFERENCE.write_text("{\n" + body + "\n}\n", encoding="utf-8")
    print(f"{REFERENCE}: {len(templates)} renderings, {len(parts['folders'])} folders, {len(parts['pairs'])} pairs")


if __name__ == "__main__":
    main()
