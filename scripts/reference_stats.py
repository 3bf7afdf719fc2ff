#!/usr/bin/env python3
"""Owns the reference values of `src/stats`: computes them with SciPy and NumPy and prints JSON.

    pip install scipy numpy
    python3 scripts/reference_stats.py > tests/reference/stats.json

The values in the repository were made with the versions that the file names.
"""

import json
import sys

import numpy
import scipy
from scipy import stats


def t_intervals() -> list[dict]:
    samples = [
        [0.031, -0.012, 0.044, 0.005, 0.018],
        [0.101, 0.099, 0.104],
        [-0.2, 0.3],
        [0.01 * ((7 * i) % 11) - 0.05 for i in range(20)],
    ]
    cases = []
    for values in samples:
        for alpha in [0.05, 0.05 / 7, 0.025, 1e-4]:
            n = len(values)
            low, high = stats.t.interval(
                1 - 2 * alpha, n - 1, loc=numpy.mean(values), scale=stats.sem(values)
            )
            cases.append({"values": values, "alpha": alpha, "low": low, "high": high})
    return cases


def proportions() -> list[dict]:
    cases = []
    for hits, trials in [(0, 50), (1, 50), (2, 300), (7, 100), (49, 50), (50, 50), (3, 20000)]:
        for alpha in [0.05, 0.05 / 7, 0.025]:
            low = 0.0 if hits == 0 else stats.beta.ppf(alpha, hits, trials - hits + 1)
            high = 1.0 if hits == trials else stats.beta.ppf(1 - alpha, hits + 1, trials - hits)
            cases.append({"hits": hits, "trials": trials, "alpha": alpha, "low": low, "high": high})
    return cases


def quantiles() -> list[dict]:
    samples = [[5.0], [1.0, 2.0], [3.0, 1.0, 2.0, 10.0], [float((37 * i) % 101) for i in range(100)]]
    return [
        {"values": values, "p": p, "quantile": float(numpy.quantile(values, p))}
        for values in samples
        for p in [0.0, 0.5, 0.9, 0.99, 1.0]
    ]


def main() -> None:
    reference = {
        "made_by": "scripts/reference_stats.py",
        "scipy": scipy.__version__,
        "numpy": numpy.__version__,
        "t_intervals": t_intervals(),
        "proportions": proportions(),
        "quantiles": quantiles(),
    }
    json.dump(reference, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
