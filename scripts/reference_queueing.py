#!/usr/bin/env python3
"""Owns the reference values of load: what queueing theory and a discrete-event simulation say of requests that arrive at
chance times and wait for one of several servers; the ranks between which a quantile lies; trends with their intervals.

    pip install scipy==1.17.1 numpy==2.4.6
    python3 scripts/reference_queueing.py > tests/reference/queueing.json

The formulas are Pollaczek and Khinchine's of the mean wait of M/G/1 and Erlang's C of M/M/c (Kleinrock 1975, Queueing
Systems 1, sections 5.6 and 3.5). The simulation keeps a heap of events and knows nothing of perfgate's queue, which has
none: it gives each stream the next request.
"""

import heapq
import json
import math
import random
import sys
from collections import deque

import numpy
import scipy
import scipy.signal
from scipy import stats


def erlang_c(servers: int, load: float) -> float:
    """The share of arrivals that wait; `load` in servers."""
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


def mean_waits() -> list[dict]:
    """Mean waits in seconds, of a mean service of one second."""
    cases = []
    for load in [0.3, 0.6, 0.8]:
        # Pollaczek-Khinchine: ρ / (2 (1 - ρ)) for a fixed service of 1.
        cases.append({"service": "fixed", "servers": 1, "rate": load, "wait": load / (2 * (1 - load))})
    for servers in [1, 2, 4]:
        for share in [0.5, 0.8]:
            rate = servers * share
            wait = erlang_c(servers, rate) / (servers - rate)
            cases.append({"service": "exponential", "servers": servers, "rate": rate, "wait": wait})
    return cases


def simulate(servers: int, due: list[int], service: list[int]) -> list[int]:
    """When each request begins: events in the order of time, a waiting line, free servers."""
    events = [(time, 1, index) for index, time in enumerate(due)]
    heapq.heapify(events)
    line: deque[int] = deque()
    free, begins = servers, [0] * len(due)
    while events:
        time, kind, index = heapq.heappop(events)
        if kind == 1:
            line.append(index)
        else:
            free += 1
        while free and line:
            next_one = line.popleft()
            free -= 1
            begins[next_one] = time
            heapq.heappush(events, (time + service[next_one], 0, next_one))
    return begins


def schedules() -> list[dict]:
    random.seed(20261124)
    cases = []
    for servers, share in [(1, 0.5), (1, 1.5), (2, 0.8), (3, 0.9), (4, 2.0)]:
        due, time = [], 0.0
        for _ in range(200):
            time += random.expovariate(servers * share)
            due.append(int(time * 1e9))
        service = [int(random.lognormvariate(-0.125, 0.5) * 1e9) for _ in due]
        begins = simulate(servers, due, service)
        cases.append({"servers": servers, "due": due, "service": service, "begins": begins})
    return cases


def ranks() -> list[dict]:
    """By the definition: P(X >= l) >= 1 - alpha, P(X < u) >= 1 - alpha, searched one by one."""
    cases = []
    for count in [1, 5, 30, 59, 298, 299, 300, 1000, 5000]:
        for p in [0.5, 0.9, 0.99]:
            for alpha in [0.05, 0.02]:
                x = stats.binom(count, p)
                lower = [rank for rank in range(1, count + 1) if x.sf(rank - 1) >= 1 - alpha]
                upper = [rank for rank in range(1, count + 1) if x.cdf(rank - 1) >= 1 - alpha]
                cases.append(
                    {
                        "count": count,
                        "p": p,
                        "alpha": alpha,
                        "lower": max(lower, default=None),
                        "upper": min(upper, default=None),
                    }
                )
    return cases


def trends() -> list[dict]:
    """The slope by least squares, its error by the coefficients on Legendre-like polynomials from a QR decomposition."""
    generator = numpy.random.default_rng(11)
    cases = []
    for count, waves in [(8, 3), (12, 3), (20, 3), (30, 4), (60, 6)]:
        noise = generator.normal(size=count)
        correlated = scipy.signal.lfilter([1.0], [1.0, -0.5], noise)
        values = 3.0 - 0.02 * numpy.arange(count) + 0.05 * correlated
        slope = stats.linregress(numpy.arange(count), values).slope
        places = numpy.linspace(-1, 1, count)
        basis, _ = numpy.linalg.qr(numpy.vander(places, waves + 2, increasing=True))
        coefficients = values @ basis
        error = math.sqrt(float(numpy.mean(coefficients[2:] ** 2)))
        step = abs(float(basis[1, 1] - basis[0, 1]))
        for alpha in [0.025, 0.05]:
            half = stats.t.ppf(1 - alpha, waves) * error * step * count
            point = slope * count
            cases.append(
                {
                    "values": values.tolist(),
                    "alpha": alpha,
                    "point": point,
                    "low": point - half,
                    "high": point + half,
                }
            )
    return cases


def clusters() -> list[dict]:
    """How latencies hang together: Ferro and Segers's intervals estimator as their equation (5) writes it."""
    cases = []
    for case in schedules():
        waited = zip(case["due"], case["service"], case["begins"])
        cases.append([(begin - due + service) * 1e-9 for due, service, begin in waited])
    generator = numpy.random.default_rng(5)
    cases.append(generator.normal(size=400).tolist())
    cases.append([float(n // 20 % 5 == 0) + 0.001 * n for n in range(300)])
    cases.append([float(n >= 90) for n in range(200)][:95])
    found = []
    for values in cases:
        over = numpy.flatnonzero(numpy.asarray(values) > numpy.quantile(values, 0.9))
        gaps = numpy.diff(over).astype(float)
        effect = 1.0
        if len(over) >= 3:
            if gaps.max() == 1:
                theta = 1 / len(over)
            elif gaps.max() <= 2:
                theta = 2 * gaps.sum() ** 2 / (len(gaps) * (gaps**2).sum())
            else:
                theta = 2 * (gaps - 1).sum() ** 2 / (len(gaps) * ((gaps - 1) * (gaps - 2)).sum())
            effect = max(1.0, 2 / min(1.0, float(theta)) - 1)
        found.append({"values": values, "effect": effect})
    return found


def main() -> None:
    versions = {"scipy": scipy.__version__, "numpy": numpy.__version__}
    reference = {
        "made_with": versions,
        "mean_waits": mean_waits(),
        "schedules": schedules(),
        "ranks": ranks(),
        "clusters": clusters(),
        "trends": trends(),
    }
    json.dump(reference, sys.stdout)
    print()


if __name__ == "__main__":
    main()
