"""The graph as programs see it, next to PyTorch's: names of nodes, where they lead, hooks, versions, refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import minicnn

torch = pytest.importorskip("torch")

SAME_NAME: dict[str, Callable[..., Any]] = {
    "add": lambda t, x, w: x + w,
    "add a number": lambda t, x, w: x + 1,
    "sub": lambda t, x, w: x - w,
    "mul": lambda t, x, w: x * w,
    "div": lambda t, x, w: x / w,
    "neg": lambda t, x, w: -x,
    "pow": lambda t, x, w: x**2,
    "exp": lambda t, x, w: x.exp(),
    "log": lambda t, x, w: x.log(),
    "sqrt": lambda t, x, w: x.sqrt(),
    "tanh": lambda t, x, w: x.tanh(),
    "sigmoid": lambda t, x, w: x.sigmoid(),
    "relu": lambda t, x, w: x.relu(),
    "abs": lambda t, x, w: x.abs(),
    "clone": lambda t, x, w: x.clone(),
    "sum": lambda t, x, w: x.sum(),
    "sum of rows": lambda t, x, w: x.sum(1),
    "mean": lambda t, x, w: x.mean(),
    "mean of rows": lambda t, x, w: x.mean(1),
    "largest": lambda t, x, w: x.max(),
    "matmul": lambda t, x, w: x @ w,
    "view": lambda t, x, w: x.view(9),
    "transpose": lambda t, x, w: x.transpose(0, 1),
    "permute": lambda t, x, w: x.permute(1, 0),
    "unsqueeze": lambda t, x, w: x.unsqueeze(0),
    "expand": lambda t, x, w: x.expand(2, 3, 3),
    "select": lambda t, x, w: x[0],
    "slice": lambda t, x, w: x[:, 1:],
    "index": lambda t, x, w: x[t.tensor([0, 2])],
    "cat": lambda t, x, w: t.cat([x, w]),
    "softmax": lambda t, x, w: x.softmax(1),
    "log_softmax": lambda t, x, w: x.log_softmax(1),
    "gather": lambda t, x, w: x.gather(1, t.tensor([[0], [1]])),
    "where": lambda t, x, w: t.where(x > 0, x, w),
    "linear": lambda t, x, w: t.nn.functional.linear(x, w, w[0]),
    "convolution": lambda t, x, w: t.nn.functional.conv2d(x[None, None], w[None, None]),
    "max_pool": lambda t, x, w: t.nn.functional.max_pool2d(x[None, None], 2),
    "avg_pool": lambda t, x, w: t.nn.functional.avg_pool2d(x[None, None], 2),
    "batch_norm": lambda t, x, w: t.nn.functional.batch_norm(x, None, None, training=True),
    "leaky_relu": lambda t, x, w: t.nn.functional.leaky_relu(x),
    "elu": lambda t, x, w: t.nn.functional.elu(x),
    "gelu": lambda t, x, w: t.nn.functional.gelu(x),
    "silu": lambda t, x, w: t.nn.functional.silu(x),
    "softplus": lambda t, x, w: t.nn.functional.softplus(x),
    "pad": lambda t, x, w: t.nn.functional.pad(x, (1, 1)),
    "mul_": lambda t, x, w: x.clone().mul_(w),
    "cumsum": lambda t, x, w: x.cumsum(0),
    "flip": lambda t, x, w: x.flip(0),
    "masked_fill": lambda t, x, w: x.masked_fill(x > 0, 0.0),
    "unbind": lambda t, x, w: x.unbind()[0],
    "split": lambda t, x, w: x.split(2)[0],
    "stack": lambda t, x, w: t.stack([x, w]),
    "t": lambda t, x, w: x.t(),
    "clamp": lambda t, x, w: x.clamp(0, 1),
    "clamp between tensors": lambda t, x, w: x.clamp(min=w),
    "dot": lambda t, x, w: x[0] @ w[0],
    "matrix and vector": lambda t, x, w: x @ w[0],
    "addmm": lambda t, x, w: t.addmm(x, x, w),
    "norm": lambda t, x, w: t.linalg.vector_norm(x),
    "largest of rows": lambda t, x, w: x.max(1)[0],
    "squeeze an axis": lambda t, x, w: x[None].squeeze(0),
    "power of a tensor": lambda t, x, w: x**w,
    "tensor as a power": lambda t, x, w: 2**x,
    "number minus a tensor": lambda t, x, w: 1 - x,
    "sort": lambda t, x, w: x.sort()[0],
    "topk": lambda t, x, w: x.topk(2)[0],
    "roll": lambda t, x, w: x.roll(1),
    "index_select": lambda t, x, w: x.index_select(0, t.tensor([0])),
    "layer_norm": lambda t, x, w: t.nn.functional.layer_norm(x, [3]),
    "nearest": lambda t, x, w: t.nn.functional.interpolate(x[None, None], scale_factor=2),
    "bilinear": lambda t, x, w: t.nn.functional.interpolate(x[None, None], scale_factor=2, mode="bilinear"),
    "bicubic": lambda t, x, w: t.nn.functional.interpolate(x[None, None], scale_factor=2, mode="bicubic"),
    "linear interpolation": lambda t, x, w: t.nn.functional.interpolate(x[None], scale_factor=2, mode="linear"),
    "nearest-exact": lambda t, x, w: t.nn.functional.interpolate(x[None], scale_factor=2, mode="nearest-exact"),
    "reflection": lambda t, x, w: t.nn.functional.pad(x[None, None], (1, 1, 1, 1), mode="reflect"),
    "replication": lambda t, x, w: t.nn.functional.pad(x[None], (1, 1), mode="replicate"),
    "unfold": lambda t, x, w: t.nn.functional.unfold(x[None, None], 2),
    "adaptive_avg_pool": lambda t, x, w: t.nn.functional.adaptive_avg_pool2d(x[None, None], 2),
    "adaptive_avg_pool to 1": lambda t, x, w: t.nn.functional.adaptive_avg_pool2d(x[None, None], 1),
    "adaptive_max_pool": lambda t, x, w: t.nn.functional.adaptive_max_pool2d(x[None, None], 2),
    "celu": lambda t, x, w: t.nn.functional.celu(x),
    "prelu": lambda t, x, w: t.nn.functional.prelu(x, w[0, :1]),
    "dropout": lambda t, x, w: t.nn.functional.dropout(x),
    "logsigmoid": lambda t, x, w: t.nn.functional.logsigmoid(x),
    "mse_loss": lambda t, x, w: t.nn.functional.mse_loss(x, w),
    "l1_loss": lambda t, x, w: t.nn.functional.l1_loss(x, w),
    "cross_entropy": lambda t, x, w: t.nn.functional.cross_entropy(x, t.tensor([0, 1, 2])),
    "binary_cross_entropy": lambda t, x, w: t.nn.functional.binary_cross_entropy(x.sigmoid(), w.detach().sigmoid()),
    "huber_loss": lambda t, x, w: t.nn.functional.huber_loss(x, w.detach()),
}


def leaves(t: Any) -> list[Any]:
    return [t.arange(1.0, 10.0).reshape(3, 3).div(s).detach().requires_grad_() for s in (7, 5)]


@pytest.mark.parametrize("case", SAME_NAME)
def test_names_of_nodes(case: str) -> None:
    found, right = (SAME_NAME[case](t, *leaves(t)).grad_fn.name() for t in (minicnn, torch))
    assert found == right


def desc(node: Any, depth: int = 3) -> Any:
    """The graph below a node as nested lists of names."""
    if node is None or not depth:
        return None
    return [type(node).__name__, *[desc(before, depth - 1) for before, _ in node.next_functions]]


def test_the_graph_of_a_small_net() -> None:
    def run(t: Any) -> Any:
        x, w = leaves(t)
        return desc(((x @ w).relu() * w + x).sum().grad_fn, 6)

    assert run(minicnn) == run(torch)


def test_hooks_are_called_in_the_same_order_with_the_same_gradients() -> None:
    def run(t: Any) -> Any:
        told: list[Any] = []
        x, w = leaves(t)
        y = x * w
        node = y.grad_fn.next_functions[0][0]
        x.register_hook(lambda g: told.append(("x", g.tolist())))
        y.register_hook(lambda g: told.append(("y", g.tolist())) or 2 * g)
        y.grad_fn.register_hook(
            lambda i, o: told.append(("after", [None if g is None else g.tolist() for g in (*i, *o)]))
        )
        y.grad_fn.register_prehook(lambda o: told.append(("before", o[0].tolist())) or (o[0] + 1,))
        node.register_hook(lambda i, o: told.append(("leaf", len(i), o[0].tolist())))
        node.register_prehook(lambda o: told.append(("before leaf", o[0].tolist())))
        z = (y * y).sum()
        t.autograd.grad(z, [x], retain_graph=True)
        t.autograd.graph.register_multi_grad_hook(
            (x, y, w), lambda gs: told.append([None if g is None else g.tolist() for g in gs])
        )
        z.backward(retain_graph=True)
        z.backward(inputs=[w])
        return [str(each) for each in told]

    for found, right in zip(run(minicnn), run(torch), strict=True):
        assert _close(found, right), (found, right)


def _close(found: str, right: str) -> bool:
    """Whether two texts are equal but for the last digits of numbers."""
    number = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
    same = number.sub("", found) == number.sub("", right)
    return same and all(
        abs(float(a) - float(b)) < 1e-3 for a, b in zip(number.findall(found), number.findall(right), strict=True)
    )


REFUSED: dict[str, Callable[..., Any]] = {
    "a leaf": lambda t, x: x.add_(1),
    "a view of a leaf": lambda t, x: x[0].add_(1),
    "one of several views": lambda t, x: (x * 1).unbind()[0].add_(1),
    "one of the parts": lambda t, x: (x * 1).split(2)[0].mul_(2),
    "an item of a leaf": lambda t, x: x.__setitem__(0, 1.0),
    "the gradient of another shape": lambda t, x: setattr(x, "grad", t.ones(2)),
    "a gradient that is none": lambda t, x: setattr(x, "grad", 1),
    "requires_grad of a result": lambda t, x: setattr(x * 1, "requires_grad", False),
    "a saved tensor was changed": lambda t, x: [y := x * 1, z := y**2, y.add_(1), z.sum().backward()],
    "backward twice": lambda t, x: [z := (x**2).sum(), z.backward(), z.backward()],
    "no scalar": lambda t, x: (x * 2).backward(),
    "an upstream gradient of another shape": lambda t, x: (x * 2).backward(t.ones(2)),
    "empty inputs of backward": lambda t, x: x.sum().backward(inputs=[]),
    "an input that was not used": lambda t, x: t.autograd.grad(x.sum(), x.clone()),
    "an input without a gradient": lambda t, x: t.autograd.grad(x.sum(), t.ones(1)),
    "a hook of a constant": lambda t, x: t.ones(1).register_hook(print),
    "retain_grad of a constant": lambda t, x: t.ones(1).retain_grad(),
    "a hook after the gradient of a result": lambda t, x: (x * 1).register_post_accumulate_grad_hook(print),
    "integers": lambda t, x: t.tensor([1]).requires_grad_(),
    "numpy": lambda t, x: x.numpy(),
    "detach_ of a view": lambda t, x: x[0].detach_(),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_same_is_refused_with_the_same_type_of_error(case: str) -> None:
    raised = []
    for t in (minicnn, torch):
        with pytest.raises(Exception) as caught:
            REFUSED[case](t, leaves(t)[0])
        raised.append(caught.type)
    assert raised[0] is raised[1]


def test_versions_count_writes() -> None:
    def run(t: Any) -> list[int]:
        x, found = t.zeros(3), []
        view = x[1:]
        for write in (lambda: x.add_(1), lambda: view.mul_(2), lambda: x.detach().zero_(), lambda: x + 1):
            write()
            found += [x._version, view._version]
        return found

    assert run(minicnn) == run(torch)
