#!/usr/bin/env python3
"""The pruning results of the literature on MNIST, reproduced with the pare command line: means over seeds.

Every run is a chain of `pare` commands. What a command printed is kept in the work folder beside its
model, under a name made of the experiment and the seed; a run that is there already with the same command is
not repeated, so the script can be stopped and called again, and a changed recipe reruns what it changes.

Example:
  python bench/pruning_results.py --pare build/tools/pare --work /var/tmp/pruning --data-dir ~/data
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Trainings from scratch, by network: what everything else starts from.
DENSE = {
    "mlp": "train mlp --epochs 20 --augment shift",
    "lenet5": "train lenet5 --epochs 8 --augment shift",
}
# What tickets and networks pruned at initialization are trained with.
PLAIN = {"mlp": "--epochs 10", "lenet5": "--epochs 5"}
NAMES = {"mlp": "LeNet-300-100", "lenet5": "LeNet-5"}


@dataclass(frozen=True)
class Experiment:
    """One row: a network made sparse. `command` may use {dense}, the file of the dense network."""

    key: str
    table: str
    model: str
    kept: float
    label: str
    command: str
    target: float | None = None  # error in percent
    result: str = "accuracy_after"  # key in the JSON; "control" for that of the control


def gradual(model, kept, target, recipe):
    return Experiment(
        f"{model}-gradual-{100 * kept:g}",
        "gradual",
        model,
        kept,
        "gradual magnitude, global",
        f"prune {{dense}} --when gradual --sparsity {1 - kept:g} {recipe}",
        target,
    )


def tickets():
    """Rounds of a lottery: the ticket and, from the same command, fresh weights under its mask."""
    for kept, rounds in ((0.21, 3), (0.07, 5), (0.036, 7)):
        command = (
            f"prune mlp --when lottery --rounds {rounds} --sparsity {1 - kept:g} --scope local "
            f"--control scratch {PLAIN['mlp']}"
        )
        key = f"mlp-lottery-{100 * kept:g}"
        yield Experiment(key, "lottery", "mlp", kept, "ticket: initial weights", command)
        yield Experiment(
            key, "lottery", "mlp", kept, "same mask, fresh weights", command, result="control"
        )


def at_initialization():
    """Networks pruned before they are trained, beside magnitude pruning while they are, as long."""
    for model, shares in (("mlp", (0.1, 0.05, 0.02)), ("lenet5", (0.1, 0.02, 0.01))):
        for kept in shares:
            common = f"--sparsity {1 - kept:g} {PLAIN[model]}"
            for method in ("snip", "grasp", "synflow", "magnitude", "random"):
                scope = "erk" if method == "random" else "global"
                yield Experiment(
                    f"{model}-init-{method}-{100 * kept:g}",
                    "init",
                    model,
                    kept,
                    f"before training: {method}",
                    f"prune {model} --when init --method {method} --scope {scope} {common}",
                )
            yield Experiment(
                f"{model}-during-{100 * kept:g}",
                "init",
                model,
                kept,
                "during training: magnitude",
                f"prune {model} --when gradual {common}",
            )
            yield Experiment(
                f"{model}-rigl-{100 * kept:g}",
                "init",
                model,
                kept,
                "during training: RigL",
                f"prune {model} --when dynamic --scope erk {common}",
            )


EXPERIMENTS = [
    gradual("mlp", 0.08, 1.6, "--epochs 20 --augment shift"),
    gradual("mlp", 0.02, 2.0, "--epochs 20 --augment shift"),
    gradual("lenet5", 0.08, 0.8, "--epochs 8 --augment shift"),
    gradual("lenet5", 0.01, 1.0, "--epochs 8 --augment shift"),
    *tickets(),
    *at_initialization(),
]

TITLES = {
    "gradual": "Error at a given share of kept weights",
    "lottery": "Lottery tickets beside fresh weights under the same mask",
    "init": "Pruned before training, and while it runs",
}


class Runs:
    """Runs `pare` and keeps what it printed."""

    def __init__(self, args):
        self.args = args
        self.work = Path(args.work)
        self.work.mkdir(parents=True, exist_ok=True)

    def run(self, name, command, seed):
        model, record = self.work / f"{name}.pare", self.work / f"{name}.json"
        full = f"{command} --data mnist --seed {seed} --out {model}"
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

    def dense(self, model, seed):
        return self.run(f"{model}-dense-{seed}", DENSE[model], seed)

    def error(self, experiment, seed):
        """Test error in percent."""
        command = experiment.command
        if "{dense}" in command:
            command = command.format(dense=self.dense(experiment.model, seed)[0])
        _, result = self.run(f"{experiment.key}-{seed}", command, seed)
        accuracy = (
            result["control"]["accuracy"]
            if experiment.result == "control"
            else result[experiment.result]
        )
        return 100 * (1 - accuracy)


def spread(errors):
    if len(errors) == 1:
        return f"{errors[0]:.2f}"
    return f"{statistics.mean(errors):.2f} ± {statistics.stdev(errors):.2f}"


def print_table(title, experiments, runs, seeds):
    print(f"\n{title}: test error in percent, mean of {len(seeds)} seeds\n")
    with_target = any(e.target for e in experiments)
    print("| network | kept | how | error |" + (" asked for | |" if with_target else ""))
    print("| --- | ---: | --- | ---: |" + (" ---: | --- |" if with_target else ""))
    dense = set()
    for e in experiments:
        if "{dense}" in e.command and e.model not in dense:
            dense.add(e.model)
            errors = [100 * (1 - runs.dense(e.model, s)[1]["test_accuracy"]) for s in seeds]
            print(f"| {NAMES[e.model]} | 100 % | dense | {spread(errors)} | | |")
        errors = [runs.error(e, s) for s in seeds]
        line = f"| {NAMES[e.model]} | {100 * e.kept:g} % | {e.label} | {spread(errors)} |"
        if with_target:
            reached = statistics.mean(errors) <= e.target
            line += f" {e.target:g} | {'reached' if reached else 'not reached'} |"
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pare", default="build/tools/pare", help="the program")
    parser.add_argument("--work", required=True, help="folder for models and results")
    parser.add_argument("--data-dir", default="", help="folder that holds mnist/")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only", default="", help="regular expression on the experiments' keys")
    args = parser.parse_args()
    seeds = [int(s) for s in args.seeds.split(",")]
    runs = Runs(args)
    chosen = [e for e in EXPERIMENTS if re.search(args.only, e.key)]
    for table, title in TITLES.items():
        rows = [e for e in chosen if e.table == table]
        if rows:
            print_table(title, rows, runs, seeds)


if __name__ == "__main__":
    main()
