#!/usr/bin/env python3
"""Draws the held-out accuracy and the loss (or the sparsity) of training runs, from the CSV files that `pare train` writes.

Example: python bench/plot_training.py lenet5.pare.csv mlp.pare.csv --out training.svg
Gradual pruning: python bench/plot_training.py pruned.pare.csv --second sparsity --out gradual.svg
"""

import argparse
import csv
from pathlib import Path

import chart


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("logs", nargs="+")
    parser.add_argument("--second", choices=("loss", "sparsity"), default="loss")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    runs = []
    for log in options.logs:
        with open(log, newline="") as file:
            runs.append((Path(log).name.split(".")[0], list(csv.DictReader(file))))

    def column(name, scale):
        return [(run, [(int(row["epoch"]), float(row[name]) * scale) for row in rows]) for run, rows in runs]

    panels = [chart.panel("held-out accuracy, %", column("val_accuracy", 100), chart.LEFT, axis="epoch")]
    if options.second == "loss":
        panels.append(chart.panel("training loss", column("loss", 1), chart.second(), axis="epoch"))
    else:
        panels.append(
            chart.panel("zeros after the epoch, %", column("sparsity", 100), chart.second(), axis="epoch")
        )
    chart.write(options.out, panels, [name for name, _ in runs])


if __name__ == "__main__":
    main()
