"""Ctrl-C between any two steps of Python code leaves locks, BLAS, memory and the compiler in order.

The signal of a timer replaces Ctrl-C, at random moments and thousands of times. Each test runs in its own process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
STEPS = Path(__file__).parents[1] / "interrupts" / "steps.py"

BEGIN = """
import random, signal, sys, threading, time
import numpy as np
from minicnn_kernels import activations, memory, runtime

chance, swallowed = random.Random(0), []
sys.unraisablehook = swallowed.append
signal.signal(signal.SIGALRM, signal.default_int_handler)  # raises KeyboardInterrupt

def hammer(count, work, check, longest=2e-4):
    caught = 0
    for number in range(count):
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, longest))
            end = time.perf_counter() + 10
            while time.perf_counter() < end:
                work()
        except KeyboardInterrupt:
            caught += 1
        check()
    assert caught == count and not swallowed, (caught, swallowed)

def another_thread(call):
    found = []
    worker = threading.Thread(target=lambda: found.append(call()), daemon=True)
    worker.start()
    worker.join(30)
    assert found, "another thread hangs"
    return found[0]

"""


def python(code: str, *args: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code, *args], capture_output=True, text=True, timeout=timeout,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def test_the_lock_is_free_and_blas_has_its_threads() -> None:
    python("""
libraries = runtime._numba_blas()
def threads():
    return [library.num_threads for library in libraries]

for library in libraries:
    runtime.blas.set_threads(library, 2)
before = threads()
def work():
    with runtime.parallel(), runtime.single_blas():
        with runtime.parallel(), runtime.single_blas():
            pass

def check():
    assert not runtime._lock._is_owned() and threads() == before, threads()

work()
hammer(2000, work, check)
def enter():
    with runtime.parallel():
        return True

assert another_thread(enter)
""")


def test_the_pool_of_memory_is_whole() -> None:
    """After every interrupt live arrays share no memory, and memory that is given back is used again."""
    python("""
kept = []
def work():
    kept.append(memory.empty((chance.randrange(1, 60) << 12,), np.uint8))
    if len(kept) > 20:
        del kept[chance.randrange(20)]
        del kept[0]

rounds = 0
def check():
    global rounds
    rounds += 1
    pool = memory._pool
    assert not pool.lock._is_owned()
    if rounds % 10:
        return
    for number, array in enumerate(kept):
        array.fill(number)
    assert all((array == number).all() for number, array in enumerate(kept))
    memory.held()
    assert pool.held == sum(size for size, _, _ in pool.free) and pool.waiting >= 0
    assert pool.waiting == sum(block.size for same in pool.recent.values() for block in same)
    mine = [array.base._block for array in kept if isinstance(array.base, memory.Owner)]
    assert pool.used >= pool.waiting + sum(block.size for block in mine if block.age == pool.age)

hammer(3000, work, check)
assert memory._pool.age > 3, "no interrupt came while the pool was at work"
kept.clear()
memory.empty_cache()
assert memory.held() == memory._pool.used == 0 and not memory._pool.tickets
""")


def test_first_calls_that_are_interrupted(tmp_path: Path) -> None:
    """Interrupts while Numba is imported, and while machine code is compiled and loaded."""
    first_calls(1, tmp_path)


@pytest.mark.slow
def test_many_first_calls_that_are_interrupted(tmp_path: Path) -> None:
    first_calls(15, tmp_path)


def first_calls(count: int, folder: Path) -> None:
    """Each in a process of its own, with an empty cache, and several interrupts until the kernel has run."""
    code = """
chance = random.Random(int(sys.argv[1]))
x = np.arange(-2.0, 3.0, dtype=np.float32)
interrupts, got = 0, None
while got is None:
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.01, 0.3) * 1.5**interrupts)
        got = activations.RELU(x, backend="numba").tolist()
    except KeyboardInterrupt:
        interrupts += 1
signal.setitimer(signal.ITIMER_REAL, 0)
assert got == [0, 0, 0, 1, 2] and not swallowed, (got, swallowed)
assert another_thread(lambda: activations.RELU(x, backend="numba").tolist()) == got
assert activations.RELU(-x.astype(np.float64), backend="numba").tolist() == [2, 1, 0, 0, 0]
print(interrupts)
"""
    came = 0
    for number in range(count):
        came += int(python(code, str(number), NUMBA_CACHE_DIR=str(folder / str(number))).stdout)
    assert came >= count


def steps(count: int) -> None:
    done = subprocess.run(
        [sys.executable, STEPS, str(count), "0"], capture_output=True, text=True, timeout=60 + 2 * count
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_training_steps_that_are_interrupted() -> None:
    steps(25)


@pytest.mark.slow
def test_many_training_steps_that_are_interrupted() -> None:
    steps(600)
