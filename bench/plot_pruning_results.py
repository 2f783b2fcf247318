#!/usr/bin/env python3
"""Draws the results of pruning_results.py, from the runs in its work folder; what is missing there is run.

    python bench/plot_pruning_results.py init --work /var/tmp/pruning --out init.svg         before training, by method
    python bench/plot_pruning_results.py dynamic --work /var/tmp/pruning --out dynamic.svg   RigL
    python bench/plot_pruning_results.py lottery --work /var/tmp/pruning --out lottery.svg   tickets

Test errors are means over seeds with their standard deviation; on the right, held-out accuracy after each epoch.
"""

import csv
import statistics

import chart
import runs
from pruning_results import EXPERIMENTS, MnistRuns

BEFORE, DURING = "before training: ", "during training: "
# By picture: label of the experiment, name in the legend.
LINES = {
    "init": [(BEFORE + m, m) for m in ("snip", "grasp", "synflow", "magnitude", "random")]
    + [(DURING + "magnitude", "gradual magnitude")],
    "dynamic": [
        (DURING + "RigL", "RigL"),
        (BEFORE + "random", "fixed random masks"),
        (DURING + "magnitude", "gradual magnitude"),
    ],
    "lottery": [("ticket: initial weights", "ticket"), ("same mask, fresh weights", "fresh weights, same mask")],
}
EPOCHS_AT = {"dynamic": 0.05, "lottery": 0.036}  # kept share whose trainings are drawn epoch by epoch


def of_line(label):
    """The experiments of a line, the smallest share first."""
    return sorted((e for e in EXPERIMENTS if e.model == "mlp" and e.label == label), key=lambda e: e.kept)


def errors(mnist, label):
    points = []
    for e in of_line(label):
        values = [mnist.error(e, s) for s in mnist.seeds]
        points.append((100 * e.kept, statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0))
    print(label, *(f"{x:g} %: {y:.2f} +- {d:.2f}" for x, y, d in points), sep="; ")
    return points


def epochs(mnist, label, kept):
    experiment = next(e for e in of_line(label) if e.kept == kept)
    suffix = "-scratch" if experiment.result == "control" else ""
    logs = []
    for seed in mnist.seeds:
        mnist.error(experiment, seed)  # so that it has run
        with open(mnist.work / f"{experiment.key}-{seed}{suffix}.pare.csv", newline="") as file:
            logs.append([100 * float(row["val_accuracy"]) for row in csv.DictReader(file)])
    return [(epoch, statistics.mean(values)) for epoch, values in enumerate(zip(*logs), 1)]


def main():
    parser = runs.options(__doc__)
    parser.add_argument("what", choices=LINES)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    mnist = MnistRuns(args)
    lines = LINES[args.what]
    series = [(name, errors(mnist, label)) for label, name in lines]
    ys = [y for _, points in series for _, y, _ in points]
    levels = [v for v in (1, 1.5, 2, 3, 5, 8, 12) if min(ys) / 1.5 < v < max(ys) * 1.5]
    panels = [chart.panel("test error, %", series, chart.LEFT, axis="weights kept, %", levels=levels)]
    if args.what in EPOCHS_AT:
        kept = EPOCHS_AT[args.what]
        learning = [(name, epochs(mnist, label, kept)) for label, name in lines]
        title = f"held-out accuracy, %, with {100 * kept:g} % kept"
        panels.append(chart.panel(title, learning, chart.second(), axis="epoch"))
    chart.write(args.out, panels, [name for _, name in lines], charts=len(panels))


if __name__ == "__main__":
    main()
