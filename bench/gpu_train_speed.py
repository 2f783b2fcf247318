#!/usr/bin/env python3
"""Training speed of pare beside PyTorch on a GPU, in milliseconds per step.

For every network and precision, pare (steps recorded and replayed) runs interleaved with PyTorch eager and
compiled ("max-autotune", which replays CUDA graphs too), burst by burst. A step is forward, cross entropy,
backward and SGD with momentum on inputs that lie on the GPU, and the wait for its loss.

Each row stands beside two floors: the step's multiply-adds at the rate of a large matrix product in that
precision, and its bytes at the rate of a large copy, both measured here first. Bytes are what has to pass
through memory when every activation is written once, read by its consumer and by the backward pass, and
its gradient written and read; networks whose activations fit the GPU's cache may go below.

Example, on a machine with a GPU:
  cmake -G Ninja -B build -DPARE_BENCH=ON && ninja -C build train_step pare_cuda
  python bench/gpu_train_speed.py --pare build/bench/train_step --out gpu.md
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))
sys.path.insert(0, str(HERE))
import zoo  # noqa: E402
from train_speed import Worker, steps_for  # noqa: E402

NETS = ("mlp", "lenet5", "cifar-cnn", "resnet20")
# Bytes of a value that passes through memory: tensors stay float, whatever products are made of.
BYTES = 4


def set_precision(torch, precision):
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def timed(torch, work, repeats=10):
    """Median seconds of work() on the GPU, after two unmeasured runs."""
    times = []
    for _ in range(repeats + 2):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(times[2:])


def peaks(torch, precisions):
    """Operations a second of a large product per precision, and bytes a second of a large copy."""
    n = 8192
    rates = {}
    for precision in precisions:
        set_precision(torch, precision)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
        rates[precision] = 2 * n**3 / timed(torch, lambda: a @ b)
    source = torch.empty(1 << 28, device="cuda")
    target = torch.empty_like(source)
    copied = 2 * source.numel() * source.element_size()
    return rates, copied / timed(torch, lambda: target.copy_(source))


def step_bytes(torch, name, batch):
    """Bytes of one training step that pass through memory; see the top."""
    net = zoo.torch_net(name)
    elements = [0]
    fused = (torch.nn.ReLU, torch.nn.Flatten)

    def count(module, inputs, output):
        elements[0] += output.numel()

    for module in net.modules():
        if not list(module.children()) and not isinstance(module, fused):
            module.register_forward_hook(count)
    net(torch.zeros(1, *zoo.SPECS[name].shape))
    # A weight is read in both passes; its gradient is written and read; weight and momentum are read
    # and written by the update.
    weights = sum(p.numel() for p in net.parameters())
    return BYTES * (8 * weights + 5 * elements[0] * batch)


def start(label, command):
    worker = Worker(label, command, {})
    worker.warm(20)
    worker.burst(5)
    worker.times.clear()
    worker.burst(3)
    return worker


def compare(net, batch, precision, options):
    common = ["--net", net, "--batch", str(batch), "--device", "cuda", "--precision", precision]
    workers = [start("pare", [options.pare, *common])]
    layouts = ["nchw"] if net == "mlp" else ["nchw", "nhwc"]
    for form in ("eager", "compiled"):
        for layout in layouts:
            command = [options.python, str(HERE / "peers" / "train_step.py"), *common]
            command += ["--form", form, "--layout", layout]
            try:
                workers.append(start(f"{form} {layout}", command))
            except (RuntimeError, BrokenPipeError) as error:
                print(f"  left out: {error}", file=sys.stderr)
    for _ in range(options.bursts):
        for worker in workers:
            worker.burst(steps_for(worker, options.burst_ms))
    results = {w.label: statistics.median(w.times) for w in workers}
    for worker in workers:
        worker.close()
    print(f"  {net} {precision}: {results}", file=sys.stderr)
    return results


def cell(results, form):
    found = [(ms, label) for label, ms in results.items() if label.startswith(form)]
    return f"{min(found)[0]:.3f}" if found else "-"


def markdown(rows, machine):
    lines = [machine, ""]
    lines.append(
        "| net | batch | precision | pare ms | PyTorch eager | compiled | compiled / pare | floor: operations ms | bytes ms |"
    )
    lines.append("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        results = row["results"]
        compiled = cell(results, "compiled")
        ratio = "-" if compiled == "-" else f"{float(compiled) / results['pare']:.2f}x"
        lines.append(
            f"| {row['net']} | {row['batch']} | {row['precision']} | {results['pare']:.3f} "
            f"| {cell(results, 'eager')} | {compiled} | {ratio} "
            f"| {row['operations_ms']:.3f} | {row['bytes_ms']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pare", required=True, help="the program train_step")
    parser.add_argument("--python", default=sys.executable, help="Python with torch for CUDA")
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--precisions", default="fp32,tf32,bf16")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--bursts", type=int, default=15)
    parser.add_argument("--burst-ms", type=float, default=200)
    parser.add_argument("--out", help="write the Markdown here as well")
    parser.add_argument("--json", help="write the rows here")
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no GPU here; the comparison needs one")
    precisions = options.precisions.split(",")
    rates, bandwidth = peaks(torch, precisions)
    measured = ", ".join(f"{p} {r / 1e12:.1f} Top/s" for p, r in rates.items())
    machine = (
        f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}. Measured: {measured}, "
        f"{bandwidth / 1e9:.0f} GB/s. Medians of interleaved bursts, milliseconds a step."
    )
    rows = []
    for net in options.nets.split(","):
        for precision in precisions:
            rows.append(
                {
                    "net": net,
                    "batch": options.batch,
                    "precision": precision,
                    "results": compare(net, options.batch, precision, options),
                    "operations_ms": zoo.train_flops(net) * options.batch / rates[precision] * 1e3,
                    "bytes_ms": step_bytes(torch, net, options.batch) / bandwidth * 1e3,
                }
            )
            if options.out:
                Path(options.out).write_text(markdown(rows, machine))
            if options.json:
                Path(options.json).write_text(json.dumps(rows, indent=1))
    print(markdown(rows, machine))


if __name__ == "__main__":
    main()
