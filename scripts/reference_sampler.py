"""Owns tests/reference/sampler.json: candidates, probabilities and draws of temperature, top-k and top-p, by NumPy.

Written after the definitions (temperature, then top-k, then top-p as in Hugging Face's transformers) and not after
perfgate's code: it sorts and masks whole arrays, where perfgate selects.

    PYTHONPATH=.perfgate/python python3 scripts/reference_sampler.py > tests/reference/sampler.json
"""

import json

import numpy as np

SETTINGS = [
    (1.0, None, None),
    (0.7, None, None),
    (1.5, 5, None),
    (0.8, 1, None),
    (0.8, 40, None),
    (1.0, None, 0.9),
    (0.3, None, 0.5),
    (1.0, None, 1.0),
    (0.7, 20, 0.95),
    (2.0, 3, 0.6),
]


def probabilities(logits, temperature, top_k, top_p):
    """The distribution that is drawn from: [vocabulary], zero for tokens that are no candidates."""
    scores = logits.astype(np.float64) / temperature
    order = np.lexsort((np.arange(len(scores)), -scores))
    allowed = np.zeros(len(scores), dtype=bool)
    allowed[order[: top_k or len(scores)]] = True
    shares = np.where(allowed, np.exp(scores - scores.max()), 0.0)
    shares /= shares.sum()
    if top_p is not None:
        before = np.concatenate(([0.0], np.cumsum(shares[order])[:-1]))
        allowed[order[before >= top_p]] = False
        shares = np.where(allowed, shares, 0.0)
        shares /= shares.sum()
    return shares


def draw(shares, uniform):
    """The first token, by id, at which the cumulative probability exceeds the number."""
    return int(np.searchsorted(np.cumsum(shares), uniform, side="right"))


def case(random, size, setting):
    # Rounded so that JSON and single precision hold the same numbers; some are equal, to test ties.
    logits = np.round(random.normal(0, 3, size) * 8) / 8
    shares = probabilities(logits, *setting)
    edges = np.cumsum(shares)
    uniforms = [u for u in random.random(8).tolist() if np.abs(edges - u).min() > 1e-9]
    temperature, top_k, top_p = setting
    return {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "logits": logits.tolist(),
        "probabilities": shares.tolist(),
        "draws": [[u, draw(shares, u)] for u in uniforms],
    }


def main():
    random = np.random.default_rng(20261123)
    cases = [case(random, size, setting) for setting in SETTINGS for size in (4, 17, 60)]
    lines = ",\n".join(json.dumps(c) for c in cases)
    made = f"scripts/reference_sampler.py with NumPy {np.__version__}"
    print(f'{{"made_by": {json.dumps(made)}, "cases": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()
