#!/usr/bin/env python3
"""The pruning results of the literature on MNIST, reproduced with the pare command line: means over seeds.

Every run is a chain of `pare` commands, kept in the work folder (runs.py): a changed recipe reruns what it changes.

Example:
  python bench/pruning_results.py --pare build/tools/pare --work /var/tmp/pruning --data-dir ~/data
"""

import re
import statistics
from dataclasses import dataclass

import runs

# Trainings from scratch, by network: what everything else starts from.
DENSE = {
    "mlp": "train mlp --epochs 15",
    "lenet5": "train lenet5 --epochs 8 --augment shift",
}
# What tickets and networks pruned at initialization are trained with.
PLAIN = {"mlp": "--epochs 10", "lenet5": "--epochs 5"}
# A high rate, and half of the training at the last sparsity: few weights need the time.
SGD = "--optim nesterov --lr 0.05 --weight-decay 0.0005 --clip 2 --ramp-end 0.5"
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
    for kept, rounds in ((0.35, 2), (0.21, 3), (0.12, 4), (0.07, 5), (0.036, 7)):
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
    for model, shares in (("mlp", (0.2, 0.1, 0.05, 0.02, 0.01)), ("lenet5", (0.1, 0.02, 0.01))):
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
    gradual("mlp", 0.08, 1.6, f"--epochs 10 --augment shift {SGD}"),
    gradual("mlp", 0.02, 2.0, f"--epochs 25 {SGD}"),
    gradual("lenet5", 0.08, 0.8, "--epochs 4 --augment shift"),
    gradual("lenet5", 0.01, 1.0, "--epochs 8 --augment shift --lr 0.05 --ramp-end 0.5"),
    *tickets(),
    *at_initialization(),
]

TITLES = {
    "gradual": "Error at a given share of kept weights",
    "lottery": "Lottery tickets beside fresh weights under the same mask",
    "init": "Pruned before training, and while it runs",
}


class MnistRuns(runs.Runs):
    def dense(self, model, seed):
        return self.run(f"{model}-dense-{seed}", f"{DENSE[model]} --data mnist", seed)

    def error(self, experiment, seed):
        """Test error in percent."""
        command = experiment.command
        if "{dense}" in command:
            command = command.format(dense=self.dense(experiment.model, seed)[0])
        _, result = self.run(f"{experiment.key}-{seed}", f"{command} --data mnist", seed)
        accuracy = (
            result["control"]["accuracy"]
            if experiment.result == "control"
            else result[experiment.result]
        )
        return 100 * (1 - accuracy)


def print_table(title, experiments, mnist):
    print(f"\n{title}: test error in percent, mean of {len(mnist.seeds)} seeds\n")
    with_target = any(e.target for e in experiments)
    print("| network | kept | how | error |" + (" asked for | |" if with_target else ""))
    print("| --- | ---: | --- | ---: |" + (" ---: | --- |" if with_target else ""))
    dense = set()
    for e in experiments:
        if "{dense}" in e.command and e.model not in dense:
            dense.add(e.model)
            errors = [100 * (1 - mnist.dense(e.model, s)[1]["test_accuracy"]) for s in mnist.seeds]
            print(f"| {NAMES[e.model]} | 100 % | dense | {runs.spread(errors)} | | |")
        errors = [mnist.error(e, s) for s in mnist.seeds]
        line = f"| {NAMES[e.model]} | {100 * e.kept:g} % | {e.label} | {runs.spread(errors)} |"
        if with_target:
            reached = statistics.mean(errors) <= e.target
            line += f" {e.target:g} | {'reached' if reached else 'not reached'} |"
        print(line, flush=True)


def main():
    parser = runs.options(__doc__)
    parser.add_argument("--only", default="", help="regular expression on the experiments' keys")
    args = parser.parse_args()
    mnist = MnistRuns(args)
    chosen = [e for e in EXPERIMENTS if re.search(args.only, e.key)]
    for table, title in TITLES.items():
        rows = [e for e in chosen if e.table == table]
        if rows:
            print_table(title, rows, mnist)


if __name__ == "__main__":
    main()
