"""Output sizes against counting, and every error: it names the operation, the values and the remedy."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import geometry as G
from minicnn_kernels.geometry import ShapeError

SIDES = list(itertools.product(range(1, 9), range(1, 5), range(1, 4), range(3), range(1, 4)))


def first_rows(size: int, kernel: int, stride: int, padding: int, dilation: int, hang_over: bool) -> list[int]:
    """Where the windows begin, by trying every row: none ends beyond the padding, or, hanging over, none but the last,
    which must begin in the picture or the padding before it."""
    extent = dilation * (kernel - 1) + 1
    end = size + padding
    starts = [start for start in range(-padding, end) if (start + padding) % stride == 0]
    inside = [start for start in starts if start + extent <= end]
    if hang_over and not inside and extent - (end + padding) < stride:
        return [-padding]  # by less than a stride, even the first window may hang over, as in PyTorch
    if hang_over and inside and inside[-1] + extent < end and inside[-1] + stride < size:
        return [*inside, inside[-1] + stride]
    return inside


@pytest.mark.parametrize("fit", ["floor", "ceil", "strict"])
def test_output_size_is_the_number_of_windows(fit: str) -> None:
    for size, kernel, stride, padding, dilation in SIDES:
        if fit == "ceil" and 2 * padding > kernel:
            continue  # pooling, which alone hangs over, refuses such padding
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
    assert G.pool2d((1, 1, 6, 6), (3, 2))[6:8] == (3, 2)  # the stride is the kernel where none is given


@pytest.mark.parametrize(("value", "both"), [(3, (3, 3)), ((2, 1), (2, 1)), ([4], (4, 4)), (np.int64(2), (2, 2))])
def test_pair(value: Any, both: tuple[int, int]) -> None:
    assert G.pair(value, "conv2d", "stride", 1) == both


def test_named_padding() -> None:
    assert G.named_padding("valid", (4, 3, 3, 5), 2, 1) == (0, 0)
    for kernel, padding in ((3, 1), (5, 2), (7, 3)):  # (F - 1)/2
        assert G.named_padding("same", (4, 3, kernel, kernel), 1, 1) == (padding, padding)
    assert G.named_padding("same", (4, 3, 2, 5), 1, (2, 3)) == (1, 6)


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


# What is called, and the parts the message must have, in order: the operation, the values at fault, the remedy.
ERRORS: list[tuple[Callable[[], Any], list[str]]] = [
    (
        lambda: G.output_size(7, 3, 3, fit="strict"),
        ["conv2d", "(7 + 2*0 - 3) / 3 + 1 is not whole", "2.33", "1 of the 7"],
    ),
    (lambda: G.output_size(7, 3, 3, fit="strict"), ["Strides that fit: 1, 2, 4", "fit='floor'"]),
    (lambda: G.output_size(8, 3, 2, 1, 3, fit="strict"), ["(8 + 2*1 - (3*(3 - 1) + 1)) / 2 + 1 is not whole"]),
    (
        lambda: G.output_size(3, 5),
        ["conv2d", "height 3", "gives 3", "spans 5", "(3 + 2*0 - 5) / 1 + 1 < 1", "padding >= 1"],
    ),
    (lambda: G.output_size(2, 3, 1, 1, 3, side="width"), ["width 2 with padding 1", "spans 7", "padding >= 3"]),
    (lambda: G.output_size(7, 3, fit="round"), ["fit must be", "'round'"]),
    (lambda: G.pair((1, 2, 3), "conv2d", "stride", 1), ["conv2d: stride", "a pair of ints", "(1, 2, 3)"]),
    (lambda: G.pair(1.5, "conv2d", "stride", 1), ["conv2d: stride", "1.5"]),  # type: ignore[arg-type]
    (lambda: G.pair("34", "conv2d", "stride", 1), ["conv2d: stride", "'34'"]),  # type: ignore[arg-type]
    (lambda: G.pair((1, 0), "conv2d", "stride", 1), ["conv2d: stride must be at least 1", "(1, 0)"]),
    (lambda: G.pair(-1, "conv2d", "padding", 0), ["conv2d: padding must be at least 0", "-1"]),
    (lambda: G.conv2d((3, 5, 5), (4, 3, 3, 3)), ["conv2d: input must be 4-d (N, C, H, W)", "(3, 5, 5)", "reshape"]),
    (lambda: G.conv2d((1, 3, 5, 5), (4, 3, 3)), ["conv2d: weight must be 4-d", "(4, 3, 3)"]),
    (lambda: G.conv2d((1, 3, 5, 5), (4, 3, 0, 3)), ["conv2d: weight", "no empty side", "(4, 3, 0, 3)"]),
    (lambda: G.conv2d((1, 3, 5, 5), (4, 3, 3, 3), groups=2), ["conv2d: groups=2", "3 input channels", "4 output"]),
    (lambda: G.conv2d((1, 3, 5, 5), (4, 3, 3, 3), groups=0), ["conv2d: groups=0"]),
    (
        lambda: G.conv2d((1, 6, 5, 5), (4, 2, 3, 3), groups=2),
        [
            "conv2d: weight (4, 2, 3, 3) expects 4 input channels (2 in each of 2 groups)",
            "(1, 6, 5, 5) has 6",
            "in_channels",
        ],
    ),
    (lambda: G.conv2d((1, 3, 5, 5), (4, 3, 3, 3), (3,)), ["conv2d: bias must have shape (4,)", "(3,)"]),
    (lambda: G.conv2d((1, 3, 5, 2), (4, 3, 3, 3)), ["conv2d: the window is larger than the input", "width 2"]),
    (lambda: G.conv2d((1, 3, 5, 5), (4, 3, 3, 3), stride=0), ["conv2d: stride must be at least 1"]),
    (lambda: G.conv2d((1, 3, 5, 5), (4, 3, 3, 3), padding=-1), ["conv2d: padding must be at least 0"]),
    (lambda: G.conv2d((1, 3, 5, 5), (4, 3, 3, 3), dilation=0), ["conv2d: dilation must be at least 1"]),
    (lambda: G.pool2d((3, 5, 5), 2), ["max_pool2d: input must be 4-d", "(3, 5, 5)", "reshape"]),
    (lambda: G.pool2d((1, 3, 5, 5), 0, op="avg_pool2d"), ["avg_pool2d: kernel_size must be at least 1"]),
    (lambda: G.pool2d((1, 3, 5, 5), 3, padding=(2, 0)), ["max_pool2d: padding (2, 0)", "half of kernel_size (3, 3)"]),
    (lambda: G.pool2d((1, 3, 5, 5), (4, 3), padding=(2, 2)), ["max_pool2d: padding (2, 2)", "kernel_size (4, 3)"]),
    (
        lambda: G.pool2d((1, 3, 5, 5), 3, padding=2),
        ["max_pool2d: padding (2, 2)", "half of kernel_size (3, 3)", "pad the"],
    ),
    (
        lambda: G.pool2d((1, 3, 5, 5), 2, op="avg_pool2d", fit="strict"),
        ["avg_pool2d", "(5 + 2*0 - 2) / 2 + 1 is not whole"],
    ),
    (lambda: G.linear((3, 4), (5, 3)), ["linear: weight (5, 3) takes 3 input features", "(3, 4)"]),
    (lambda: G.linear((2, 3, 4, 4), (5, 48)), ["linear", "(2, 3, 4, 4)", "nn.Flatten()"]),
    (lambda: G.linear((3, 4), (4,)), ["linear: weight must be 2-d", "(4,)"]),
    (lambda: G.linear((3, 4), (5, 4), (4,)), ["linear: bias must have shape (5,)", "(4,)"]),
    (lambda: G.matmul((2, 3), (4, 5)), ["matmul: (2, 3) @ (4, 5)", "(3)", "axis -2", "(4)"]),
    (lambda: G.matmul((2, 3), (4,)), ["matmul: (2, 3) @ (4,)", "axis -1"]),
    (lambda: G.matmul((), (4,)), ["matmul", "at least one axis", "use *"]),
    (lambda: G.matmul((2, 2, 3), (3, 3, 5)), ["matmul: shapes (2,) and (3,) do not broadcast"]),
    (
        lambda: G.broadcast("add", (2, 3), (4, 3)),
        ["add: shapes (2, 3) and (4, 3) do not broadcast", "equal or one of them 1"],
    ),
    (lambda: G.batch_norm((3,), True, {}), ["batch_norm: input must be (N, C, ...)", "(3,)"]),
    (
        lambda: G.batch_norm((4, 3), True, {"weight": (4,)}),
        ["batch_norm: weight has shape (4,)", "3 channels", "(3,) is needed"],
    ),
    (
        lambda: G.batch_norm((1, 3, 1, 1), True, {}),
        ["batch_norm: more than 1 value per channel", "(1, 3, 1, 1)", "model.eval()"],
    ),
    (lambda: G.cross_entropy((3,), (3,), (0, 1)), ["cross_entropy: logits must be 2-d (N, classes)", "(3,)"]),
    (lambda: G.cross_entropy((3, 4), (2,), (0, 1)), ["cross_entropy: 3 rows of logits (3, 4)", "(2,)"]),
    (
        lambda: G.cross_entropy((3, 4), (3,), (0, 4)),
        ["cross_entropy: target 4 is not a class", "4 logits per row allow 0..3"],
    ),
    (lambda: G.cross_entropy((3, 4), (3,), (-1, 2)), ["cross_entropy: target -1 is not a class"]),
    (lambda: G.named_padding("full", (4, 3, 3, 3), 1, 1), ["conv2d: padding", "'valid' or 'same'", "'full'"]),
    (lambda: G.named_padding("same", (4, 3, 3, 3), 2, 1), ["conv2d: padding='same'", "stride 1", "got stride 2"]),
    (lambda: G.named_padding("same", (4, 3, 4, 3), 1, 1), ["conv2d: padding='same'", "(4, 3)", "(3, 2)", "odd kernel"]),
]


@pytest.mark.parametrize(("call", "parts"), ERRORS, ids=[" ".join(parts)[:60] for _, parts in ERRORS])
def test_errors_say_what_and_why_and_what_to_do(call: Callable[[], Any], parts: list[str]) -> None:
    with pytest.raises((ValueError, IndexError), match="(?s)" + ".*".join(map(re.escape, parts))) as raised:
        call()
    assert "  " not in str(raised.value)


def test_a_target_that_is_no_class_is_an_index_error_and_the_rest_shape_errors() -> None:
    with pytest.raises(IndexError):
        G.cross_entropy((3, 4), (3,), (-1, 2))
    assert issubclass(ShapeError, ValueError)


def test_every_error_of_the_file_is_in_the_table() -> None:
    """Each message in geometry.py begins one of the messages above: a new error needs a row."""
    from pathlib import Path

    assert G.__file__ is not None
    raised = len(
        re.findall(r"raise (?:ShapeError|ValueError|IndexError)\(", Path(G.__file__).read_text(encoding="utf-8"))
    )
    kinds = set()
    for call, _ in ERRORS:
        try:
            call()
        except (ValueError, IndexError) as error:
            assert error.__traceback__ is not None
            frame = error.__traceback__
            while frame.tb_next:
                frame = frame.tb_next
            kinds.add(frame.tb_lineno)
    assert len(kinds) == raised
