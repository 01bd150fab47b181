"""Which row of a table runs: keywords, nested `use`, auto."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.ops.tensor.operands import backend_for
from minicnn_kernels import NoKernelError, activations, arrays, conv2d, dispatch, geometry, optimizers, use
from minicnn_kernels.conv2d import registers


def test_choices_nest() -> None:
    table = conv2d.FORWARD
    assert table.pick() == ("im2col", "numba")
    with use(backend="numpy", algorithm="direct"):
        assert table.pick() == ("direct", "numpy")
        assert activations.RELU.pick() == ("elementwise", "numpy")  # it has no direct algorithm, and keeps its own
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
        NoKernelError, match="no kernel for algorithm 'fourier' on backend 'numpy'; there are: im2col/python"
    ):
        conv2d.FORWARD.pick(backend="numpy", algorithm="fourier")
    with (
        pytest.raises(ValueError, match=r"no backend 'torch'; there are: python, .*, cuda, cupy, cuda-emulated, auto"),
        use(backend="torch"),
    ):
        pass
    with (
        pytest.raises(ValueError, match=r"no algorithm 'dirct'; did you mean 'direct'\? There are: conv2d"),
        use(algorithm="dirct"),
    ):
        pass
    with (
        pytest.raises(ValueError, match=r"'fast'; there are: conv2d: im2col, direct, .*; .*single .*: axis, .*auto"),
        use(algorithm="fast"),
    ):
        pass


def names_of(table: dict[str, str], **options: Any) -> dispatch.Table:
    """A table for the test: for each algorithm the first letters of its backends; a row returns its key."""
    backends = {"p": "python", "n": "numpy", "c": "compiled", "g": "graphics"}
    keys = [(algorithm, backends[letter]) for algorithm, letters in table.items() for letter in letters]
    made = dispatch.Table("some", {key: lambda *args, key=key: key for key in keys}, **options)
    dispatch.TABLES.remove(made)
    return made


@pytest.fixture
def other_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `auto` prefer the backends of `names_of`."""
    monkeypatch.setattr(dispatch, "PREFERRED", ("graphics", "compiled", "numpy"))
    monkeypatch.setattr(dispatch, "usual_backend", dispatch.usual_backend.__wrapped__)  # without its cache


@pytest.mark.usefixtures("other_backends")
def test_a_backend_may_have_some_algorithms_only() -> None:
    table = names_of({"plain": "pn", "fast": "pc", "odd": "ncg"}, supports={"odd": lambda x: x > 0})
    assert table(1) == ("odd", "graphics")  # the first of the best backend
    assert table(-1, backend="numpy") == ("plain", "numpy")
    assert table(1, backend="compiled") == ("fast", "compiled")
    assert table(1, backend="numpy") == ("plain", "numpy")
    assert table(1, algorithm="fast") == ("fast", "compiled")  # the best backend that has it
    with pytest.raises(NoKernelError, match="no kernel for algorithm 'fast' on backend 'numpy'"):
        table(1, backend="numpy", algorithm="fast")
    with pytest.raises(NoKernelError, match="no kernel for algorithm 'plain' on backend 'graphics'"):
        table.pick("graphics", args=(-1,))  # it has only "odd", which cannot do this call


@pytest.mark.usefixtures("other_backends")
def test_each_backend_has_its_own_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {"graphics": lambda x: "b" if x > 1 else "a", "compiled": lambda x: "c"}
    table = names_of({"a": "ncg", "b": "ncg", "c": "nc"}, rules=rules)
    assert [table(1), table(2)] == [("a", "graphics"), ("b", "graphics")]
    assert table(2, backend="compiled") == ("c", "compiled") and table(2, backend="numpy") == ("a", "numpy")
    monkeypatch.setattr(dispatch, "available", lambda backend: backend != "graphics")
    assert table(2) == ("c", "compiled")
    monkeypatch.setattr(dispatch, "available", lambda backend: backend == "numpy")
    assert table(2) == ("a", "numpy")


# ------------------------------------------------------------------------------- a choice that depends on the call


def arguments(x: tuple[int, ...], w: tuple[int, ...], dtype: type = np.float32, **options: int) -> tuple[Any, ...]:
    return np.zeros(x, dtype), np.zeros(w, dtype), None, geometry.conv2d(x, w, **options)


WIDE, LARGE = arguments((1, 64, 8, 8), (64, 64, 3, 3)), arguments((1, 128, 8, 8), (64, 128, 5, 5))


def test_on_numba_the_rule_chooses_by_geometry() -> None:
    table = conv2d.FORWARD
    assert table.pick(args=WIDE) == ("winograd", "numba")
    assert table.pick(args=LARGE) == ("im2col", "numba")
    assert table.pick(args=arguments((1, 64, 12, 12), (64, 64, 5, 5))) == ("implicit", "numba")
    assert table.pick(args=arguments((1, 6, 14, 14), (16, 6, 5, 5))) == ("registers", "numba")
    assert table.pick(args=arguments((1, 64, 8, 8), (32, 64, 1, 1))) == ("pointwise", "numba")
    assert table.pick(args=arguments((1, 64, 8, 8), (64, 1, 3, 3), groups=64)) == ("depthwise", "numba")
    assert table.pick(args=arguments((1, 64, 8, 8), (64, 4, 3, 3), groups=16)) == ("depthwise", "numba")
    assert table.pick(args=arguments((1, 64, 8, 8), (64, 32, 3, 3), groups=2)) == ("implicit", "numba")
    assert table.pick(args=arguments((1, 64, 8, 8), (64, 32, 3, 3), groups=2, dilation=2)) == ("im2col", "numba")
    assert table.pick(args=arguments((1, 16, 5, 5), (120, 16, 5, 5))) == ("im2col", "numba")
    assert table.pick(args=arguments((1, 64, 8, 8), (64, 64, 3, 3), np.float64)) == ("im2col", "numba")
    assert table.pick("numpy", args=WIDE) == ("im2col", "numpy")


def test_the_example_of_the_rule() -> None:
    """The first layer of the README, as the docstring of `rule` follows it."""
    g = geometry.conv2d((64, 1, 32, 32), (6, 1, 5, 5))
    chosen = [conv2d.rule(g, gradient, False, np.dtype(np.float32)) for gradient in ("", "gw", "gx")]
    assert chosen == ["registers", "registers", "im2col"]


def test_every_limit_says_what_it_needs() -> None:
    """Errors show the first line of these docstrings."""
    for name, able in conv2d.LIMITS.items():
        assert (able.__doc__ or "").startswith("Whether "), name


def test_registers_are_chosen_where_tiles_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registers, "threads", lambda: 2)  # each needs enough images for a vector

    def chosen(x: tuple[int, ...], o: int, k: int, gradient: str, channels_last: bool) -> str:
        g = geometry.conv2d(x, (o, x[1], k, k), None, 1, k // 2)
        return conv2d.rule(g, gradient, channels_last, np.dtype(np.float32))

    wide, small, many = (128, 16, 32, 32), (128, 6, 14, 14), (128, 3, 32, 32)
    assert [chosen(wide, 16, 3, gradient, False) for gradient in ("", "gx", "gw")] == ["registers"] * 2 + ["implicit"]
    assert [chosen(wide, 16, 3, gradient, True) for gradient in ("", "gx", "gw")] == ["winograd"] + ["implicit"] * 2
    assert chosen((128, 16, 17, 17), 16, 3, "", False) == "winograd"  # a row would fill a little more than one vector
    assert [chosen(small, 16, 5, gradient, True) for gradient in ("", "gx", "gw")] == ["registers"] * 2 + ["implicit"]
    assert chosen(many, 32, 3, "", True) == "implicit"
    assert chosen(many, 6, 5, "gw", True) == "registers"


def test_an_algorithm_of_use_concerns_the_calls_it_can_do() -> None:
    table = conv2d.FORWARD
    with use(algorithm="winograd"):
        assert table.pick(args=arguments((1, 2, 8, 8), (2, 2, 3, 3))) == ("winograd", "numba")
        assert table.pick(args=LARGE) == ("im2col", "numba")
    with use(algorithm="im2col"):
        assert table.pick(args=WIDE) == ("im2col", "numba")


def test_an_algorithm_given_as_a_keyword_is_binding() -> None:
    with pytest.raises(NoKernelError, match=r"conv2d: algorithm 'winograd' cannot do .*kh=5.*that can: .*im2col"):
        conv2d.FORWARD(*LARGE, algorithm="winograd")
    with pytest.raises(NoKernelError, match="It works only if the filters are 3x3, stride and dilation are 1, and"):
        conv2d.FORWARD(*LARGE, algorithm="winograd")
    with pytest.raises(NoKernelError, match="algorithm 'pointwise' cannot do"):
        minicnn.nn.functional.conv2d(minicnn.zeros(1, 2, 5, 5), minicnn.zeros(2, 2, 3, 3), algorithm="pointwise")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("gradient", ["", "gx", "gw"])
def test_the_rule_names_only_algorithms_that_can(channels_last: bool, gradient: str) -> None:
    """For all small geometries, with some groups and channels."""
    for k, stride, padding, dilation, (groups, c, o) in product(
        (1, 2, 3, 5),
        (1, 2),
        (0, 1, 3),
        (1, 2),
        ((1, 1, 1), (1, 3, 64), (1, 64, 16), (2, 4, 6), (8, 8, 16), (32, 32, 32)),
    ):
        g = geometry.conv2d((2, c, 12, 13), (o, c // groups, k, k), None, stride, padding, dilation, groups)
        for dtype in (np.float32, np.float64):
            name = conv2d.rule(g, gradient, channels_last, np.dtype(dtype))
            assert conv2d.LIMITS.get(name, lambda g: True)(g), (name, g)


def test_a_table_of_limits_without_rules() -> None:
    """The backends that have a row count, and a call that no algorithm can do is an error that says so."""
    table = dispatch.Table("limited", {("a", "numpy"): lambda x: 2 * x}, {"a": lambda x: x > 0})
    try:
        assert table(1) == 2 and table.pick(args=(1,)) == ("a", "numpy")
        with pytest.raises(NoKernelError, match="limited: no algorithm can do"):
            table(-1)
    finally:
        dispatch.TABLES.remove(table)


def test_fused_is_a_bool() -> None:
    with pytest.raises(TypeError, match="use: fused must be True, False or None, got 'no'"), use(fused="no"):  # type: ignore[arg-type]
        pass


# ------------------------------------------------------------------------------------------------------ on a GPU


@pytest.fixture
def x() -> Iterator[Any]:
    """An array on an emulated GPU."""
    with arrays.emulated() as cupy:
        yield cupy.zeros(3)


def on_both(rows: str, **options: Any) -> dispatch.Table:
    """A table for the test, from "algorithm/backend" names; a row returns its key."""
    keys = [tuple(row.split("/")) for row in rows.split()]
    made = dispatch.Table("some", {key: lambda *args, key=key: key for key in keys}, **options)
    dispatch.TABLES.remove(made)
    return made


def test_arrays_on_a_gpu_take_the_rows_for_it(x: Any) -> None:
    table = on_both("a/numba a/numpy b/cuda b/numpy")
    assert table(x) == table(1, x) == table([np.zeros(3), x]) == ("b", "cuda")
    assert table(np.zeros(3)) == ("a", "numba")
    assert table(x, backend="cupy") == ("a", "numpy")
    assert table(x, algorithm="a") == ("a", "numpy")  # there is no a/cuda
    assert table(x, backend="cupy", algorithm="b") == ("b", "numpy")
    assert on_both("a/numba a/numpy")(x) == ("a", "numpy")


def test_weights_are_on_a_gpu_if_their_arrays_are(x: Any) -> None:
    table = on_both("a/numba a/numpy")
    assert table(optimizers.Weights([x]), [], None) == ("a", "numpy")
    assert table(optimizers.Weights([np.zeros(3), x]), [np.zeros(3)] * 2) == ("a", "numpy")
    assert table(optimizers.Weights([np.zeros(3)]), []) == table(optimizers.Weights([]), []) == ("a", "numba")


def test_use_on_a_gpu(x: Any) -> None:
    rows = "direct/numba direct/numpy im2col/cuda im2col/numpy fft/numpy"
    table = on_both(rows, supports={"fft": lambda x, *more: not more})
    with use(backend="cupy"):
        assert table(x) == ("direct", "numpy")
        with use(algorithm="im2col"):
            assert table(x) == ("im2col", "numpy")
        with use(backend="cuda"):
            assert table(x) == ("im2col", "cuda")
        with use(algorithm="fft"):
            assert (table(x), table(x, 1)) == (("fft", "numpy"), ("direct", "numpy"))  # it applies where it can
    with use(algorithm="fft"):
        assert (table(x), table(x, 1)) == (("fft", "numpy"), ("im2col", "cuda"))


def test_a_backend_of_the_other_device_says_what_to_do(x: Any) -> None:
    table = on_both("a/python a/numba a/numpy")
    for backend in dispatch.BACKENDS:
        remedy = r"move them with \.cpu\(\), or choose the backend 'cupy'$"
        with use(backend=backend), pytest.raises(NoKernelError, match=rf"some: backend '{backend}' .*{remedy}"):
            table(x)
        with pytest.raises(NoKernelError, match="computes on the CPU"):
            table(x, backend=backend)
    for backend in dispatch.ON_GPU:
        with use(backend=backend), pytest.raises(NoKernelError, match=rf"some: backend '{backend}' .* \.to\('cuda'\)"):
            table(np.zeros(3))
    with (
        use(backend="cuda"),
        pytest.raises(NoKernelError, match=r"'auto' and backend 'cuda'; .* the backends cupy: a$"),
    ):
        table(x)
    both = on_both("a/numba a/numpy b/cuda b/numpy")
    with pytest.raises(NoKernelError, match=r"choose the backend 'cuda' or 'cupy'$"):
        both(x, backend="numba")
    with pytest.raises(NoKernelError, match=r"the backends cuda: b; cupy: a, b$"):
        both(x, backend="cuda", algorithm="a")
    with pytest.raises(NoKernelError, match=r"choose one of numpy, numba, cuda-emulated$"):
        both(np.zeros(3), backend="cuda")
    with pytest.raises(NoKernelError, match="algorithm 'b'"):
        table(x, algorithm="b")


def test_each_column_of_a_gpu_has_its_own_rule(x: Any) -> None:
    rules = {"numba": lambda *_: "a", "cuda": lambda *_: "b", "cupy": lambda *_: "c"}
    table = on_both("a/cuda a/numpy a/numba b/cuda b/numpy c/numpy", rules=rules)
    assert (table(x), table(x, backend="cupy"), table(np.zeros(3))) == (("b", "cuda"), ("c", "numpy"), ("a", "numba"))
    assert table(x, backend="cupy", algorithm="a") == ("a", "numpy")


def test_convolutions_through_cupy(x: Any) -> None:
    def chosen(x_: tuple[int, ...], w: tuple[int, ...], **options: int) -> str:
        g = geometry.conv2d(x_, w, **options)
        forward = conv2d.FORWARD._pick_on_gpu("cupy", None, (x, x, None, g))
        assert forward == conv2d.BACKWARD._pick_on_gpu("cupy", None, (x, x, x, g, (True, True, True)))
        assert forward[1] == "numpy"
        return forward[0]

    assert chosen((2, 3, 8, 8), (4, 3, 3, 3)) == chosen((2, 1, 8, 8), (4, 1, 5, 5)) == "im2col"
    assert chosen((2, 3, 8, 8), (4, 3, 1, 1), stride=2) == "pointwise"
    assert chosen((2, 3, 8, 8), (4, 3, 1, 1), padding=1) == "im2col"
    assert chosen((2, 4, 8, 8), (8, 1, 3, 3), groups=4) == "depthwise"
    assert chosen((2, 4, 8, 8), (8, 2, 3, 3), groups=2) == "im2col"


def test_types_that_only_numpy_rows_take(x: Any) -> None:
    assert backend_for(x) == backend_for(x.astype(np.float32)) == backend_for(np.zeros(3)) == {}
    assert backend_for(x.astype(np.float16)) == backend_for(x.astype(np.int64)) == {"backend": "cupy"}
    assert backend_for(np.zeros(3, np.int64)) == {"backend": "numpy"}


def test_a_gpu_of_a_test_is_gone_after_it() -> None:
    assert not arrays.GPU_TYPES
    with arrays.emulated() as cupy:
        assert arrays.on_gpu(cupy.zeros(3)) and arrays.gpu() is cupy
        with arrays.emulated():
            pass
        assert arrays.on_gpu(cupy.zeros(3))
    assert not arrays.GPU_TYPES and not arrays.is_emulated()
