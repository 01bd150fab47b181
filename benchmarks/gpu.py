"""minicnn on a GPU: first whether it is right, then how fast it is, compared with PyTorch in the same run.

    python benchmarks/gpu.py --checks --against torch --json gpu.json     on a machine with a GPU
    python benchmarks/gpu.py --emulated --only lenet5 --seconds 1         that the script works, without one

1. The GPU, the versions, and what `minicnn doctor` says.
2. With `--checks`: the tests of the GPU, on it (`pytest --device cuda`). The timings run even if a test fails.
3. What the GPU can do: bytes copied per second, and products of a float32 matrix product per second.
4. Milliseconds per training step, as in `train_step.py`: forward, cross-entropy, backward and SGD with momentum, on a
   batch that is on the GPU. PyTorch runs in four ways: as usual, in channels-last memory, and each of them also as a
   CUDA graph, which launches all kernels of a step at once. PyTorch's convolutions may round to TF32 with `--tf32`; by
   default they do not, as minicnn's. A step does not wait for the GPU; a turn of several steps does, at its end.

The last columns are PyTorch's best time over minicnn's: above 1, minicnn is faster. `--json` writes all numbers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nets import NETS
from timing import libraries, machine
from train_step import MEMORY, step_of

ROOT = Path(__file__).parents[1]
CHECKS = ["--device", "cuda", "tests/ops", "tests/autograd", "tests/nn", "tests/optim"]
WARM_UP = 3  # steps before a graph is captured: libraries choose algorithms and allocate


def graphed(torch: Any, step: Callable[[], Any]) -> Callable[[], Any]:
    """PyTorch's step as a CUDA graph: its kernels are recorded once, and launched together at each call."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay() -> Any:
        graph.replay()
        return loss

    return replay


def measure(contenders: dict[str, tuple[Any, Callable[[], Any]]], seconds: float) -> dict[str, float]:
    """The best time of a step of each, in seconds: they take turns of some steps, each turn ends with one wait."""
    best, steps = dict.fromkeys(contenders, math.inf), {}
    for name, (lib, call) in contenders.items():
        call()
        lib.cuda.synchronize()
        start = time.perf_counter()
        call()
        lib.cuda.synchronize()
        steps[name] = max(1, min(200, int(seconds / 20 / (time.perf_counter() - start))))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, (lib, call) in contenders.items():
            start = time.perf_counter()
            for _ in range(steps[name]):
                call()
            lib.cuda.synchronize()
            best[name] = min(best[name], (time.perf_counter() - start) / steps[name])
    return best


def ceilings(lib: Any, small: bool) -> dict[str, float]:
    """What the GPU can do, measured through a library: TB/s of a copy, TFLOP/s of a float32 matrix product."""
    n = 256 if small else 8192
    a = lib.ones(n, n, device="cuda")
    b = lib.ones(64 * n * n if not small else n * n, device="cuda")
    times = measure({"copy": (lib, lambda: b.clone()), "product": (lib, lambda: a @ a)}, 2)
    return {
        "copy TB/s": 2 * 4 * b.numel() / times["copy"] / 1e12,
        "product TFLOP/s": 2 * n**3 / times["product"] / 1e12,
    }


def check() -> dict[str, Any]:
    """Run the tests on the GPU in a process of their own; the last line tells what passed."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-n", "8", *CHECKS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    print(*failed[:40], lines[-1] if lines else done.stderr[-500:], sep="\n", flush=True)
    return {"tests": CHECKS, "ended": lines[-1:], "failed": failed, "seconds": time.perf_counter() - start}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=["torch"], help="also time PyTorch and print ratios")
    parser.add_argument("--checks", action="store_true", help="first run the tests of the GPU on it")
    parser.add_argument("--emulated", action="store_true", help="on the emulation of a GPU, which is slow")
    parser.add_argument("--only", nargs="+", choices=NETS, default=list(NETS), metavar="NET", help=", ".join(NETS))
    parser.add_argument("--seconds", type=float, default=8, help="how long to measure each net (default: 8)")
    parser.add_argument("--tf32", action="store_true", help="let PyTorch's convolutions and products round to TF32")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    args = parser.parse_args()
    if args.emulated:
        os.environ["MINICNN_CUDA"] = "emulated"
    libs = libraries(args.against == "torch")
    minicnn, torch = libs["minicnn"], libs.get("torch")
    if not minicnn.cuda.is_available():
        print("There is no GPU that minicnn can use; `minicnn doctor` says why. --emulated runs without one.")
        return 1
    results: dict[str, Any] = {"command": sys.argv, "machine": machine(libs), "gpu": minicnn.cuda.get_device_name()}
    print(f"{time.strftime('%Y-%m-%d')}  {results['gpu']}\n{results['machine']}\n{' '.join(sys.argv)}", flush=True)
    subprocess.run([sys.executable, "-m", "minicnn", "doctor"], check=False)
    if args.checks:
        results["checks"] = check()
    results["ceilings"] = ceilings(torch or minicnn, args.emulated)
    print(", ".join(f"{name} {value:.2f}" for name, value in results["ceilings"].items()), flush=True)
    if torch is not None:
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = args.tf32
    results["ms per step"] = {}
    for name in args.only:
        contenders = {
            f"{library}{memory}": (lib, step_of(lib, NETS[name], value, "cuda"))
            for library, lib in libs.items()
            for memory, value in MEMORY.items()
        }
        if torch is not None:
            for memory, value in MEMORY.items():
                contenders[f"torch graph{memory}"] = torch, graphed(torch, step_of(torch, NETS[name], value, "cuda"))
        best = {contender: 1e3 * spent for contender, spent in measure(contenders, args.seconds).items()}
        ours = min(spent for contender, spent in best.items() if contender.startswith("minicnn"))
        line = f"{name:16}" + "".join(f"  {contender} {spent:.3f}" for contender, spent in sorted(best.items()))
        if torch is not None:
            eager = min(spent for c, spent in best.items() if c.startswith("torch") and "graph" not in c)
            graph = min(spent for c, spent in best.items() if c.startswith("torch graph"))
            line += f"  speed {eager / ours:.2f}, against graphs {graph / ours:.2f}"
        print(line, flush=True)
        results["ms per step"][name] = best
        if args.json:
            args.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
