#!/usr/bin/env bash
# In OpenVINO 2025.4.1 two models of one graph that share a CACHE_DIR are one: the second is answered by the first.
#
# Packages: openvino 2025.4.1 against 2026.4.1, CPU.
# One would expect: read_model followed by compile_model(model) hashes the weights, since it holds them.
# Seen: 2025.4.1 makes one blob for two models with the same .xml and other weights (a model and its fine-tuned copy), and
# answers both by it; 2026.4.1 makes two, and answers each by its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >two.py <<'PYTHON'
import os
import sys

import numpy as np
import openvino as ov
from openvino import opset13 as op


def save(name, seed):
    value = op.parameter([1, 8], np.float32)
    value.set_friendly_name("value")
    matrix = op.constant(np.random.default_rng(seed).standard_normal((8, 8)).astype(np.float32))
    matrix.set_friendly_name("matrix")
    product = op.matmul(value, matrix, False, True)
    product.set_friendly_name("product")
    result = op.result(product)
    result.set_friendly_name("result")
    ov.save_model(ov.Model([result], [value], "model"), name)


def answer(name, cache):
    core = ov.Core()
    if cache:
        core.set_property({"CACHE_DIR": cache})
    return core.compile_model(core.read_model(name), "CPU")(np.ones((1, 8), np.float32))[0]


cache = sys.argv[1]
save("original.xml", 1)
save("tuned.xml", 2)
assert open("original.xml").read() == open("tuned.xml").read()
original, tuned = (answer(name, cache) for name in ("original.xml", "tuned.xml"))
blobs = len([name for name in os.listdir(cache) if name.endswith(".blob")])
mixed = bool((original == tuned).all())
assert np.allclose(original, answer("original.xml", None)) and not np.allclose(original, answer("tuned.xml", None))
print(f"openvino {ov.__version__}: {blobs} blob(s), the second model is answered by the first: {mixed}")
assert mixed == (sys.argv[2] == "mixed"), "this has changed"
PYTHON
for version in 2025.4.1 2026.4.1; do
    python3 -m pip install --quiet --disable-pip-version-check --target "$version" "openvino==$version"
done
PYTHONPATH=2025.4.1 python3 two.py cache-2025 mixed
PYTHONPATH=2026.4.1 python3 two.py cache-2026 apart
