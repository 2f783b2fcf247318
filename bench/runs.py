"""Runs of the `pare` command line for tables of results: what each printed is kept in a work folder, so that a
script can be stopped and called again, and a run is repeated only where its command changed."""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path


def options(description):
    """A parser with the options of every such script."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pare", default="build/tools/pare", help="the program")
    parser.add_argument("--work", required=True, help="folder for models and results")
    parser.add_argument("--data-dir", default="", help="folder that holds the data sets' folders")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--threads", type=int, default=0)
    return parser


class Runs:
    def __init__(self, args):
        self.args = args
        self.seeds = [int(s) for s in args.seeds.split(",")]
        self.work = Path(args.work)
        self.work.mkdir(parents=True, exist_ok=True)

    def run(self, name, command, seed):
        """The model file and the printed JSON of `pare COMMAND --seed SEED --out NAME.pare`."""
        model, record = self.work / f"{name}.pare", self.work / f"{name}.json"
        full = f"{command} --seed {seed} --out {model}"
        if record.exists():
            stored = json.loads(record.read_text())
            if stored["command"] == full and model.exists():
                return model, stored["result"]
        words = [self.args.pare, *full.split(), "--threads", str(self.args.threads), "--json"]
        if self.args.data_dir:
            words += ["--data-dir", self.args.data_dir]
        print(f"pare {full}", file=sys.stderr, flush=True)
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"pare {full}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
        result = json.loads(done.stdout)
        record.write_text(json.dumps({"command": full, "result": result}))
        return model, result


def spread(values):
    """Mean and standard deviation."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"


def row(cells):
    return "| " + " | ".join(cells) + " |"
