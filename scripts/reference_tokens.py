"""Owns the reference token ids: what the tokenizer in the demonstration model's OpenVINO IR makes of varied strings.

perfgate itself tokenizes with the `tokenizers` crate from `tokenizer.json`, which `scripts/convert_model.py` wrote.
The IR's tokenizer was made by OpenVINO GenAI from the same GGUF file and shares no code with either, so equal ids
show that the conversion is right. `scripts/setup.sh` fetches all that this needs:

    export PYTHONPATH=.perfgate/python:.perfgate/runtimes/openvino-2026.4.1
    python3 scripts/reference_tokens.py           # writes tests/reference/tokens.json
    python3 scripts/reference_tokens.py --check   # compares it with the IR and with Python's tokenizers

The check also needs the crate's Python package: pip install --target DIR tokenizers==0.23.2, and DIR in PYTHONPATH.

One known difference needs too long a text for the file: of more than 8192 tokens the IR's tokenizer keeps the last
8192, and the `tokenizers` library keeps all.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MODEL = REPOSITORY / ".perfgate/models/smollm2-135m"
REFERENCE = REPOSITORY / "tests/reference/tokens.json"
COMMAND = "PYTHONPATH=.perfgate/python:.perfgate/runtimes/openvino-2026.4.1 python3 scripts/reference_tokens.py"

RANDOM_SEED = 42
RANDOM_STRINGS = 120

# Texts for which the two tokenizers do differ, with the ids of the `tokenizers` library (`--check` verifies them).
DIFFERING_REASON = (
    "U+180E: the IR's regular expressions (PCRE2) count it as white space, so a run of white space goes on through "
    "it; Unicode has not counted it since 6.3, and neither does the tokenizers library"
)
DIFFERING = {
    "  \u180e": [216, 15822, 250, 232],
    "b  \u180e 2x": [82, 216, 15822, 250, 232, 216, 34, 104],
}

ENGLISH = [
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    "the THE The tHe",
    "What is the weather in Lisbon this afternoon?",
    "Dr. O'Neill arrived at 9 a.m., didn't he? Yes -- he did...",
    "antidisestablishmentarianism and supercalifragilisticexpialidocious",
    "co-operate, re-enter, e-mail; state-of-the-art",
    "“Curly quotes” and ‘single ones’ — with an em dash…",
    "Ünïcödé façade naïve coöperation œuvre",
    "ALL CAPS SHOUTING AND camelCaseIdentifiers plus snake_case_ones",
    "a",
    "Z",
    "I'm sure we'll see that they've said she'd go; it's what you're told, isn't it",
    "I'M SURE WE'LL SEE THEY'VE SAID SHE'D GO",
    "'s 't 're 've 'm 'll 'd",
    "'sss 'tdm ''s '''ll rock'n'roll",
    "it’s we’re don’t",
    "don't don 't don' t",
    "Once upon a time, in a village by the sea, there lived a girl who counted the waves every evening.",
]

CODE = [
    'fn main() {\n    println!("{}", 1 + 2);\n}\n',
    "def f(x: int = 3) -> list[int]:\n\treturn [i ** 2 for i in range(x)]  # squares\n",
    "#include <stdio.h>\nint main(void) { return 0; }\n",
    "SELECT * FROM t WHERE a >= 10 AND b <> 'x''y';",
    "for (let i = 0; i < n; ++i) { sum += a[i] ?? 0; }",
    "if __name__ == '__main__':\n    sys.exit(main())\n",
    "grep -rn 'foo.*bar' . | awk '{print $1}' > out.txt 2>&1",
    r"^\s*([A-Za-z_]\w*)\s*=\s*(.+?)\s*$",
    r"C:\Users\name\AppData\Local\Temp",
    '<div class="a b"><p>&nbsp;text&amp;more</p></div>',
    "        eight spaces\n            twelve\n    four\n",
    "\t\tif (x) {\n\t\t\ty();\n\t\t}\n",
    "a->b::c<d>&&e||f!=g===h",
    "x = y // 2; z = x << 3 | 0xFF & ~0b1010",
    "# Heading\n\n- item *one*\n- item **two**\n\n```rust\nlet x = 1;\n```\n",
    "$\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}$",
]

JSON = [
    '{"tool": "get_weather", "arguments": {"city": "Oslo", "unit": "celsius"}}',
    '{"a":[1,2.5,-3e10,true,false,null],"b":{"c":"d\\n\\u00e9"}}',
    '[{"id": 1}, {"id": 2}]',
    '{\n  "nested": {\n    "list": [\n      1,\n      2\n    ]\n  }\n}\n',
    '{}[]""::,,',
    '{"emoji": "\U0001f600", "escaped": "\\ud83d\\ude00"}',
]

SCRIPTS = [
    "مرحبا بالعالم، كيف حالك اليوم؟",
    "الْعَرَبِيَّةُ بِالتَّشْكِيلِ",
    "نستخدم ١٢٣٤ و 1234 معا",
    "नमस्ते दुनिया, आप कैसे हैं?",
    "क्षत्रिय ज्ञान श्री १२३",
    "你好，世界！今天天气怎么样？",
    "繁體中文與简体中文混排",
    "こんにちは、世界。カタカナとひらがなと漢字。",
    "ｱｲｳｴｵ ＡＢＣ １２３",
    "東京タワーは333メートルです。",
    "안녕하세요 세계! 오늘 날씨가 어때요?",
    "\u1112\u1161\u11ab\u1100\u1173\u11af",  # Hangul in separate letters
    "สวัสดีชาวโลก วันนี้อากาศเป็นอย่างไร",
    "๑๒๓ บาท น้ำ",
    "שלום עולם, מה שלומך היום?",
    "בְּרֵאשִׁית בָּרָא",
    "Привет, мир! Как дела сегодня?",
    "Съешь же ещё этих мягких французских булок",
    "Γειά σου Κόσμε! Πώς είσαι σήμερα;",
    "ἐν ἀρχῇ ἦν ὁ λόγος",
    "Xin chào thế giới, hôm nay thời tiết thế nào?",
    "Vie\u0323\u0302t Nam to\u0302i ye\u0302u tie\u0302\u0301ng nu\u031bo\u031b\u0301c",  # with combining marks
    "cafe\u0301 caf\u00e9 A\u030a \u00c5 \u212b",
    "o\u0308\u0304\u0301\u0327 stacked",
    "বাংলা ভাষা",
    "தமிழ் மொழி",
    "తెలుగు భాష",
    "ქართული ენა",
    "Հայերեն լեզու",
    "አማርኛ ቋንቋ",
    "ភាសាខ្មែរ",
    "ພາສາລາວ",
    "မြန်မာဘာသာ",
    "བོད་སྐད་",
    "සිංහල භාෂාව",
    "Türkçe: İstanbul'da ışık ve gölge",
    "Straße, Größe, Übermut, ẞ",
    "Zażółć gęślą jaźń; příliš žluťoučký kůň",
    "Kæmi ný öxi hér, ykist þjófum nú bæði víl og ádrepa",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝐛𝐨𝐥𝐝 𝟙𝟚𝟛",
    "𐎠𐎡𐎢 𓀀𓁀 𒀀",
    "English русский 中文 عربي हिन्दी 한국어 in one line",
]

EMOJI = [
    "\U0001f600",
    "\U0001f600\U0001f601 \U0001f602",
    "great job \U0001f44d\U0001f3fd!",
    "\U0001f44b\U0001f3fb\U0001f44b\U0001f3fc\U0001f44b\U0001f3fd\U0001f44b\U0001f3fe\U0001f44b\U0001f3ff",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family",
    "\U0001f469\U0001f3fe\u200d\U0001f4bb \U0001f3f3\ufe0f\u200d\U0001f308",
    "\U0001f1e9\U0001f1ea\U0001f1ef\U0001f1f5\U0001f1fa\U0001f1f8",
    "flags: \U0001f1eb\U0001f1f7 \U0001f1e7\U0001f1f7",
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f of Scotland",
    "\u2764\ufe0f vs \u2764\ufe0e vs \u2764",
    "1\ufe0f\u20e3 #\ufe0f\u20e3",
    "\u00a9 \u00ae \u2122 \u2713 \u2605 \u2192 \u221e \u2211 \u20ac \u00a3 \u00a5",
    "┌──┐\n│ok│\n└──┘",
]

NUMBERS = [
    "1234567",
    "3.14159",
    "1e-9",
    "1,234,567.89",
    "0",
    "00700",
    "-42 +42 \u221242",
    "2026-11-23T01:10:44Z",
    "+49 (0)40 123-456",
    "192.168.0.1:8080",
    "0xDEADBEEF 0b1011 0o755",
    "v1.2.3-rc4",
    "a1b2c3 1a2b3c",
    "3x7=21, 50% of 1/2",
    "½ ¼ x² y³ H₂O ⅷ Ⅻ ①②③",
    "1 2  3   4",
    " 7",
    "7 ",
    "12th 1st 2nd 90s",
    "١٢٣ १२३ ๑๒๓ 一二三 １２３",
    "9999999999999999999999999999999999999999",
    "$1,000.00 €5 5€",
]

WHITE_SPACE = [
    " ",
    "  ",
    "   ",
    "                                ",
    "\t",
    "\t\t\t",
    "\n",
    "\n\n",
    "\n\n\n\n",
    "\r\n",
    "\r\n\r\n",
    "\r",
    " \n \n ",
    "\n \t \n",
    "leading:   x",
    " one leading",
    "   three leading",
    "trailing ",
    "trailing   ",
    "trailing newline\n",
    "trailing lines\n\n\n",
    "\nleading newline",
    "\tleading tab",
    "a  b   c    d     e",
    "a\tb\t\tc \t d",
    "line one\r\nline two\r\n",
    "line one\nline two\n\nline four\n",
    "para\n\n\n   indented",
    "x \ny",
    "x  \n  y",
    "a\u00a0b",
    "a \u00a0 b",
    "\u00a0",
    "\u00a0\u00a0\u00a0x",
    "zero\u200bwidth\u200cnon\u200djoiner",
    "\u200b",
    "\u200b \u200b",
    "\ufeffbyte order mark",
    "word\u2060joiner soft\u00adhyphen",
    "thin\u2009en\u2002em\u2003figure\u2007narrow\u202fideographic\u3000end",
    "\u2003\u2003x \u3000 y",
    "line\u2028separator\u2029paragraph",
    "next\u0085line",
    "form\x0cfeed vertical\x0btab",
    "\u200eleft\u200f right\u202e embedded\u202c",
    "ogham\u1680space",
]

# The vocabulary has no token for some of the control characters: they become the unknown token.
CONTROL = [
    "a\x00b",
    "a\x00",
    "\x00a",
    "x \x00\x00 y",
    "\x01\x02\x03",
    "\x1b[31mred\x1b[0m",
    "bell\x07 backspace\x08 delete\x7f",
    "\x1c\x1d\x1e\x1f",
    "a\x1cb \x1d c",
    "\x80\x81\x9f",
    "\ufffd replacement",
    "private \ue000\uf8ff use",
    "\U0010ffff \ufffe",
    "unassigned \u0378 \U000e0fff",
]

SPECIAL_TOKENS = [
    "<|im_start|>",
    "<|endoftext|>",
    "<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>system\nYou are helpful.<|im_end|>\n",
    "text<|endoftext|>more text",
    "text <|endoftext|> more text",
    "  <|im_end|>  ",
    "<|im_start|><|im_start|><|im_end|>",
    "<|im_start|",
    "|im_start|>",
    "< |im_start|>",
    "<|IM_START|>",
    "<<|im_start|>>",
    "<|im_start|>1<|im_end|>2",
    "<repo_name>perfgate<file_sep>src/main.rs\n",
    "<reponame><filename>a.py<gh_stars>10",
    "<issue_start><issue_comment>ok<issue_closed>",
    "<jupyter_start><jupyter_text>t<jupyter_code>c<jupyter_output>o<jupyter_script>",
    "<empty_output>",
    "<unk> <s> </s> <pad> [CLS] [MASK]",
    "é<|im_end|>\u200d<|im_start|>\U0001f600",
    "'s<|im_end|>'s",
]

LONG = [
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch",
    "a" * 300,
    "ab" * 150,
    "A" * 33,
    "ha" * 40 + "!",
    "!" * 50,
    "-" * 80,
    "=" * 17 + " " + "=" * 16,
    "." * 7,
    "?!" * 20,
    "\U0001f600" * 20,
    "的" * 40,
    "é" * 64,
    " a" * 60,
    "x\n" * 30,
    "0" * 40,
    "the " * 50,
    "zqxjkvbp" * 12,
    "_" * 100,
    " " * 100 + "x",
    "\n" * 40,
    "\t" * 20 + "x",
]

ADDRESSES = [
    "https://example.com/a/b?c=d&e=%20f#g",
    "http://user:pass@[::1]:8080/",
    "mailto:someone@example.org",
    "www.example.co.uk/~name/index.html",
    "ftp://files.example.net/pub/a.tar.gz",
    "https://例え.jp/パス?キー=値",
    "@handle #hashtag r/rust u/name",
    "git@github.com:owner/name.git",
    "/usr/local/lib/python3.11/site-packages/",
    "sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
]

MIXED = [
    "Price: 5€ (≈$5.40), weight 3½ kg — ok? 👍",
    "2+2=4, 但是 2×2=４؟",
    "naïve café\u00a0№5 «guillemets» ‹x›",
    "λx.x² ∀ε>0 ∃δ: |x−a|<δ ⇒ |f(x)−L|<ε",
    "ID:\t42\r\nName:\tÅse Ødegård\r\n",
    "a\u0301\u0302\u0303b c\u0327\u200d\ufe0f 1\u0301",
    "don't 🙂 won't\u200bstop 't 's",
    "C++17, C#, F#, .NET, Node.js",
    "[INFO] 12:34:56.789 worker-3: done (0.5s) \u2714",
    "q&a, r&d; 50/50 | and/or \\ backslash ` tick ~ tilde ^ caret",
]

GROUPS = (
    ENGLISH, CODE, JSON, SCRIPTS, EMOJI, NUMBERS, WHITE_SPACE, CONTROL, SPECIAL_TOKENS, LONG, ADDRESSES, MIXED,
)  # fmt: skip


def code_points(*ranges: tuple[int, int]) -> list[str]:
    return [chr(point) for first, last in ranges for point in range(first, last + 1)]


def random_pools() -> list[list[str]]:
    """Pieces that meet each other in interesting ways; a random string mixes one to three pools."""
    return [
        [*"abcdefghijklmnopqrstuvwxyz", *" " * 5],
        [*"ABCxyzstmdlvre'", " ", "\n", "\r", "\t"],
        [*"0123456789.,e-+ "],
        [*" \t\n\r\x0b\x0c\x85\u00a0\u2003\u200b\u2028\u3000"],
        ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<file_sep>", "<|", "|>", "<", ">", "a", " ", "\n"],
        ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "I", "we", " ", "\u2019s"],
        [*"{}[]()\"':,;!?@#$%^&*_-=+\\/|`~ \n"],
        [*code_points((0x0900, 0x097F)), " "],
        [*code_points((0x0620, 0x06D3)), " "],
        [*code_points((0x4E00, 0x4EFF), (0x3040, 0x30FF))],
        [*code_points((0xAC00, 0xAFFF)), " "],
        [*code_points((0x0E01, 0x0E3A), (0x0E40, 0x0E5B))],
        [*code_points((0x1F300, 0x1F64F)), "\u200d", "\ufe0f", "\U0001f3fd", " "],
        [*code_points((0x0300, 0x036F)), *"aeiouAEIOU   "],
        [*code_points((0x00A1, 0x024F)), *"   "],
        [*code_points((0x0391, 0x03A1), (0x03A3, 0x03C9), (0x0410, 0x044F)), " "],
        [*code_points((0x0001, 0x001F), (0x007F, 0x009F)), "x", " "],
    ]


def random_strings() -> Iterator[str]:
    source = random.Random(RANDOM_SEED)
    pools = random_pools()
    for _ in range(RANDOM_STRINGS):
        chosen = source.sample(pools, source.choice([1, 1, 2, 3]))
        yield "".join(source.choice(source.choice(chosen)) for _ in range(source.randint(1, 60)))


def texts() -> list[str]:
    written = [text for group in GROUPS for text in group]
    twice = {text for text in written if written.count(text) > 1}
    if twice:
        sys.exit(f"error: these strings stand twice in the script; remove one of each: {sorted(twice)!a}")
    return list(dict.fromkeys([*written, *random_strings()]))


def ir_tokenizer() -> Callable[[str], list[int]]:
    """Runs the IR by OpenVINO GenAI: the plain Python API passes strings through NumPy, which cuts NULs at the end."""
    try:
        import openvino  # noqa: F401  loads the runtime's libraries, which the next import looks for
        import openvino_genai
    except ImportError as error:
        sys.exit(f"error: {error}; run scripts/setup.sh and put its folders into the path: {COMMAND}")
    folder = MODEL / "ov-fp16"
    if not (folder / "openvino_tokenizer.xml").is_file():
        sys.exit(f"error: {folder}/openvino_tokenizer.xml is missing; run scripts/setup.sh")
    tokenizer = openvino_genai.Tokenizer(str(folder))

    def encode(text: str) -> list[int]:
        return [int(token) for token in tokenizer.encode(text, add_special_tokens=False).input_ids.data[0]]

    return encode


def library_tokenizer() -> Callable[[str], list[int]]:
    try:
        import tokenizers
    except ImportError:
        sys.exit("error: no package 'tokenizers': pip install --target DIR tokenizers==0.23.2, and DIR in PYTHONPATH")
    tokenizer = tokenizers.Tokenizer.from_file(str(MODEL / "fp16/tokenizer.json"))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def make_reference() -> dict:
    encode = ir_tokenizer()
    packages = ("openvino-genai", "openvino-tokenizers", "openvino")
    return {
        "command": COMMAND,
        "tokenizer": "the IR tokenizer of .perfgate/models/smollm2-135m/ov-fp16, run by "
        + ", ".join(f"{package} {version(package)}" for package in packages),
        "cases": [{"text": text, "ids": encode(text)} for text in texts()],
        "differing": [
            {"text": text, "ids": encode(text), "tokenizers_ids": ids, "why": DIFFERING_REASON}
            for text, ids in DIFFERING.items()
        ],
    }


def as_text(reference: dict) -> str:
    """JSON with one case on each line, so that a change is seen as a change of lines."""
    parts = []
    for key, value in reference.items():
        if isinstance(value, list):
            lines = ",\n".join(f"    {json.dumps(case)}" for case in value)
            parts.append(f'  "{key}": [\n{lines}\n  ]')
        else:
            parts.append(f'  "{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def differences(reference: dict) -> Iterator[str]:
    encode = library_tokenizer()
    for case in reference["cases"]:
        ids = encode(case["text"])
        if ids != case["ids"]:
            yield f"{case['text']!a}: the IR gives {case['ids']}, tokenizers {ids}"
    for case in reference["differing"]:
        ids = encode(case["text"])
        if ids != case["tokenizers_ids"]:
            yield f"{case['text']!a}: recorded are {case['tokenizers_ids']}, tokenizers gives {ids}"
        if ids == case["ids"]:
            yield f"{case['text']!a}: no longer differs; move it to the cases"


def check(reference: dict) -> int:
    found = list(differences(reference))
    for line in found:
        print(line)
    print(f"{len(reference['cases'])} cases, {len(found)} unexpected differences, {len(DIFFERING)} known ones")
    if not REFERENCE.is_file() or REFERENCE.read_text(encoding="utf-8") != as_text(reference):
        print(f"{REFERENCE} is not what this script makes; run it without --check")
        return 1
    return 1 if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, also with the tokenizers package; write nothing")
    arguments = parser.parse_args()
    reference = make_reference()
    if arguments.check:
        return check(reference)
    REFERENCE.write_text(as_text(reference), encoding="utf-8")
    print(f"{REFERENCE}: {len(reference['cases'])} cases, {len(reference['differing'])} differing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
