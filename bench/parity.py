#!/usr/bin/env python3
"""Checks pare's training against PyTorch's from the same weights and the same batch.

In double, every loss of 100 steps of SGD with momentum must agree within 1e-6; in float, the first loss
and the first gradients within 1e-4 of PyTorch's in double from the same values (relative, with the largest
gradient of the parameter as the scale). Float against float would compare two roundings: where one of them
takes a ReLU's input across zero, PyTorch is 3e-2 from its own double result on resnet20.

Then ten steps in float from 31 seeds: the losses may leave PyTorch's by at most 3 times what PyTorch leaves itself by
when it only stores images channels-last (for the multilayer perceptron, which has no layouts: when the batch comes in
reverse). The drift of a run is the root mean square over its steps, and the medians of the runs are compared: where a
ReLU changes side, which is chance, a single run, PyTorch's own too, is off by a thousand times the rounding.

Example: python bench/parity.py --program build/bench/parity
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))
import zoo  # noqa: E402

DTYPES = {"F32": torch.float32, "F64": torch.float64, "I32": torch.int32}


def read_container(path):
    """The tensors of a safetensors file by name, and its metadata."""
    data = Path(path).read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    header = json.loads(data[8:begin])
    metadata = header.pop("__metadata__", {})
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        part = bytearray(data[begin + first : begin + last])
        tensors[name] = torch.frombuffer(part, dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def run_program(program, net, dtype, steps, seed=1, rate=0.01):
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "run.safetensors")
        subprocess.run([program, net, dtype, str(steps), path, str(seed), str(rate)], check=True)
        return read_container(path)


def torch_run(net_name, run, steps, names, other_rounding=False, rate=0.01):
    """(losses, gradients of the first step by pare's names) of PyTorch on the same run."""
    dtype = run["images"].dtype
    net = zoo.torch_net(net_name).to(dtype).train()
    params = list(net.parameters())
    assert len(params) == len(names), f"{net_name}: {len(names)} parameters, not {len(params)}"
    with torch.no_grad():
        for name, param in zip(names, params):
            assert run["initial." + name].shape == param.shape, f"{name} has another shape"
            param.copy_(run["initial." + name])
    images = run["images"] if net_name != "mlp" else run["images"].flatten(1)
    labels = run["labels"].long()
    if other_rounding and net_name == "mlp":
        images, labels = images.flip(0).contiguous(), labels.flip(0)
    elif other_rounding:
        net = net.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(params, lr=rate, momentum=0.9)
    losses, gradients = [], {}
    for step in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            gradients = {name: p.grad.clone() for name, p in zip(names, params)}
        optimizer.step()
    return torch.tensor(losses, dtype=torch.float64), gradients


def check(net, dtype, steps, program):
    """(largest difference of a loss, of a first gradient), both relative."""
    run, metadata = run_program(program, net, dtype, steps)
    run = {name: t.double() if t.is_floating_point() else t for name, t in run.items()}
    losses, gradients = torch_run(net, run, steps, metadata["order"].split())
    loss = ((run["losses"] - losses).abs() / losses.abs().clamp(min=1)).max().item()
    worst = 0.0
    for name, mine in gradients.items():
        scale = mine.abs().max().clamp(min=1e-6)
        worst = max(worst, ((run["gradient." + name] - mine).abs().max() / scale).item())
    return loss, worst


def drift(net, program, steps=10, seeds=31, rate=0.01):
    """Median over seeds of the losses' differences: pare from PyTorch, PyTorch from itself; in float."""
    ours, theirs = [], []
    for seed in range(1, seeds + 1):
        run, metadata = run_program(program, net, "f32", steps, seed, rate)
        names = metadata["order"].split()
        losses, _ = torch_run(net, run, steps, names, False, rate)
        other, _ = torch_run(net, run, steps, names, True, rate)
        ours.append((run["losses"] - losses).square().mean().sqrt().item())
        theirs.append((other - losses).square().mean().sqrt().item())
    return statistics.median(ours), statistics.median(theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default="build/bench/parity")
    parser.add_argument("--nets", default=",".join(zoo.SPECS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    for net in options.nets.split(","):
        for dtype, steps, limit in (("f64", 100, 1e-6), ("f32", 1, 1e-4)):
            loss, gradient = check(net, dtype, steps, options.program)
            good = loss <= limit and gradient <= limit
            failed |= not good
            print(
                f"{net} {dtype}: losses of {steps} steps within {loss:.1e}, first gradients within "
                f"{gradient:.1e}; limit {limit:.0e}: {'ok' if good else 'FAILED'}",
                flush=True,
            )
        ours, theirs = drift(net, options.program)
        good = ours <= 3 * theirs
        failed |= not good
        print(
            f"{net} f32: 10 losses drift {ours:.1e} from PyTorch's, whose own rounding drifts {theirs:.1e}; "
            f"{ours / theirs:.2f} of limit 3: {'ok' if good else 'FAILED'}",
            flush=True,
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
