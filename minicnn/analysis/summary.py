"""The table of a net's layers: output shapes and parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.geometry import shown

from ..autograd import no_grad
from ..nn import Module
from ..nn.parameter import is_lazy
from ..ops.tensor.creation import zeros
from ..tensor import Tensor

Size = tuple[int, ...]


class LayerRow(NamedTuple):
    """One layer: its dotted name, type, output shape without the batch axis, and own parameters."""

    name: str
    kind: str
    output: Size
    parameters: int
    trainable: int


class Summary(NamedTuple):
    """The result of `summary`; `print` shows it as a table."""

    rows: list[LayerRow]
    inputs: list[Size]
    parameters: int
    trainable: int
    batch_size: int
    bytes_per_value: int
    input_bytes: int

    @property
    def activations(self) -> int:
        """The number of values in all layer outputs, for one image."""
        return sum(int(np.prod(row.output)) for row in self.rows)

    def __str__(self) -> str:
        head = ("Layer (type)", "Output Shape", "Param #")
        cells = [(f"{r.name} ({r.kind})", str([self.batch_size, *r.output]), f"{r.parameters:,}") for r in self.rows]
        widths = [max(len(line[i]) for line in [head, *cells]) + 2 for i in range(3)]
        rule = "-" * sum(widths)
        lines = [f"{a:<{widths[0]}}{b:>{widths[1]}}{c:>{widths[2]}}" for a, b, c in [head, *cells]]
        batch, mib = max(self.batch_size, 1), self.bytes_per_value / 2**20
        return "\n".join(
            [
                rule,
                lines[0],
                rule.replace("-", "="),
                *lines[1:],
                rule.replace("-", "="),
                f"Total params: {self.parameters:,}",
                f"Trainable params: {self.trainable:,}",
                f"Non-trainable params: {self.parameters - self.trainable:,}",
                rule,
                f"Input size (MiB): {self.input_bytes * batch / 2**20:.2f}",
                f"Layer outputs, kept for backward (MiB): {self.activations * batch * mib:.2f}",
                f"Params size (MiB): {self.parameters * mib:.2f}",
                rule,
            ]
        )


def summary(
    model: Module,
    input_size: Size | Sequence[Size],
    batch_size: int = -1,
    device: str = "cpu",
    dtypes: Any = None,
    *,
    verbose: bool = True,
) -> Summary:
    """Run the net once on zeros and print its layers with output shapes and parameters; arguments as in torchsummary.

    A layer is a module without modules inside. A layer that is called twice has two lines, with its parameters in the
    first. The net is not changed: it runs in evaluation mode, without recording. Only lazy layers get their parameters,
    as in any first run. On the meta device nothing is computed: `with minicnn.device("meta"): net = VGG19()` and its
    summary take no memory.

    Args:
        model: the net.
        input_size: the shape of one input without the batch axis, (C, H, W), or a list of shapes for several inputs.
        batch_size: the size that the table prints for the batch axis; -1 for any.
        device: "cpu", "cuda" or "meta"; used only for a net without parameters, else it is the net's device.
        dtypes: the types of the inputs, such as [minicnn.int64] for class indices, or one type for all; None for the
            type of the parameters. Integer inputs are zeros too: class 0.
        verbose: print the table.

    Returns:
        The `Summary`, whose rows are data and whose str is the table.

    Raises:
        ValueError: input_size is not a shape, or the number of types is not that of the inputs.
        TypeError: dtypes are not types.
        ShapeError: the net does not take this input; the message names the layer's operation.
    """
    given: list[Any] = list(input_size) if isinstance(input_size, (tuple, list)) else [None]
    sizes: list[Size] = [tuple(s) if isinstance(s, (tuple, list)) else (s,) for s in given]
    if given and all(isinstance(size, int) for size in given):
        sizes = [tuple(given)]
    if not sizes or any(not isinstance(n, int) or n < 1 for size in sizes for n in size):
        raise ValueError(
            f"summary: input_size must be a shape such as (1, 32, 32) or a list of them, got {input_size!r}"
        )
    rows: list[LayerRow] = []
    seen: set[int] = set()
    names = {id(module): name for name, module in model.named_modules()}

    def note(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        own = [p for p in module.parameters() if id(p) not in seen]
        seen.update(map(id, own))
        shape = output.shape[1:] if isinstance(output, Tensor) else ()
        name = names[id(module)] or type(module).__name__
        trainable = sum(p.numel() for p in own if p.requires_grad)
        rows.append(LayerRow(name, type(module).__name__, tuple(shape), sum(p.numel() for p in own), trainable))

    first = next(model.parameters(), zeros(0, device=device))
    kinds = _types(dtypes, len(sizes), first.dtype)
    handles = [m.register_forward_hook(note) for m in model.modules() if not list(m.children())]
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            model(*(zeros(2, *s, dtype=kind, device=first.device) for s, kind in zip(sizes, kinds, strict=True)))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    parameters = [p for p in model.parameters() if not is_lazy(p)]  # a lazy layer that did not run has none yet
    total = sum(p.numel() for p in parameters)
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    input_bytes = sum(math.prod(size) * kind.itemsize for size, kind in zip(sizes, kinds, strict=True))
    result = Summary(rows, sizes, total, trainable, batch_size, first.dtype.itemsize, input_bytes)
    if verbose:
        print(result)
    return result


def _types(dtypes: Any, count: int, default: np.dtype[Any]) -> list[np.dtype[Any]]:
    """The type of each of `count` inputs."""
    given = list(dtypes) if isinstance(dtypes, (tuple, list)) else [dtypes] * count
    if len(given) != count:
        raise ValueError(f"summary: {len(given)} dtypes for {count} inputs; give one for each, or one for all")
    try:
        return [default if kind is None else zeros(0).type(kind).dtype for kind in given]
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"summary: dtypes must be types such as minicnn.int64, got {shown(dtypes)}") from None
