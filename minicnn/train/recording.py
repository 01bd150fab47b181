"""What happens in each layer during training: gradients, activations, and how far each step moves the weights.

The ratio |dw| / |w| of a step is about 0.001 in a healthy training: far less means that a layer hardly learns, far more
that it is thrown about. Gradients that become smaller from layer to layer towards the input vanish; an activation whose
share of zeros is near 1 is dead.
"""

from __future__ import annotations

import csv
import io
import math
import os
from typing import Any

import numpy as np

from minicnn_kernels.arrays import host, on_device_of, on_gpu, xp
from minicnn_kernels.geometry import whole

from ..analysis.table import Table
from ..nn import Module
from ..nn.module import check_module
from ..serialization.files import write_atomically
from ..tensor import Array, Tensor

COLUMNS = ("step", "layer", "kind", "gradient_norm", "update_ratio", "mean", "std", "zeros")


class Recorder:
    """Measures each layer in every step of training, or in every tenth.

        with Recorder(model, every=10) as recorder:
            ...
                loss.backward()
                recorder.before_step()
                optimizer.step()
                recorder.after_step()
        print(recorder.table())

    Only forward passes in training mode count, the last one before each step. In the steps that are measured, layers
    that usually run as one (such as batch normalisation and ReLU) run one after the other, which changes no value by
    more than rounding. Between them, and after `close`, nothing of the recorder is in the net.

    Args:
        model: the net.
        every: measure the steps 1, 1 + every, 1 + 2 every ...
        gradients: the norm of each layer's gradient.
        activations: mean, standard deviation and share of zeros of each layer's output.
        updates: the ratio |dw| / |w| of each layer's step; it needs a copy of the weights.

    Attributes:
        layers: names of the layers with own parameters; the columns of `gradient_norms` and `update_ratios`.
        outputs: names of the modules without modules inside; the columns of the activations.
        kinds: the class of each layer, by name.
        steps: the numbers of the measured steps, counted from 1.

    Raises:
        ValueError: `every` is below 1, or nothing is to be measured.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> _ = net.weight.data.fill_(2.0)
    >>> optimizer = minicnn.optim.SGD(net.parameters(), lr=0.1)
    >>> with minicnn.train.Recorder(net) as recorder:
    ...     net(minicnn.ones(1, 1)).sum().backward()  # the gradient is 1
    ...     recorder.before_step()
    ...     optimizer.step()  # from 2 to 1.9
    ...     recorder.after_step()
    >>> recorder.gradient_norms.tolist(), recorder.update_ratios.round(6).tolist()
    ([[1.0]], [[0.05]])
    """

    def __init__(
        self, model: Module, every: int = 1, *, gradients: bool = True, activations: bool = True, updates: bool = True
    ) -> None:
        check_module("Recorder", model)
        self.every = whole(every, "Recorder", "every", 1)
        if not (gradients or activations or updates):
            raise ValueError("Recorder: nothing is to be measured; choose gradients, activations or updates")
        self.model = model
        self._wanted = gradients, activations, updates
        named = dict(model.named_modules())
        self._learned = {name: own for name, one in named.items() if (own := list(one.parameters(recurse=False)))}
        self._leaves = {name: one for name, one in named.items() if not list(one.children())}
        self.layers, self.outputs = list(self._learned), list(self._leaves)
        self.kinds = {name: type(named[name]).__name__ for name in dict.fromkeys((*self.outputs, *self.layers))}
        self.steps: list[int] = []
        self._rows: dict[str, list[Array]] = {"gradient": [], "update": [], "mean": [], "std": [], "zeros": []}
        self._done, self._closed = 0, False
        self._seen: dict[str, tuple[Any, Any, Any]] = {}  # of this step
        self._norms: list[Any] = []
        self._copies: dict[int, Array] = {}  # of the weights, by the parameter's id; the memory is used again
        self._kept = False  # whether the copies are of this step
        self._handles: list[Any] = []
        self._watch()

    # -------------------------------------------------------------------------------------------------- in the loop

    def before_step(self) -> None:
        """Call it between `backward` and the optimiser's `step`."""
        if not self._measures:
            return
        gradients, _, updates = self._wanted
        if gradients:
            self._norms = [_root(_squares([p.grad for p in own])) for own in self._learned.values()]
        if updates:
            for parameter in self.model.parameters():  # each once, also one that several layers share
                self._keep(parameter)
            self._kept = True

    def after_step(self) -> None:
        """Call it after the optimiser's `step`."""
        if self._measures:
            gradients, activations, updates = self._wanted
            self.steps.append(self._done + 1)
            if gradients:
                self._rows["gradient"].append(_fetched(self._norms or [math.nan] * len(self.layers)))
            if updates:
                moves = self._moves() if self._kept else {}
                self._rows["update"].append(_fetched([_ratio(own, moves) for own in self._learned.values()]))
            if activations:
                found = [self._seen.get(name, (math.nan,) * 3) for name in self.outputs]
                for k, key in enumerate(("mean", "std", "zeros")):
                    self._rows[key].append(_fetched([values[k] for values in found]))
        self._seen, self._norms, self._kept = {}, [], False
        self._done += 1
        self._watch()

    def close(self) -> None:
        """Take all hooks out of the net, and forget the copies of its weights; the records stay."""
        self._closed = True
        self._watch()
        self._copies, self._seen = {}, {}

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------- what was seen

    @property
    def gradient_norms(self) -> Array:
        """The norm of each layer's gradient, (steps, layers); NaN where a layer had none."""
        return self._array("gradient", self.layers)

    @property
    def update_ratios(self) -> Array:
        """|dw| / |w| of each layer, (steps, layers); NaN where all weights were 0."""
        return self._array("update", self.layers)

    @property
    def means(self) -> Array:
        """The mean of each output, (steps, outputs); NaN where a module was not called or gave no tensor."""
        return self._array("mean", self.outputs)

    @property
    def deviations(self) -> Array:
        """The standard deviation of each output, (steps, outputs)."""
        return self._array("std", self.outputs)

    @property
    def zeros(self) -> Array:
        """The share of zeros in each output, (steps, outputs), from 0 to 1."""
        return self._array("zeros", self.outputs)

    def table(self) -> Table:
        """A row for each layer: gradient norms of the first and last steps, the median ratio, the last activations."""
        rows: list[list[Any]] = []
        for name, kind in self.kinds.items():
            gradient, update = (_column(a, self.layers, name) for a in (self.gradient_norms, self.update_ratios))
            output = [_column(a, self.outputs, name) for a in (self.means, self.deviations, self.zeros)]
            known = [ratio for ratio in update if not math.isnan(ratio)]
            rows.append([
                name or "(net)", kind, *(_shown(gradient[k]) if gradient else None for k in (0, -1)),
                float(np.median(known)) if known else None, *(_shown(one[-1]) if one else None for one in output),
            ])  # fmt: skip
        columns = ["layer", "kind", "gradient, first", "last", "|dw|/|w|", "mean", "std", "zeros"]
        found = f"{len(self.steps)} steps measured" + (f", {self.steps[0]} to {self.steps[-1]}" if self.steps else "")
        return Table("Layers during training", columns, rows, [found])

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write all records to a file, a line for each step and layer; what was not measured is empty.

        Raises:
            OSError: the file cannot be written.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        sources = ((self.gradient_norms, self.layers), (self.update_ratios, self.layers), (self.means, self.outputs),
                   (self.deviations, self.outputs), (self.zeros, self.outputs))  # fmt: skip
        for place, step in enumerate(self.steps):
            for name, kind in self.kinds.items():
                found = [a[place, names.index(name)] if name in names and len(a) else math.nan for a, names in sources]
                writer.writerow([step, name, kind, *("" if math.isnan(x) else f"{x:.9g}" for x in found)])
        write_atomically(path, text.getvalue().encode())

    # ------------------------------------------------------------------------------------------------------- inside

    @property
    def _measures(self) -> bool:
        """Whether the present step is measured."""
        return not self._closed and self._done % self.every == 0

    def _watch(self) -> None:
        """Have hooks in the net if the next step is measured, else none."""
        wanted = self._measures and self._wanted[1]
        if wanted and not self._handles:
            self._handles = [one.register_forward_hook(self._hook(name)) for name, one in self._leaves.items()]
        elif not wanted:
            for handle in self._handles:
                handle.remove()
            self._handles = []

    def _hook(self, name: str) -> Any:
        def hook(module: Module, args: Any, output: Any) -> None:
            # A copy of the net, such as a moving average, has the hook too.
            if module is self._leaves[name] and self.model.training and isinstance(output, Tensor) and output.numel():
                self._seen[name] = _statistics(output.array)

        return hook

    def _keep(self, parameter: Tensor) -> None:
        """Copy a parameter, into the memory of its last copy."""
        now, kept = parameter.array, self._copies.get(id(parameter))
        if kept is None or type(kept) is not type(now) or kept.dtype != now.dtype:
            self._copies[id(parameter)] = now.copy(order="K")
        else:
            kept[...] = now

    def _moves(self) -> dict[int, tuple[Any, Any]]:
        """|w|^2 before the step and |dw|^2 of each parameter, by its id; the copies become the moves."""
        found = {}
        for parameter in self.model.parameters():
            kept = self._copies.get(id(parameter))
            if kept is not None:
                (before,) = _squares([kept])
                kept -= parameter.array
                found[id(parameter)] = before, _squares([kept])[0]
        return found

    def _array(self, key: str, names: list[str]) -> Array:
        rows = self._rows[key]
        return np.array(rows).reshape(len(rows), len(names))


def _ratio(own: list[Any], moves: dict[int, tuple[Any, Any]]) -> Any:
    """|dw| / |w| of the parameters of a layer."""
    if any(id(parameter) not in moves for parameter in own):
        return math.nan  # before_step was not called, or the layer is no longer in the net
    before, moved = (_root([moves[id(parameter)][k] for parameter in own]) for k in (0, 1))
    if not on_gpu(before):
        return moved / before if before > 0 else math.nan
    with on_device_of(before):
        return np.where(before > 0, moved / before, math.nan)


def _squares(values: list[Any]) -> list[Any]:
    """The sum of squares of each array that is not None, without memory for the squares; on a GPU it stays there."""
    found = []
    for value in values:
        if value is None:
            continue
        a = value.array if isinstance(value, Tensor) else value
        with on_device_of(a):
            flat = a.ravel() if on_gpu(a) else a.ravel(order="K")  # in the order of the memory: no copy
            flat = flat.astype(np.float32) if flat.dtype == np.float16 else flat
            found.append(flat.dot(flat))
    return found


def _root(squares: list[Any]) -> Any:
    if not squares:
        return math.nan
    with on_device_of(squares[0]):
        return sum(squares) ** 0.5


def _statistics(y: Any) -> tuple[Any, Any, Any]:
    """Mean, standard deviation and share of zeros."""
    with on_device_of(y), np.errstate(all="ignore"):
        if y.dtype.kind != "f":
            y = y.astype(np.float32)
        kind = np.float32 if y.dtype == np.float16 else y.dtype
        return y.mean(dtype=kind), y.std(dtype=kind), 1 - np.count_nonzero(y) / y.size


def _fetched(values: list[Any]) -> Array:
    """Numbers as one array on the CPU; those on a GPU are fetched together."""
    there = next((value for value in values if on_gpu(value)), None)
    if there is None:
        return np.array([float(value) for value in values])
    with on_device_of(there):
        return host(xp(there).stack([xp(there).asarray(value, np.float64) for value in values]))


def _column(values: Array, names: list[str], name: str) -> list[float]:
    return [float(x) for x in values[:, names.index(name)]] if name in names and len(values) else []


def _shown(value: float) -> float | None:
    return None if math.isnan(value) else value
