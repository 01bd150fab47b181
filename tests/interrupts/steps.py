"""Interrupt training steps at random moments and check after each that the session goes on as if nothing had happened.

    python steps.py COUNT [SEED]

Prints what was wrong, and how many interrupts came where; exit 1 if anything was wrong.
"""

import collections
import random
import signal
import sys
import threading
import time
import traceback

import minicnn as torch
from minicnn import nn
from minicnn_kernels import runtime


def build():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 60), nn.ReLU(), nn.Linear(60, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer, torch.randn(4, 1, 28, 28), torch.randint(0, 10, (4,))


def step(model, optimizer, x, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        model(x[:2]).argmax(1)
    return loss.item()


def losses(count=3):
    state = build()
    found = [step(*state) for _ in range(count)]
    return found, [p.detach().numpy().tobytes() for p in state[0].parameters()]


def main(count, seed):
    chance = random.Random(seed)
    expected = losses()
    blas = [library.num_threads for library in runtime._numba_blas()]
    start = time.perf_counter()
    losses()
    length = (time.perf_counter() - start) / 3
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    wrong, places, lost = [], collections.Counter(), 0
    swallowed = []
    sys.unraisablehook = swallowed.append
    state = build()
    for number in range(count):
        try:
            end = time.perf_counter() + 5
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, 2 * length))
            while time.perf_counter() < end:
                step(*state)
            lost += 1
        except KeyboardInterrupt as caught:
            last = traceback.extract_tb(caught.__traceback__)[-1]
            places[f"{last.filename.rpartition('minicnn')[2]}:{last.lineno} {last.name}"] += 1
        except BaseException as error:
            wrong.append(f"{number}: {type(error).__name__}: {error}")
        signal.setitimer(signal.ITIMER_REAL, 0)
        found = []
        if not torch.is_grad_enabled():
            wrong.append(f"{number}: recording was left off")
            torch.set_grad_enabled(True)
        worker = threading.Thread(
            target=lambda found=found: found.append(losses()), daemon=True
        )  # another thread must get in
        worker.start()
        worker.join(60)
        if found != [expected]:
            wrong.append(f"{number}: another thread " + ("computes otherwise" if found else "hangs or fails"))
        if number % 8 == 0 and losses() != expected:
            wrong.append(f"{number}: this thread computes otherwise")
        if [library.num_threads for library in runtime._numba_blas()] != blas:
            wrong.append(f"{number}: BLAS was left on other threads")
            for library, threads in zip(runtime._numba_blas(), blas, strict=True):
                runtime.blas.set_threads(library, threads)
        if not all(p.isfinite().all() for p in state[0].parameters()):
            state = build()
    print(f"{sum(places.values())} of {count} interrupts came, at {len(places)} places; lost: {lost}")
    wrong += [f"swallowed in {hook.object}" for hook in swallowed]
    if "-v" in sys.argv:
        for place, times in places.most_common(40):
            print(times, place)
    print(*wrong[:20], sep="\n")
    return bool(wrong or lost or sum(places.values()) != count)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
