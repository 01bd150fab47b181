"""Peak memory of training steps, compared with PyTorch: the largest resident set of a process that does only this.

    python benchmarks/memory.py --against torch
    python benchmarks/memory.py --against torch --only resnet20 vgg16

The step is that of `train_step.py`. Each library runs a few steps in a process of its own, once in NCHW memory and once
in channels-last memory. The peak includes the interpreter and the libraries; the memory before the first step is
printed too. The ratio is minicnn's smaller peak over PyTorch's smaller peak. Without --only the net is ResNet-18 on 8
images of 224x224; our goal for it is at most 1.2, and above that the exit status is 1.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

from nets import NETS
from train_step import MEMORY, step_of

STEPS, MOST = 3, 1.2


def peak() -> float:
    """The largest resident set of this process so far, in MB."""
    status = Path("/proc/self/status")  # of Linux, where ru_maxrss may be that of the process that started this one
    found = re.search(r"VmHWM: +(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) / 2**10
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB; on macOS bytes
    return size / 2**20 if sys.platform == "darwin" else size / 2**10


def run(lib: str, net: str, memory: str) -> None:
    """In a process of its own: print the peak before and after a few steps."""
    library = importlib.import_module(lib)
    if lib == "torch":
        library.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    before = peak()
    step = step_of(library, NETS[net], MEMORY[memory])
    for _ in range(STEPS):
        step()
    print(before, peak())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=["torch"], help="also measure PyTorch and print ratios")
    parser.add_argument("--only", nargs="+", choices=NETS, default=["resnet18"], metavar="NET", help=", ".join(NETS))
    parser.add_argument("--process", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.process:
        run(*args.process)
        return 0
    libraries = ["minicnn", *([args.against] if args.against else [])]
    worst = 0.0
    for net in args.only:
        peaks: dict[str, float] = {}
        for lib in libraries:
            for memory in MEMORY:
                command = [sys.executable, __file__, "--process", lib, net, memory]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                before, after = map(float, done.stdout.split())
                peaks[lib] = min(peaks.get(lib, after), after)
                print(f"{net:18}{lib + memory:24}{after:8.0f} MB, of which {before:.0f} before the net", flush=True)
        if args.against:
            ratio = peaks["minicnn"] / peaks[args.against]
            worst = max(worst, ratio)
            print(f"{net:18}minicnn takes {ratio:.2f} times PyTorch's memory; at most {MOST} is wanted")
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
