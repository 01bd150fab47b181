"""Which row runs: keywords, nested `use`, auto."""

from __future__ import annotations

import threading

import pytest

from minicnn_kernels import NoKernelError, conv2d, elementwise, use


def test_choices_nest() -> None:
    table = conv2d.FORWARD
    assert table.pick() == ("im2col", "numba")
    with use(backend="numpy", algorithm="direct"):
        assert table.pick() == ("direct", "numpy")
        assert elementwise.RELU.pick() == ("elementwise", "numpy")  # has no direct algorithm, and keeps its own
        assert table.pick(backend="python", algorithm="im2col") == ("im2col", "python")
        with use(algorithm="im2col"):
            assert table.pick() == ("im2col", "numpy")
        with use(backend="auto"):
            assert table.pick() == ("direct", "numba")
        with pytest.raises(KeyError), use(backend="python"):
            raise KeyError
        assert table.pick() == ("direct", "numpy")
    assert table.pick() == ("im2col", "numba")


def test_a_choice_is_the_threads_own() -> None:
    seen = []
    with use(backend="python"):
        thread = threading.Thread(target=lambda: seen.append(conv2d.FORWARD.pick()))
        thread.start()
        thread.join()
    assert seen == [("im2col", "numba")]


def test_what_is_not_there_is_an_error() -> None:
    with pytest.raises(
        NoKernelError, match="no kernel for algorithm 'fft' on backend 'numpy'; there are: im2col/python"
    ):
        conv2d.FORWARD.pick(backend="numpy", algorithm="fft")
    with (
        pytest.raises(ValueError, match="no backend 'torch'; there are: python, numpy, numba, auto"),
        use(backend="torch"),
    ):
        pass
    with pytest.raises(ValueError, match="no algorithm 'dirct'"), use(algorithm="dirct"):
        pass
