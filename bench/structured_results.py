#!/usr/bin/env python3
"""Structured pruning on MNIST by the pare command line, means over seeds: LeNet-300-100 to 161-64 hidden units and
LeNet-5 to 9-18-65 (the lossless widths of Scalpel, Yu et al. 2017), by each criterion, with a network of those widths
whose channels were chosen at random as the control.

A run whose result lies in the work folder is not repeated, so the script can be stopped and called again.

Example:
  python bench/structured_results.py --pare build/tools/pare --work /var/tmp/structured --data-dir ~/data
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

NETWORKS = {
    # name: (of the paper, widths, training, fine-tuning)
    "mlp": ("LeNet-300-100", "161,64", "--epochs 10", "--epochs 10 --lr 0.001"),
    "lenet5": ("LeNet-5", "9,18,65", "--epochs 5", "--epochs 10 --lr 0.02"),
}
METHODS = ["magnitude", "taylor", "group", "fpgm", "random"]


class Runner:
    def __init__(self, args):
        self.args = args
        self.args.work.mkdir(parents=True, exist_ok=True)

    def run(self, key, command):
        """The JSON that `pare COMMAND --out KEY.pare` printed, now or before."""
        kept = self.args.work / f"{key}.json"
        if not kept.exists():
            line = [str(self.args.pare), *command.split(), "--out", str(self.args.work / f"{key}.pare")]
            line += ["--json", "--quiet", "--threads", str(self.args.threads)]
            if self.args.data_dir:
                line += ["--data-dir", str(self.args.data_dir)]
            printed = subprocess.run(line, check=True, capture_output=True, text=True).stdout
            kept.write_text(printed)
        return json.loads(kept.read_text())


def row(cells):
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pare", type=Path, default=Path("build/tools/pare"))
    parser.add_argument("--work", type=Path, required=True, help="folder for models and results")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    runner = Runner(parser.parse_args())
    args = runner.args

    def percent(values):
        deviation = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
        return f"{100 * statistics.mean(values):.2f}{deviation} %"

    print(row(["network", "method", "before", "pruned", "fine-tuned", "MACs"]))
    print(row(["---", "---", "---:", "---:", "---:", "---:"]))
    for model, (paper, widths, training, tuning) in NETWORKS.items():
        for method in args.methods:
            results = []
            for seed in range(1, args.seeds + 1):
                dense = f"{model}-{seed}"
                runner.run(dense, f"train {model} --data mnist --seed {seed} {training}")
                command = f"prune {args.work / dense}.pare --structure channel --widths {widths} --method {method}"
                results.append(runner.run(f"{dense}-{method}", f"{command} --seed {seed} {tuning}"))
            cells = [percent([r[f"accuracy_{key}"] for r in results]) for key in ("before", "pruned", "after")]
            macs = f"{results[0]['macs_before'] / results[0]['macs_after']:.2f}x fewer"
            print(row([f"{paper}, {widths.replace(',', '-')}", method, *cells, macs]), flush=True)


if __name__ == "__main__":
    main()
