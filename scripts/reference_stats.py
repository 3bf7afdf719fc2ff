#!/usr/bin/env python3
"""Owns the reference values of `src/stats`: computes them with SciPy, NumPy and statsmodels and prints JSON.

    pip install scipy==1.17.1 numpy==2.4.6 statsmodels==0.15.0
    python3 scripts/reference_stats.py > tests/reference/stats.json

The values in the repository were made with the versions that the file names.
"""

import json
import sys

import numpy
import scipy
import statsmodels
from scipy import optimize, special, stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests


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


def median_intervals() -> list[dict]:
    """SciPy's quantile test, whose interval is of order statistics; none is reported as NaN."""
    cases = []
    for n in [3, 5, 6, 7, 8, 9, 10, 11, 12, 15, 20, 30, 51]:
        values = [float((37 * i) % 101) for i in range(n)]
        for alpha in [0.025, 0.05]:
            interval = stats.quantile_test(values, p=0.5).confidence_interval(1 - 2 * alpha)
            ends = [None if numpy.isnan(end) else float(end) for end in (interval.low, interval.high)]
            cases.append({"values": values, "alpha": alpha, "low": ends[0], "high": ends[1]})
    return cases


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


def sums() -> list[dict]:
    """MOVER of a mean over rounds and another: where both are normal of known spread, it is the interval of the sum."""
    cases = []
    for spreads in [[1.0], [0.3, 0.4], [2.0, 0.1, 0.5], [1e-3, 5e-3]]:
        points = [0.5 * (-1) ** place for place in range(len(spreads))]
        for alpha in [0.05, 0.025, 0.025 / 3, 1e-3]:
            parts = [dict(zip(("low", "high"), stats.norm.interval(1 - 2 * alpha, p, s))) for p, s in zip(points, spreads)]
            low, high = stats.norm.interval(1 - 2 * alpha, sum(points), numpy.sqrt(numpy.sum(numpy.square(spreads))))
            cases.append({
                "points": points,
                "lows": [part["low"] for part in parts],
                "highs": [part["high"] for part in parts],
                "low": low,
                "high": high,
            })
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


def exact_pairs() -> list[dict]:
    """The exact unconditional test with Tango's ordering, over all outcomes written out and 2,001 nuisance values.

    The nuisance parameter is searched over its Clopper-Pearson interval of 1 - 1e-5, which is added (Berger and Boos 1994).
    """
    cases = []
    for b, c, n, limit in [
        (3, 0, 3, 0.01), (3, 0, 3, 0.0), (5, 0, 5, 0.01), (1, 0, 1, 0.0), (2, 1, 12, 0.1), (13, 3, 40, 0.05),
        (0, 0, 268, -0.01), (0, 0, 299, -0.01), (20, 0, 100, 0.01), (1, 6, 60, -0.05), (11, 3, 240, 0.01),
        (9, 2, 240, 0.0), (12, 8, 240, 0.01), (3, 11, 240, -0.01), (8, 12, 200, -0.05), (0, 3, 64, -0.02), (60, 0, 60, 0.9),
    ]:
        first, second = numpy.meshgrid(numpy.arange(n + 1.0), numpy.arange(n + 1.0), indexing="ij")
        possible = first + second <= n
        first, second = first[possible], second[possible]
        against = tango_scores(first, second, n, limit) >= tango_scores(float(b), float(c), n, limit) - 1e-9
        first, second = first[against], second[against]
        rest = n - first - second
        ways = special.gammaln(n + 1) - special.gammaln(first + 1) - special.gammaln(second + 1) - special.gammaln(rest + 1)
        low = 0.0 if c == 0 else stats.beta.ppf(5e-6, c, n - c + 1)
        high = 1.0 if c == n else stats.beta.ppf(1 - 5e-6, c + 1, n - c)
        low, high = numpy.clip([low, high], max(0.0, -limit), (1 - limit) / 2)
        tail = 0.0
        for nuisance in numpy.linspace(low, high, 2001):
            of_first, of_rest = nuisance + limit, max(0.0, 1 - 2 * nuisance - limit)
            logs = special.xlogy(first, of_first) + special.xlogy(second, nuisance) + special.xlogy(rest, of_rest)
            tail = max(tail, float(numpy.exp(ways + logs).sum()))
        cases.append({"first_only": b, "second_only": c, "all": n, "limit": limit, "p": min(1.0, tail + 1e-5)})
    return cases


def tango_scores(b: numpy.ndarray, c: numpy.ndarray, n: int, limit: float) -> numpy.ndarray:
    """Tango's score with the restricted likelihood's closed form; where nothing varies it is endless or 0."""
    linear = -b - c + (2 * n - b + c) * limit
    root = numpy.sqrt(numpy.maximum(linear**2 + 8 * n * c * limit * (1 - limit), 0))
    variance = n * (2 * (root - linear) / (4 * n) + limit * (1 - limit))
    distance = b - c - n * limit
    return numpy.where(variance > 0, distance / numpy.sqrt(numpy.maximum(variance, 1e-300)), distance * 1e300)


def log_normal_means() -> list[dict]:
    """The upper bound of a log-normal mean by Cox's method with Student's quantile (Olsson 2005)."""
    cases = []
    for seed, n in enumerate([2, 3, 5, 8, 24]):
        values = numpy.round(numpy.random.default_rng(seed).lognormal(-3, 0.6, n), 5)
        logs = numpy.log(values)
        for alpha in [0.05, 0.025, 0.05 / 7, 1e-4]:
            variance = numpy.var(logs, ddof=1)
            # The variance of the mean of logs, and that of half of a sample variance of normal values.
            error = numpy.sqrt(variance / n + numpy.square(variance) * 2 / (n - 1) / 4)
            high = numpy.mean(logs) + variance / 2 + stats.t.isf(alpha, n - 1) * error
            cases.append({"values": values.tolist(), "alpha": alpha, "high": float(high)})
    return cases


SPENDING = {
    "obrien-fleming": lambda alpha, t: 2 * stats.norm.sf(stats.norm.isf(alpha / 2) / numpy.sqrt(t)),
    "pocock": lambda alpha, t: alpha * numpy.log(1 + (numpy.e - 1) * t),
}


def first_crossing(boundary: float, earlier: list[float], fractions: list[float]) -> float:
    """Probability of lying over `boundary` at the last of the looks and under the boundaries of all earlier ones.

    The joint normal distribution of the statistics of all looks, with correlation `√(t_i / t_j)`, as one
    integral (Genz's quasi-Monte Carlo), not look by look; the last statistic is mirrored to be under too.
    """
    times = numpy.array(fractions)
    correlation = numpy.sqrt(numpy.minimum.outer(times, times) / numpy.maximum.outer(times, times))
    signs = numpy.array([1.0] * len(earlier) + [-1.0])
    return stats.multivariate_normal.cdf(
        [*earlier, -boundary],
        cov=correlation * numpy.outer(signs, signs),
        maxpts=400_000,
        abseps=1e-30,
        releps=1e-9,
        rng=numpy.random.default_rng(1),
    )


def look_levels() -> list[dict]:
    """Group-sequential levels: each boundary by a search for what may newly be spent at its look.

    Other seeds and three times as many points change no level by more than 3 in a million.
    """
    plans = [
        [0.25, 0.5, 0.75, 1.0],
        [3 / 6, 4 / 6, 5 / 6, 1.0],
        [0.1, 0.25, 0.4, 0.6, 0.85, 1.0],
        [0.3, 0.9, 1.0],
        [0.2, 0.45, 0.8],
    ]
    cases = []
    for name, spent in SPENDING.items():
        for alpha in [0.05, 0.05 / 9, 0.025]:
            for fractions in plans:
                boundaries = []
                for k, fraction in enumerate(fractions):
                    whole = spent(alpha, fraction)
                    share = whole - (spent(alpha, fractions[k - 1]) if k else 0.0)

                    def excess(z: float) -> float:
                        return numpy.log(first_crossing(z, boundaries, fractions[: k + 1]) / share)

                    # A look's level lies between what is newly spent and all that is spent by then.
                    low, high = stats.norm.isf([whole, share])
                    boundaries.append(optimize.brentq(excess, low - 0.01, high + 0.01, xtol=1e-9) if k else high)
                levels = stats.norm.sf(boundaries).tolist()
                cases.append({"spending": name, "alpha": alpha, "fractions": fractions, "levels": levels})
    return cases


def holm() -> list[dict]:
    """Which hypotheses Holm's procedure refuses, by statsmodels; what is left was tested at `alpha / left`."""
    families = [
        [0.01, 0.04, 0.03, 0.005],
        [0.04],
        [0.06],
        [0.02, 0.02],
        [0.03, 0.03],
        [0.01, 0.01, 0.01, 0.9],
        [0.02, 0.02, 0.02, 0.02],
        [0.0, 1.0, 0.0, 1.0, 0.03],
        [0.011, 0.012, 0.013, 0.014, 0.6, 0.7],
    ]
    random = numpy.random.default_rng(9)
    for count in [2, 3, 5, 8, 9, 9, 9, 12, 20]:
        families.append(numpy.round(random.beta(0.3, 6, count), 4).tolist())
        families.append(numpy.round(random.beta(0.5, 20, count), 2).tolist())
    cases = []
    for p in families:
        for alpha in [0.05, 0.01]:
            refused = multipletests(p, alpha=alpha, method="holm")[0].tolist()
            left = refused.count(False)
            level = alpha / left if left else None
            cases.append({"p": p, "alpha": alpha, "refused": refused, "level": level})
    return cases


def intraclass_correlations() -> list[dict]:
    """Variance components from statsmodels' analysis of variance of a least-squares fit.

    `(MSB - MSW) / n0` lies between groups, with `n0` the mean size less its variance over the whole
    (Donner 1986); the share of it is kept between 0 and 1.
    """
    random = numpy.random.default_rng(4)
    designs = [
        [2, 2],
        [1, 2],
        [3, 3, 3],
        [1, 1, 5],
        [2, 9, 4, 1],
        [5, 5, 5, 5, 5],
        [10, 3, 7],
        [1, 2, 3, 4, 5, 6],
        [0, 4, 6],
    ]
    cases = []
    for sizes in designs:
        for between in [0.0, 0.5, 4.0]:
            groups = [
                numpy.round(100 + random.normal(0, between) + random.normal(0, 1, size), 3).tolist() for size in sizes
            ]
            data = {
                "value": [value for group in groups for value in group],
                "group": [str(index) for index, group in enumerate(groups) for _ in group],
            }
            table = anova_lm(ols("value ~ C(group)", data).fit())
            among, within = table["mean_sq"]["C(group)"], table["mean_sq"]["Residual"]
            some = [size for size in sizes if size]
            usual = numpy.mean(some) - numpy.var(some, ddof=1) / sum(some)
            component = (among - within) / usual
            correlation = min(max(component / (component + within), 0.0), 1.0)
            cases.append({"groups": groups, "correlation": correlation})
    return cases


def effective_proportions() -> list[dict]:
    """Clopper and Pearson's bounds for numbers that are not whole."""
    cases = []
    numbers = [(0.0, 12.5), (0.4, 33.3), (1.5, 2.5), (2.75, 180.25), (7.1, 7.1), (19.6, 20.1), (0.01, 5000.5)]
    for hits, trials in numbers:
        for alpha in [0.05, 0.05 / 9, 0.025]:
            low = 0.0 if hits == 0 else stats.beta.ppf(alpha, hits, trials - hits + 1)
            high = 1.0 if hits == trials else stats.beta.isf(alpha, hits + 1, trials - hits)
            cases.append({"hits": hits, "trials": trials, "alpha": alpha, "low": low, "high": high})
    return cases


def trials_needed() -> list[dict]:
    """The first number of trials, of all of them, that makes so few hits improbable at the limit.

    By the binomial distribution for whole hits, and by the incomplete beta function for others.
    """
    cases = []
    for hits in [0, 1, 2, 5, 0.5, 2.3]:
        for limit in [0.1, 0.01, 0.001]:
            for alpha in [0.05, 0.01]:
                trials = numpy.arange(numpy.ceil(hits) + 1, 30_000)
                if hits == int(hits):
                    probability = stats.binom.cdf(hits, trials, limit)
                else:
                    probability = special.betainc(trials - hits, hits + 1, 1 - limit)
                needed = int(trials[probability <= alpha][0])
                cases.append({"hits": hits, "limit": limit, "alpha": alpha, "trials": needed})
    return cases


def trials_to_exceed() -> list[dict]:
    """The first number of trials, of all of them, that makes such a share of hits improbable at the limit."""
    cases = []
    shares = [(0.5, 0.2), (0.02, 0.01), (0.0015, 0.001), (0.3, 0.25), (1.0, 0.9), (0.2, 0.0), (0.011, 0.01), (0.01, 0.01)]
    for share, limit in shares:
        for alpha in [0.05, 0.05 / 9]:
            trials = numpy.arange(1, 300_000)
            probability = special.betainc(share * trials, trials - share * trials + 1, limit)
            enough = trials[probability < alpha]
            needed = int(enough[0]) if len(enough) else None
            cases.append({"share": share, "limit": limit, "alpha": alpha, "trials": needed})
    return cases


def detectable_shares() -> list[dict]:
    """The first telling count, of all of them, and the share at which it comes with the power."""
    cases = []
    for trials in [2, 20, 60, 300, 1500, 20_000]:
        for limit in [0.001, 0.01, 0.2]:
            for alpha, power in [(0.05, 0.9), (0.05 / 9, 0.8)]:
                counts = numpy.arange(1, trials + 1)
                telling = counts[stats.binom.sf(counts - 1, trials, limit) < alpha]
                share = None
                if len(telling):
                    share = optimize.brentq(
                        lambda p: stats.binom.sf(telling[0] - 1, trials, p) - power, 0, 1, xtol=1e-15, rtol=1e-14
                    )
                case = {"trials": trials, "limit": limit, "alpha": alpha, "power": power, "share": share}
                cases.append(case)
    return cases


def mcnemar_tests() -> list[dict]:
    """By SciPy's test of a fair coin, which adds up all outcomes that are no likelier, and by statsmodels."""
    cases = []
    pairs = [(0, 1), (0, 5), (1, 1), (3, 3), (9, 2), (2, 9), (1, 8), (7, 8), (12, 25), (40, 41), (0, 30)]
    pairs += [(28, 25), (48, 41), (150, 100), (500, 620), (3, 200), (1000, 1000)]
    for first, second in pairs:
        p = stats.binomtest(first, first + second, 0.5).pvalue
        other = mcnemar([[0, first], [second, 0]], exact=True).pvalue
        assert abs(p - other) <= 1e-10 * p, (first, second, p, other)
        cases.append({"first": first, "second": second, "p": p})
    return cases


def detectable_effects() -> list[dict]:
    """Johnson and Welch's normal approximation, and its power by the noncentral t.

    `least` and `most` are the effects whose power by the noncentral t is half a point under and one point
    over what was asked for, and `exact` is the one that has it.
    """
    cases = []
    for spread in [0.01, 0.3]:
        for alpha in [0.05, 0.05 / 9, 0.001]:
            for rounds in [3, 5, 8, 12, 20]:
                power, freedom, error = 0.9, rounds - 1, spread / numpy.sqrt(rounds)
                critical = stats.t.isf(alpha, freedom)

                def reached(effect: float) -> float:
                    return stats.nct.sf(critical, freedom, effect / error)

                def having(wanted: float) -> float:
                    ends = (0.1 * error, 200.0 * error)
                    return optimize.brentq(lambda effect: reached(effect) - wanted, *ends, xtol=1e-12 * error)

                shrunk, wide = critical * (1 - 1 / (4 * freedom)), numpy.sqrt(1 + critical**2 / (2 * freedom))
                johnson_welch = (shrunk + stats.norm.ppf(power) * wide) * error
                case = {"spread": spread, "rounds": rounds, "alpha": alpha, "power": power}
                case |= {"johnson_welch": johnson_welch, "johnson_welch_reached": reached(johnson_welch)}
                case |= {"least": having(power - 0.005), "exact": having(power), "most": having(power + 0.01)}
                cases.append(case)
    return cases


def detectable_differences() -> list[dict]:
    """The root of Connor's equation by Brent's method, and the power that Tango's test has there.

    The power adds up the trinomial distribution of the discordant pairs over all that the test refuses.
    """
    cases = []
    for b, c, n in [(6, 5, 96), (3, 2, 64), (0, 0, 50), (28, 25, 618), (90, 75, 1500), (1, 0, 2), (0, 3, 300)]:
        for limit in [0.0, 0.01, 0.05]:
            alpha, power = (0.05, 0.9) if limit else (0.05 / 9, 0.8)
            z = stats.norm.ppf(1 - alpha)
            total = z + stats.norm.ppf(power)

            def missing(d: float) -> float:
                return d - limit - total * numpy.sqrt(max((b + c) / n, d) / n)

            difference = None
            if missing(1.0) >= 0:
                difference = optimize.brentq(missing, limit + 1e-9, 1.0, xtol=1e-15, rtol=1e-14)
            case = {"first_only": b, "second_only": c, "all": n, "limit": limit, "alpha": alpha, "power": power}
            reached = None if difference is None else tango_power(max((b + c) / n, difference), difference, n, limit, z)
            cases.append(case | {"difference": difference, "reached": reached})
    return cases


def tango_power(discordance: float, difference: float, n: int, limit: float, z: float) -> float:
    """The probability that Tango's score exceeds `z` at the limit."""
    first, second = (discordance + difference) / 2, (discordance - difference) / 2
    whole = 0.0
    for c in range(int(stats.binom.isf(1e-9, n, second)) + 1):
        few, many = -1, n - c + 1
        while many - few > 1:
            middle = (few + many) // 2
            # Without a discordant pair nothing varies, and nothing is refused.
            if middle + c > 0 and restricted_score(middle, c, n, limit) > z:
                many = middle
            else:
                few = middle
        whole += stats.binom.pmf(c, n, second) * stats.binom.sf(many - 1, n - c, first / (1 - second))
    return whole


def resampled_quantiles() -> list[dict]:
    """NumPy's quantile of resamples that are written out.

    Request `i` of round `r` is `((7919 i + 104729 r) mod 1009) (10 + r mod 7) / 1009`, with many ties.
    """
    random = numpy.random.default_rng(6)
    resamples = [
        ([1], [1]),
        ([3, 4], [2, 0]),
        ([5, 0, 7], [1, 4, 2]),
        ([256], [3]),
        ([255, 1, 256, 513], [1, 1, 1, 1]),
        ([100 + 13 * r for r in range(7)], [0, 2, 0, 1, 3, 1, 0]),
    ]
    for _ in range(4):
        times = numpy.bincount(random.integers(0, 20, 20), minlength=20).tolist()
        resamples.append(([90 + (11 * r) % 37 for r in range(20)], times))
    cases = []
    for sizes, times in resamples:
        rounds = [
            [((7919 * i + 104729 * r) % 1009) * (10 + r % 7) / 1009 for i in range(size)]
            for r, size in enumerate(sizes)
        ]
        written = [value for values, count in zip(rounds, times) for _ in range(count) for value in values]
        for p in [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0]:
            quantile = float(numpy.quantile(written, p))
            cases.append({"sizes": sizes, "times": times, "p": p, "quantile": quantile})
    return cases


def bootstrap_errors() -> list[dict]:
    """What a bootstrap of a mean has to come to: the standard error of the mean."""
    random = numpy.random.default_rng(7)
    cases = []
    for rounds in [5, 20, 25, 40]:
        for draw in [random.normal, random.uniform, random.exponential, random.lognormal]:
            values = numpy.round(draw(size=rounds), 3)
            cases.append({"values": values.tolist(), "mean": numpy.mean(values), "error": stats.sem(values)})
    return cases


def main() -> None:
    reference = {
        "made_by": "scripts/reference_stats.py",
        "scipy": scipy.__version__,
        "numpy": numpy.__version__,
        "statsmodels": statsmodels.__version__,
        "t_intervals": t_intervals(),
        "proportions": proportions(),
        "quantiles": quantiles(),
        "median_intervals": median_intervals(),
        "predictions": predictions(),
        "differences_of_two": differences_of_two(),
        "welch": welch(),
        "sums": sums(),
        "paired_differences": paired_differences(),
        "exact_pairs": exact_pairs(),
        "log_normal_means": log_normal_means(),
        "look_levels": look_levels(),
        "holm": holm(),
        "intraclass_correlations": intraclass_correlations(),
        "effective_proportions": effective_proportions(),
        "trials_needed": trials_needed(),
        "trials_to_exceed": trials_to_exceed(),
        "detectable_shares": detectable_shares(),
        "mcnemar_tests": mcnemar_tests(),
        "detectable_effects": detectable_effects(),
        "detectable_differences": detectable_differences(),
        "resampled_quantiles": resampled_quantiles(),
        "bootstrap_errors": bootstrap_errors(),
    }
    json.dump(reference, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
