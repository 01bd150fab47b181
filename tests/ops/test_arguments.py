"""Unreasonable arguments: each gives a right result or a clear error, at once and without taking much memory.

The calls run in a process of their own with a limit of time and memory, because they could cause endless loops and
unlimited allocations.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.nn import functional as F
from minicnn_kernels import geometry

X2, X3, X4 = (minicnn.ones(shape) for shape in ((4, 6), (2, 4, 6), (2, 4, 6, 5)))
W3, W4, W2 = minicnn.ones(4, 4, 3), minicnn.ones(4, 4, 3, 3), minicnn.ones(3, 6)
LABELS = minicnn.tensor([0, 1, 2, 3])

CALLS: dict[str, Callable[[Any], Any]] = {
    "adaptive_avg_pool1d": lambda n: F.adaptive_avg_pool1d(X3, n),
    "adaptive_avg_pool2d": lambda n: F.adaptive_avg_pool2d(X4, n),
    "adaptive_max_pool2d": lambda n: F.adaptive_max_pool2d(X4, (n, 3)),
    "arange": lambda n: minicnn.arange(n),
    "avg_pool2d": lambda n: F.avg_pool2d(X4, 2, n),
    "bincount": lambda n: minicnn.bincount(LABELS, minlength=n),
    "broadcast_to, expand": lambda n: minicnn.broadcast_to(X2, (n, 4, 6)),
    "channel_shuffle": lambda n: F.channel_shuffle(X4, n),
    "chunk": lambda n: minicnn.chunk(X2, n),
    "combinations": lambda n: minicnn.combinations(LABELS, n),
    "conv1d": lambda n: F.conv1d(X3, W3, stride=n, padding=1),
    "conv2d": lambda n: F.conv2d(X4, W4, padding=n),
    "conv2d dilation": lambda n: F.conv2d(X4, W4, padding=n, dilation=n),
    "conv2d groups": lambda n: F.conv2d(X4, W4, groups=n),
    "conv2d stride": lambda n: F.conv2d(X4, W4, stride=n),
    "conv_transpose2d": lambda n: F.conv_transpose2d(X4, W4, stride=n),
    "conv_transpose2d groups": lambda n: F.conv_transpose2d(X4, W4, groups=n),
    "cross_entropy": lambda n: F.cross_entropy(X2, LABELS, ignore_index=n),
    "cumsum": lambda n: minicnn.cumsum(X2, n),
    "diag_embed": lambda n: minicnn.diag_embed(X2, n),
    "diagonal": lambda n: minicnn.diagonal(X2, n),
    "expand": lambda n: X2.expand(n, 4, 6),
    "eye": lambda n: minicnn.eye(n),
    "flatten": lambda n: minicnn.flatten(X3, n),
    "flip": lambda n: minicnn.flip(X2, n),
    "fold": lambda n: F.fold(minicnn.ones(2, 16, 20), n, 2),
    "full": lambda n: minicnn.full((2, n), 1.0),
    "glu": lambda n: F.glu(X2, n),
    "group_norm": lambda n: F.group_norm(X4, n),
    "histc": lambda n: minicnn.histc(X2, n),
    "interpolate": lambda n: F.interpolate(X4, size=n),
    "interpolate area": lambda n: F.interpolate(X4, size=n, mode="area"),
    "interpolate bicubic": lambda n: F.interpolate(X4, size=(n, 3), mode="bicubic"),
    "kthvalue": lambda n: minicnn.kthvalue(X2, n),
    "layer_norm": lambda n: F.layer_norm(X2, n),
    "linspace": lambda n: minicnn.linspace(0, 1, n),
    "local_response_norm": lambda n: F.local_response_norm(X4, n),
    "max_pool1d": lambda n: F.max_pool1d(X3, 2, n),
    "max_pool2d": lambda n: F.max_pool2d(X4, n),
    "max_pool2d dilation": lambda n: F.max_pool2d(X4, 2, dilation=n),
    "max_pool2d padding": lambda n: F.max_pool2d(X4, 2, padding=n),
    "multinomial": lambda n: minicnn.multinomial(X2, n, replacement=True),
    "narrow": lambda n: minicnn.narrow(X2, 1, 1, n),
    "one_hot": lambda n: F.one_hot(LABELS, n),
    "pad": lambda n: F.pad(X4, (n, 1)),
    "pad reflect": lambda n: F.pad(X4, (n, 1, 1, 1), "reflect"),
    "permute": lambda n: X2.permute(n, 0),
    "pixel_shuffle": lambda n: F.pixel_shuffle(X4, n),
    "pixel_unshuffle": lambda n: F.pixel_unshuffle(X4, n),
    "randint": lambda n: minicnn.randint(5, (n,)),
    "randperm": lambda n: minicnn.randperm(n),
    "repeat": lambda n: X2.repeat(n, 1),
    "repeat_interleave": lambda n: minicnn.repeat_interleave(X2, n),
    "reshape": lambda n: X2.reshape(n, 6),
    "roll": lambda n: minicnn.roll(X2, n, 0),
    "rot90": lambda n: minicnn.rot90(X2, n),
    "select": lambda n: minicnn.select(X2, 0, n),
    "softmax": lambda n: F.softmax(X2, n),
    "split": lambda n: minicnn.split(X2, n),
    "tensor_split": lambda n: minicnn.tensor_split(X2, n),
    "tile, repeat": lambda n: minicnn.tile(X2, (n,)),
    "topk": lambda n: minicnn.topk(X2, n),
    "tril": lambda n: minicnn.tril(X2, n),
    "tril_indices": lambda n: minicnn.tril_indices(n, 3),
    "unfold": lambda n: F.unfold(X4, n),
    "unfold (windows)": lambda n: X2.unfold(1, 2, n),
    "unsqueeze": lambda n: minicnn.unsqueeze(X2, n),
    "zeros": lambda n: minicnn.zeros(n, 3),
    "Conv2d, empty": lambda n: nn.Conv2d(4, n, 3),
    "Conv2d kernel_size, empty": lambda n: nn.Conv2d(4, 4, n),
    "Conv2d groups, empty": lambda n: nn.Conv2d(4, 4, 3, groups=n),
    "Linear, empty": lambda n: nn.Linear(n, 3),
    "GroupNorm, empty": lambda n: nn.GroupNorm(n, 4),
}

HUGE = [2**31, 2**40, 2**62, 2**63, 10**30, -(2**63) - 1]
NO_INTS = [None, True, 1.0, "1", (1, 1, 1, 1, 1, 1), {}, float("nan"), np.float32(1), np.array([[1, 1]]), 1j]
SILLY: list[Any] = [-1, -7, 0, *HUGE, *NO_INTS]
OWN = (ValueError, TypeError, RuntimeError, IndexError, NotImplementedError)


def outcome(name: str, value: Any) -> str:
    """Describe what is wrong with the outcome of a call; "" if nothing is wrong."""
    try:
        CALLS[name](value)
    except OWN as error:
        if not any(op in str(error).lower() for op in re.findall(r"\w+", name.lower())):
            return f"{name} of {value!r}: {type(error).__name__} {error}"
    except Exception as error:
        return f"{name} of {value!r}: {type(error).__name__} {error}"
    return ""


def test_silly_numbers_end_at_once_in_a_result_or_a_clear_error() -> None:
    run = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout == ""


@pytest.mark.parametrize("value", [v for v in NO_INTS if not isinstance(v, (tuple, type(None)))], ids=repr)
def test_what_is_no_int_is_refused_by_name_and_value(value: Any) -> None:
    for name in ("conv2d groups", "topk", "one_hot", "group_norm", "local_response_norm", "zeros", "max_pool2d"):
        with pytest.raises(TypeError, match=f"^{name.split()[0]}: .* must be ") as raised:
            CALLS[name](value)
        assert repr(value) in str(raised.value)


@pytest.mark.parametrize(
    "two", [np.int64(2), np.uint8(2), np.array(2), minicnn.tensor(2), minicnn.tensor(2, dtype=minicnn.uint8)], ids=repr
)
def test_all_kinds_of_integers_are_ints(two: Any) -> None:
    skipped = {"flatten", "flip", "permute", "softmax", "cumsum", "glu", "unsqueeze", "layer_norm", "pixel_unshuffle"}
    skipped |= {
        "fold",
        "conv2d groups",
        "multinomial",
        "randint",
        "randperm",
        "reshape",
        "max_pool2d padding",
        "one_hot",
    }
    skipped |= {"repeat_interleave", "tensor_split"}
    skipped |= {name for name in CALLS if "empty" in name}  # drawn at random, or not defined for 2, or for bytes
    with minicnn.use(backend="numpy"):
        for name, call in CALLS.items():
            if name not in skipped:
                expected, found = call(2), call(two)
                for a, b in zip(*(v if isinstance(v, tuple) else (v,) for v in (expected, found)), strict=True):
                    if isinstance(a, minicnn.Tensor):
                        np.testing.assert_array_equal(a.array, b.array, err_msg=name)
    layer = nn.Conv2d(two, two, two, two, two, two, two)
    assert (layer.kernel_size, layer.stride, layer.padding, layer.groups) == ((2, 2), (2, 2), (2, 2), 2)


def test_what_does_not_fit_is_told_in_bytes() -> None:
    with pytest.raises(RuntimeError, match=r"zeros: a tensor of shape .1099511627776,. takes 4,398,046,511,104 b"):
        minicnn.zeros(2**40)
    with pytest.raises(MemoryError, match=r"interpolate: .* bytes"):
        F.interpolate(X4, size=2**31)
    with minicnn.device("meta"):  # where nothing is allocated
        assert minicnn.zeros(2**40).shape == (2**40,)
        with pytest.raises(RuntimeError, match="more bytes than 64 bits can count"):
            minicnn.zeros(2**62, 2**62)


def test_memory_that_the_system_does_not_give_is_an_error_of_the_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise MemoryError("Unable to allocate 1. TiB")

    monkeypatch.setattr(np, "concatenate", refuse)
    with pytest.raises(RuntimeError, match=r"Cat: Unable to allocate 1\. TiB"):
        minicnn.cat((X2, X2))


# ------------------------------------------------------------------------------------------------------------ operands

NO_TENSORS = [None, [1.0, 2.0], "x", np.ones((2, 3), np.float32), {}, object()]
TENSOR_CALLS: dict[str, Callable[[Any], Any]] = {
    "relu": F.relu, "gelu": F.gelu, "conv2d": lambda x: F.conv2d(x, W4), "conv2d weight": lambda x: F.conv2d(X4, x),
    "conv1d": lambda x: F.conv1d(x, W3), "conv_transpose2d": lambda x: F.conv_transpose2d(x, W4),
    "linear": lambda x: F.linear(x, W2), "linear weight": lambda x: F.linear(X2, x),
    "prelu weight": lambda x: F.prelu(X2, x), "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "lp_pool2d": lambda x: F.lp_pool2d(x, 2, 2), "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 2),
    "interpolate": lambda x: F.interpolate(x, 2), "pad": lambda x: F.pad(x, (1, 1)), "unfold": lambda x: F.unfold(x, 2),
    "fold": lambda x: F.fold(x, 2, 2), "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "softmax": lambda x: F.softmax(x, 1), "softmin": lambda x: F.softmin(x, 1),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "layer_norm":
    lambda x: F.layer_norm(x, (6,)), "dropout": F.dropout, "dropout2d": F.dropout2d, "normalize": F.normalize,
    "cosine_similarity": lambda x: F.cosine_similarity(X2, x), "cross_entropy": lambda x: F.cross_entropy(x, LABELS),
    "kl_div target": lambda x: F.kl_div(X2, x), "hinge_embedding_loss": lambda x: F.hinge_embedding_loss(x, X2),
    "triplet_margin_loss": lambda x: F.triplet_margin_loss(X2, x, X2), "reshape": lambda x: minicnn.reshape(x, (2,)),
    "flatten": minicnn.flatten, "flip": lambda x: minicnn.flip(x, (0,)), "roll": lambda x: minicnn.roll(x, 1),
    "sort": minicnn.sort, "topk": lambda x: minicnn.topk(x, 1), "tril": minicnn.tril, "view_as": X2.view_as,
    "split": lambda x: minicnn.split(x, 2), "gather": lambda x: minicnn.gather(x, 0, LABELS), "relu_": F.relu_,
    "index_select": lambda x: minicnn.index_select(x, 0, LABELS), "var": minicnn.var, "argmax": minicnn.argmax,
    "Conv2d": nn.Conv2d(1, 1, 3), "Linear": nn.Linear(2, 2), "Flatten": nn.Flatten(), "BatchNorm2d": nn.BatchNorm2d(1),
    "ReLU": nn.ReLU(), "Softmax2d": nn.Softmax2d(), "Sequential": nn.Sequential(nn.Flatten(), nn.ReLU()),
}  # fmt: skip


@pytest.mark.parametrize("name", TENSOR_CALLS)
def test_what_is_no_tensor_is_refused_by_name(name: str) -> None:
    op = "Flatten" if name == "Sequential" else name.split()[0]
    for value in NO_TENSORS:
        if isinstance(value, np.ndarray) and name in ("BatchNorm2d", "Softmax2d"):
            continue  # these report the wrong number of axes first
        with pytest.raises(TypeError, match=rf"^{op}_?: .*(Tensor|tensor).*{type(value).__name__}"):
            TENSOR_CALLS[name](value)


def test_an_attribute_error_of_a_users_own_layer_stays_one() -> None:
    class Own(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.nothing

    with pytest.raises(AttributeError, match="nothing"):
        Own()(None)


if __name__ == "__main__":
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    except ImportError:  # a system without limits
        pass
    with minicnn.use(backend="numpy"):
        for text in (outcome(name, value) for name in CALLS for value in SILLY):
            if text:
                print(text)
    assert issubclass(geometry.SizeError, MemoryError)
