"""Owns the list of architectures: for each a configuration as small as it goes, and the transformers that exports it.

What tells the architectures apart is kept (grouped heads, windows, recurrent states, experts, positions); widths and
vocabularies are small. Windows are 16 tokens and the original context of LongRoPE is 64, so that short texts pass them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

VOCABULARY = 1000
WINDOW = 16
ORIGINAL_CONTEXT = 64
CONTEXT = 512

# optimum-intel 2.2.0 patches the models of some architectures for one release of transformers alone.
TRANSFORMERS = "5.5.4"
OLDER = "4.57.6"
BETWEEN = "5.2.0"
FIVE = "5.0.0"

IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 5}
WIDTHS = {
    "vocab_size": VOCABULARY,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
}


@dataclass(frozen=True)
class Architecture:
    """A configuration class of transformers, the values that differ from its defaults, and the release that is used."""

    config: str
    values: dict[str, Any] = field(default_factory=dict)
    transformers: str = TRANSFORMERS


def usual(config: str, *, transformers: str = TRANSFORMERS, **values: Any) -> Architecture:
    """With the key names that most architectures share."""
    return Architecture(config, {**IDS, **WIDTHS, **values}, transformers)


def own(config: str, *, transformers: str = TRANSFORMERS, **values: Any) -> Architecture:
    """With key names of its own."""
    return Architecture(config, {**IDS, "vocab_size": VOCABULARY, **values}, transformers)


def gpt2_like(config: str, **values: Any) -> Architecture:
    return own(config, n_embd=128, n_layer=2, n_head=4, n_positions=CONTEXT, **values)


EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
# Alternating layers of a recurrent or convolutional kind and of attention.
LINEAR = {
    "num_hidden_layers": 4,
    "head_dim": 32,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
    "layer_types": ["linear_attention", "full_attention"] * 2,
}
CONVOLUTION = {"num_hidden_layers": 4, "layer_types": ["conv", "full_attention"] * 2}
WINDOWED_4 = {"num_hidden_layers": 4, "sliding_window": WINDOW}
STATE = {"hidden_size": 128, "state_size": 16, "num_hidden_layers": 2}
FALCON = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "ffn_hidden_size": 256,
    "new_decoder_architecture": False,
}
HALF_OF_HEAD = 16

ARCHITECTURES: dict[str, Architecture] = {
    # Full attention with rotary positions.
    "llama": usual("LlamaConfig"),
    "llama3rope": usual(
        "LlamaConfig",
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": ORIGINAL_CONTEXT,
        },
    ),
    "arcee": usual("ArceeConfig"),
    "cohere": usual("CohereConfig", logit_scale=0.5),
    "gemma": usual("GemmaConfig", head_dim=32, transformers=OLDER),
    "glm": usual("GlmConfig", head_dim=32, transformers=OLDER),
    "glm4": usual("Glm4Config", head_dim=32),
    "granite": usual(
        "GraniteConfig",
        logits_scaling=2.0,
        embedding_multiplier=3.0,
        residual_multiplier=0.5,
        attention_multiplier=0.2,
    ),
    "hunyuan_v1_dense": usual("HunYuanDenseV1Config", head_dim=32),
    "mistral": usual("MistralConfig", sliding_window=None, head_dim=64),
    "olmo": usual("OlmoConfig"),
    "olmo2": usual("Olmo2Config"),
    "persimmon": usual("PersimmonConfig"),
    "phi": usual("PhiConfig", num_key_value_heads=4),
    "phi3": usual("Phi3Config"),
    "qwen2": usual("Qwen2Config"),
    "qwen3": usual("Qwen3Config", head_dim=64),
    "smollm3": usual("SmolLM3Config", num_hidden_layers=4, no_rope_layer_interval=2),
    "stablelm": usual("StableLmConfig"),
    "codegen": gpt2_like("CodeGenConfig", rotary_dim=HALF_OF_HEAD),
    "gptj": gpt2_like("GPTJConfig", rotary_dim=HALF_OF_HEAD),
    "gpt_neox": own(
        "GPTNeoXConfig",
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
    ),
    "falcon": own("FalconConfig", **FALCON, multi_query=True, alibi=False),
    # Full attention with learned positions.
    "gpt2": gpt2_like("GPT2Config"),
    "gpt_bigcode": gpt2_like("GPTBigCodeConfig"),
    "biogpt": own(
        "BioGptConfig",
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
    ),
    "opt": own(
        "OPTConfig",
        hidden_size=128,
        ffn_dim=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        word_embed_proj_dim=128,
    ),
    "xglm": own(
        "XGLMConfig", d_model=128, ffn_dim=256, num_layers=2, attention_heads=4, max_position_embeddings=CONTEXT
    ),
    # Full attention with linear biases (ALiBi).
    "bloom": own("BloomConfig", hidden_size=128, n_layer=2, n_head=4),
    "falconalibi": own("FalconConfig", **FALCON, multi_query=False, alibi=True),
    "mpt": own("MptConfig", d_model=128, n_layers=2, n_heads=4, expansion_ratio=2, max_seq_len=CONTEXT),
    # Full attention whose rotary frequencies change beyond the original context.
    "phi3long": usual(
        "Phi3Config",
        original_max_position_embeddings=ORIGINAL_CONTEXT,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0 + 0.01 * place for place in range(16)],
            "long_factor": [1.0 + 0.5 * place for place in range(16)],
            "original_max_position_embeddings": ORIGINAL_CONTEXT,
        },
    ),
    # Sliding windows, in all layers or in some.
    "afmoe": usual("AfmoeConfig", **EXPERTS, **WINDOWED_4, num_dense_layers=1, head_dim=32),
    "cohere2": usual("Cohere2Config", **WINDOWED_4, sliding_window_pattern=2, logit_scale=0.5),
    "exaone4": usual("Exaone4Config", **WINDOWED_4, sliding_window_pattern=2, transformers=OLDER),
    "gemma2": usual(
        "Gemma2Config", head_dim=32, sliding_window=WINDOW, query_pre_attn_scalar=32, transformers=OLDER
    ),
    "gemma3_text": usual(
        "Gemma3TextConfig",
        **WINDOWED_4,
        head_dim=32,
        sliding_window_pattern=2,
        query_pre_attn_scalar=32,
        transformers=OLDER,
    ),
    "gemma3n_text": usual(
        "Gemma3nTextConfig",
        **WINDOWED_4,
        head_dim=32,
        layer_types=["sliding_attention", "full_attention"] * 2,
        num_kv_shared_layers=2,
        transformers=FIVE,
    ),
    "gemma4_text": usual("Gemma4TextConfig", **WINDOWED_4, head_dim=32),
    "gpt_neo": own(
        "GPTNeoConfig",
        hidden_size=128,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=WINDOW,
        max_position_embeddings=CONTEXT,
        intermediate_size=256,
    ),
    "gpt_oss": usual(
        "GptOssConfig",
        head_dim=32,
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 150000.0,
            "factor": 4.0,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "truncate": False,
            "original_max_position_embeddings": 128,
        },
    ),
    "mistralwin": usual("MistralConfig", sliding_window=WINDOW),
    "olmo3": usual("Olmo3Config", **WINDOWED_4),
    "phi3win": usual("Phi3Config", sliding_window=WINDOW),
    "qwen2win": usual("Qwen2Config", use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1),
    "starcoder2": usual("Starcoder2Config", sliding_window=WINDOW),
    # Experts.
    "granitemoe": usual("GraniteMoeConfig", num_local_experts=4),
    "mixtral": usual("MixtralConfig", num_local_experts=4),
    "phimoe": usual("PhimoeConfig", num_local_experts=4),
    "qwen2_moe": usual("Qwen2MoeConfig", **EXPERTS, shared_expert_intermediate_size=64),
    "qwen3_moe": usual("Qwen3MoeConfig", **EXPERTS, head_dim=64),
    # Convolutions and recurrent states, alone or between layers of attention.
    "falcon_mamba": own("FalconMambaConfig", **STATE, transformers=BETWEEN),
    "granitemoehybrid": usual(
        "GraniteMoeHybridConfig",
        num_hidden_layers=4,
        num_local_experts=0,
        num_experts_per_tok=0,
        shared_intermediate_size=256,
        layer_types=["mamba", "attention"] * 2,
        mamba_n_heads=8,
        mamba_d_head=32,
        mamba_d_state=16,
        mamba_n_groups=1,
        mamba_expand=2,
        mamba_chunk_size=16,
        attention_multiplier=0.2,
    ),
    "lfm2": usual("Lfm2Config", **CONVOLUTION, block_ff_dim=256, transformers=OLDER),
    "lfm2_moe": usual("Lfm2MoeConfig", **CONVOLUTION, **EXPERTS, num_dense_layers=1, transformers=BETWEEN),
    "mamba": own("MambaConfig", **STATE, transformers=OLDER),
    "mamba2": own("Mamba2Config", **STATE, num_heads=8, head_dim=32, n_groups=1),
    "qwen3_5_text": usual("Qwen3_5TextConfig", **LINEAR, transformers=BETWEEN),
    "qwen3_next": usual(
        "Qwen3NextConfig",
        **LINEAR,
        **EXPERTS,
        shared_expert_intermediate_size=64,
        full_attention_interval=2,
        transformers=OLDER,
    ),
    "zamba2": own(
        "Zamba2Config",
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        mamba_d_state=16,
        n_mamba_heads=8,
        mamba_headdim=32,
        mamba_ngroups=1,
        layers_block_type=["mamba", "hybrid"] * 2,
        hybrid_layer_ids=[1, 3],
        num_mem_blocks=1,
        use_mem_rope=True,
        transformers=OLDER,
        chunk_size=16,
    ),
}
