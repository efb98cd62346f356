#!/usr/bin/env python3
"""Times ONNX models on this machine with ONNX Runtime: prints a line "NAME MILLISECONDS" for each file.

For devices of your own (see the guide "Your own device" of InferenceRuntimes); needs Python with onnxruntime and numpy,
nothing else. Models get zeros; an open number of images is 1. The time is the shortest call of about a third of a second.
"""

import argparse
import os
import sys
import time

import numpy
import onnxruntime

TYPES = {"tensor(float)": numpy.float32, "tensor(uint8)": numpy.uint8, "tensor(int8)": numpy.int8,
         "tensor(int32)": numpy.int32, "tensor(int64)": numpy.int64}


def milliseconds(path, threads, seconds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for item in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in item.shape]
        binding.bind_cpu_input(item.name, numpy.zeros(shape, TYPES[item.type]))
    for item in session.get_outputs():
        binding.bind_output(item.name)
    shortest = float("inf")
    calls = 0
    end = time.perf_counter() + seconds
    while calls < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        session.run_with_iobinding(binding)
        shortest = min(shortest, time.perf_counter() - start)
        calls += 1
    return 1e3 * shortest


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.3, help="of calls, a model")
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    for path in arguments.files:
        value = milliseconds(path, arguments.threads, arguments.seconds)
        # At once, so that what was timed is not lost if the connection breaks.
        print(f"{os.path.basename(path)} {value:.6f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
