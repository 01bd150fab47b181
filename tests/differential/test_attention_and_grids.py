"""Attention, transformers, grids, tables and volumes in both libraries: results, gradients, reprs and errors."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from differential.scenarios import Scenario, assert_same, double, filled

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

pytestmark = pytest.mark.filterwarnings("ignore")


def both(name: str, *tensors: Any, **options: Any) -> None:
    """A function of nn.functional in both: its result, and the gradients of a random combination of it."""
    results, given = [], []
    for lib in (minicnn, torch):
        inputs = [lib.tensor(x).requires_grad_() if isinstance(x, np.ndarray) else x for x in tensors]
        y = getattr(lib.nn.functional, name)(*inputs, **options)
        up = lib.tensor(np.random.default_rng(1).standard_normal(tuple(y.shape)))
        wanted = [x for x in inputs if hasattr(x, "requires_grad")]
        results.append([y, *lib.autograd.grad(y, wanted, up, allow_unused=True)])
        given.append(inputs)
    for mine, theirs in zip(*results, strict=True):
        a, b = mine.detach().numpy(), theirs.detach().numpy()
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample(axes: int, mode: str, padding: str, compared: Counter[str]) -> None:
    """Near places and far ones, and places exactly on edges, centres and corners."""
    if (axes, mode) == (3, "bicubic"):
        return
    rng = np.random.default_rng(0)
    for align, sides, scale in itertools.product((False, True), ((4, 5, 3), (1, 3, 2), (2, 1, 1)), (0.9, 3.0, 40.0)):
        grid = rng.uniform(-scale, scale, (2, *(3, 4, 2)[:axes], axes))
        edges = grid.reshape(-1)[::5]
        edges[...] = np.resize([-1, 1, 0, 0.5, -0.25], edges.shape)
        x = rng.standard_normal((2, 3, *sides[:axes]))
        both("grid_sample", x, grid, mode=mode, padding_mode=padding, align_corners=align)
        compared["grid_sample"] += 1


CHOICES = {
    "batch_first": (False, True), "bias": (False, True), "add_bias_kv": (False, True), "add_zero_attn": (False, True),
    "kdim": (None, 6), "batched": (True, False), "need_weights": (True, False), "average_attn_weights": (True, False),
    "padding": (None, "bool", "float"), "mask": (None, "bool", "float", "heads"),
}  # fmt: skip


@pytest.mark.parametrize("number", range(60))
def test_multihead_attention(number: int, compared: Counter[str]) -> None:
    rng = np.random.default_rng(number)
    choice = {name: values[rng.integers(len(values))] for name, values in CHOICES.items()}
    options = {name: choice[name] for name in ("batch_first", "bias", "add_bias_kv", "add_zero_attn", "kdim")}
    theirs = torch.nn.MultiheadAttention(8, 2, **options, dtype=torch.float64)
    mine = minicnn.nn.MultiheadAttention(8, 2, **options, dtype=minicnn.float64)
    assert repr(mine) == repr(theirs) and list(mine.state_dict()) == list(theirs.state_dict())
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    mine.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})

    def draw(length: int, size: int) -> np.ndarray:
        shape = (4, length, size) if choice["batch_first"] else (length, 4, size)
        return rng.standard_normal(shape if choice["batched"] else (length, size))

    k = draw(5, theirs.kdim)
    inputs = [draw(3, 8), k, k if theirs.vdim == theirs.kdim else draw(5, theirs.vdim)]
    masks = {}
    for name, kind, shape in (
        ("key_padding_mask", choice["padding"], (4, 5) if choice["batched"] else (5,)),
        (
            "attn_mask",
            choice["mask"],
            (3, 5) if choice["mask"] != "heads" else (8 if choice["batched"] else 2, 3, 5),
        ),
    ):
        if kind is not None:
            hidden = rng.random(shape) < 0.3
            hidden[..., 0] = False
            masks[name] = rng.standard_normal(shape) if kind == "float" else hidden
    asked = {name: choice[name] for name in ("need_weights", "average_attn_weights")}
    found = []
    for lib, layer in ((minicnn, mine), (torch, theirs)):
        y, weights = layer(*map(lib.tensor, inputs), **{k: lib.tensor(m) for k, m in masks.items()}, **asked)
        (y**2).sum().backward()
        found.append([y, weights, *(p.grad for p in layer.parameters())])
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-9)
    compared["MultiheadAttention"] += 1


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_transformer(norm_first: bool, batch_first: bool) -> None:
    options = {"batch_first": batch_first, "norm_first": norm_first, "bias": not norm_first, "dropout": 0.0}
    theirs = torch.nn.Transformer(8, 2, 2, 1, 12, activation="gelu", **options).double()
    mine = minicnn.nn.Transformer(8, 2, 2, 1, 12, activation="gelu", **options).double()
    assert repr(mine) == repr(theirs) and list(mine.state_dict()) == list(theirs.state_dict())
    mine.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    rng, found = np.random.default_rng(0), []
    source, target = (rng.standard_normal((3, n, 8) if batch_first else (n, 3, 8)) for n in (4, 5))
    hidden = np.zeros((3, 4), bool)
    hidden[0, 2:] = True
    for lib, net in ((minicnn, mine), (torch, theirs)):
        mask = net.generate_square_subsequent_mask(5)
        y = net(lib.tensor(source), lib.tensor(target), tgt_mask=mask.double(),
                src_key_padding_mask=lib.tensor(hidden), memory_key_padding_mask=lib.tensor(hidden))  # fmt: skip
        (y**3).sum().backward()
        found.append([mask, y, *(p.grad for p in net.parameters())])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
def test_cross_map_lrn(size: int) -> None:
    for channels in (1, 2, 3, 7):
        x = np.random.default_rng(0).standard_normal((2, channels, 3, 2))
        ours, theirs = (
            lib.nn.CrossMapLRN2d(size, alpha=0.3, beta=0.6, k=1.5)(lib.tensor(x)) for lib in (minicnn, torch)
        )
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-7)


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3, float("inf")])
def test_pdist(p: float) -> None:
    both("pdist", np.random.default_rng(0).standard_normal((5, 3)), p=p)


def table(lib: Any) -> Any:
    return double(lib, 5, 3).requires_grad_()


def bagged(lib: Any, **options: Any) -> Any:
    """Bags of rows of a table, and the gradient of the table."""
    w = table(lib)
    index, offsets = lib.tensor([4, 1, 1, 0, 2, 4, 4]), lib.tensor([0, 2, 2, 5])
    y = lib.nn.functional.embedding_bag(index, w, offsets, **options)
    return y, lib.autograd.grad(y, w, double(lib, *y.shape, seed=3))


def shortened(lib: Any, **options: Any) -> Any:
    w = table(lib)
    y = lib.nn.functional.embedding(lib.tensor([[1, 1], [4, 0]]), w, max_norm=0.9, **options)
    return w, y, lib.autograd.grad(y, w, double(lib, *y.shape, seed=3))


SCENARIOS: dict[str, Scenario] = {
    **{
        f"embedding_bag {mode} {extra}": lambda lib, mode=mode, extra=extra: bagged(lib, mode=mode, **extra)
        for mode in ("sum", "mean", "max")
        for extra in ({}, {"padding_idx": 1}, {"padding_idx": -1, "include_last_offset": True})
    },
    "embedding_bag max_norm": lambda lib: bagged(lib, mode="sum", max_norm=0.7, norm_type=1.0),
    "max_norm": shortened,
    "max_norm, another norm": lambda lib: shortened(lib, norm_type=1.0, padding_idx=4),
    "embedding by count": lambda lib: shortened(lib, scale_grad_by_freq=True),
    "repr of a table": lambda lib: repr(lib.nn.Embedding(5, 3, 1, 2.0, 1.0, True)),
    "repr of bags": lambda lib: repr(lib.nn.EmbeddingBag(5, 3, 2.0, 1.0, True, padding_idx=1)),
    "repr of a volume's layers": lambda lib: repr([
        lib.nn.Conv3d(2, 4, 3, groups=2, padding="same", padding_mode="reflect"),
        lib.nn.ConvTranspose3d(1, 2, (1, 2, 3)),
        lib.nn.MaxPool3d(2), lib.nn.AvgPool3d((1, 2, 3)), lib.nn.AdaptiveAvgPool3d((1, None, 2)), lib.nn.LPPool3d(2, 2),
        lib.nn.FractionalMaxPool3d(2, 3), lib.nn.MaxUnpool3d(2), lib.nn.ZeroPad3d(1), lib.nn.LazyConv3d(2, 3),
    ]),
    "error: offsets": lambda lib: bagged(lib, include_last_offset=True, per_sample_weights=lib.ones(3)),
    "error: mode": lambda lib: bagged(lib, mode="min"),
    "error: index": lambda lib: lib.nn.functional.embedding(lib.tensor([5]), table(lib)),
    "error: padding_idx": lambda lib: lib.nn.Embedding(3, 2, padding_idx=4),
    "error: bilinear": lambda lib: lib.nn.Bilinear(0, 2, 3),
    "error: heads": lambda lib: lib.nn.MultiheadAttention(5, 2),
    "error: nothing": lambda lib: lib.nn.MultiheadAttention(0, 2),
    "error: theta": lambda lib: lib.nn.functional.affine_grid(lib.ones(1, 2, 2), (1, 1, 2, 2), align_corners=False),
    "error: size": lambda lib: lib.nn.functional.affine_grid(lib.ones(1, 2, 3), (1, 1, 0, 2), align_corners=False),
    "error: grid mode": lambda lib: lib.nn.functional.grid_sample(lib.ones(1, 1, 2, 2), lib.ones(1, 1, 1, 2), "cubic"),
    "bags with other numbers": lambda lib: filled(lib, lib.nn.EmbeddingBag(4, 2, mode="max"))(
        lib.tensor([[0, 1], [3, 2]])
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios(name: str, compared: Counter[str]) -> None:
    assert_same(SCENARIOS[name], minicnn, torch)
    compared["scenarios"] += 1
