#!/usr/bin/env bash
# Some compressed weights are small on the disk and full-size in memory: OpenVINO's CPU plugin widens them when it compiles.
#
# Packages: nncf 3.4.0 and openvino 2026.4.1, CPU.
# One would expect: the common formats (INT8, INT4, NF4, FP8) are multiplied as they are stored, and the newest ones
# (INT2, NVFP4) perhaps do not compile.
# Seen: INT8, INT4, NF4, MXFP4, NVFP4 and INT2 are what the matrix products of the compiled model read; INT3, CB4 (a code
# book of 16 values), MXFP8 and FP8 are turned into f32 while compiling: as large in memory as without compression.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m pip install --quiet --disable-pip-version-check --target packages openvino==2026.4.1 nncf==3.4.0
PYTHONPATH=packages python3 - <<'PYTHON'
import logging

import nncf
import numpy as np
import openvino as ov
from nncf import CompressWeightsMode as Mode
from openvino import opset13 as op

nncf.set_log_level(logging.ERROR)
STORED = {
    "INT8_ASYM": "u8", "INT8_SYM": "i8", "INT4_ASYM": "u4", "INT4_SYM": "i4", "INT2_SYM": "u2", "NF4": "nf4",
    "MXFP4": "f4e2m1", "NVFP4": "f4e2m1",
}  # fmt: skip
WIDENED = ("INT3_SYM", "CB4", "MXFP8_E4M3", "FP8_E4M3")


def matrix_model(width=256):
    value = op.parameter([-1, width], np.float32)
    weights = np.random.default_rng(0).standard_normal((width, width)).astype(np.float32)
    return ov.Model([op.result(op.matmul(value, op.constant(weights), False, True))], [value], "matrix")


def text(value):
    return value.astype(str) if hasattr(value, "astype") else str(value)


def at_run_time(name):
    """The type of the weights that the compiled model's product reads."""
    more = {} if name.startswith("INT8") else {"ratio": 1.0, "all_layers": True}
    if not name.startswith(("INT8", "MXFP", "NVFP")):
        more["group_size"] = 64
    model = nncf.compress_weights(matrix_model(), mode=Mode[name], **more)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    compiled(np.ones((1, 256), np.float32))
    nodes = compiled.get_runtime_model().get_ordered_ops()
    products = [node for node in nodes if text(node.get_rt_info()["layerType"]) == "FullyConnected"]
    assert len(products) == 1
    return products[0].input_value(1).get_element_type().get_type_name()


found = {name: at_run_time(name) for name in (*STORED, *WIDENED)}
print(f"nncf {nncf.__version__}, openvino {ov.__version__}")
for name, kind in found.items():
    print(f"{name}: {kind} in the compiled model")
assert found == STORED | dict.fromkeys(WIDENED, "f32"), "this has changed"
PYTHON
