#!/usr/bin/env python3
"""Draws the held-out accuracy and the loss (or the sparsity) of training runs, from the CSV files that `pare train` writes.

Example: python bench/plot_training.py lenet5.pare.csv mlp.pare.csv --out training.svg
Gradual pruning: python bench/plot_training.py pruned.pare.csv --second sparsity --out gradual.svg
"""

import argparse
import csv
from pathlib import Path

COLOURS = ("#1668b8", "#c8502d", "#2f8f5b", "#7a4fb0", "#8a6d1d")
WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 220, 52, 30, 70


def panel(title, runs, column, scale, x0, label):
    """SVG of one chart: `column` over the epochs of every run."""
    values = [[float(row[column]) * scale for row in rows] for _, rows in runs]
    flat = [v for series in values for v in series]
    low, high = min(flat), max(flat)
    room = (high - low or 1) * 0.08
    low, high = low - room, high + room
    epochs = max(len(series) for series in values)

    def place(epoch, value):
        x = x0 + (epoch - 1) * WIDTH / max(1, epochs - 1)
        return x, TOP + HEIGHT * (high - value) / (high - low)

    out = [f'<text x="{x0}" y="{TOP - 10}" font-weight="bold">{title}</text>']
    for i in range(5):
        value = low + (high - low) * i / 4
        y = place(1, value)[1]
        out.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x0 + WIDTH}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{value:{label}}</text>')
    for epoch in range(1, epochs + 1):
        x = place(epoch, low)[0]
        out.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{epoch}</text>')
    for (name, _), series, colour in zip(runs, values, COLOURS):
        points = [place(e, v) for e, v in enumerate(series, 1)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return out


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
    body = panel("held-out accuracy, %", runs, "val_accuracy", 100, LEFT, ".2f")
    second = LEFT + WIDTH + GAP
    if options.second == "loss":
        body += panel("training loss", runs, "loss", 1, second, ".3f")
    else:
        body += panel("zeros after the epoch, %", runs, "sparsity", 100, second, ".0f")
    for i, ((name, _), colour) in enumerate(zip(runs, COLOURS)):
        y = TOP + HEIGHT + 40
        body.append(f'<circle cx="{LEFT + 6 + 150 * i}" cy="{y - 4}" r="5" fill="{colour}"/>')
        body.append(f'<text x="{LEFT + 16 + 150 * i}" y="{y}">{name}</text>')
    width, height = second + WIDTH + 20, TOP + HEIGHT + 52
    Path(options.out).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + "".join(body)
        + "</svg>\n"
    )


if __name__ == "__main__":
    main()
