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
from scipy import optimize, stats


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


def predictions() -> list[dict]:
    """A new value against earlier ones: `t · s · √(1 + 1/n)` about the difference."""
    cases = []
    for new, earlier in [(0.3, [0.1, 0.12, 0.07]), (-1.0, [0.4, 0.5, 0.1, 0.2, 0.6]), (2.0, [1.9, 2.2])]:
        for alpha in [0.05, 0.05 / 7, 0.025, 1e-4]:
            n = len(earlier)
            scale = numpy.std(earlier, ddof=1) * numpy.sqrt(1 + 1 / n)
            low, high = stats.t.interval(1 - 2 * alpha, n - 1, loc=new - numpy.mean(earlier), scale=scale)
            cases.append({"new": new, "values": earlier, "alpha": alpha, "low": low, "high": high})
    for _ in range(4):
        # One new value against n earlier ones is Student's two-sample test with a group of one.
        earlier = numpy.round(numpy.random.default_rng(_).normal(0, 1, 6), 3).tolist()
        cases.append(prediction_by_regression(0.5, earlier, 0.05))
    return cases


def prediction_by_regression(new: float, earlier: list[float], alpha: float) -> dict:
    """The same by least squares: the coefficient of a dummy that only the new value has."""
    n = len(earlier)
    design = numpy.column_stack([numpy.ones(n + 1), [0.0] * n + [1.0]])
    y = numpy.array([*earlier, new])
    beta, residual, _, _ = numpy.linalg.lstsq(design, y, rcond=None)
    variance = residual[0] / (n - 1) * numpy.linalg.inv(design.T @ design)[1, 1]
    half = stats.t.ppf(1 - alpha, n - 1) * numpy.sqrt(variance)
    return {"new": new, "values": earlier, "alpha": alpha, "low": beta[1] - half, "high": beta[1] + half}


def differences_of_two() -> list[dict]:
    """The difference of two new values, with the spread of earlier ones: `t · s · √2`."""
    cases = []
    for difference, earlier in [(0.05, [0.1, 0.12, 0.07]), (-0.3, [0.4, 0.5, 0.1, 0.2, 0.6]), (0.0, [1.9, 2.2]), (1e-3, [0.03, 0.01, 0.02, 0.05])]:
        for alpha in [0.05, 0.05 / 7, 0.025, 1e-4]:
            scale = numpy.sqrt(2 * numpy.var(earlier, ddof=1))
            low, high = stats.t.interval(1 - 2 * alpha, len(earlier) - 1, loc=difference, scale=scale)
            cases.append({"difference": difference, "values": earlier, "alpha": alpha, "low": low, "high": high})
    return cases


def welch() -> list[dict]:
    cases = []
    for a, b in [
        ([1.0, 1.2, 0.9], [0.5, 0.7, 0.65, 0.4]),
        ([0.01, -0.02, 0.03, 0.0, 0.02, 0.01], [0.2, 0.1]),
        ([5.0, 9.0], [1.0, 1.5, 1.2, 1.1, 1.3]),
        ([2.0, 2.0, 2.0], [1.0, 1.1, 0.9]),
    ]:
        for alpha in [0.05, 0.05 / 7, 0.025, 1e-3]:
            interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(1 - 2 * alpha)
            cases.append({"a": a, "b": b, "alpha": alpha, "low": interval.low, "high": interval.high})
    return cases


def restricted_score(b: int, c: int, n: int, delta: float) -> float:
    """Tango's statistic with its restricted maximum likelihood found by search, not by the formula.

    The likelihood of (b, c, n - b - c) with probabilities (q + delta, q, 1 - 2q - delta) is maximized over q.
    """

    def loss(q: float) -> float:
        parts = [(b, q + delta), (c, q), (n - b - c, 1 - 2 * q - delta)]
        return -sum(count * numpy.log(max(p, 1e-300)) for count, p in parts if count)

    low, high = max(0.0, -delta), (1 - delta) / 2
    found = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13})
    q = min([found.x, low, high], key=loss)
    return (b - c - n * delta) / numpy.sqrt(n * (2 * q + delta * (1 - delta)))


def paired_differences() -> list[dict]:
    """Tango's score interval (Tango 1998): where the score crosses the normal quantile."""
    cases = []
    for b, c, n in [(7, 1, 21), (20, 40, 160), (28, 25, 618), (48, 41, 549), (6, 4, 96), (0, 3, 64), (12, 0, 1500)]:
        for alpha in [0.05, 0.025, 0.05 / 7]:
            z = stats.norm.ppf(1 - alpha)
            point = (b - c) / n
            low = optimize.brentq(lambda d: restricted_score(b, c, n, d) - z, -1 + 1e-9, point - 1e-12, xtol=1e-13)
            high = optimize.brentq(lambda d: restricted_score(b, c, n, d) + z, point + 1e-12, 1 - 1e-9, xtol=1e-13)
            case = {"first_only": b, "second_only": c, "all": n, "alpha": alpha, "low": low, "high": high}
            cases.append(case)
    return cases


def main() -> None:
    reference = {
        "made_by": "scripts/reference_stats.py",
        "scipy": scipy.__version__,
        "numpy": numpy.__version__,
        "t_intervals": t_intervals(),
        "proportions": proportions(),
        "quantiles": quantiles(),
        "predictions": predictions(),
        "differences_of_two": differences_of_two(),
        "welch": welch(),
        "paired_differences": paired_differences(),
    }
    json.dump(reference, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
