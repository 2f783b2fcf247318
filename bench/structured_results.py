#!/usr/bin/env python3
"""Structured pruning on MNIST by the pare command line, means over seeds: LeNet-300-100 to 161-64 hidden units and
LeNet-5 to 9-18-65 (the lossless widths of Scalpel, Yu et al. 2017), by each criterion, with channels chosen at random as
the control. LeNet-5 from its usual recipe, and from the best one, where it learns from the network before (distillation).

Example:
  python bench/structured_results.py --pare build/tools/pare --work /var/tmp/structured --data-dir ~/data
"""

import runs

NETWORKS = {
    # name: (model, of the paper, widths, training, fine-tuning)
    "mlp": ("mlp", "LeNet-300-100", "161,64", "--epochs 10", "--epochs 10 --lr 0.001"),
    "lenet5": ("lenet5", "LeNet-5", "9,18,65", "--epochs 5", "--epochs 10 --lr 0.02"),
    "lenet5-best": (
        "lenet5",
        "LeNet-5, best recipe",
        "9,18,65",
        "--epochs 8 --augment shift",
        "--epochs 20 --lr 0.05 --augment shift --teacher {dense}",
    ),
}
METHODS = ["magnitude", "taylor", "group", "fpgm", "random"]


def main():
    parser = runs.options(__doc__)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    args = parser.parse_args()
    mnist = runs.Runs(args)
    print(runs.row(["network", "method", "before, %", "pruned, %", "fine-tuned, %", "MACs"]))
    print(runs.row(["---", "---", "---:", "---:", "---:", "---:"]))
    for network in args.networks:
        model, paper, widths, training, tuning = NETWORKS[network]
        for method in args.methods:
            results = []
            for seed in mnist.seeds:
                name = f"{network}-{seed}"
                dense, _ = mnist.run(name, f"train {model} --data mnist {training}", seed)
                command = f"prune {dense} --structure channel --widths {widths} --method {method} "
                command += tuning.format(dense=dense)
                results.append(mnist.run(f"{name}-{method}", command, seed)[1])
            cells = [runs.spread([100 * r[f"accuracy_{key}"] for r in results]) for key in ("before", "pruned", "after")]
            macs = f"{results[0]['macs_before'] / results[0]['macs_after']:.2f}x fewer"
            print(runs.row([f"{paper}, {widths.replace(',', '-')}", method, *cells, macs]), flush=True)


if __name__ == "__main__":
    main()
