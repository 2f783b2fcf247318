#!/usr/bin/env python3
"""How large the files of pruned networks are, against what their zeros allow.

    python bench/file_sizes.py MODEL.pare [--tool build/tools/pare]

Prunes the model in several ways, without training, and prints bytes: of the file; of its tensors, which is
the file without its header (the graph, names, checksums); of kept weights, biases and one bit for each weight
(bitmap); of the same with a byte for each kept weight in place of the bits, layer by layer, where that is less
(least); of the same with masks at their entropy, n (-p log2 p - (1 - p) log2 (1 - p)) bits for n weights of
which a share p is kept, which no code of independent positions can undercut.
"""
import argparse
import json
import math
import os
import subprocess
import tempfile

WAYS = [("unstructured", s) for s in ("0.5", "0.8", "0.9", "0.95", "0.98", "0.99")] + \
       [("4x1", s) for s in ("0.8", "0.9", "0.95")] + [("2:4", "0.5")]


def tensors(path):
    """The file's tensors, name to shape and bytes, and the shapes of the graph's parameters."""
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
    graph = json.loads(header.pop("__metadata__")["graph"])
    sizes = {name: t["data_offsets"][1] - t["data_offsets"][0] for name, t in header.items()}
    params = {v["name"]: math.prod(v["shape"]["list"]) for v in graph["values"] if v["kind"] == "param"}
    return sizes, params


def entropy_bytes(n, kept):
    p = kept / n
    return 0 if p in (0, 1) else n * -(p * math.log2(p) + (1 - p) * math.log2(1 - p)) / 8


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--tool", default="build/tools/pare")
    args = parser.parse_args()
    print(f"dense file: {os.path.getsize(args.model):,} bytes\n")
    print("| structure | zeros | file | tensors | bitmap | least | entropy | tensors / least |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "p.pare")
        for structure, sparsity in WAYS:
            subprocess.run([args.tool, "prune", args.model, "--structure", structure, "--sparsity", sparsity,
                            "--epochs", "0", "--out", out, "--threads", "1", "--quiet", "--json"],
                           check=True, stdout=subprocess.DEVNULL)
            sizes, params = tensors(out)
            bitmap = least = entropy = 0
            for name, n in params.items():
                kept = sizes.get(name + ":kept")
                if kept is None:
                    bitmap, least, entropy = (x + sizes[name] for x in (bitmap, least, entropy))
                    continue
                bitmap += kept + n / 8
                least += kept + min(n / 8, kept / 4)
                entropy += kept + entropy_bytes(n, kept // 4)
            stored = sum(sizes.values())
            print(f"| {structure} | {float(sparsity):.0%} | {os.path.getsize(out):,} | {stored:,} | {bitmap:,.0f} | "
                  f"{least:,.0f} | {entropy:,.0f} | {stored / least:.3f} |", flush=True)


if __name__ == "__main__":
    main()
