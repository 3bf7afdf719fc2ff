#!/usr/bin/env python3
"""Owns the reference values of `src/stats/repeats.rs`: counts every way of choosing some of several attempts, prints JSON.

    python3 scripts/reference_repeats.py > tests/reference/repeats.json
"""

import itertools
import json
import sys
from fractions import Fraction


def share(outcomes: list[bool]) -> float:
    return float(Fraction(sum(outcomes), len(outcomes)))


def cases() -> list[dict]:
    """Every number of right attempts of up to nine, and every number of them that is chosen."""
    found = []
    for times in range(1, 10):
        for right in range(times + 1):
            attempts = [index < right for index in range(times)]
            for k in range(1, times + 1):
                chosen = list(itertools.combinations(attempts, k))
                found.append(
                    {
                        "right": right,
                        "times": times,
                        "k": k,
                        "all_right": share([all(some) for some in chosen]),
                        "any_right": share([any(some) for some in chosen]),
                    }
                )
    return found


if __name__ == "__main__":
    json.dump({"made_by": "scripts/reference_repeats.py", "cases": cases()}, sys.stdout, indent=1)
    print()
