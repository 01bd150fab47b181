"""minicnn on a GPU: first whether it is right, then how fast it is, beside PyTorch in the same run. In ten minutes.

    python benchmarks/gpu.py --against torch --json gpu.json               on a machine with a GPU
    python benchmarks/gpu.py --against torch --json gpu.json --from calls  go on, with what gpu.json has
    python benchmarks/gpu.py --emulated                                    that the script works, without a GPU

It needs `pip install -e '.[cuda13,test]'` (or cuda12) and, for comparisons, `torch`. The stages, in order of worth:

    versions     the GPU, driver, CUDA, CuPy, minicnn, PyTorch; `minicnn doctor`
    compile      every .cu file through NVRTC, several at once
    rows         every row "cuda" of every table on the samples of the tests, against float64; memory is full of NaN and
                 between guards; the same bits twice
    tests        `pytest --device cuda` of operations, layers, optimisers and the tape
    losses       LeNet-5 and a small residual net: the losses of some steps, against the CPU
    ceilings     TB/s of a copy, TFLOP/s of a float32 product (and TF32), the time of a launch
    calls        convolutions, batch norm, pooling, softmax, optimisers ...: ms, rate, share of the ceiling
    steps        training steps of LeNet-5, ResNet-18, ResNet-50, VGG-16, beside PyTorch in six ways
    sanitizers   memcheck and racecheck of NVIDIA's compute-sanitizer on small samples, if it is installed

Each stage runs in a process of its own and has a time limit. What crashes, hangs or fails is told, and the rest runs.
After `--minutes`, the last stages are cut short or skipped. The results of each case are kept as it ends: the numbers
in the file of `--json`, and tables in a .md file beside it. `--from STAGE` keeps them, and runs what of STAGE and the
stages after it has no result or an error; `--only` runs some stages anew.

Ratios are PyTorch's time over minicnn's: above 1, minicnn is faster. The targets against PyTorch eager are 1.0 for
batch norm, pooling, softmax and optimisers, and 0.5 for convolutions in float32. The exit status is 1 if a stage
failed, and 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from gpu_stages import child, report
from gpu_stages.control import Control, Options, Results, Stage

STAGES = [
    Stage("versions", "gpu_stages.versions", 60),
    Stage("compile", "gpu_stages.compiling", 90),
    Stage("rows", "gpu_stages.rows", 120, patience=45),
    Stage("tests", "gpu_stages.suite", 150, least=30),
    Stage("losses", "gpu_stages.losses", 60, patience=30),
    Stage("ceilings", "gpu_stages.ceilings", 40, patience=30),
    Stage("calls", "gpu_stages.calls", 150, least=20, patience=40),
    Stage("steps", "gpu_stages.steps", 120, least=20, patience=60),
    Stage("sanitizers", "gpu_stages.sanitizers", 120, least=30),
]
NAMES = [stage.name for stage in STAGES]


def arguments() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=["torch"], help="also time PyTorch and print ratios")
    parser.add_argument("--emulated", action="store_true", help="small, on the emulation of a GPU, which is slow")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all numbers in this file, tables in FILE.md")
    parser.add_argument("--minutes", type=float, default=10, help="for the whole run (default: 10)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--from", dest="first", choices=NAMES, metavar="STAGE", help="go on with the results in FILE")
    which.add_argument("--only", nargs="+", choices=NAMES, metavar="STAGE", help="run these stages anew")
    parser.add_argument("--list", action="store_true", help="name the stages and their limits, and run none")
    parser.add_argument("--child", help=argparse.SUPPRESS)  # a process of control.py
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)  # the program that sanitizers.py watches
    return parser


def interrupt(number: int, frame: object) -> None:
    """As Ctrl-C: an end from outside keeps the results, too."""
    raise KeyboardInterrupt


def run(args: argparse.Namespace) -> int:
    """Run the stages that are asked for."""
    if args.emulated:
        os.environ["MINICNN_CUDA"] = "emulated"
    head = {"date": time.strftime("%Y-%m-%d %H:%M"), "command": " ".join(sys.argv)}
    if args.emulated:
        head["emulated"] = "the times say nothing about a GPU"
    results = Results(args.json, head)
    if args.first or (args.only and args.json and args.json.exists()):
        results.load()
    stages = [stage for stage in STAGES if stage.name in (args.only or NAMES[NAMES.index(args.first or NAMES[0]) :])]
    if args.emulated:  # which says nothing about times; the machine may be busy
        stages = [stage._replace(seconds=5 * stage.seconds, patience=5 * stage.patience) for stage in stages]
    options = Options(small=args.emulated, torch=args.against == "torch")
    control = Control(results, options, 60 * args.minutes, resume=bool(args.first))
    signal.signal(signal.SIGTERM, interrupt)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        well = all([control.run(stages[:1], STAGES), _has_gpu(results) and control.run(stages[1:], STAGES)])
    except KeyboardInterrupt:
        print(report.summary(results.data), "interrupted; what was measured is kept", sep="\n", flush=True)
        return 130
    print(report.summary(results.data), flush=True)
    if args.json:
        print(f"{args.json} has the numbers, {args.json.with_suffix('.md')} the tables")
    return 0 if well else 1


def _has_gpu(results: Results) -> bool:
    """False if the stage `versions` has found none: then no other stage can run."""
    case = results.stages.get("versions", {}).get("cases", {}).get("gpu", {})
    if "error" in case:
        print(f"\nThe other stages need a GPU. {case['error']}", flush=True)
    return "error" not in case


def main() -> int:
    args = arguments().parse_args()
    if args.child:
        return child.main(args.child)
    if args.rows is not None:
        from gpu_stages import sanitizers

        return sanitizers.rows(args.rows)
    if args.list:
        for stage in STAGES:
            print(f"{stage.name:12} at most {stage.seconds:.0f} s")
        return 0
    return run(args)


if __name__ == "__main__":
    sys.exit(main())
