"""Owns the smallest models of each kind of state, in F32, with what transformers says of them: for tests.

    fixtures.py FOLDER [KIND...]   FOLDER/KIND/{openvino_model.xml,openvino_model.bin,tokenizer.json,…,reference.json}

One of each kind in which the rows of a batch may or may not be independent: full attention, a sliding window, linear
biases, a convolution, two recurrent states, and rotary frequencies that change beyond the original context. Like
make.py, a process leaves out what needs another release of transformers.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from configs import BETWEEN, OLDER, Architecture, own, usual
from make import export, make_checkpoint
from reference import Reference

VOCABULARY = 128
WINDOW = 8
ORIGINAL_CONTEXT = 24
SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 256,
}


def small(config: str, transformers: str | None = None, **values: Any) -> Architecture:
    more = {"transformers": transformers} if transformers else {}
    return usual(config, **{**SMALL, **values}, **more)


LINEAR = {
    "num_hidden_layers": 2,
    "head_dim": 16,
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "layer_types": ["linear_attention", "full_attention"],
}

KINDS: dict[str, Architecture] = {
    "full": small("LlamaConfig"),
    "window": small("MistralConfig", sliding_window=WINDOW, num_hidden_layers=2),
    "alibi": own("MptConfig", vocab_size=VOCABULARY, d_model=32, n_layers=1, n_heads=2, expansion_ratio=2, max_seq_len=256),
    "convolution": small(
        "Lfm2Config", OLDER, num_hidden_layers=2, layer_types=["conv", "full_attention"], block_ff_dim=48
    ),
    "mamba-hybrid": small(
        "GraniteMoeHybridConfig",
        num_hidden_layers=2,
        num_local_experts=0,
        num_experts_per_tok=0,
        shared_intermediate_size=48,
        layer_types=["mamba", "attention"],
        mamba_n_heads=2,
        mamba_d_head=32,
        mamba_d_state=8,
        mamba_n_groups=1,
        mamba_expand=2,
        mamba_chunk_size=8,
        attention_multiplier=0.5,
    ),
    "delta-rule": small("Qwen3_5TextConfig", BETWEEN, **LINEAR),
    "mamba": own(
        "MambaConfig", transformers=OLDER, vocab_size=VOCABULARY, hidden_size=32, state_size=8, num_hidden_layers=1
    ),
    "longrope": small(
        "Phi3Config",
        original_max_position_embeddings=ORIGINAL_CONTEXT,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0 + 0.01 * place for place in range(8)],
            "long_factor": [1.0 + 0.5 * place for place in range(8)],
            "original_max_position_embeddings": ORIGINAL_CONTEXT,
        },
    ),
}

# In token ids, so that nothing depends on a tokenizer: any ids above the special ones.
LENGTHS = (3, 7, 13, 30, 45)
CONTINUATIONS = (1, 4, 11)
GENERATED = 16


def made_up(count: int, salt: int) -> list[int]:
    return [8 + (place * place * 7 + place * 13 + salt * 29) % (VOCABULARY - 8) for place in range(count)]


def values(model: Reference) -> dict[str, Any]:
    choices = []
    for length in LENGTHS:
        prompt = made_up(length, 1)
        given = []
        for place, count in enumerate(CONTINUATIONS):
            tokens = made_up(count, 2 + place)
            rows = model.log_probabilities((prompt + tokens)[:-1])[length - 1 :]
            each = [float(row[token]) for row, token in zip(rows, tokens, strict=True)]
            given.append({"tokens": tokens, "log_likelihood": sum(each), "each": each})
        choices.append({"prompt": prompt, "choices": given})
    # Four prompts that share their first tokens, and whose lengths differ: what is answered together.
    shared = made_up(5, 9)
    prompts = [shared + made_up(length, 20 + length) for length in (2, 9, 16, 28)]
    document = made_up(60, 3)
    rows = model.log_probabilities(document[:-1])
    return {
        "choices": choices,
        "shared": len(shared),
        "greedy": [model.greedy(prompt, None, GENERATED) for prompt in prompts],
        "document": {
            "tokens": document,
            "log_probabilities": [float(row[token]) for row, token in zip(rows, document[1:], strict=True)],
        },
    }


def make(kind: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        source, made = Path(place) / "src", Path(place) / "ov"
        make_checkpoint(KINDS[kind], source, half=False)
        export(source, made, weights="fp32")
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("openvino_model.xml", "openvino_model.bin", "config.json", "generation_config.json"):
            shutil.copy(made / file, folder / file)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(source / file, folder / file)
        text = json.dumps(values(Reference(source)), indent=1)
    (folder / "reference.json").write_text(text + "\n", encoding="utf-8")


def main() -> int:
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers

    failed = 0
    for kind in sys.argv[2:] or KINDS:
        if KINDS[kind].transformers != transformers.__version__:
            continue
        try:
            make(kind, Path(sys.argv[1]) / kind)
            print(f"{kind}: ready", flush=True)
        except Exception as error:
            failed += 1
            print(f"{kind}: {type(error).__name__}: {str(error)[:300]}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
