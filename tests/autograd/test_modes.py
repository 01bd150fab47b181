"""Recording on and off: blocks, decorators with and without parentheses, generators, threads."""

from __future__ import annotations

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
