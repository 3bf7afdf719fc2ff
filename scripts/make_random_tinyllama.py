"""Owns the random checkpoint: the exact shape of TinyLlama-1.1B with seeded random weights, as model folders.

`scripts/tinyllama_random.sh` calls it, one subcommand per step:

    make_random_tinyllama.py gguf        OUT            the checkpoint as one GGUF file (F16), source of the rest
    make_random_tinyllama.py huggingface GGUF OUT       F16 safetensors, for candle
    make_random_tinyllama.py openvino    GGUF SIDE OUT  F16 OpenVINO IR, with SIDE's small files
    make_random_tinyllama.py int8        FROM OUT       the same IR with INT8 weights, by NNCF

Speed, memory and cold start do not depend on what the weights say, so a gate on these is tried out without the
download. What the model says is noise. The conversion is that of `convert_model.py`, from the same kind of file, so
that both engines run the same function.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

import convert_model

# Raise this when what is written changes: tinyllama_random.sh then makes every folder anew.
RECIPE_VERSION = 1

SEED = 42
# Small enough that 22 layers stay finite in F16, and the spread with which such models begin their training.
SPREAD = 0.02

LAYERS = 22
WIDTH = 2048
INNER = 5632
HEADS = 32
KV_HEADS = 4
VOCABULARY = 32_000
CONTEXT = 2048
ROPE_BASE = 10_000.0
RMS_EPSILON = 1e-5

# TinyLlama's special tokens and ids.
UNKNOWN, BEGIN, END = 0, 1, 2
SPECIAL_TOKENS = ["<unk>", "<s>", "</s>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)

SOURCE = {
    "made_by": "scripts/make_random_tinyllama.py",
    "shape": "TinyLlama-1.1B",
    "seed": str(SEED),
    "spread": str(SPREAD),
}
RECIPE = "random weights of TinyLlama-1.1B's shape in F16; only speed and memory mean anything"


# ---- Tokenizer -------------------------------------------------------------------------------------------------


def byte_characters() -> list[str]:
    """The printable character by which byte-level BPE, since GPT-2, writes each of the 256 bytes."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    character = {byte: chr(byte) for byte in printable}
    character |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    return [character[byte] for byte in range(256)]


def vocabulary() -> tuple[list[str], list[str]]:
    """All tokens and the merges that make them: no training text, and yet the exact size.

    Every pair of 32 common bytes is a token, and then every triple until the vocabulary is full; so English comes
    out at two to three bytes a token. Tokens that no text yields, such as those with a space inside, fill it up.
    """
    characters = byte_characters()
    common = [characters[byte] for byte in b" abcdefghijklmnopqrstuvwxyzTIASC"]
    merges = [(a, b) for a, b in product(common, repeat=2)]
    room = VOCABULARY - len(SPECIAL_TOKENS) - len(characters) - len(merges)
    merges += islice(((a + b, c) for a, b, c in product(common, repeat=3)), room)
    tokens = SPECIAL_TOKENS + characters + [left + right for left, right in merges]
    if len(set(tokens)) != VOCABULARY:
        raise convert_model.ConversionError(f"the vocabulary has {len(set(tokens))} tokens instead of {VOCABULARY}")
    return tokens, [f"{left} {right}" for left, right in merges]


# ---- GGUF file -------------------------------------------------------------------------------------------------


def shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of each tensor, by llama.cpp's names; those of one dimension are the norms."""
    kv = WIDTH // HEADS * KV_HEADS
    layer = {
        "attn_norm": (WIDTH,),
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (kv, WIDTH),
        "attn_v": (kv, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_norm": (WIDTH,),
        "ffn_gate": (INNER, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }
    yield "token_embd.weight", (VOCABULARY, WIDTH)
    for index in range(LAYERS):
        for part, shape in layer.items():
            yield f"blk.{index}.{part}.weight", shape
    yield "output_norm.weight", (WIDTH,)
    yield "output.weight", (VOCABULARY, WIDTH)


def type_of(shape: tuple[int, ...]) -> Any:
    """GGUF readers expect the norms in F32."""
    import numpy

    return numpy.dtype(numpy.float32 if len(shape) == 1 else numpy.float16)


def values(index: int, shape: tuple[int, ...]) -> Any:
    """A tensor's values; each has its own stream, so that none depends on the order of making."""
    import numpy

    if len(shape) == 1:
        return numpy.ones(shape, dtype=type_of(shape))
    drawn = numpy.random.default_rng([SEED, index]).standard_normal(shape, dtype=numpy.float32)
    drawn *= SPREAD
    return drawn.astype(type_of(shape))


def add_metadata(writer: Any) -> None:
    """The fields that `convert_model.py` and GenAI read."""
    from gguf import LlamaFileType

    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(RMS_EPSILON)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(VOCABULARY)
    add_tokenizer(writer)


def add_tokenizer(writer: Any) -> None:
    from gguf import TokenType

    tokens, merges = vocabulary()
    types = [TokenType.CONTROL] * len(SPECIAL_TOKENS) + [TokenType.NORMAL] * (len(tokens) - len(SPECIAL_TOKENS))
    # TinyLlama's own kind of tokenizer (SentencePiece) is one that GenAI does not read from a GGUF file.
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_pad_token_id(END)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def make_gguf(out: Path) -> None:
    """Writes the file tensor by tensor: the memory needed is that of the largest one."""
    from gguf import GGUFWriter

    writer = GGUFWriter(out / "model-f16.gguf", "llama")
    add_metadata(writer)
    tensors = list(shapes())
    for name, shape in tensors:
        dtype = type_of(shape)
        size = dtype.itemsize
        for length in shape:
            size *= length
        writer.add_tensor_info(name, shape, dtype, size)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for index, (_, shape) in enumerate(tensors):
        writer.write_tensor_data(values(index, shape))
    writer.close()


# ---- Model folders ---------------------------------------------------------------------------------------------


def make_huggingface(gguf: Path, out: Path) -> None:
    import json

    convert_model.convert_huggingface(convert_model.Gguf(gguf), out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    convert_model.write_json(out / "config.json", {**config, "initializer_range": SPREAD})
    convert_model.write_provenance(out, SOURCE, RECIPE, ("gguf", "numpy", "safetensors"))


def make_openvino(gguf: Path, side: Path, out: Path) -> None:
    convert_model.convert_openvino(convert_model.Gguf(gguf), side, out)
    tools = ("gguf", "numpy", "openvino", "openvino-genai", "openvino-tokenizers")
    convert_model.write_provenance(out, SOURCE, RECIPE, tools)


def make_int8(base: Path, out: Path) -> None:
    recipe = convert_model.convert_compressed("int8", base, out)
    convert_model.write_provenance(out, SOURCE, recipe, ("nncf", "openvino"))


# ---- Command ---------------------------------------------------------------------------------------------------

STEPS = {
    "gguf": (make_gguf, ()),
    "huggingface": (make_huggingface, ("gguf",)),
    "openvino": (make_openvino, ("gguf", "side")),
    "int8": (make_int8, ("base",)),
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    for name, (_, inputs) in STEPS.items():
        step = steps.add_parser(name)
        for argument in (*inputs, "out"):
            step.add_argument(argument, type=Path)
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    make, inputs = STEPS[arguments.step]
    arguments.out.mkdir(parents=True)
    try:
        make(*(getattr(arguments, name) for name in inputs), arguments.out)
    except convert_model.ConversionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
