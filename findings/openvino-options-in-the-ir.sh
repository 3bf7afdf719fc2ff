#!/usr/bin/env bash
# What an OpenVINO model file says of run-time options is obeyed for some, and for others neither obeyed nor mentioned; and
# what is asked for by property may be reduced without a word.
#
# Package: openvino 2026.4.1, CPU.
# One would expect: options are the caller's alone, and one that cannot be had is an error or a warning.
# Seen: rt_info/runtime_options of the .xml sets the precision of the key-value cache (u8 by default, f16 if the file says
# so: exporters write that into FP16 models and not into INT8 ones, so the two differ in their cache) and the group size of
# dynamic quantization (0 in place of 32); NUM_STREAMS there is ignored. Ten times as many streams or threads as there are
# CPUs are cut to what there is; only reading the property back tells.
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

core = ov.Core()
cpus = len(os.sched_getaffinity(0))


def effective(key, *, in_file=None, asked=None):
    value = op.parameter([-1, 8], np.float32)
    model = ov.Model([op.result(op.relu(value))], [value], "model")
    if in_file is not None:
        model.set_rt_info(in_file, ["runtime_options", key])
    compiled = core.compile_model(model, "CPU", {} if asked is None else {key: asked})
    return compiled.get_property(key)


cache, groups = "KV_CACHE_PRECISION", "DYNAMIC_QUANTIZATION_GROUP_SIZE"
print("openvino", ov.__version__)
seen = {
    "cache, nothing said": effective(cache).get_type_name(),
    "cache, f16 in the file": effective(cache, in_file="f16").get_type_name(),
    "cache, f16 in the file and u8 asked for": effective(cache, in_file="f16", asked="u8").get_type_name(),
    "group size, nothing said": effective(groups),
    "group size, 0 in the file": effective(groups, in_file="0"),
}
for what, value in seen.items():
    print(f"{what}: {value}")
assert list(seen.values()) == ["u8", "f16", "u8", 32, 0], "this has changed"
many = 10 * os.cpu_count()
streams, threads = effective("NUM_STREAMS", asked=many), effective("INFERENCE_NUM_THREADS", asked=many)
print(f"{cpus} CPUs; {many} streams asked for: {streams}; {many} threads asked for: {threads}")
assert streams < many and threads < many, "they are not reduced any more"
usual, said = effective("NUM_STREAMS"), effective("NUM_STREAMS", in_file=str(2 if cpus > 1 else 1))
print(f"streams by default: {usual}; with 2 in the file: {said}")
assert usual == said, "the file's streams now count"
PYTHON
