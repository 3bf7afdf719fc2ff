#!/usr/bin/env python3
"""Owns the reference values of `src/stats/change_points.rs`: runs Apache Otava on series of several shapes, prints JSON.

Otava 0.8.0 drops weak change points one by one. It then tests the one to the right of a dropped one anew and leaves the one to
the left as it was, so that some that it keeps are over its own level. Here both are tested anew, by Otava's own test. What
Otava gives as it is stands beside it as `unmodified`.

    pip install apache-otava==0.8.0 scipy==1.17.1 numpy==2.4.6
    python3 scripts/reference_change_points.py > tests/reference/change_points.json

The values in the repository were made with the versions that the file names.
"""

import json
import sys
from importlib.metadata import version

import numpy
import scipy
from otava.analysis import TTestSignificanceTester, compute_change_points, split


def series() -> list[tuple[str, list[float]]]:
    """Logs of a metric, one for each session, to six digits."""
    random = numpy.random.default_rng(20)

    def noise(length: int, spread: float = 0.02) -> numpy.ndarray:
        return random.normal(0, spread, length)

    def step(length: int, *changes: tuple[int, float]) -> numpy.ndarray:
        return sum((size * (numpy.arange(length) >= at) for at, size in changes), numpy.zeros(length))

    shapes = [(f"no change, {n}", noise(n)) for n in [2, 3, 5, 10, 30, 49, 51, 100, 160]]
    shapes += [
        (f"{size:+.0%} at {at} of {n}", noise(n) + step(n, (at, size)))
        for n, at, size in [(6, 3, 0.2), (10, 5, 0.05), (10, 5, 0.1), (10, 9, 0.2), (30, 12, 0.05), (30, 28, 0.1),
                            (100, 50, 0.03), (100, 74, -0.05), (100, 97, 0.1)]
    ]
    shapes += [
        (f"two steps in {n}", noise(n) + step(n, (a, 0.08), (b, c)))
        for n, a, b, c in [(15, 5, 10, 0.08), (40, 10, 25, -0.08), (100, 48, 52, -0.08), (160, 60, 110, 0.05)]
    ]
    shapes += [
        (f"drift of 2% a session over {n}", noise(n, 0.005) + 0.02 * numpy.arange(n)) for n in [10, 30]
    ]
    shapes += [
        (f"an outlier in {n}", noise(n) + step(n, (at, 0.3), (at + 1, -0.3))) for n, at in [(12, 6), (30, 29), (60, 20)]
    ]
    shapes += [
        ("more spread after the half", numpy.concatenate([noise(20, 0.01), noise(20, 0.06)])),
        ("one value in nine repeats", numpy.round(noise(40, 0.02) + step(40, (20, 0.03)), 2)),
        ("a stair of exact values", numpy.repeat([0.0, 0.1, 0.3], [4, 5, 6]) + 0.001 * (numpy.arange(15) % 3)),
    ]
    return [(name, numpy.round(values, 6).tolist()) for name, values in shapes]


def merged(points: list, values: list[float], level: float) -> list:
    """Drops the weakest point until all are under the level, as `otava.analysis.merge`, and tests all that stay anew."""
    tester = TTestSignificanceTester(level)
    while True:
        intervals = tester.get_intervals(points)
        points = [tester.change_point(point.to_candidate(), values, intervals) for point in points]
        weakest = max(points, key=lambda point: point.stats.pvalue, default=None)
        if weakest is None or weakest.stats.pvalue < level:
            return points
        points = [point for point in points if point is not weakest]


def main() -> None:
    cases = []
    for name, values in series():
        for level in [0.001, 0.01]:
            # Lists: Otava cuts no windows out of an array.
            unmodified, _ = compute_change_points(list(values), max_pvalue=level)
            found = [
                {"at": int(point.index), "before": point.stats.mean_1, "after": point.stats.mean_2, "p": point.stats.pvalue}
                for point in merged(split(list(values), 50, 10 * level), list(values), level)
            ]
            places = [int(point.index) for point in unmodified]
            cases.append({"name": name, "level": level, "values": values, "points": found, "unmodified": places})
    reference = {
        "made_by": "scripts/reference_change_points.py",
        "apache-otava": version("apache-otava"),
        "scipy": scipy.__version__,
        "numpy": numpy.__version__,
        "series": cases,
    }
    text = json.dumps(reference, default=float)
    # One series a line.
    print(text.replace('"series": [', '"series": [\n').replace('}, {"name"', '},\n{"name"').replace("]}]}", "]}\n]}"))


if __name__ == "__main__":
    sys.exit(main())
