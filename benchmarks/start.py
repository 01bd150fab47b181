"""How long a user waits: from the start of the process to the first training step, and to the end of the first epoch.

    python benchmarks/start.py                 # the default training, cold and warm
    python benchmarks/start.py ResNet20 --runs 5

Cold: with an empty folder of machine code, as after an installation. Warm: with the machine code of the run before.
Each run is a process of its own. The best of several warm runs counts: anything else on the machine only adds time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

RUN = """
import sys, time
from minicnn.train import Training, find_recipe
training, folder = Training(find_recipe(sys.argv[2] or None)), sys.argv[1]
first = []

def stop():
    first.append(time.time())
    return False

def ended(row):
    print(first[0], time.time(), flush=True)
    raise SystemExit

training.run(folder, overwrite=True, stop=stop, after_epoch=ended, progress=False)
"""


def measure(model: str, cache: str, scratch: str) -> tuple[float, float]:
    """Seconds from the start of a process to its first step and to the end of its first epoch."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    begin = time.time()
    done = subprocess.run(
        [sys.executable, "-c", RUN, scratch, model], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    step, epoch = map(float, done.stdout.splitlines()[-1].split())
    return step - begin, epoch - begin


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("model", nargs="?", default="", help="a net with a recipe for the bundled digits")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="warm runs (default: %(default)s)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        cache, scratch = os.path.join(folder, "cache"), os.path.join(folder, "run")
        cold = measure(options.model, cache, scratch)
        warm = [measure(options.model, cache, scratch) for _ in range(options.runs)]
    print(f"{'':5}  {'first step, s':>14}  {'first epoch, s':>14}")
    for name, times in (("cold", cold), ("warm", [min(column) for column in zip(*warm, strict=True)])):
        print(f"{name:5}  {times[0]:14.2f}  {times[1]:14.2f}")


if __name__ == "__main__":
    main()
