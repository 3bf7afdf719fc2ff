"""Owns the reference values of fidelity: KL divergence, agreement and perplexity by llama.cpp's definitions, in NumPy.

Two things are made, both after the definitions and not after perfgate's code:

    PYTHONPATH=.perfgate/python python3 scripts/reference_fidelity.py fixture > tests/reference/fidelity.json

prints small cases of made-up logits with what they come to, which the tests hold perfgate to; and

    PYTHONPATH=.perfgate/runtimes/openvino-2026.4.1:.perfgate/python python3 scripts/reference_fidelity.py \\
        check RESULTS.json DOCUMENTS.jsonl

runs the real models of a session again through OpenVINO's Python, recomputes every position and the summaries, and
exits with 1 unless they are perfgate's to 1e-4. Models are looked for as the results name them, from the folder of the
configuration; variants of other engines are left out, and named.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
from scipy import stats

TOLERANCE = 1e-4


def log_softmax(logits):
    """[positions, vocabulary] in f64."""
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def compare(base, logits, following):
    """What each position comes to; `following` are the true next tokens."""
    log_p, log_q = log_softmax(base), log_softmax(logits)
    rows = np.arange(len(following))
    return {
        "kl": (np.exp(log_p) * (log_p - log_q)).sum(axis=-1),
        "agree": base.argmax(axis=-1) == logits.argmax(axis=-1),
        "reference_nll": -log_p[rows, following],
        "nll": -log_q[rows, following],
    }


def ratio_interval(sums, positions, alpha):
    """The ratio estimator with Student's t over documents: point, low, high."""
    sums, positions = np.asarray(sums, dtype=float), np.asarray(positions, dtype=float)
    ratio = sums.sum() / positions.sum()
    spread = np.std((sums - ratio * positions) / positions.mean(), ddof=1)
    half = stats.t.ppf(1 - alpha, len(sums) - 1) * spread / np.sqrt(len(sums))
    return ratio, ratio - half, ratio + half


def log_interval(sums, positions, alpha):
    """Of a mean that is never below zero, on its log: how the log moves with each document's weight (by differences,
    not by a formula) has a standard deviation, and Student's t over documents makes the interval of it."""
    sums, positions = np.asarray(sums, dtype=float), np.asarray(positions, dtype=float)
    count, step = len(sums), 1e-5

    def log_mean(weights):
        return np.log((weights * sums).sum() / (weights * positions).sum())

    def moves(place):
        more, less = np.ones(count), np.ones(count)
        more[place] += step
        less[place] -= step
        return count * (log_mean(more) - log_mean(less)) / (2 * step)

    if not sums.any():
        return (0.0,)  # The log of nothing has no interval.
    point = log_mean(np.ones(count))
    spread = np.std([moves(place) for place in range(count)], ddof=1)
    half = stats.t.ppf(1 - alpha, count - 1) * spread / np.sqrt(count)
    return np.exp(point), np.exp(point - half), np.exp(point + half)


def made_up(random, positions, vocabulary, noise, offset):
    """Logits of two models that are so far apart, as f32."""
    base = random.normal(0, 3, (positions, vocabulary)).astype(np.float32)
    moved = base + random.normal(0, noise, base.shape) + offset
    return base, moved.astype(np.float32)


def fixture():
    """Cases from equal models to strangers, with large offsets and equal largest logits."""
    random = np.random.default_rng(20260)
    cases = []
    for noise, offset in [(0, 0), (0, 500), (0.01, 0), (0.1, -80), (0.5, 3), (2, 0), (8, 40), (1e-4, 0)]:
        base, moved = made_up(random, 4, 12, noise, offset)
        base[0, 3] = base[0, 7] = base[0].max() + 1
        following = random.integers(0, 12, 4)
        found = compare(base, moved, following)
        cases.append(
            {
                "reference": base.tolist(),
                "candidate": moved.tolist(),
                "next": following.tolist(),
                **{key: value.tolist() for key, value in found.items()},
            }
        )
    ratios = []
    for documents in (2, 3, 8, 20, 24):
        for equal in (True, False):
            positions = np.full(documents, 255) if equal else random.integers(20, 256, documents)
            sums = random.lognormal(-5, 0.8, documents) * positions
            for alpha in (0.05, 0.005):
                point, low, high = ratio_interval(sums, positions, alpha)
                _, log_low, log_high = log_interval(sums, positions, alpha)
                ratios.append(
                    {
                        "sums": sums.tolist(),
                        "positions": positions.tolist(),
                        "alpha": alpha,
                        "point": point,
                        "low": low,
                        "high": high,
                        "log_low": log_low,
                        "log_high": log_high,
                    }
                )
    print(json.dumps({"positions": cases, "ratios": ratios}, indent=1))


class Model:
    """A stateful IR, run as a session says that it ran."""

    def __init__(self, core, folder, properties):
        self.compiled = core.compile_model(folder / "openvino_model.xml", "CPU", properties)
        inputs = {name for port in self.compiled.inputs for name in port.get_names()}
        self.has_positions = "position_ids" in inputs

    def logits(self, tokens, stepwise):
        """[positions, vocabulary] of all tokens, in one call or one by one."""
        request = self.compiled.create_infer_request()
        request.reset_state()
        calls = [[token] for token in tokens] if stepwise else [tokens]
        rows, past = [], 0
        for call in calls:
            inputs = {
                "input_ids": np.array([call], dtype=np.int64),
                "attention_mask": np.ones((1, past + len(call)), dtype=np.int64),
                "beam_idx": np.zeros(1, dtype=np.int32),
            }
            if self.has_positions:
                inputs["position_ids"] = np.arange(past, past + len(call), dtype=np.int64)[None]
            rows.append(request.infer(inputs)["logits"][0].copy())
            past += len(call)
        return np.concatenate(rows)


def properties_of(part, variant):
    """What was asked of the engine, with perfgate's own defaults."""
    record = part["header"]["variants"][variant]
    return {
        "INFERENCE_NUM_THREADS": str(record["threads"]),
        "PERFORMANCE_HINT": "LATENCY",
        **record.get("properties", {}),
    }


def tokenized(core, folder, texts, most):
    """Token ids by the model's own tokenizer in OpenVINO's form, cut to length."""
    tokenizer = core.compile_model(folder / "openvino_tokenizer.xml", "CPU")
    ids = [tokenizer([text])["input_ids"][0].tolist() for text in texts]
    return [tokens[:most] for tokens in ids]


def differs(what, found, expected):
    """Says so if two figures are not the same; returns how far they are apart."""
    apart = float(np.max(np.abs(np.asarray(found) - np.asarray(expected))))
    apart = apart if math.isfinite(apart) else math.inf
    if not apart <= TOLERANCE:
        print(f"{what}: perfgate {found}, NumPy {expected}", file=sys.stderr)
    return apart


def check_variant(part, variant, records, models, tokens):
    """Compares every position and the summaries of one variant forced in one way."""
    skip, worst, all_kl, sums = part["header"]["plan"]["fidelity"]["skip"], 0.0, [], []
    for record in records:
        fed = tokens[record["document"]]
        stepwise = record["forcing"] == "stepwise"
        base, logits = (models[name].logits(fed[:-1], stepwise) for name in (record["reference"], variant))
        found = {key: value[skip:] for key, value in compare(base, logits, np.array(fed[1:])).items()}
        what = f"{variant} {record['document']} {record['forcing']}"
        worst = max(worst, differs(f"{what} kl", record["kl"], found["kl"]))
        worst = max(worst, differs(f"{what} agree", record["agree"], found["agree"].sum()))
        for key in ("nll", "reference_nll"):
            mean = found[key].mean()
            worst = max(worst, differs(f"{what} {key}", record[key] / record["positions"], mean))
        all_kl.extend(found["kl"])
        sums.append([len(found["kl"])] + [found[key].sum() for key in ("kl", "agree", "nll", "reference_nll")])
    return worst, np.array(all_kl), np.array(sums, dtype=float)


def check_summaries(summaries, all_kl, sums):
    """Compares the figures of the table of variants, which are of documents forced whole."""
    positions, kl, agree, nll, _ = sums.T
    expected = {
        ("kl_divergence", "mean"): log_interval(kl, positions, 0.025),
        ("kl_divergence", "p99"): (np.quantile(all_kl, 0.99),),
        ("top1_agreement", "rate"): ratio_interval(agree, positions, 0.025),
        ("perplexity", "mean"): (np.exp(nll.sum() / positions.sum()),),
    }
    worst = 0.0
    for summary in summaries:
        wanted = expected.get((summary["metric"], summary["statistic"]))
        if wanted is None:
            continue
        found = [summary["value"], *(summary.get("interval") or [])][: len(wanted)]
        worst = max(worst, differs(f"{summary['metric']} {summary['statistic']}", found, wanted))
    return worst


def check(results_file, documents_file):
    """Runs the models of a session's fidelity pass again and compares."""
    import openvino
    import openvino_tokenizers  # noqa: F401 - registers its operations

    results = json.loads(Path(results_file).read_text())
    part = next(part for part in results["parts"] if part.get("fidelity"))
    plan = part["header"]["plan"]["fidelity"]
    core = openvino.Core()
    engines = {name: part["header"]["variants"][name]["engine"] for name in plan["variants"]}
    variants = [name for name in plan["variants"] if engines[name] == "openvino"]
    for name in set(plan["variants"]) - set(variants):
        print(f"{name}: left out, since {engines[name]} runs it")
    names = [plan["reference"], *variants]
    folders = {name: Path(part["header"]["variants"][name]["model"]) for name in names}
    models = {name: Model(core, folders[name], properties_of(part, name)) for name in names}
    lines = [json.loads(line) for line in Path(documents_file).read_text().splitlines() if line.strip()]
    ids = tokenized(core, folders[plan["reference"]], [line["text"] for line in lines], plan["tokens"])
    tokens = dict(zip((line["id"] for line in lines), ids))
    worst = 0.0
    for variant in variants:
        for forcing in ("whole", "stepwise"):
            of = [r for r in part["fidelity"] if r["variant"] == variant and r["forcing"] == forcing]
            if not of:
                continue
            apart, all_kl, sums = check_variant(part, variant, of, models, tokens)
            if forcing == "whole":
                apart = max(apart, check_summaries(results["summaries"][variant], all_kl, sums))
            print(f"{variant}, {forcing}: {len(of)} documents, {len(all_kl)} positions, apart by {apart:.1e} at most")
            worst = max(worst, apart)
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fixture"]:
            fixture()
        case ["check", results, documents]:
            sys.exit(check(results, documents))
        case _:
            sys.exit(__doc__)
