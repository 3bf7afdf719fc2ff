"""Owns what every architecture is asked: files of tasks and documents, the same for perfgate and for transformers.

    cases.py FOLDER   writes timing.jsonl, alone.jsonl, shared.jsonl (with shared.txt around it), choices.jsonl and
                      documents.jsonl

The lengths matter: within a window of 16 tokens and beyond it, within an original context of 64 tokens, across it
while generating, and beyond it from the start; and rows of unequal length, which are what is asked together.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

GENERATED = 24
DOCUMENT_TOKENS = 160
BATCH = 8

STORY = (
    "The ferry left at six, with two lorries and a van of bread on its deck. The captain knew each rock of the bay and "
    "said so to anyone who stood near the wheel. Behind the lighthouse the wind turned, and the passengers went below, "
    "where a boy sold tea from a can. Nobody asked him for the price; it had been the same for eleven years. When the "
    "harbour came in sight he counted his coins, wrote the sum on the wall with chalk, and added the days of the month. "
    "A woman who had watched him asked what he would buy. A boat, he said, and she laughed, and then she did not, since "
    "he had named the yard, the wood and the length of the keel. The bells rang twice. On the quay somebody waved a "
    "yellow cloth, and the ropes flew over the water as they did every morning of that summer."
)
QUESTIONS = (
    "Who sells tea?",
    "When does the ferry leave, and what stands on its deck?",
    "What did the captain say about the rocks of the bay to anyone who stood near the wheel in the morning?",
    "Name the cloth.",
    "How long had the price been the same, and who was asked for it?",
    "Where did the passengers go when the wind turned behind the lighthouse, and what did they find there?",
    "What rang?",
    "Tell me about the boat, its yard, its wood and the length of its keel, in one short sentence, please.",
)
SHARED = "Read the notes and answer in a word.\nNote: the ferry leaves at six.\nQuestion: {{ prompt }}\nAnswer:"
CHOICES = (
    (("Tea was sold by", ["a boy", "the captain of the ferry", "nobody at all on that day"])),
    (("What rang twice?", ["the bells", "the telephone in the office of the harbour", "a clock"])),
    (("The cloth was", ["yellow", "red and white, with a blue border", "black", "as long as the keel of a boat"])),
)


def words(count: int, first: int = 0) -> str:
    return " ".join(STORY.split()[first : first + count])


def files() -> dict[str, list[dict[str, Any]]]:
    timing = [
        {"id": f"{count}-words", "prompt": words(count, first)} for count, first in ((4, 0), (9, 20), (26, 30), (70, 5))
    ]
    # Whole prompts of unequal length, in no order: nothing is shared.
    lengths = (6, 40, 12, 3, 28, 60, 9, 18)
    alone = [{"id": f"alone-{place}", "prompt": words(count, 7 * place)} for place, count in enumerate(lengths)]
    shared = [{"id": f"shared-{place}", "prompt": question} for place, question in enumerate(QUESTIONS)]
    for task in alone + shared:
        task |= {"grader": "exact", "expect": "what no random model says"}
    choices = []
    for place, (prompt, given) in enumerate(CHOICES):
        for name, before in (("short", ""), ("long", words(45) + "\n")):
            expect = {"choices": given, "gold": 0}
            choices.append({"id": f"{name}-{place}", "prompt": before + prompt, "grader": "choice", "expect": expect})
    documents = [
        {"id": "first", "text": STORY},
        {"id": "second", "text": words(200, 60)},
        {"id": "short", "text": words(24, 100)},
    ]
    return {"timing": timing, "alone": alone, "shared": shared, "choices": choices, "documents": documents}


def main() -> int:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files().items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "shared.txt").write_text(SHARED, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
