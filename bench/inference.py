#!/usr/bin/env python3
"""Latency of compiled plans beside ONNX Runtime and OpenVINO, both held to float32.

usage: bench/inference.py [--build build] [--threads 1 2] [--batch 1 32] [--seconds 2] [NET ...]

Needs numpy, onnx, onnxruntime and openvino. Random weights, random inputs, no accuracy: the shapes
are those of `pare summary NET`. The three take turns, a few calls each, on the same cores; the
table gives the median milliseconds per call, and the ratio of the better peer to pare (above 1:
pare is faster). Each of pare's calls goes through one process that stays up, build/bench/plan_speed.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper


class Net:
    """Builds an ONNX graph layer by layer; batch norms are folded already, as in deployment."""

    def __init__(self, shape, batch):
        self.rng = np.random.default_rng(1)
        self.nodes, self.weights = [], []
        self.value, self.shape, self.batch, self.input_shape = "x", shape, batch, shape

    def add(self, op, inputs, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        self.value = name
        return name

    def constant(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def random(self, *shape):
        fan = int(np.prod(shape[1:])) or 1
        return self.constant(self.rng.standard_normal(shape) * (2 / fan) ** 0.5)

    def conv(self, out, kernel, stride=1, pad=0, relu=False):
        c, h, w = self.shape
        self.add("Conv", [self.value, self.random(out, c, kernel, kernel), self.constant(np.zeros(out))],
                 strides=[stride] * 2, pads=[pad] * 4)
        self.shape = (out, (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1)
        if relu:
            self.add("Relu", [self.value])
        return self

    def pool(self):
        self.add("MaxPool", [self.value], kernel_shape=[2, 2], strides=[2, 2])
        c, h, w = self.shape
        self.shape = (c, h // 2, w // 2)
        return self

    def dense(self, out, relu=False):
        if len(self.shape) == 3:
            self.add("Flatten", [self.value])
            self.shape = (int(np.prod(self.shape)),)
        self.add("Gemm", [self.value, self.random(out, self.shape[0]), self.constant(np.zeros(out))], transB=1)
        self.shape = (out,)
        if relu:
            self.add("Relu", [self.value])
        return self

    def block(self, out, stride):
        before, shape = self.value, self.shape
        self.conv(out, 3, stride, 1, True).conv(out, 3, 1, 1)
        inner = self.value
        if stride > 1:
            ints = lambda name, v: self.weights.append(onnx.numpy_helper.from_array(np.array(v, np.int64), name)) or name
            n = len(self.weights)
            before = self.add("Slice", [before, ints(f"s{n}", [0, 0]), ints(f"e{n}", list(shape[1:])),
                                        ints(f"a{n}", [2, 3]), ints(f"t{n}", [stride] * 2)])
            before = self.add("Pad", [before, ints(f"p{n}", [0, 0, 0, 0, 0, out - shape[0], 0, 0])])
        self.add("Add", [inner, before])
        self.add("Relu", [self.value])
        return self

    def bytes(self):
        graph = helper.make_graph(
            self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [self.batch, *self.input_shape])],
            [helper.make_tensor_value_info(self.value, TensorProto.FLOAT, [self.batch, 10])], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        return model.SerializeToString()


def build(name, batch):
    grey, colour = Net((1, 28, 28), batch), Net((3, 32, 32), batch)
    if name == "mlp":
        return grey.dense(300, True).dense(100, True).dense(10)
    if name == "lenet5":
        return grey.conv(20, 5).pool().conv(50, 5).pool().dense(500, True).dense(10)
    if name == "lenet5-classic":
        return grey.conv(6, 5, 1, 2, True).pool().conv(16, 5, 1, 0, True).pool().dense(120, True).dense(84, True).dense(10)
    if name == "cifar-cnn":
        colour.conv(32, 3, 1, 1, True).conv(32, 3, 1, 1, True).pool()
        return colour.conv(64, 3, 1, 1, True).conv(64, 3, 1, 1, True).pool().dense(256, True).dense(10)
    colour.conv(16, 3, 1, 1, True)
    for stage, out in enumerate((16, 32, 64)):
        for block in range(3):
            colour.block(out, 2 if stage and not block else 1)
    colour.add("GlobalAveragePool", [colour.value])
    colour.shape = (64, 1, 1)
    return colour.dense(10)


class Pare:
    def __init__(self, args, net, batch, threads):
        self.process = subprocess.Popen([os.path.join(args.build, "bench", "plan_speed"), net, str(batch), str(threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def times(self, calls):
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return [float(t) for t in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Timed:
    def close(self):
        pass

    def times(self, calls):
        result = []
        for _ in range(calls):
            start = time.perf_counter()
            self.call()
            result.append(1e3 * (time.perf_counter() - start))
        return result


class OnnxRuntime(Timed):
    def __init__(self, model, x, threads):
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.call = lambda: session.run(None, {"x": x})


class OpenVino(Timed):
    def __init__(self, model, x, threads):
        import openvino as ov
        core = ov.Core()
        compiled = core.compile_model(core.read_model(model, b""), "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"})
        request = compiled.create_infer_request()
        tensor = ov.Tensor(x, shared_memory=True)
        request.set_input_tensor(tensor)
        self.call = request.infer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=["mlp", "lenet5-classic", "lenet5", "cifar-cnn", "resnet20"])
    parser.add_argument("--build", default="build")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--seconds", type=float, default=2)
    args = parser.parse_args()
    print("| net | batch | threads | pare | ONNX Runtime | OpenVINO | better peer / pare |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for net in args.nets:
        for batch in args.batch:
            graph = build(net, batch)
            x = graph.rng.standard_normal((batch, *graph.input_shape)).astype(np.float32)
            for threads in args.threads:
                sides = [Pare(args, net, batch, threads), OnnxRuntime(graph.bytes(), x, threads),
                         OpenVino(graph.bytes(), x, threads)]
                all_times = [[] for _ in sides]
                end = time.time() + args.seconds
                while time.time() < end:
                    for side, times in zip(sides, all_times):
                        side.times(3)  # its threads awake, its weights in the cache
                        times += side.times(10)
                for side in sides:
                    side.close()
                ours, ort, vino = (statistics.median(t) for t in all_times)
                print(f"| {net} | {batch} | {threads} | {ours:.4f} | {ort:.4f} | {vino:.4f} | "
                      f"{min(ort, vino) / ours:.2f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
