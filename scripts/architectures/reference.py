"""Owns what transformers says of each architecture in f32: greedy tokens, log likelihoods of choices, documents.

    reference.py FOLDER CASES [ARCHITECTURE...]   writes FOLDER/NAME/reference.json; default: all

Every prompt is run by itself, without padding. The log probability of a text is that of one call over all of it;
greedy tokens are those of `generate`, which keeps a cache. With each greedy token stands by how much it was the most
probable (nats), so that a tie is known from a fault. Like make.py, a process leaves out what needs another release.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from cases import DOCUMENT_TOKENS, GENERATED
from configs import ARCHITECTURES
from make import ENDS, EXPORTS

Json = dict[str, Any]


def read_lines(file: Path) -> list[Json]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


class Reference:
    """One checkpoint in f32, with its tokenizer."""

    def __init__(self, source: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.torch = torch
        self.model = AutoModelForCausalLM.from_pretrained(source).float().eval()
        self.tokenizer = AutoTokenizer.from_pretrained(source)
        # Where generation ends is said by each call.
        self.model.generation_config.eos_token_id = None

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text)["input_ids"]

    def log_probabilities(self, tokens: list[int]) -> Any:
        """[positions, vocabulary], f64; of one call."""
        with self.torch.no_grad():
            logits = self.model(input_ids=self.torch.tensor([tokens])).logits[0]
        return self.torch.log_softmax(logits.double(), dim=-1)

    def greedy(self, prompt: list[int], ends: list[int] | None, count: int = GENERATED) -> Json:
        torch = self.torch
        done = self.model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=count,
            eos_token_id=ends,
            pad_token_id=5,
            output_logits=True,
            return_dict_in_generate=True,
        )
        best = [logits[0].double().topk(2).values for logits in done.logits]
        return {
            "prompt": prompt,
            "tokens": done.sequences[0, len(prompt) :].tolist(),
            "margins": [float(two[0] - two[1]) for two in best],
        }

    def choice(self, prompt: str, choice: str) -> Json:
        before, both = self.ids(prompt), self.ids(prompt + choice)
        if both[: len(before)] != before or len(both) == len(before):
            both = before + self.ids(choice)
        rows = self.log_probabilities(both[:-1])[len(before) - 1 :]
        each = [float(row[token]) for row, token in zip(rows, both[len(before) :], strict=True)]
        return {"tokens": both[len(before) :], "log_likelihood": sum(each)}

    def document(self, text: str) -> Json:
        tokens = self.ids(text)[:DOCUMENT_TOKENS]
        rows = self.log_probabilities(tokens[:-1])
        each = [-float(row[token]) for row, token in zip(rows, tokens[1:], strict=True)]
        return {"tokens": tokens, "nll": sum(each), "each": each}


def reference(source: Path, cases: Path) -> Json:
    model = Reference(source)
    around = (cases / "shared.txt").read_text(encoding="utf-8")
    lines = {name: read_lines(cases / f"{name}.jsonl") for name in ("timing", "alone", "shared", "choices", "documents")}

    def answers(name: str, template: str) -> Json:
        prompts = {task["id"]: model.ids(template.replace("{{ prompt }}", task["prompt"])) for task in lines[name]}
        return {task: model.greedy(prompt, ENDS) for task, prompt in prompts.items()}

    return {
        "timing": {task["id"]: model.greedy(model.ids(task["prompt"]), None) for task in lines["timing"]},
        "answers": answers("alone", "{{ prompt }}") | answers("shared", around),
        "choices": {
            task["id"]: [model.choice(task["prompt"], f" {choice}") for choice in task["expect"]["choices"]]
            for task in lines["choices"]
        },
        "documents": {document["id"]: model.document(document["text"]) for document in lines["documents"]},
    }


def main() -> int:
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers

    torch.set_num_threads(1)
    folder, cases = Path(sys.argv[1]), Path(sys.argv[2])
    for name in sys.argv[3:] or ARCHITECTURES:
        place = folder / name / "reference.json"
        if ARCHITECTURES[name].transformers != transformers.__version__ or place.exists():
            continue
        if not (folder / name / EXPORTS[0]).exists():
            continue
        try:
            found = reference(folder / name / "src", cases)
        except Exception as error:  # whatever a library raises of a model is a result here
            print(f"{name}: {type(error).__name__}: {str(error)[:200]}", flush=True)
            continue
        found |= {"transformers": transformers.__version__, "torch": torch.__version__}
        place.write_text(json.dumps(found), encoding="utf-8")
        print(f"{name}: reference", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
