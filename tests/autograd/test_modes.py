"""Switching recording on and off: blocks, decorators with and without parentheses, generators, threads."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import minicnn
from minicnn import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled


@pytest.mark.parametrize(
    "decorator",
    [no_grad, no_grad(), inference_mode, inference_mode(), lambda f: set_grad_enabled(False)(f)],
    ids=["no_grad", "no_grad()", "inference_mode", "inference_mode()", "set_grad_enabled"],
)
def test_decorators(decorator: Callable[[Any], Any]) -> None:
    def inner() -> bool:
        """A text."""
        return is_grad_enabled()

    decorated = decorator(inner)
    assert is_grad_enabled()
    assert decorated() is False and is_grad_enabled()
    assert decorated.__name__ == "inner" and decorated.__doc__ == "A text."


def test_generators_record_nothing_while_they_run_and_change_nothing_in_between() -> None:
    @no_grad()
    def numbers() -> Iterator[Any]:
        got = yield is_grad_enabled()
        yield got, is_grad_enabled()

    running = numbers()
    assert next(running) is False and is_grad_enabled()
    assert running.send(3) == (3, False) and is_grad_enabled()
    assert list(running) == []


def test_a_generator_handles_what_is_thrown_into_it_and_its_end_with_the_mode() -> None:
    seen: list[bool] = []

    @no_grad()
    def numbers() -> Iterator[int]:
        try:
            try:
                yield 1
            except KeyError:
                seen.append(is_grad_enabled())
                yield 2
        finally:
            seen.append(is_grad_enabled())

    running = numbers()
    assert next(running) == 1
    assert running.throw(KeyError("x")) == 2 and is_grad_enabled()  # type: ignore[attr-defined]
    running.close()  # type: ignore[attr-defined]
    assert seen == [False, False] and is_grad_enabled()
    running = numbers()
    next(running)
    with pytest.raises(ValueError, match="out"):
        running.throw(ValueError("out"))  # type: ignore[attr-defined]
    assert seen == [False] * 3 and is_grad_enabled()


def test_blocks_nest() -> None:
    with no_grad():
        with enable_grad():
            assert is_grad_enabled()
        assert not is_grad_enabled()
        with inference_mode(False):
            assert not is_grad_enabled()
        with set_grad_enabled(True):
            assert is_grad_enabled()
    assert is_grad_enabled()
    with inference_mode(False):
        assert is_grad_enabled()
    with inference_mode():
        assert minicnn.is_inference_mode_enabled()
    set_grad_enabled(False)
    assert not is_grad_enabled()
    set_grad_enabled(True)


def test_an_exception_ends_the_block() -> None:
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0  # noqa: B018
    assert is_grad_enabled()


def test_threads_have_a_mode_of_their_own() -> None:
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


@pytest.mark.parametrize("block", [no_grad(), enable_grad(), inference_mode()], ids=lambda block: type(block).__name__)
def test_every_way_in_and_out(block: Any) -> None:
    """A `with` statement, nested in itself, with an error; an ExitStack; and direct calls of the methods."""
    inside = isinstance(block, enable_grad)
    for outside in (True, False):
        with set_grad_enabled(outside):
            with block:
                assert is_grad_enabled() == inside
                with block, enable_grad(), block:
                    assert is_grad_enabled() == inside
                with set_grad_enabled(not inside):
                    assert is_grad_enabled() != inside
                assert is_grad_enabled() == inside
            assert is_grad_enabled() == outside
            with pytest.raises(ZeroDivisionError), block:
                raise ZeroDivisionError
            assert is_grad_enabled() == outside
            block.__enter__()
            block.__enter__()
            with block:
                assert is_grad_enabled() == inside
            block.__exit__(None, None, None)
            assert is_grad_enabled() == inside
            block.__exit__(None, None, None)
            assert is_grad_enabled() == outside
            with contextlib.ExitStack() as stack:
                stack.enter_context(block)
                stack.enter_context(no_grad())
                assert not is_grad_enabled()
            assert is_grad_enabled() == outside
    assert is_grad_enabled()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_an_interrupt_does_not_leave_recording_off() -> None:
    """In its own process: thousands of KeyboardInterrupts, some of them just before `__exit__` begins."""
    code = """
import random, signal, time
from minicnn import enable_grad, is_grad_enabled, no_grad

@no_grad()
def decorated():
    assert not is_grad_enabled()

signal.signal(signal.SIGALRM, signal.default_int_handler)
chance, caught = random.Random(0), 0
for _ in range(3000):
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 1e-4))
        end = time.perf_counter() + 10
        while time.perf_counter() < end:
            with no_grad():
                with enable_grad(), no_grad():
                    pass
            decorated()
    except KeyboardInterrupt:
        caught += 1
    assert is_grad_enabled()
assert caught == 3000
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_leaf_that_is_frozen_after_the_forward_pass_gets_no_gradient() -> None:
    w, x = minicnn.tensor([2.0], requires_grad=True), minicnn.tensor([3.0], requires_grad=True)
    loss = (w * x).sum()
    w.requires_grad_(False)
    loss.backward()
    assert w.grad is None and x.grad is not None and x.grad.tolist() == [2]
