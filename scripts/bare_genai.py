"""Owns the decode loop of OpenVINO GenAI: what perfgate's own loop is held against. scripts/evidence_harness.py runs it.

    PYTHONPATH=.perfgate/python:.perfgate/runtimes/openvino-2026.4.1 PYTHONNOUSERSITE=1 \\
        python3 scripts/bare_genai.py BACKEND MODEL THREADS PROMPTS TOKENS WARMUP

BACKEND is PA (paged attention, GenAI's default) or SDPA (the stateful model as it stands). PROMPTS is a JSON file
with a list of token ids for each request. Prints one JSON line for each timed request.
"""

import json
import sys
import time
from pathlib import Path

import numpy
import openvino
import openvino_genai


def load(backend: str, model: str, threads: int) -> openvino_genai.LLMPipeline:
    properties = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "f16",
        "ATTENTION_BACKEND": backend,
    }
    if backend == "PA":
        # GenAI's default but for the cache of prefixes: the warm-up asks what is asked again later, and what
        # is remembered is not computed.
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.max_num_batched_tokens = sys.maxsize
        scheduler.enable_prefix_caching = False
        properties["scheduler_config"] = scheduler
    return openvino_genai.LLMPipeline(model, "CPU", **properties)


def generate(pipeline: openvino_genai.LLMPipeline, prompt: list[int], count: int) -> dict:
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = count
    config.ignore_eos = True
    config.do_sample = False
    inputs = openvino.Tensor(numpy.array([prompt], dtype=numpy.int64))
    start = time.perf_counter()
    done = pipeline.generate(inputs, config)
    wall = time.perf_counter() - start
    # GenAI's own clock and no streamer, so that Python is in none of these times. Microseconds.
    metrics = done.perf_metrics.raw_metrics
    ttft, decode = metrics.m_times_to_first_token[0] / 1e6, sum(metrics.m_durations) / 1e6
    tokens = list(done.tokens[0])
    if len(tokens) != count or len(metrics.m_durations) != count - 1:
        sys.exit(f"error: {len(tokens)} tokens and {len(metrics.m_durations)} gaps came for {count} tokens")
    if not 0.5 * wall < ttft + decode <= wall:
        sys.exit(f"error: GenAI speaks of {ttft + decode} s and the call took {wall} s")
    return {
        "ttft_s": ttft,
        "decode_tok_s": (count - 1) / decode,
        "latency_s": ttft + decode,
        "tokens": tokens,
    }


def main() -> None:
    if len(sys.argv) != 7 or sys.argv[1] not in ("PA", "SDPA"):
        sys.exit("usage: bare_genai.py PA|SDPA MODEL THREADS PROMPTS TOKENS WARMUP")
    backend, model, threads, file, count, warmup = sys.argv[1:]
    prompts = json.loads(Path(file).read_text())
    pipeline = load(backend, model, int(threads))
    for index in range(int(warmup)):
        generate(pipeline, prompts[index % len(prompts)], int(count))
    for prompt in prompts:
        print(json.dumps(generate(pipeline, prompt, int(count))), flush=True)


if __name__ == "__main__":
    main()
