#!/usr/bin/env python3
"""Peak memory of a training step: pare beside PyTorch, eager and compiled, in both layouts.

Each runs in a process of its own: the peak of its resident memory over 10 steps, less what it held when the
library was loaded.

Example: python bench/train_memory.py --pare build/bench/train_step --net resnet20 --batch 128
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def peak_mib(command):
    done = subprocess.run(
        command, input="warm 10\nmemory\nquit\n", capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1]) / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pare", default="build/bench/train_step")
    parser.add_argument("--net", default="resnet20")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--forms", default="eager,compiled")
    options = parser.parse_args()
    common = ["--net", options.net, "--batch", str(options.batch), "--threads", "2"]
    ours = peak_mib([options.pare, *common])
    print(f"pare: {ours:.0f} MiB", flush=True)
    peer = [sys.executable, str(HERE / "peers" / "train_step.py"), *common]
    best = None
    for form in options.forms.split(","):
        for layout in ("nchw", "nhwc"):
            found = peak_mib([*peer, "--form", form, "--layout", layout])
            best = min(best or found, found)
            print(f"PyTorch {form} {layout.upper()}: {found:.0f} MiB", flush=True)
    print(f"pare takes {ours / best:.2f}x of PyTorch's least")


if __name__ == "__main__":
    main()
