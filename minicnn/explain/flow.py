"""Signals on their way through a net: the gradients of one step, and the statistics of what layers give.

If gradients become smaller by a factor from layer to layer, the first layers hardly learn (they vanish); if they grow,
training diverges (they explode). A unit whose ReLU is 0 for all images gets no gradient and is dead; a tanh or sigmoid
near its limits passes almost none, and is saturated.

X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import whole

from ..autograd import enable_grad, grad
from ..models.inception_parts import auxiliary_loss
from ..nn import Hardsigmoid, Hardtanh, Module, Sigmoid, Softsign, Tanh
from ..nn import functional as F
from ..nn.module import check_module
from ..ops.tensor.creation import tensor
from ..random import fork_rng
from ..tensor import Tensor
from .samples import Data, batches, leaves, named, numbers
from .scores import evaluating

LIMITS: dict[type[Module], tuple[float, float]] = {
    Tanh: (-1.0, 1.0), Sigmoid: (0.0, 1.0), Hardsigmoid: (0.0, 1.0), Softsign: (-1.0, 1.0),
}  # fmt: skip
NEAR = 0.01  # of the range: so near to a limit, an output is saturated


class Magnitude(NamedTuple):
    """How large the numbers of a tensor are; NaN and infinite ones are left out, and counted.

    Attributes:
        mean: of the absolute values.
        max: the largest absolute value.
        norm: the root of the sum of squares.
        bad: the share of numbers that are NaN or infinite, from 0 to 1.
    """

    mean: float
    max: float
    norm: float
    bad: float

    @classmethod
    def of(cls, values: Array) -> Magnitude:
        """Measure some numbers; all is 0 if there are none."""
        flat = np.abs(np.asarray(values, np.float64).ravel())
        finite = flat[np.isfinite(flat)]
        bad = 1 - len(finite) / len(flat) if len(flat) else 0.0
        if not len(finite):
            return cls(0.0, 0.0, 0.0, bad)
        most = float(finite.max())
        norm = most * float(np.sqrt(((finite / most) ** 2).sum())) if most else 0.0  # squares could overflow
        return cls(float(finite.mean()), most, norm, bad)


class LayerFlow(NamedTuple):
    """What a step of training sends through a layer.

    Attributes:
        layer, kind: its name and class.
        activation: the gradient of the loss for its output.
        weight: the gradient for its own parameters together; None if it has none that are trained.
        parameters: these parameters themselves.
    """

    layer: str
    kind: str
    activation: Magnitude
    weight: Magnitude | None
    parameters: Magnitude | None


def gradient_flow(
    model: Module, x: Data, y: Tensor | None = None, loss: Callable[..., Tensor] | None = None, *,
    layers: Sequence[Module | str] | None = None, training: bool = False,
) -> list[LayerFlow]:  # fmt: skip
    """Measure the gradients of one step of training at each layer.

    Args:
        model: the net.
        x: a batch of inputs, (N, ...), or such a batch and its classes as a pair; or a Dataset or a DataLoader, whose
            first batch is taken.
        y: the classes (N,), or what else the loss compares with.
        loss: a function of (scores, y), or of the scores alone if y is None; None: cross entropy.
        layers: the layers or their names; None: all that have no layers of their own.
        training: run as in training, with the statistics of the batch and with dropout; they are then as before.

    Returns:
        A row for each layer that the loss depends on, in the order in which they are called. Of a layer that is called
        several times, the gradient of the last output counts, and that of the weights is of all calls together.

    Raises:
        ValueError: there is no such layer, there are no images, neither y nor loss, or the loss is no single number.

    >>> from minicnn.explain import gradient_flow
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> rows = gradient_flow(net, minicnn.rand(8, 4), minicnn.zeros(8, dtype=minicnn.int64))
    >>> [(row.layer, row.kind, row.weight is not None) for row in rows]
    [('0', 'Linear', True), ('1', 'ReLU', False), ('2', 'Linear', True)]
    """
    op = "gradient_flow"
    check_module(op, model)
    x, y = _one_batch(op, x, y)
    if y is None and loss is None:
        raise ValueError(f"{op}: give the classes y, or a loss of the scores alone: loss=")
    if not len(x):
        raise ValueError(f"{op}: there are no images, x has shape {tuple(x.shape)}")
    chosen = leaves(model) if layers is None else named(op, model, layers)
    kept: list[tuple[str, Tensor]] = []

    def keep(name: str) -> Any:
        def hook(module: Module, args: Any, output: Any) -> Any:
            if not isinstance(output, Tensor) or not output.requires_grad:
                return None
            kept.append((name, output))
            return output.clone()  # a layer after it may write in place

        return hook

    place = next((p.device for p in model.parameters()), x.device)
    leaf = x.detach().to(place).clone()
    leaf.requires_grad_(leaf.dtype.kind == "f")
    handles = [module.register_forward_hook(keep(name)) for name, module in chosen.items()]
    try:
        with _as_in(op, model, training), enable_grad(), fork_rng():
            total = _loss(op, model(leaf), None if y is None else y.to(place), loss)
    finally:
        for handle in handles:
            handle.remove()
    own = {name: [p for p in module.parameters() if p.requires_grad] for name, module in chosen.items()}
    parameters = {id(p): p for part in own.values() for p in part}
    wanted = [output for _, output in kept] + list(parameters.values())
    found = grad(total, wanted, allow_unused=True) if wanted else ()
    at_outputs, at_weights = found[: len(kept)], dict(zip(parameters, found[len(kept) :], strict=True))
    rows: dict[str, LayerFlow] = {}
    for (name, _), gradient in zip(kept, at_outputs, strict=True):
        if gradient is not None:
            given = [one for p in own[name] if (one := at_weights[id(p)]) is not None]
            rows[name] = LayerFlow(
                name or "output", type(chosen[name]).__name__, Magnitude.of(numbers(gradient)),
                Magnitude.of(_together(given)) if given else None,
                Magnitude.of(_together(own[name])) if own[name] else None,
            )  # fmt: skip
    return list(rows.values())


def _one_batch(op: str, x: Data, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The images and the classes of a step."""
    if isinstance(x, Tensor):
        return x, y
    if isinstance(x, (tuple, list)) and len(x) == 2 and all(isinstance(part, Tensor) for part in x):
        return x[0], x[1] if y is None else y
    with batches(op, None, x) as stream:
        first = next(stream)
    known = None if first.classes is None else tensor(first.classes)
    return first.x, known if y is None else y


def _loss(op: str, output: Any, y: Tensor | None, loss: Any) -> Tensor:
    """The loss of an output, with those of auxiliary heads."""
    total = loss(output) if y is None else auxiliary_loss(output, y, loss_fn=loss or F.cross_entropy)
    if not isinstance(total, Tensor) or total.numel() != 1:
        shape = tuple(total.shape) if isinstance(total, Tensor) else type(total).__name__
        raise ValueError(f"{op}: the loss must be one number, got {shape}; average it over the batch")
    if not total.requires_grad:
        raise ValueError(f"{op}: the loss does not depend on anything with a gradient; is the net frozen?")
    return total.reshape(())


def _together(tensors: Sequence[Tensor]) -> Array:
    return np.concatenate([numbers(one).ravel() for one in tensors])


@contextmanager
def _as_in(op: str, model: Module, training: bool) -> Iterator[None]:
    """Inside the block the net is in evaluation or training mode; then modes and buffers are as before."""
    with evaluating(op, model):
        if not training:
            yield
            return
        before = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
        modes = [(module, module.training) for module in model.modules()]
        model.train()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for buffer, values in before:
                buffer.data.copy_(values)


# --------------------------------------------------------------------------------------------------------- activations


class ActivationStatistics(NamedTuple):
    """The outputs of a layer for some images; NaN and infinite ones are left out, and counted.

    Attributes:
        layer, kind: its name and class.
        mean, std: over all outputs.
        low, high: the least and the largest.
        zeros: the share that is exactly 0, from 0 to 1.
        dead: the share of channels (of units, in a vector) that are 0 for all images: the dead ones of a ReLU.
        saturated: the share within 1 % of the range of a limit, of tanh, sigmoid and such; None for other layers.
        bad: the share that is NaN or infinite.
        counts, edges: the histogram: counts[i] outputs lie between edges[i] and edges[i + 1].
    """

    layer: str
    kind: str
    mean: float
    std: float
    low: float
    high: float
    zeros: float
    dead: float
    saturated: float | None
    bad: float
    counts: Array
    edges: Array


def activation_statistics(
    model: Module, x: Data, layers: Sequence[Module | str] | None = None, *, bins: int = 50, progress: bool = False
) -> list[ActivationStatistics]:
    """Measure the outputs of layers: mean, deviation, zeros, dead and saturated units, and a histogram.

    Args:
        model: the net.
        x: images (N, ...), a pair of images and classes, a Dataset or a DataLoader. It is gone through twice.
        layers: the layers or their names; None: all that have no layers of their own.
        bins: of the histogram, from the least to the largest output.
        progress: show how far it is, on stderr.

    Returns:
        A row for each layer, in the order in which they are called; the last call of each counts.

    Raises:
        ValueError: there is no such layer, a named one is not called, or there are no images.

    >>> from minicnn.explain import activation_statistics
    >>> (row,) = activation_statistics(nn.Sequential(nn.ReLU()), minicnn.tensor([[-1., 2.], [-3., 0.]]))
    >>> row.mean, row.zeros, row.dead
    (0.5, 0.75, 0.5)
    """
    op = "activation_statistics"
    bins = whole(bins, op, "bins", 1)
    chosen = leaves(model) if layers is None else named(op, model, layers)
    sums: dict[str, _Sums] = {}
    for again in (False, True):
        with batches(op, model, x, chosen, progress=progress, some=layers is None) as stream:
            for batch in stream:
                for name, output in batch.outputs.items():
                    if not again:
                        sums.setdefault(name, _Sums(chosen[name])).add(numbers(output))
                    else:
                        sums[name].count(numbers(output), bins)
    return [one.result(name or "output") for name, one in sums.items()]


class _Sums:
    """The sums over the batches that the statistics are made of."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.size = self.finite = self.zeros = self.saturated = 0
        self.total = self.squares = 0.0
        self.low, self.high = np.inf, -np.inf
        self.alive: Any = False  # (C,) whether a channel was ever other than 0
        self.counts: Any = 0
        self.edges: Any = None

    def add(self, y: Array) -> None:
        y = y.astype(np.float64)
        good = y[np.isfinite(y)]
        self.size, self.finite = self.size + y.size, self.finite + good.size
        self.zeros += int((good == 0).sum())
        channels = y.reshape(len(y), y.shape[1] if y.ndim > 1 else 1, -1)  # (N, C, h, w) -> (N, C, h w)
        self.alive = self.alive | (channels != 0).any((0, 2))
        if not good.size:
            return
        self.low, self.high = min(self.low, float(good.min())), max(self.high, float(good.max()))
        mean = float(good.mean())
        before = self.finite - good.size  # the squares are around the mean of all so far (Chan et al. 1979)
        if before:
            away = mean - self.total / before
            self.squares += away * away * before * good.size / self.finite
        self.squares += float(((good - mean) ** 2).sum())
        self.total += float(good.sum())
        if (limits := _limits(self.module)) is not None:
            near = NEAR * (limits[1] - limits[0])
            self.saturated += int(((good <= limits[0] + near) | (good >= limits[1] - near)).sum())

    def count(self, y: Array, bins: int) -> None:
        good = y[np.isfinite(y)].astype(np.float64)
        low, high = (self.low, self.high) if self.finite else (0.0, 1.0)
        found, self.edges = np.histogram(np.clip(good, low, high), bins, (low, high))
        self.counts = self.counts + found

    def result(self, name: str) -> ActivationStatistics:
        some = max(self.finite, 1)
        return ActivationStatistics(
            name, type(self.module).__name__, self.total / some, float(np.sqrt(self.squares / some)),
            self.low if self.finite else 0.0, self.high if self.finite else 0.0, self.zeros / some,
            1 - float(np.mean(self.alive)) if self.size else 0.0,
            None if _limits(self.module) is None else self.saturated / some,
            1 - self.finite / self.size if self.size else 0.0, self.counts, self.edges,
        )  # fmt: skip


def _limits(module: Module) -> tuple[float, float] | None:
    """The least and the largest output of an activation that saturates."""
    if isinstance(module, Hardtanh) and module.min_val < 0:
        return float(module.min_val), float(module.max_val)
    return next((limits for kind, limits in LIMITS.items() if isinstance(module, kind)), None)
