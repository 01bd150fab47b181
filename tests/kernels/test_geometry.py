"""Output sizes compared with counting, and every error: its message has the operation, the values and the remedy."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import geometry as G
from minicnn_kernels.geometry import ShapeError

from .errors import ERRORS

SIDES = list(itertools.product(range(1, 9), range(1, 5), range(1, 4), range(3), range(1, 4)))


def first_rows(size: int, kernel: int, stride: int, padding: int, dilation: int, hang_over: bool) -> list[int]:
    """Where the windows begin, found by trying every row.

    No window ends beyond the padding. With `hang_over` the last one may, if it begins in the image or before it."""
    extent = dilation * (kernel - 1) + 1
    end = size + padding
    starts = [start for start in range(-padding, end) if (start + padding) % stride == 0]
    inside = [start for start in starts if start + extent <= end]
    if hang_over and not inside and extent - (end + padding) < stride:
        return [-padding]  # as in PyTorch, even the first window may hang over, by less than a stride
    if hang_over and inside and inside[-1] + extent < end and inside[-1] + stride < size:
        return [*inside, inside[-1] + stride]
    return inside


@pytest.mark.parametrize("fit", ["floor", "ceil", "strict"])
def test_output_size_is_the_number_of_windows(fit: str) -> None:
    for size, kernel, stride, padding, dilation in SIDES:
        if fit == "ceil" and 2 * padding > kernel:
            continue  # only pooling has windows that hang over, and it refuses such padding
        starts = first_rows(size, kernel, stride, padding, dilation, fit == "ceil")
        fits_whole = starts and starts[-1] + dilation * (kernel - 1) + 1 == size + padding
        if not starts or (fit == "strict" and not fits_whole):
            with pytest.raises(ShapeError):
                G.output_size(size, kernel, stride, padding, dilation, fit=fit)
        else:
            assert G.output_size(size, kernel, stride, padding, dilation, fit=fit) == len(starts)


def test_conv2d_takes_the_sides_in_the_right_order() -> None:
    g = G.conv2d((2, 6, 20, 31), (4, 3, 3, 5), (4,), stride=(2, 3), padding=(1, 4), dilation=(3, 2), groups=2)
    assert g == G.Conv(
        n=2, c=6, h=20, w=31, o=4, kh=3, kw=5, sh=2, sw=3, ph=1, pw=4, dh=3, dw=2, groups=2, oh=8, ow=11
    )  # fmt: skip
    assert (g.x_shape, g.w_shape, g.y_shape) == ((2, 6, 20, 31), (4, 3, 3, 5), (2, 4, 8, 11))


def test_pool2d_takes_the_sides_in_the_right_order() -> None:
    g = G.pool2d((2, 6, 20, 31), (4, 5), (2, 3), (1, 2), (3, 2), ceil_mode=True, count_include_pad=False)
    assert g == G.Pool(
        n=2, c=6, h=20, w=31, kh=4, kw=5, sh=2, sw=3, ph=1, pw=2, dh=3, dw=2, oh=7, ow=10, count_include_pad=0
    )  # fmt: skip
    assert (g.x_shape, g.y_shape) == ((2, 6, 20, 31), (2, 6, 7, 10))
    assert G.pool2d((1, 1, 6, 6), (3, 2))[6:8] == (3, 2)  # without a stride, it is the kernel size


@pytest.mark.parametrize(("value", "both"), [(3, (3, 3)), ((2, 1), (2, 1)), ([4], (4, 4)), (np.int64(2), (2, 2))])
def test_pair(value: Any, both: tuple[int, int]) -> None:
    assert G.pair(value, "conv2d", "stride", 1) == both


def test_same_padding() -> None:
    for kernel, padding in ((3, 1), (5, 2), (7, 3)):  # (F - 1)/2
        assert G.same_padding((kernel, kernel), 1, 1) == ((padding, padding), (0, 0))
    assert G.same_padding((2, 5), 1, (2, 3)) == ((1, 6), (0, 0))
    assert G.same_padding((2, 4), 1, 1) == ((0, 1), (1, 1))  # of an odd number, the last one goes to the end
    assert G.same_padding((4,), (1,), 3, "conv1d") == ((4,), (1,))


def test_conv1d_is_a_convolution_of_one_row() -> None:
    g = G.conv2d((2, 6, 31), (4, 3, 5), (4,), 3, 4, 2, groups=2, op="conv1d")
    assert g == G.conv2d((2, 6, 1, 31), (4, 3, 1, 5), (4,), (1, 3), (0, 4), (1, 2), groups=2)


def test_conv_transpose2d_is_a_convolution_backwards() -> None:
    """For every size of an image there is an output padding that gives this size back from the result."""
    for size, kernel, stride, padding, dilation in SIDES:
        if size + 2 * padding < dilation * (kernel - 1) + 1:
            continue
        options = {"stride": (1, stride), "padding": (0, padding), "dilation": (1, dilation), "groups": 2}
        forward = G.conv2d((3, 4, 2, size), (6, 2, 1, kernel), None, **options)
        more = (size + 2 * padding - dilation * (kernel - 1) - 1) % stride
        back = G.conv_transpose2d(forward.y_shape, forward.w_shape, (4,), output_padding=(0, more), **options)
        assert back == forward


def test_unfold_and_fold_have_one_geometry() -> None:
    g = G.unfold((2, 3, 7, 8), (2, 3), (2, 1), (1, 0), (2, 3))
    assert g.col_shape == (2, 18, 8)
    assert G.fold(g.col_shape, (7, 8), (2, 3), (2, 1), (1, 0), (2, 3)) == g


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pad_reads_the_last_axis_first(mode: str) -> None:
    assert G.pad((2, 3, 7, 8), (1, 2, 3, -4), mode) == ((0, 0), (0, 0), (3, -4), (1, 2))


def test_what_fits_passes() -> None:
    G.linear((3, 4), (5, 4), (5,))
    G.linear((4,), (5, 4))
    G.matmul((2, 3), (3, 4))
    G.matmul((3,), (3,))
    G.matmul((5, 1, 2, 3), (7, 3, 4))
    G.batch_norm((2, 3, 1, 1), True, {"weight": (3,), "bias": None})
    G.batch_norm((1, 3), False, {})
    G.batch_norm((0, 3, 2, 2), True, {})
    G.cross_entropy((2, 3), (2,), (0, 2))
    G.cross_entropy((0, 3), (0,), None)
    assert G.broadcast("add", (2, 1, 3), (4, 1)) == (2, 4, 3)


@pytest.mark.parametrize(("call", "parts"), ERRORS, ids=[" ".join(parts)[:60] for _, parts in ERRORS])
def test_errors_say_what_and_why_and_what_to_do(call: Callable[[], Any], parts: list[str]) -> None:
    with pytest.raises(
        (ValueError, IndexError, TypeError, NotImplementedError), match="(?s)" + ".*".join(map(re.escape, parts))
    ) as raised:
        call()
    assert "  " not in str(raised.value)


def test_a_target_that_is_no_class_is_an_index_error_and_the_rest_shape_errors() -> None:
    with pytest.raises(IndexError):
        G.cross_entropy((3, 4), (3,), (-1, 2))
    assert issubclass(ShapeError, ValueError)


def test_every_error_of_the_package_is_in_the_table() -> None:
    """Each `raise` in the geometry is reached by one of the errors above; a new one needs a row in `errors/`."""
    files = {str(path): path.read_text(encoding="utf-8").splitlines() for path in Path(*G.__path__).glob("*.py")}
    raised = {
        (path, number)
        for path, lines in files.items()
        for number, line in enumerate(lines, 1)
        if re.search(
            r"raise (?:ShapeError|KindError|SizeError|ValueError|IndexError|TypeError|NotImplementedError)\(", line
        )
    }
    seen = set()
    for call, _ in ERRORS:
        try:
            call()
        except (ValueError, IndexError, TypeError, NotImplementedError) as error:
            frame = error.__traceback__
            while frame is not None:  # frames of calls from one check to another are here too, but are no `raise`
                if frame.tb_frame.f_code.co_filename in files:
                    seen.add((frame.tb_frame.f_code.co_filename, frame.tb_lineno))
                frame = frame.tb_next
    missing = {f"{Path(path).name}:{number}" for path, number in raised - seen}
    assert not missing, f"no row in tests/kernels/errors leads to {sorted(missing)}"
