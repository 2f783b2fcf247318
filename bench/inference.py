#!/usr/bin/env python3
"""Latency of compiled plans beside ONNX Runtime and OpenVINO, both held to float32.

usage: bench/inference.py [--build build] [--isa avx512 avx2] [--threads 1 2] [--batch 1 32] [NET ...]

Needs numpy, onnx, onnxruntime and openvino, and the programs plan_speed and fma_peak (PARE_BENCH=ON).
Random weights, random inputs, no accuracy: the shapes are those of `pare summary NET`. The three take
turns of some tens of milliseconds on the same cores, with a pause before each in which the threads of
the one before fall asleep; the first calls of a turn are not counted. The table gives the median
milliseconds per call, the ratio of the better peer to pare (above 1: pare is faster), pare's direct
form of the convolutions, and the floor of any direct form: its multiply-adds at the FMA peak that
fma_peak measures. PARE_ISA and ONEDNN_MAX_CPU_ISA hold pare and OpenVINO to AVX2; ONNX Runtime
offers no such switch and keeps what the CPU has.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper


# What holds each side to an instruction set, where it can be held.
CAPS = {"avx512": {}, "avx2": {"PARE_ISA": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}}


class Net:
    """Builds an ONNX graph layer by layer; batch norms are folded already, as in deployment."""

    def __init__(self, shape, batch):
        self.rng = np.random.default_rng(1)
        self.nodes, self.weights = [], []
        self.value, self.shape, self.batch, self.input_shape = "x", shape, batch, shape
        self.macs = 0

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
        self.macs += self.batch * int(np.prod(self.shape)) * c * kernel * kernel
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
        self.macs += self.batch * self.shape[0] * out
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
    def __init__(self, args, net, batch, threads, *form):
        self.process = subprocess.Popen([os.path.join(args.build, "bench", "plan_speed"), net, str(batch), str(threads), *form],
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


def medians(sides, args):
    calls = [max(10, int(args.turn / statistics.median(side.times(10)))) for side in sides]
    times = [[] for _ in sides]
    for _ in range(args.turns):
        for side, count, all_times in zip(sides, calls, times):
            time.sleep(args.pause / 1e3)
            all_times += side.times(count + 5)[5:]
    return [statistics.median(t) for t in times]


def rows(args, isa, peak):
    for net in args.nets:
        for batch in args.batch:
            graph = build(net, batch)
            x = graph.rng.standard_normal((batch, *graph.input_shape)).astype(np.float32)
            for threads in args.threads:
                sides = [Pare(args, net, batch, threads), Pare(args, net, batch, threads, "direct"),
                         OnnxRuntime(graph.bytes(), x, threads), OpenVino(graph.bytes(), x, threads)]
                ours, direct, ort, vino = medians(sides, args)
                for side in sides:
                    side.close()
                floor = 2 * graph.macs / peak[min(threads, len(peak)) - 1] / 1e6
                print(f"| {net} | {batch} | {isa} | {threads} | {ours:.4f} | {ort:.4f} | {vino:.4f} | "
                      f"{min(ort, vino) / ours:.2f} | {direct:.4f} | {floor:.4f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=["mlp", "lenet5-classic", "lenet5", "cifar-cnn", "resnet20"])
    parser.add_argument("--build", default="build")
    parser.add_argument("--isa", nargs="+", default=["avx512", "avx2"], choices=list(CAPS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--turn", type=float, default=40, help="milliseconds of a turn")
    parser.add_argument("--pause", type=float, default=80, help="milliseconds before a turn")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--rows", metavar="PEAK", help=argparse.SUPPRESS)  # of one instruction set, in a process of its own
    args = parser.parse_args()
    if args.rows:
        return rows(args, args.isa[0], json.loads(args.rows))
    peaks = json.loads(subprocess.run([os.path.join(args.build, "bench", "fma_peak")], stdout=subprocess.PIPE, check=True).stdout)
    print("FMA peak, GFLOP/s on 1 and 2 threads:", json.dumps(peaks))
    print("| net | batch | ISA | threads | pare | ONNX Runtime | OpenVINO | better peer / pare | pare, direct | direct floor |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for isa in args.isa:
        if isa not in peaks:
            continue
        again = [sys.executable, __file__, *args.nets, "--rows", json.dumps(peaks[isa]), "--isa", isa, "--build", args.build]
        for name in ("threads", "batch"):
            again += [f"--{name}", *map(str, getattr(args, name))]
        for name in ("turn", "pause", "turns"):
            again += [f"--{name}", str(getattr(args, name))]
        subprocess.run(again, env={**os.environ, **CAPS[isa]}, check=True)


if __name__ == "__main__":
    sys.exit(main())
