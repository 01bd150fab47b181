"""What `minicnn.summary` takes: processor time of a net with about 1,000 layers, and the memory of the whole process.

    python benchmarks/summary.py [MODEL ...]

Each model is built on the meta device and summarised three times in a process of its own; the smallest time counts.
Our goal for EfficientNet-B7 is 1 s and 300 MB; above that the exit status is 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from memory import peak

SECONDS, MEGABYTES = 1.0, 300.0


def run(name: str) -> None:
    """In a process of its own: print the number of modules, the seconds and the peak."""
    import minicnn
    from minicnn.models.registry import MODELS

    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        with minicnn.device("meta"):
            net = minicnn.models.get_model(name)
        found = minicnn.summary(net, MODELS[name].input_size, verbose=0)
        best = min(best, time.process_time() - start)
    print(len(found.layers), best, peak())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["efficientnet_b7"])
    parser.add_argument("--process", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.process:
        run(args.process)
        return 0
    missed = False
    for name in args.models:
        command = [sys.executable, __file__, "--process", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        layers, seconds, size = map(float, done.stdout.split())
        print(f"{name:20}{layers:6.0f} rows{seconds:7.2f} s{size:7.0f} MB")
        missed |= seconds > SECONDS or size > MEGABYTES
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
