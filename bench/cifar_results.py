#!/usr/bin/env python3
"""ResNet-20 on CIFAR-10, pruned by the pare command line: 80 and 90 % of the weights, and half the MACs by channels.

The full length is 160 epochs for the baseline and 40 for each pruning, a day or two of two cores, or an hour of a GPU
(--device cuda). --short is what the tables in docs/ show: 16 and 8 epochs. Runs are kept in the work folder (runs.py).

Example:
  python bench/cifar_results.py --pare build/tools/pare --work /var/tmp/cifar --data-dir ~/data --seeds 1 --short
"""

import runs

# name: (label, command)
PRUNINGS = {
    "80": ("80 % zeros, gradual", "--when gradual --sparsity 0.8 --ramp-end 0.5"),
    "90": ("90 % zeros, gradual", "--when gradual --sparsity 0.9 --ramp-end 0.5"),
    "half": ("half the MACs, taylor", "--structure channel --method taylor --macs 0.5 --round-to 8"),
}


def main():
    parser = runs.options(__doc__)
    parser.add_argument("--short", action="store_true", help="a tenth of the training")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    cifar = runs.Runs(args)
    training, tuning = (16, 8) if args.short else (160, 40)
    common = f"--data cifar10 --device {args.device}"
    baselines = [
        cifar.run(f"resnet20-{training}-{seed}", f"train resnet20 {common} --epochs {training}", seed)[0]
        for seed in cifar.seeds
    ]
    pruned = {
        name: [
            cifar.run(f"{name}-{training}-{seed}", f"prune {dense} {common} {flags} --epochs {tuning} --lr 0.08", seed)[1]
            for seed, dense in zip(cifar.seeds, baselines)
        ]
        for name, (_, flags) in PRUNINGS.items()
    }

    def line(label, results, when):
        accuracy = runs.spread([100 * r[f"accuracy_{when}"] for r in results])
        first = results[0]
        print(runs.row([label, accuracy, f"{first[f'macs_{when}'] / 1e6:.1f} M", f"{first[f'file_bytes_{when}']:,}"]))

    print(runs.row(["resnet20", "test accuracy, %", "MACs", "file, bytes"]))
    print(runs.row(["---", "---:", "---:", "---:"]))
    line("dense", pruned["half"], "before")
    for name, (label, _) in PRUNINGS.items():
        line(label, pruned[name], "after")


if __name__ == "__main__":
    main()
