"""Owns the tiny models: checkpoints with random weights, and the IRs that optimum-cli makes of them.

    make.py FOLDER [ARCHITECTURE...]   FOLDER/NAME/src (a checkpoint), and its IRs FOLDER/NAME/fp32 and FOLDER/NAME/fp16;
                                       default: all
    make.py --list VERSION             the architectures that need this release of transformers

Each process has one release of transformers, so architectures that need another are left out. What is there is not made
again. Where a step fails, FOLDER/NAME/failed.txt has its error. `scripts/evidence.sh architectures` calls it, with the
packages of requirements.txt.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from configs import ARCHITECTURES, Architecture

REPOSITORY = Path(__file__).resolve().parents[2]
TEXTS = ("workloads/documents.jsonl", "workloads/agent.jsonl", "workloads/tool-calls.jsonl")
SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<pad>", "<|eot|>"]
SEED = 7
# Both hold the same weights, which are of 16 bits. In FP16 constants of the graph are rounded too, such as rotary frequencies.
EXPORTS = ("fp32", "fp16")
ENDS = [2, 4, 6]

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# Parameters of state-space layers, whose values have to be of a certain kind: as transformers draws them.
LEFT_ALONE = ("a_log", "dt_bias", "dt_proj.bias")
# Norms that multiply by one and their weight.
OFFSET_NORMS = ("gemma", "gemma2", "gemma3_text", "qwen3_next", "qwen3_5_text")


def train_tokenizer(vocabulary: int) -> Any:
    """Byte-level BPE, as GPT-2, Llama 3 and Qwen have it, learned from this repository's workloads."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet() if vocabulary > 256 + len(SPECIAL) else []
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train([str(REPOSITORY / text) for text in TEXTS], trainer)
    return tokenizer


def is_norm(name: str) -> bool:
    return "norm" in name or "ln_" in name


def spread(name: str, shape: tuple[int, ...], family: str, tied: bool) -> float:
    """The standard deviation of a matrix: so that each layer keeps the size of its input, attention is not even, and
    the logits are some nats apart."""
    if "head" in name and "embed" not in name:
        return 3.0 / math.sqrt(shape[-1])
    if "wpe" in name or "embed_positions" in name:
        return 0.5
    if "embed" in name or "wte" in name:
        return 0.35 if tied else 1.0
    inputs = shape[-1]
    if len(shape) == 3 and "conv" in name:
        inputs = shape[1] * shape[2]
    elif len(shape) == 3 and family == "gpt_oss":
        inputs = shape[1]
    elif family == "gpt2":  # its layers hold their matrices the other way round
        inputs = shape[0]
    sharper = 1.7 if "q_proj" in name or "k_proj" in name else 1.0
    return sharper / math.sqrt(inputs)


def draw(model: Any, seed: int) -> None:
    """Random weights that F16 holds exactly."""
    import torch

    source = torch.Generator().manual_seed(seed)
    family = model.config.model_type
    tied = bool(getattr(model.config, "tie_word_embeddings", False))

    def normal(shape: Any) -> Any:
        return torch.randn(shape, generator=source)

    with torch.no_grad():
        for full_name, parameter in model.named_parameters():
            name, shape = full_name.lower(), tuple(parameter.shape)
            state_space = any(part in name for part in LEFT_ALONE) or name.endswith(".d")
            if state_space:
                pass
            elif len(shape) >= 2:
                parameter.copy_(normal(shape) * spread(name, shape, family, tied))
            elif name.endswith("bias") or "sinks" in name:
                parameter.copy_(normal(shape) * 0.3)
            elif is_norm(name):
                parameter.copy_((0.0 if family in OFFSET_NORMS else 1.0) + normal(shape) * 0.2)
            parameter.copy_(parameter.half().float())


def make_checkpoint(architecture: Architecture, folder: Path, *, half: bool = True, seed: int = SEED) -> None:
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    config = getattr(transformers, architecture.config)(**architecture.values)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).float()
    draw(model, seed)
    model.tie_weights()
    model.generation_config.eos_token_id = ENDS
    model.generation_config.bos_token_id = 1
    model.generation_config.pad_token_id = 5
    model.to(torch.float16 if half else torch.float32).eval()
    model.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=train_tokenizer(architecture.values["vocab_size"]),
        bos_token="<s>",
        eos_token="<|im_end|>",
        unk_token="<unk>",
        pad_token="<pad>",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)


def export(source: Path, folder: Path, *more: str, task: str = "text-generation-with-past", weights: str = "fp16") -> None:
    """What `optimum-cli export openvino` does, in this process."""
    from optimum.commands.optimum_cli import main as optimum_cli

    before = sys.argv
    words = ["export", "openvino", "--model", str(source), "--task", task, "--weight-format", weights, *more, str(folder)]
    sys.argv = ["optimum-cli", *words]
    try:
        optimum_cli()
    finally:
        sys.argv = before


def step(folder: Path, proof: str, work: Any) -> None:
    """Does a step in a folder next to its own, which takes its name when it is complete."""
    if (folder / proof).exists():
        return
    unfinished = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    work(unfinished)
    if not (unfinished / proof).exists():
        raise FileNotFoundError(f"{proof} was not written")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def make(name: str, folder: Path) -> None:
    architecture = ARCHITECTURES[name]
    step(folder / "src", "config.json", lambda place: make_checkpoint(architecture, place))
    for weights in EXPORTS:
        step(folder / weights, "openvino_model.bin", lambda place, weights=weights: export(folder / "src", place, weights=weights))


def main() -> int:
    if sys.argv[1] == "--list":
        print("\n".join(name for name, one in ARCHITECTURES.items() if one.transformers == sys.argv[2]))
        return 0
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers

    folder = Path(sys.argv[1])
    for name in sys.argv[2:] or ARCHITECTURES:
        if ARCHITECTURES[name].transformers != transformers.__version__:
            continue
        failed = folder / name / "failed.txt"
        try:
            make(name, folder / name)
            failed.unlink(missing_ok=True)
            print(f"{name}: ready", flush=True)
        except (Exception, SystemExit) as error:  # whatever a library raises of a model is a result here
            failed.parent.mkdir(parents=True, exist_ok=True)
            failed.write_text(f"{type(error).__name__}: {error}\n", encoding="utf-8")
            print(f"{name}: {type(error).__name__}: {str(error)[:200]}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
