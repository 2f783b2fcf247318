#!/usr/bin/env python3
"""Draws what pruning costs and gives, from runs of `pare prune` on a trained model.

    python bench/plot_pruning.py criteria mlp.pare --out criteria.svg     accuracy by criterion and zeros
    python bench/plot_pruning.py channels mlp.pare --out channels.svg     accuracy by criterion and channels gone
    python bench/plot_pruning.py speed mlp.pare --out speed.svg           how many times as fast, by zeros

Accuracy is drawn before any training and after one epoch of it. Numbers are printed as a table too.
"""

import argparse
import json
import os
import subprocess
import tempfile

import chart

CRITERIA = ("magnitude", "taylor", "snip", "fisher", "wanda", "random")
CHANNEL_CRITERIA = ("magnitude", "taylor", "fpgm", "group", "random")
ZEROS = (50, 70, 80, 90, 95)
CHANNELS = (20, 40, 60, 75, 90)
SPEED_ZEROS = (50, 70, 80, 90, 95, 98)


def prune(args, *flags):
    with tempfile.TemporaryDirectory() as folder:
        command = [args.tool, "prune", args.model, *map(str, flags), "--out", os.path.join(folder, "p.pare")]
        done = subprocess.run([*command, "--threads", "1", "--quiet", "--json"], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def accuracy(args, methods, shares, structure, axis):
    before, after = [], []
    for method in methods:
        rows = [
            (s, prune(args, "--structure", structure, "--method", method, "--scope", "global", "--sparsity", s / 100, "--epochs", 1))
            for s in shares
        ]
        before.append((method, [(s, 100 * r["accuracy_pruned"]) for s, r in rows]))
        after.append((method, [(s, 100 * r["accuracy_after"]) for s, r in rows]))
        print(method, *(f"{s}: {r['accuracy_pruned']:.4f} {r['accuracy_after']:.4f}" for s, r in rows), flush=True)
    panels = [
        chart.panel("test accuracy before training, %", before, chart.LEFT, shares, axis),
        chart.panel("after one epoch, %", after, chart.second(), shares, axis),
    ]
    chart.write(args.out, panels, methods)


def speed(args):
    structures = ("unstructured", "4x1")
    lines = {1: [], 64: []}
    for structure in structures:
        rows = [(s, prune(args, "--structure", structure, "--sparsity", s / 100, "--epochs", 0)) for s in SPEED_ZEROS]
        for batch, key in ((1, "latency_{}_ms"), (64, "latency_batch64_{}_ms")):
            ratios = [(s, r[key.format("before")] / r[key.format("after")]) for s, r in rows]
            lines[batch].append((structure, ratios))
            print(structure, "batch", batch, *(f"{s}: {x:.2f}" for s, x in ratios), flush=True)
    panels = [
        chart.panel(f"times as fast, batch {batch}", lines[batch], x, SPEED_ZEROS, "zeros, %")
        for batch, x in ((1, chart.LEFT), (64, chart.second()))
    ]
    chart.write(args.out, panels, structures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("criteria", "channels", "speed"))
    parser.add_argument("model")
    parser.add_argument("--out", required=True)
    parser.add_argument("--tool", default="build/tools/pare")
    args = parser.parse_args()
    if args.what == "criteria":
        accuracy(args, CRITERIA, ZEROS, "unstructured", "zeros, %")
    elif args.what == "channels":
        accuracy(args, CHANNEL_CRITERIA, CHANNELS, "channel", "channels removed, %")
    else:
        speed(args)


if __name__ == "__main__":
    main()
