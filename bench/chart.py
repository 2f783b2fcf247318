"""Line charts as SVG text, for the pictures in docs/: no library, the same bytes for the same numbers."""

import math
from pathlib import Path

COLOURS = ("#1668b8", "#c8502d", "#2f8f5b", "#7a4fb0", "#8a6d1d", "#444444", "#b03a78", "#3a9fb0", "#999999")
WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 220, 52, 30, 70


def round_scale(low, high):
    """Round values from at or below `low` to at or above `high`, three to six of them."""
    span = (high - low) or abs(high) or 1
    power = 10 ** math.floor(math.log10(span))
    step = next(s for s in (power / 5, power / 2, power, 2 * power, 5 * power) if span / s <= 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, max(last, first + 1) + 1)]


def panel(title, series, x0, ticks=None, axis="", levels=None):
    """One chart at x0: for each (name, [(x, y), ...]) a line; (x, y, spread) draws a bar from y - spread to
    y + spread. `ticks` are the x that are named (default: every x there is), `axis` says what x is. With
    `levels`, the y that are named, both axes are logarithmic."""
    xs = sorted({point[0] for _, points in series for point in points})
    ys = [point[1] for _, points in series for point in points]
    scale = levels or round_scale(min(ys), max(ys))
    along = math.log if levels else float
    left, right, low, high = along(xs[0]), along(xs[-1]), along(scale[0]), along(scale[-1])

    def place(x, y):
        return (
            x0 + (along(x) - left) * WIDTH / ((right - left) or 1),
            TOP + HEIGHT * (high - along(y)) / (high - low),
        )

    out = [f'<text x="{x0}" y="{TOP - 10}" font-weight="bold">{title}</text>']
    for value in scale:
        y = place(xs[0], value)[1]
        out.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x0 + WIDTH}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.6g}</text>')
    for x in ticks or xs:
        at = place(x, scale[0])[0]
        out.append(f'<text x="{at:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{x:g}</text>')
    if axis:
        out.append(f'<text x="{x0 + WIDTH}" y="{TOP + HEIGHT + 30}" text-anchor="end">{axis}</text>')
    for (_, points), colour in zip(series, COLOURS):
        placed = [place(x, y) for x, y, *_ in points]
        for x, y, spread in (point for point in points if len(point) > 2):
            (at, top), (_, bottom) = place(x, min(y + spread, scale[-1])), place(x, max(y - spread, scale[0]))
            out.append(f'<line x1="{at:.1f}" y1="{top:.1f}" x2="{at:.1f}" y2="{bottom:.1f}" stroke="{colour}"/>')
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
    return out


def second():
    """Where the chart on the right begins."""
    return LEFT + WIDTH + GAP


def write(path, panels, names, charts=2):
    """The charts over one legend."""
    body = sum(panels, [])
    width = LEFT + charts * WIDTH + (charts - 1) * GAP + 20
    a_row = max(1, (width - LEFT) // 150)
    for i, (name, colour) in enumerate(zip(names, COLOURS)):
        x, y = LEFT + 150 * (i % a_row), TOP + HEIGHT + 48 + 18 * (i // a_row)
        body.append(f'<circle cx="{x + 6}" cy="{y - 4}" r="5" fill="{colour}"/>')
        body.append(f'<text x="{x + 16}" y="{y}">{name}</text>')
    height = TOP + HEIGHT + 60 + 18 * ((len(names) - 1) // a_row)
    Path(path).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        + "".join(body)
        + "</svg>\n"
    )
