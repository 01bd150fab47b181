"""Kills and signals at random moments of a training, which is then continued: it must end with the same bytes.

    python tests/interrupts/training.py kills 200 1       # SIGKILL, most of them inside a save
    python tests/interrupts/training.py signals 50 1      # Ctrl-C and SIGTERM, some of them twice

One process has imported everything, and forks a child for each attempt. It prints its counts, and exits with 1 if
anything was lost.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from small_training import outcome, recipe, trained

from minicnn import cli, visualize
from minicnn.cli import early_interrupt
from minicnn.serialization import files
from minicnn.train import CheckpointError, Run, Training
from minicnn.train.runs.checkpoint import read_state
from minicnn.train.runs.run import CHECKPOINT, CONFIG

ENDINGS = {"kills": {0, -9}, "signals": {0, 130, -2, -15}}  # the statuses that a child may end with


def forked(work: Callable[[], int]) -> int:
    """Run `work` in a child process, whose printed output is dropped; the process id."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        code = work()
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def session(folder: Path) -> int:
    """Train until the end, with a checkpoint after each step, from where the training is."""
    begun = (folder / CONFIG).exists()
    training = Training.resume(folder) if begun else Training(recipe(), seed=3, backend="numpy")
    training.run(folder, checkpoint_every=1, quiet=True)
    return 0


def dying(folder: Path, call: int) -> int:
    """The same, but the process kills itself before the given call of a function that saves."""
    left = call

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def before(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return before

    os.fsync, os.replace = counted(os.fsync), counted(os.replace)  # type: ignore[assignment]
    files.Draft.write = counted(files.Draft.write)  # type: ignore[method-assign, assignment]
    files.Draft.sync = counted(files.Draft.sync)  # type: ignore[method-assign, assignment]
    return session(folder)


def command(folder: Path) -> int:
    """The same by the command line, without its figures."""
    visualize.draw = lambda *_, **__: []  # type: ignore[assignment]
    signal.signal(signal.SIGINT, early_interrupt.interrupt)  # as in the program
    where = ["--resume", str(folder)]
    if not (folder / CONFIG).exists():
        where = [
            "--recipe",
            str(folder.parent / "recipe.toml"),
            "--seed",
            "3",
            "--backend",
            "numpy",
            "--out",
            str(folder),
        ]
    return cli.main(["train", *where, "--checkpoint-every", "1", "--quiet"])


def position(folder: Path) -> tuple[int, int]:
    """Where the checkpoint is: (epoch, step)."""
    if not (folder / CHECKPOINT).exists():
        return (99, 0) if (folder / CONFIG).exists() and Run.open(folder).is_complete else (0, 0)
    loader = read_state(folder / CHECKPOINT)["loader"]
    return loader["epoch"], loader["step"]


def attempts(kind: str, count: int, draw: random.Random, folder: Path, length: float) -> Counter[str]:
    """Interrupt a training `count` times; when it is complete, compare it and begin another."""
    found: Counter[str] = Counter()
    expected = outcome(trained(folder / "whole").folder)
    (folder / "recipe.toml").write_text(recipe().to_toml())
    run, before = folder / "run", (0, 0)
    while found["interrupted"] < count or before != (99, 0):
        inside, last = draw.random() < 0.7, found["interrupted"] >= count
        if kind == "signals":
            child = forked(lambda: command(run))
        elif inside and not last:
            child = forked(partial(dying, run, draw.randrange(60)))
        else:
            child = forked(lambda: session(run))
        if not last and (kind == "signals" or not inside):
            until = time.monotonic() + draw.uniform(0, length)
            while time.monotonic() < until and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                time.sleep(0.001)
            number = draw.choice([signal.SIGINT, signal.SIGTERM]) if kind == "signals" else signal.SIGKILL
            os.kill(child, number)
            if kind == "signals" and draw.random() < 0.3:
                time.sleep(draw.uniform(0, 0.02))
                os.kill(child, number)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if "-v" in sys.argv:
            print(status, position(run), f"{length:.2f}", flush=True)
        if status != 0:
            found["interrupted"] += 1
            found[f"exit {status}"] += 1
        if status not in ENDINGS[kind]:
            return found  # the next attempt could end in the same way, for ever
        try:
            now = position(run)
        except CheckpointError as error:
            print(error)
            found["unreadable"] += 1
            shutil.rmtree(run)
            now = (0, 0)
        found["went backwards"] += now < before
        before = now
        if now == (99, 0):
            found["complete"] += 1
            found["different"] += outcome(run) != expected
            if found["interrupted"] < count:
                shutil.rmtree(run)
                before = (0, 0)
    return found


def main(kind: str, count: int, seed: int) -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained(folder / "first")
        start = time.perf_counter()
        trained(folder / "warm")
        found = attempts(kind, count, random.Random(seed), folder, 2 * (time.perf_counter() - start))
    codes = {text: times for text, times in found.items() if text.startswith("exit")}
    print(
        f"{found['interrupted']} interruptions of {found['complete']} trainings: {found['unreadable']} checkpoints "
        f"unreadable, {found['went backwards']} went backwards, {found['different']} trainings ended otherwise; {codes}"
    )
    allowed = {f"exit {status}" for status in ENDINGS[kind]}
    return bool(found["unreadable"] + found["went backwards"] + found["different"] or set(codes) - allowed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
