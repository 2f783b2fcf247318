#!/usr/bin/env python3
"""Two builds side by side, in CPU time: training steps, plans, and whole commands.

Every row runs interleaved, burst by burst: the old build, the new one, and the old one once more, whose ratio to
itself is the noise of this machine at this minute. A row is "slower" where the 95 % interval of the paired ratios
lies above 1 and above the noise; `faster` likewise. Ends with 1 where a row is slower.

Example, both with -DPARE_BENCH=ON:
  python bench/compare_builds.py ../before/build build --only mlp
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

STEPS = [
    ("mlp", 16, 0.0),
    ("mlp", 64, 0.0),
    ("mlp", 64, 0.9),
    ("mlp", 128, 0.5),
    ("lenet5", 64, 0.0),
    ("lenet5", 64, 0.9),
    ("lenet5-classic", 128, 0.0),
    ("cifar-cnn", 32, 0.0),
    ("resnet20", 32, 0.0),
]
PLANS = [(net, batch) for net in ("mlp", "lenet5", "cifar-cnn", "resnet20") for batch in (1, 32)]
# What a whole run costs: its start, its epochs' ends, what it writes. {f} is a folder of the row's own with
# `before.pare` and `sparse.pare` in it.
COMMANDS = {
    "train mlp, 8 epochs": "train mlp --data digits --images 2000 --epochs 8 --out {f}/t.pare --force",
    "train lenet5, 2 epochs": "train lenet5 --data digits --images 2000 --epochs 2 --out {f}/t.pare --force",
    "fine-tune 90 % zeros": "train {f}/sparse.pare --data digits --images 2000 --epochs 6 --out {f}/t.pare --force",
    "prune": "prune {f}/before.pare --sparsity 0.9 --epochs 2 --out {f}/t.pare --force",
    "distill": "distill mlp --teacher {f}/before.pare --epochs 2 --out {f}/t.pare --force",
    "eval": "eval {f}/before.pare",
    "eval 90 % zeros": "eval {f}/sparse.pare",
}


class Steps:
    """A program that answers a count with the milliseconds of each step; `ask` makes the line of a count."""

    def __init__(self, command, ask, warm):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask = ask
        for line in warm:
            if line:
                self.process.stdin.write(line + "\n")
                self.process.stdin.flush()
            self.process.stdout.readline()

    def burst(self, count):
        self.process.stdin.write(self.ask(count) + "\n")
        self.process.stdin.flush()
        return statistics.median(float(t) for t in self.process.stdout.readline().split())

    def close(self):
        self.process.kill()
        self.process.wait()


class Command:
    """One run of the tool a burst, in milliseconds of CPU time."""

    def __init__(self, pare, line, takes):
        self.folder = tempfile.TemporaryDirectory()
        self.pare = str(pare)
        self.known = [option for option in ("--force",) if option in takes]
        for setup in (
            "train mlp --data digits --images 2000 --epochs 2 --out {f}/before.pare",
            "prune {f}/before.pare --sparsity 0.9 --when one-shot --epochs 1 --out {f}/sparse.pare",
        ):
            self.run(setup)
        self.line = line

    def run(self, line):
        words = line.format(f=self.folder.name).split() + ["--threads", "1", "--quiet"]
        words = [w for w in words if w != "--force" or self.known]
        before = os.times()
        subprocess.run([self.pare, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        after = os.times()
        return 1e3 * (after.children_user + after.children_system - before.children_user - before.children_system)

    def burst(self, _):
        for left in ("t.pare", "t.pare.csv", "t.pare.ckpt"):
            Path(self.folder.name, left).unlink(missing_ok=True)
        return self.run(self.line)

    def close(self):
        self.folder.cleanup()


def rows():
    for net, batch, zeros in STEPS:
        name = f"step {net} b{batch}" + (f" {zeros:.0%} zeros" if zeros else "")
        words = ["--net", net, "--batch", str(batch), "--zeros", str(zeros), "--threads", "1", "--clock", "cpu"]

        def make(build, words=words):
            return Steps([build / "bench/train_step", *words], lambda n: f"run {n}", ["", "warm 5"])

        yield name, make, 300
    for net, batch in PLANS:

        def make(build, net=net, batch=batch):
            return Steps([build / "bench/plan_speed", net, str(batch), "1", "cpu"], str, ["20"])

        yield f"plan {net} b{batch}", make, 300
    for name, line in COMMANDS.items():

        def make(build, line=line):
            pare = build / "tools/pare"
            takes = subprocess.run([pare, line.split()[0], "--help"], capture_output=True, text=True).stdout
            return Command(pare, line, takes)

        yield f"pare {name}", make, 0


def interval(ratios):
    """Geometric mean of the ratios and its 95 % interval."""
    logs = [math.log(r) for r in ratios]
    middle = statistics.mean(logs)
    half = 2.0 * statistics.stdev(logs) / math.sqrt(len(logs))
    return [math.exp(v) for v in (middle - half, middle, middle + half)]


def compare(make, milliseconds, old, new, bursts):
    sides = [make(old), make(new), make(old)]
    try:
        first = [side.burst(10) for side in sides]
        count = max(3, min(2000, int(milliseconds / max(first[0], 1e-4) / 3)))
        times = [[], [], []]
        for i in range(bursts):
            for side in (0, 1, 2) if i % 2 == 0 else (2, 1, 0):
                times[side].append(sides[side].burst(count))
    finally:
        for side in sides:
            side.close()
    before = [math.sqrt(a * b) for a, b in zip(times[0], times[2])]
    return statistics.median(before), interval(n / o for n, o in zip(times[1], before)), interval(
        b / a for a, b in zip(times[0], times[2])
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, help="build folder of the build before")
    parser.add_argument("new", type=Path, help="build folder of this one")
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    parser.add_argument("--bursts", type=int, default=15)
    options = parser.parse_args()
    print("| row | before, ms | new / before | 95 % | before / itself | |\n|---|---:|---:|---|---|---|")
    slower = 0
    for name, make, milliseconds in rows():
        if options.only not in name:
            continue
        before, (low, middle, high), (a, _, z) = compare(
            make, milliseconds, options.old.resolve(), options.new.resolve(), options.bursts
        )
        noise = max(z, 1 / a)
        verdict = "slower" if low > max(1, noise) else "faster" if high < min(1, 1 / noise) else ""
        slower += verdict == "slower"
        print(f"| {name} | {before:.4g} | {middle:.3f} | {low:.3f}-{high:.3f} | {a:.3f}-{z:.3f} | {verdict} |", flush=True)
    return int(slower > 0)


if __name__ == "__main__":
    sys.exit(main())
