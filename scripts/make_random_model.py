"""Owns the random checkpoints: model folders of given shapes with seeded random weights.

`scripts/random_llama.sh` calls it, one subcommand per folder:

    make_random_model.py shapes                       the names of all shapes, one a line, with their group
    make_random_model.py describe    SHAPE            what a folder of the shape is made of, and its size in MB
    make_random_model.py huggingface SHAPE OUT        F16 safetensors, for candle
    make_random_model.py openvino    SHAPE SIDE OUT   F16 OpenVINO IR, with SIDE's small files
    make_random_model.py int8        SHAPE FROM OUT   the same IR with INT8 weights, by NNCF

Speed, memory and cold start do not depend on what the weights say, so a gate on these is tried out without any
download. What the models say is noise, but the same noise in every engine: that is what engines are held to each other
by. Each tensor is drawn by itself and written at once, so the memory needed is that of the largest one; only GenAI,
which makes the IR, holds the whole model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any, BinaryIO

import convert_model

# Raise this when what is written changes: random_llama.sh then makes every folder anew.
RECIPE_VERSION = 2

SEED = 42
# The spread of the logits in nats: wide enough that two engines rarely meet a near tie.
LOGIT_SPREAD = 3.0
NORM_SPREAD = 0.25

# The special tokens and ids of TinyLlama and of Llama 2.
UNKNOWN, BEGIN, END = 0, 1, 2
SPECIAL_TOKENS = ["<unk>", "<s>", "</s>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """The sizes of a checkpoint."""

    layers: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    tied: bool
    family: str = "llama"
    vocabulary: int = 32_000
    context: int = 2048
    rope_base: float = 10_000.0
    epsilon: float = 1e-5
    group: str = "all"

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def kv_width(self) -> int:
        return self.head_width * self.kv_heads


# Sizes of known models; 7b is in no group, since few machines hold it three times.
SHAPES = {
    "15m": Shape(6, 288, 768, 6, 6, tied=True),  # stories15M of llama2.c
    "42m": Shape(8, 512, 1376, 8, 8, tied=True),  # stories42M
    "110m": Shape(12, 768, 2048, 12, 12, tied=True),  # stories110M
    "350m": Shape(32, 960, 2560, 15, 5, tied=True),  # MobileLLM-350M
    "tinyllama-1.1b": Shape(22, 2048, 5632, 32, 4, tied=False),
    "7b": Shape(32, 4096, 11008, 32, 32, tied=False, context=4096, group="large"),  # Llama 2 7B
    # For tests: the parts in which the families differ, as small as they go.
    "llama-tiny": Shape(3, 128, 320, 4, 2, tied=False, vocabulary=1024, context=1024, group="tests"),
    "mistral-tiny": Shape(
        3, 128, 320, 8, 2, tied=False, family="mistral", vocabulary=1024, context=1024, rope_base=1e6, group="tests"
    ),
    "qwen2-tiny": Shape(
        3, 128, 320, 4, 2, tied=True, family="qwen2", vocabulary=1024, context=1024, rope_base=1e6, epsilon=1e-6,
        group="tests",
    ),
}

ARCHITECTURES = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM"}
# llama.cpp, and so GenAI, runs a Mistral as the Llama that it is but for its window.
GGUF_ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2"}


def source_of(name: str) -> dict[str, str]:
    return {"made_by": "scripts/make_random_model.py", "shape": name, "seed": str(SEED)}


RECIPE = "random weights in F16; only speed and memory mean anything"


# ---- Tensors ---------------------------------------------------------------------------------------------------


def shapes_of(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """llama.cpp's name and the shape of each tensor; those of one dimension are norms and biases."""
    layer: dict[str, tuple[int, ...]] = {
        "attn_norm.weight": (shape.width,),
        "attn_q.weight": (shape.width, shape.width),
        "attn_k.weight": (shape.kv_width, shape.width),
        "attn_v.weight": (shape.kv_width, shape.width),
        "attn_output.weight": (shape.width, shape.width),
        "ffn_norm.weight": (shape.width,),
        "ffn_gate.weight": (shape.inner, shape.width),
        "ffn_up.weight": (shape.inner, shape.width),
        "ffn_down.weight": (shape.width, shape.inner),
    }
    if shape.family == "qwen2":
        layer |= {"attn_q.bias": (shape.width,), "attn_k.bias": (shape.kv_width,), "attn_v.bias": (shape.kv_width,)}
    yield "token_embd.weight", (shape.vocabulary, shape.width)
    for index in range(shape.layers):
        for part, size in layer.items():
            yield f"blk.{index}.{part}", size
    yield "output_norm.weight", (shape.width,)
    if not shape.tied:
        yield "output.weight", (shape.vocabulary, shape.width)


def huggingface_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    return convert_model.huggingface_name(f"{stem}.weight").removesuffix("weight") + kind


def values(shape: Shape, index: int, name: str, size: tuple[int, ...]) -> Any:
    """A tensor's values in F16, in Hugging Face's order; each has its own stream, so none depends on the others.

    Matrices keep the size of what they multiply, whatever the width, so that deep models stay finite in F16.
    """
    import numpy

    drawn = numpy.random.default_rng([SEED, index]).standard_normal(size, dtype=numpy.float32)
    if name.endswith("norm.weight"):
        drawn *= NORM_SPREAD
        drawn += 1
    elif name == "output.weight" or (name == "token_embd.weight" and shape.tied):
        drawn *= LOGIT_SPREAD / shape.width**0.5
    elif len(size) == 2 and name != "token_embd.weight":
        drawn /= size[1] ** 0.5
    return drawn.astype(numpy.float16)


def tensors(shape: Shape) -> Iterator[tuple[str, Any]]:
    for index, (name, size) in enumerate(shapes_of(shape)):
        yield name, values(shape, index, name, size)


# ---- Tokenizer -------------------------------------------------------------------------------------------------


def byte_characters() -> list[str]:
    """The printable character by which byte-level BPE, since GPT-2, writes each of the 256 bytes."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    character = {byte: chr(byte) for byte in printable}
    character |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    return [character[byte] for byte in range(256)]


def vocabulary(count: int) -> tuple[list[str], list[str]]:
    """All tokens and the merges that make them: no training text, and yet the exact size.

    Every pair of 32 common bytes is a token, and then every triple until the vocabulary is full; so English comes
    out at two to three bytes a token. Tokens that no text yields, such as those with a space inside, fill it up.
    """
    characters = byte_characters()
    common = [characters[byte] for byte in b" abcdefghijklmnopqrstuvwxyzTIASC"]
    pairs = list(product(common, repeat=2))
    room = count - len(SPECIAL_TOKENS) - len(characters)
    merges = pairs[:room]
    merges += islice(((a + b, c) for a, b, c in product(common, repeat=3)), room - len(merges))
    tokens = SPECIAL_TOKENS + characters + [left + right for left, right in merges]
    if len(set(tokens)) != count:
        raise convert_model.ConversionError(f"the vocabulary has {len(set(tokens))} tokens instead of {count}")
    return tokens, [f"{left} {right}" for left, right in merges]


class Metadata:
    """What a GGUF file says of its tokenizer, for the functions of `convert_model` that read it from one."""

    def __init__(self, shape: Shape) -> None:
        from gguf import TokenType

        tokens, merges = vocabulary(shape.vocabulary)
        ordinary = len(tokens) - len(SPECIAL_TOKENS)
        self.path = Path("random weights")
        self.fields: dict[str, Any] = {
            # The families' own kinds of tokenizers need not be: all that counts is the same tokens in every engine.
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "smollm",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [TokenType.CONTROL] * len(SPECIAL_TOKENS) + [TokenType.NORMAL] * ordinary,
            "tokenizer.ggml.merges": merges,
            "tokenizer.ggml.unknown_token_id": UNKNOWN,
            "tokenizer.ggml.bos_token_id": BEGIN,
            "tokenizer.ggml.eos_token_id": END,
            "tokenizer.ggml.padding_token_id": END,
            "tokenizer.ggml.add_bos_token": False,
            "tokenizer.ggml.add_space_prefix": False,
            "tokenizer.chat_template": CHAT_TEMPLATE,
            "llama.context_length": shape.context,
        }

    def field(self, name: str) -> Any:
        return self.fields[name]


# ---- Hugging Face folder ---------------------------------------------------------------------------------------


def model_config(shape: Shape) -> dict[str, Any]:
    config = {
        "architectures": [ARCHITECTURES[shape.family]],
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "max_position_embeddings": shape.context,
        "model_type": shape.family,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "pad_token_id": END,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.rope_base,
        "tie_word_embeddings": shape.tied,
        "torch_dtype": "float16",
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    }
    if shape.family == "llama":
        return {**config, "attention_bias": False, "mlp_bias": False, "rope_scaling": None}
    if shape.family == "mistral":
        return {**config, "head_dim": shape.head_width, "sliding_window": None}
    window = {"max_window_layers": shape.layers, "sliding_window": shape.context, "use_sliding_window": False}
    return {**config, **window}


def write_safetensors(shape: Shape, file: BinaryIO) -> None:
    """The format by hand, since its library wants all tensors at once: 8 bytes of length, a header, the values."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, size in shapes_of(shape):
        start, count = end, 1
        for length in size:
            count *= length
        end += 2 * count
        header[huggingface_name(name)] = {"dtype": "F16", "shape": size, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, tensor in tensors(shape):
        file.write(tensor.data)


def make_huggingface(name: str, out: Path) -> None:
    shape, metadata = SHAPES[name], Metadata(SHAPES[name])
    with (out / "model.safetensors").open("wb") as file:
        write_safetensors(shape, file)
    convert_model.write_json(out / "config.json", model_config(shape))
    convert_model.write_json(out / "generation_config.json", convert_model.generation_config(metadata))
    convert_model.write_json(out / "tokenizer.json", convert_model.tokenizer(metadata))
    convert_model.write_json(out / "tokenizer_config.json", convert_model.tokenizer_config(metadata))
    convert_model.write_provenance(out, source_of(name), RECIPE, ("gguf", "numpy"))


# ---- OpenVINO folders ------------------------------------------------------------------------------------------


def permute_for_rope(weights: Any, heads: int) -> Any:
    """The inverse of `convert_model.undo_rope_permutation`: what llama.cpp does to q and k of a Llama."""
    rows, columns = weights.shape
    return weights.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def gguf_tensors(shape: Shape) -> Iterator[tuple[str, Any]]:
    import numpy

    heads = {"attn_q.weight": shape.heads, "attn_k.weight": shape.kv_heads}
    for name, tensor in tensors(shape):
        part = name.partition(".")[2].partition(".")[2]
        if part in heads and GGUF_ARCHITECTURES[shape.family] == "llama":
            tensor = permute_for_rope(tensor, heads[part])
        # GGUF readers expect tensors of one dimension in F32. The values are the same.
        yield name, numpy.ascontiguousarray(tensor if tensor.ndim > 1 else tensor.astype(numpy.float32))


def add_metadata(writer: Any, shape: Shape) -> None:
    """The fields that GenAI reads."""
    from gguf import GGUFValueType, LlamaFileType

    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_vocab_size(shape.vocabulary)
    kinds = {bool: GGUFValueType.BOOL, int: GGUFValueType.UINT32, str: GGUFValueType.STRING}
    for name, value in Metadata(shape).fields.items():
        if name == "tokenizer.ggml.token_type":
            writer.add_token_types(value)
        elif isinstance(value, list):
            writer.add_array(name, value)
        elif name.startswith("tokenizer."):
            writer.add_key_value(name, value, kinds[type(value)])


def write_gguf(shape: Shape, path: Path) -> None:
    import numpy
    from gguf import GGUFWriter

    writer = GGUFWriter(path, GGUF_ARCHITECTURES[shape.family])
    add_metadata(writer, shape)
    for name, size in shapes_of(shape):
        dtype = numpy.dtype(numpy.float16 if len(size) > 1 else numpy.float32)
        count = 1
        for length in size:
            count *= length
        writer.add_tensor_info(name, size, dtype, count * dtype.itemsize)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, tensor in gguf_tensors(shape):
        writer.write_tensor_data(tensor)
    writer.close()


def make_openvino(name: str, side: Path, out: Path) -> None:
    work = out / "work"
    work.mkdir()
    write_gguf(SHAPES[name], work / "model-f16.gguf")
    convert_model.save_genai_ir(work, "model-f16.gguf", out)
    if SHAPES[name].group == "tests":
        restore_rotary_frequencies(SHAPES[name], out / "openvino_model.xml")
    convert_model.copy_files(side, out, convert_model.SIDE_FILES)
    tools = ("gguf", "numpy", "openvino", "openvino-genai", "openvino-tokenizers")
    convert_model.write_provenance(out, source_of(name), RECIPE, tools)


def restore_rotary_frequencies(shape: Shape, xml: Path) -> None:
    """GenAI saves the frequencies of rotary embeddings in F16: off by an angle that grows with the position, and no
    reference for engines that have them in F32. Elsewhere they stay as users get them."""
    import numpy
    import openvino
    from openvino import opset13

    model = openvino.Core().read_model(xml)
    size = [1, shape.head_width // 2, 1]
    found = [
        node
        for node in model.get_ops()
        if node.get_type_name() == "Constant" and list(node.get_output_shape(0)) == size
    ]
    if len(found) != 1:
        raise convert_model.ConversionError(f"{xml.name} has {len(found)} constants of rotary frequencies")
    (decompression,) = (user.get_node() for user in found[0].output(0).get_target_inputs())
    places = numpy.arange(0, shape.head_width, 2) / shape.head_width
    exact = opset13.constant((shape.rope_base**-places).astype(numpy.float32).reshape(size))
    for user in decompression.output(0).get_target_inputs():
        user.replace_source_output(exact.output(0))
    weights = xml.with_suffix(".bin")
    # Written beside, since the weights are mapped while the model is alive.
    made = xml.with_name("exact.xml")
    openvino.save_model(model, made, compress_to_fp16=False)
    del model, found, decompression
    made.replace(xml)
    made.with_suffix(".bin").replace(weights)


def make_int8(name: str, base: Path, out: Path) -> None:
    recipe = convert_model.convert_compressed("int8", base, out)
    convert_model.write_provenance(out, source_of(name), recipe, ("nncf", "openvino"))


# ---- Command ---------------------------------------------------------------------------------------------------


def describe(name: str) -> str:
    """In one line, for a stamp; before it the megabytes of the F16 weights."""
    shape = SHAPES[name]
    size = 0
    for _, lengths in shapes_of(shape):
        count = 2
        for length in lengths:
            count *= length
        size += count
    sizes = " ".join(f"{key}={value}" for key, value in asdict(shape).items() if key != "group")
    return f"{-(-size // 1_000_000)} {sizes}"


STEPS = {
    "huggingface": (make_huggingface, ()),
    "openvino": (make_openvino, ("side",)),
    "int8": (make_int8, ("base",)),
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("shapes")
    for name, inputs in [("describe", None), *((name, inputs) for name, (_, inputs) in STEPS.items())]:
        step = steps.add_parser(name)
        step.add_argument("shape", choices=SHAPES)
        for argument in () if inputs is None else (*inputs, "out"):
            step.add_argument(argument, type=Path)
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if arguments.step == "shapes":
        print("\n".join(f"{name} {shape.group}" for name, shape in SHAPES.items()))
        return 0
    if arguments.step == "describe":
        print(describe(arguments.shape))
        return 0
    make, inputs = STEPS[arguments.step]
    arguments.out.mkdir(parents=True)
    try:
        make(arguments.shape, *(getattr(arguments, name) for name in inputs), arguments.out)
    except convert_model.ConversionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
