#!/usr/bin/env python3
"""Training speed of pare beside PyTorch and JAX, in milliseconds per step.

For every network and batch the peers' forms ({eager, compiled} x {NCHW, NHWC} x {1, 2 threads}; JAX for
mlp) are screened with a few bursts; the best ones then run interleaved with pare, burst by burst, so that
a busy machine slows all of them alike. Each worker is a process of its own that sleeps between bursts.
The physical floor is the step's multiply-adds at the FMA peak measured by bench/fma_peak.

Example:
  cmake -G Ninja -B build -DPARE_BENCH=ON && ninja -C build fma_peak
  python bench/train_speed.py --fma-peak build/bench/fma_peak --nets mlp,lenet5 --batches 64,128

--pare names the program that takes pare's steps, by the same protocol as peers/train_step.py; without it
the peers run alone.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))
import zoo  # noqa: E402

DEFAULT_BATCHES = {"mlp": (16, 64, 128), "lenet5-classic": (64, 128), "lenet5": (64, 128)}
# What holds each side to an instruction set; the widest needs nothing.
CAPS = {
    "avx512": {},
    "avx2": {
        "PARE_ISA": "avx2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
}


class Worker:
    """A process that takes training steps on command (protocol: peers/train_step.py)."""

    def __init__(self, label, command, environment):
        self.label = label
        self.times = []
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        answer = self.process.stdout.readline().strip()
        if answer != "ready":
            raise RuntimeError(f"{label}: the worker did not start: {' '.join(command)}")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.label}: the worker ended while it ran '{line}'")
        return answer

    def warm(self, steps):
        self.ask(f"warm {steps}")

    def burst(self, steps):
        self.times += [float(t) for t in self.ask(f"run {steps}").split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def steps_for(worker, milliseconds):
    """How many steps fill about that time, from the worker's last measured steps."""
    return max(2, int(milliseconds / max(1e-3, statistics.median(worker.times[-5:]))))


def summarize(times, statistic):
    times = sorted(times)
    return times[len(times) // 4] if statistic == "quartile" else statistics.median(times)


def peer_forms(net, threads, forms):
    """(label, arguments) of every form of a peer that the comparison lets run."""
    for form in forms:
        for count in threads:
            layouts = [""] if form == "jax" or net == "mlp" else ["nchw", "nhwc"]
            if form == "jax" and net != "mlp":
                continue
            for layout in layouts:
                arguments = ["--form", form, "--threads", str(count)]
                arguments += ["--layout", layout] if layout else []
                name = "JAX" if form == "jax" else f"PyTorch {form}"
                label = " ".join(filter(None, [name, layout.upper(), f"{count}t"]))
                yield label, arguments


def start(label, command, environment, options):
    worker = Worker(label, ["nice", "-n", str(options.nice), *command], environment)
    worker.warm(3)
    worker.burst(3)
    worker.warm(steps_for(worker, options.warm_ms))
    worker.times.clear()
    worker.burst(3)
    return worker


def compare(net, batch, isa, options):
    """One row of the table: medians of pare and of the best peers, interleaved."""
    environment = CAPS[isa]
    common = ["--net", net, "--batch", str(batch), "--clock", options.clock]
    peer = [options.python, str(HERE / "peers" / "train_step.py"), *common]
    screened = []
    for label, arguments in peer_forms(net, options.thread_list, options.form_list):
        try:
            worker = start(label, peer + arguments, environment, options)
            for _ in range(options.screen):
                time.sleep(0.03)
                worker.burst(steps_for(worker, options.burst_ms))
        except (RuntimeError, BrokenPipeError) as error:
            print(f"  left out: {error}", file=sys.stderr)
            continue
        value = summarize(worker.times, options.statistic)
        print(f"  {net} {batch} {isa}: {label}: {value:.3f} ms", file=sys.stderr)
        screened.append((value, label, arguments))
        worker.close()
    screened.sort()
    # The best two of each peer meet pare again: screening alone would let chance choose.
    chosen = [s for s in screened if s[1].startswith("PyTorch")][:2]
    chosen += [s for s in screened if s[1].startswith("JAX")][:1]
    workers = []
    if options.pare:
        for count in options.thread_list:
            command = [options.pare, *common, "--threads", str(count)]
            workers.append(start(f"pare {count}t", command, environment, options))
    for _, label, arguments in chosen:
        workers.append(start(label, peer + arguments, environment, options))
    for _ in range(options.bursts):
        for worker in workers:
            time.sleep(0.03)  # lets the other workers' threads stop spinning
            worker.burst(steps_for(worker, options.burst_ms))
    results = {}
    for worker in workers:
        results[worker.label] = summarize(worker.times, options.statistic)
        worker.close()
    flops = zoo.train_flops(net) * batch
    row = {"net": net, "batch": batch, "isa": isa, "flops": flops, "results": results}
    row["threads"] = max(options.thread_list)
    row["screened"] = {label: value for value, label, _ in screened}
    return row


def best(results, prefix):
    found = [(value, label) for label, value in results.items() if label.startswith(prefix)]
    return min(found) if found else None


def markdown(rows, peak, machine):
    lines = [machine, ""]
    lines.append("| net | batch | set | pare ms | PyTorch ms | JAX ms | ratio | of peak | floor ms |")
    lines.append("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        results = row["results"]
        ours, torch, jax = (best(results, p) for p in ("pare", "PyTorch", "JAX"))
        peers = [r for r in (torch, jax) if r]
        top = peak[row["isa"]][row["threads"] - 1]
        floor = row["flops"] / top / 1e6

        def cell(result):
            return f"{result[0]:.3f} ({result[1].split(' ', 1)[1]})" if result else "-"

        ratio = f"{min(peers)[0] / ours[0]:.2f}x" if ours and peers else "-"
        share = f"{floor / ours[0]:.0%}" if ours else "-"
        lines.append(
            f"| {row['net']} | {row['batch']} | {row['isa']} | {cell(ours)} | {cell(torch)} "
            f"| {cell(jax)} | {ratio} | {share} | {floor:.3f} |"
        )
    return "\n".join(lines) + "\n"


def machine_line(peak, options):
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    peaks = "; ".join(
        f"{isa} " + " / ".join(f"{v:.0f}" for v in values) for isa, values in peak.items()
    )
    clock = "CPU time" if options.clock == "cpu" else "wall time"
    what = "lower quartile" if options.statistic == "quartile" else "median"
    return (
        f"{model}, {os.cpu_count()} cores. FMA peak in GFLOP/s on 1 / 2 threads: {peaks}. "
        f"Milliseconds of {clock} per step, {what} of interleaved bursts; the best form in brackets; "
        "ratio: best peer / pare; floor: the step's multiply-adds at the peak of all threads."
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pare", help="a program that takes pare's steps; without it only the peers run")
    parser.add_argument("--fma-peak", help="the program fma_peak; default: beside --pare")
    parser.add_argument("--python", default=sys.executable, help="Python with torch and jax")
    parser.add_argument("--nets", default=",".join(zoo.SPECS))
    parser.add_argument("--batches", help="for every net; default: 16,64,128, 64,128 or 128")
    parser.add_argument("--isa", default="avx512,avx2", help="instruction sets to be held to")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument(
        "--clock",
        default="wall",
        choices=["wall", "cpu"],
        help="cpu: the process's CPU time, for a machine that others use; takes one thread",
    )
    parser.add_argument("--forms", default="eager,compiled,jax")
    parser.add_argument("--statistic", default="median", choices=["median", "quartile"])
    parser.add_argument("--screen", type=int, default=5, help="bursts to choose a peer's form by")
    parser.add_argument("--bursts", type=int, default=15, help="interleaved bursts per worker")
    parser.add_argument("--burst-ms", type=float, default=100)
    parser.add_argument("--warm-ms", type=float, default=300)
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--out", help="write the Markdown here as well, after every row")
    parser.add_argument("--json", help="write the rows here, after every row")
    options = parser.parse_args()
    options.thread_list = [int(t) for t in options.threads.split(",")]
    options.form_list = options.forms.split(",")
    if options.clock == "cpu" and options.thread_list != [1]:
        parser.error("--clock cpu compares single threads: give --threads 1")
    program = options.fma_peak or (options.pare and str(Path(options.pare).parent / "fma_peak"))
    if not program:
        parser.error("name the program fma_peak with --fma-peak")
    peak = json.loads(subprocess.run([program], capture_output=True, check=True).stdout)
    machine = machine_line(peak, options)
    rows = []
    for net in options.nets.split(","):
        given = options.batches and [int(b) for b in options.batches.split(",")]
        for batch in given or DEFAULT_BATCHES.get(net, (128,)):
            for isa in options.isa.split(","):
                if isa not in peak:
                    print(f"{isa} is not on this machine", file=sys.stderr)
                    continue
                rows.append(compare(net, batch, isa, options))
                if options.out:
                    Path(options.out).write_text(markdown(rows, peak, machine))
                if options.json:
                    Path(options.json).write_text(json.dumps({"peak": peak, "rows": rows}, indent=1))
    print(markdown(rows, peak, machine))


if __name__ == "__main__":
    main()
