#!/usr/bin/env bash
# With CACHE_DIR, compile_model(path) goes on answering with the old weights after the .bin file was replaced.
#
# Package: openvino 2026.4.1, CPU.
# One would expect: the key of the cache holds something of both files, at least size and time of the .bin.
# Seen: the key is made of the path and the .xml. A .bin of other weights, even of another time, is not noticed; reading
# the model first and compiling what was read (read_model, compile_model(model)) gives the new answer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m pip install --quiet --disable-pip-version-check --target packages openvino==2026.4.1
PYTHONPATH=packages python3 - <<'PYTHON'
import os

import numpy as np
import openvino as ov
from openvino import opset13 as op


def save(name, seed):
    value = op.parameter([1, 8], np.float32)
    matrix = op.constant(np.random.default_rng(seed).standard_normal((8, 8)).astype(np.float32))
    ov.save_model(ov.Model([op.result(op.matmul(value, matrix, False, True))], [value], "matrix"), name)


def answer(read):
    core = ov.Core()
    core.set_property({"CACHE_DIR": "cache"})
    model = core.read_model("model.xml") if read else "model.xml"
    return core.compile_model(model, "CPU")(np.ones((1, 8), np.float32))[0]


save("model.xml", 1)
first = answer(read=False)
save("other.xml", 2)
os.replace("other.bin", "model.bin")
os.utime("model.bin")
by_path = answer(read=False)
by_reading = answer(read=True)
print("openvino", ov.__version__)
print("before:            ", first[0, :3])
print("replaced, by path: ", by_path[0, :3])
print("replaced, read:    ", by_reading[0, :3])
assert (by_path == first).all(), "compile_model(path) now notices the new weights"
assert not np.allclose(by_reading, first)
PYTHON
