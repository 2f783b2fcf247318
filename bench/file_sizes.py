#!/usr/bin/env python3
"""How large the files of pruned networks are, against what their zeros allow.

    python bench/file_sizes.py MODEL.pare [--tool build/tools/pare]

Prunes the model in several ways, without training, and prints bytes: of the file; of its tensors, which is
the file without its header (the graph, names, checksums); of kept weights, biases and one bit for each weight
(bitmap); of the same with masks at their entropy, which no code undercuts for places that do not depend on each
other (least). What is counted are the things that the structure keeps or drops, not single weights: of n weights,
blocks, or runs of M, at n (-p log2 p - (1 - p) log2 (1 - p)) bits where a share p of the n is kept, and at
log2 C(M, N) bits a run.
"""
import argparse
import json
import math
import os
import subprocess
import tempfile

WAYS = [("unstructured", s) for s in ("0.5", "0.8", "0.9", "0.95", "0.98", "0.99")] + \
       [(b, s) for b in ("4x1", "8x1", "1x4") for s in ("0.8", "0.9", "0.95")] + \
       [("2:4", "0.5"), ("1:4", "0.75"), ("4:8", "0.5")]


def tensors(path):
    """The file's tensors, name to shape and bytes, and the shapes of the graph's parameters."""
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
    graph = json.loads(header.pop("__metadata__")["graph"])
    sizes = {name: t["data_offsets"][1] - t["data_offsets"][0] for name, t in header.items()}
    params = {v["name"]: v["shape"]["list"] for v in graph["values"] if v["kind"] == "param"}
    return sizes, params


def entropy_bits(n, kept):
    p = kept / n
    return 0 if p in (0, 1) else n * -(p * math.log2(p) + (1 - p) * math.log2(1 - p))


def mask_bytes(structure, shape, kept):
    """The entropy of the mask of a weight [out, in, window...], of which so many elements are kept."""
    rows, columns = shape[0], math.prod(shape[1:])
    if ":" in structure:
        keep, of = map(int, structure.split(":"))
        whole, rest = divmod(columns, of)
        bits = whole * math.log2(math.comb(of, keep)) + math.log2(math.comb(rest, -(-rest * keep // of)))
        return rows * bits / 8
    down, across = (1, 1) if structure == "unstructured" else map(int, structure.split("x"))
    blocks = -(-rows // down) * -(-columns // across)
    return entropy_bits(blocks, min(blocks, kept * blocks / (rows * columns))) / 8


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--tool", default="build/tools/pare")
    args = parser.parse_args()
    print(f"dense file: {os.path.getsize(args.model):,} bytes\n")
    print("| structure | zeros | file | tensors | bitmap | least | tensors / least |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "p.pare")
        for structure, sparsity in WAYS:
            subprocess.run([args.tool, "prune", args.model, "--structure", structure, "--sparsity", sparsity,
                            "--epochs", "0", "--out", out, "--threads", "1", "--quiet", "--json"],
                           check=True, stdout=subprocess.DEVNULL)
            sizes, params = tensors(out)
            bitmap = least = 0
            for name, shape in params.items():
                kept = sizes.get(name + ":kept")
                if kept is None:
                    bitmap, least = bitmap + sizes[name], least + sizes[name]
                    continue
                bitmap += kept + math.prod(shape) / 8
                least += kept + mask_bytes(structure, shape, kept // 4)
            stored = sum(sizes.values())
            print(f"| {structure} | {float(sparsity):.0%} | {os.path.getsize(out):,} | {stored:,} | {bitmap:,.0f} | "
                  f"{least:,.0f} | {stored / least:.3f} |", flush=True)



if __name__ == "__main__":
    main()
