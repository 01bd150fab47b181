"""Residual nets as an ensemble of paths: what is lost if blocks are left out.

A net of r residual blocks, each y = x + F(x), is a sum over 2^r paths: at each block the signal goes through F or
around it. Written out for two blocks,

    y = x + F1(x) + F2(x + F1(x))

If F1 is left out, the paths through it are gone and the other half stays. So a trained ResNet loses little without a
block, while a net without shortcuts has one path, and is lost. C(r, l) paths go through l of the blocks: most lengths
are near r/2.

A. Veit, M. Wilber, S. Belongie, "Residual networks behave like ensembles of relatively shallow networks", 2016,
https://arxiv.org/abs/1605.06431.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import ShapeError, shown, whole

from ..analysis.graph import Call, Operation, Value
from ..analysis.trace import trace
from ..nn import Highway, Module
from ..nn.module import check_module
from ..tensor import Tensor
from .samples import Data, batches, named, numbers


class ResidualBlock(NamedTuple):
    """A block that adds to its input.

    Attributes:
        name: the dotted name of the module.
        kind: its class.
        branch: the module whose output is added to the shortcut; without it, the block passes on its input. None if
            the block has no such module, as a highway block.
        same_shape: whether the result has the shape of the input. Otherwise the shortcut is a projection or padded.
    """

    name: str
    kind: str
    branch: str | None
    same_shape: bool


class DroppedBlock(NamedTuple):
    """A block, and the accuracy (0 to 1) of the net without it."""

    block: ResidualBlock
    accuracy: float


@dataclass(frozen=True, eq=False)
class Dropped:
    """What is left of the accuracy without blocks.

    Attributes:
        accuracy: of the whole net, from 0 to 1.
        blocks: each block, and the accuracy without it.
        together: n -> (trials,), the accuracies without n blocks that were drawn at random.
        images: how many images were classified.
    """

    accuracy: float
    blocks: list[DroppedBlock]
    together: dict[int, Array]
    images: int

    @property
    def paths(self) -> int:
        """2^r, the number of paths through r blocks."""
        return int(2 ** len(self.blocks))

    @property
    def lengths(self) -> list[int]:
        """How many of them go through 0, 1, ... r blocks; see `path_lengths`."""
        return path_lengths(len(self.blocks))

    def __str__(self) -> str:
        width = max([len(row.block.name) for row in self.blocks] + [14])
        lines = [f"{'the whole net':<{width}}  accuracy {self.accuracy:7.2%}   ({self.images:,} images)"]
        for block, accuracy in self.blocks:
            changed = "" if block.same_shape else "   the shape changes"
            lines.append(f"without {block.name:<{width - 8}}  accuracy {accuracy:7.2%}{changed}".rstrip())
        for n, found in self.together.items():
            lines.append(f"{f'without any {n}':<{width}}  accuracy {found.mean():7.2%}   (mean of {len(found)})")
        return "\n".join([*lines, f"{len(self.blocks)} blocks, {self.paths:,} paths"])


def path_lengths(blocks: int) -> list[int]:
    """C(r, l) for l = 0 ... r: how many of the 2^r paths through r residual blocks go through l of them.

    >>> from minicnn.explain import path_lengths
    >>> path_lengths(3)
    [1, 3, 3, 1]
    """
    blocks = whole(blocks, "path_lengths", "blocks", 0)
    return [math.comb(blocks, length) for length in range(blocks + 1)]


def residual_blocks(model: Module, input_size: Sequence[int]) -> list[ResidualBlock]:
    """Find the residual blocks of a net, in the order in which they are called.

    A block is a module with layers inside, whose forward adds once two tensors that come from the image: of these, the
    one with more layers behind it inside the block is the branch F, the other the shortcut. So the blocks are found in
    any net, whatever their classes are called. `nn.Highway` counts as one, too.

    Args:
        model: the net.
        input_size: (C, H, W) of an image. The net is run on shapes alone.

    Raises:
        ValueError, ShapeError: the net does not take such images.

    >>> from minicnn.explain import residual_blocks
    >>> blocks = residual_blocks(minicnn.models.resnet20(), (3, 32, 32))
    >>> len(blocks), blocks[3].name, blocks[3].branch, blocks[3].same_shape
    (9, 'layer2.0', 'layer2.0.bn2', False)
    """
    check_module("residual_blocks", model)
    graph = trace(model, tuple(input_size), op="residual_blocks")
    if graph.error is not None:
        raise graph.error
    found: dict[str, ResidualBlock] = {}
    for call in graph.root.calls:
        block = _block(call) if call.parent is not None and call.inputs else None
        if block is not None and block.name not in found:
            found[block.name] = block
    return list(found.values())


def _block(call: Call) -> ResidualBlock | None:
    """A call as a residual block, or None."""
    if isinstance(call.module, Highway):
        return ResidualBlock(call.name, call.kind, None, True)
    sums = [
        child for child in call.children
        if isinstance(child, Operation) and child.name == "add" and len(child.inputs) == 2
        and all(value.by_image and value.shape == child.outputs[0].shape for value in child.inputs)
    ]  # fmt: skip
    if len(sums) != 1 or not any(isinstance(child, Call) for child in call.children):
        return None
    inside = {id(operation) for operation in call.operations}
    behind = [_behind(value, inside) for value in sums[0].inputs]
    if behind[0] == behind[1]:
        return None
    branch, shortcut = sums[0].inputs if behind[0] > behind[1] else reversed(sums[0].inputs)
    makers = [child for child in call.children if isinstance(child, Call) and branch in child.outputs]
    same = call.inputs[0].shape == sums[0].outputs[0].shape
    if not makers and not (shortcut is call.inputs[0] and sums[0].outputs[0] in call.outputs):
        return None
    return ResidualBlock(call.name, call.kind, makers[-1].name if makers else None, same)


def _behind(value: Value, inside: set[int]) -> int:
    """How many operations with parameters, and then others, a tensor needed inside a block; the first count most."""
    seen: set[int] = set()
    todo, count = [value], 0
    while todo:
        producer = todo.pop().producer
        if producer is None or id(producer) not in inside or id(producer) in seen:
            continue
        seen.add(id(producer))
        count += 1 + 1000 * any(v.kind == "parameter" for v in producer.inputs)
        todo += producer.inputs
    return count


@contextmanager
def without(model: Module, blocks: Sequence[ResidualBlock]) -> Iterator[None]:
    """Inside the block, residual blocks of a net do nothing: their branch gives 0, or they give back their input."""
    modules = dict(model.named_modules())
    with ExitStack() as undo:
        for block in blocks:
            module = modules[block.name]
            if block.branch is None:
                undo.callback(module.register_forward_hook(_give_back).remove)
            else:
                inside: list[bool] = []  # the branch's last module may be used elsewhere, too
                undo.callback(module.register_forward_pre_hook(lambda *_, inside=inside: inside.append(True)).remove)
                after = module.register_forward_hook(lambda *_, inside=inside: inside.clear(), always_call=True)
                undo.callback(after.remove)
                undo.callback(modules[block.branch].register_forward_hook(_zero(inside)).remove)
        yield


def _zero(inside: list[bool]) -> Any:
    def hook(module: Module, args: Any, output: Tensor) -> Tensor | None:
        return output.new_zeros(output.shape) if inside else None

    return hook


def _give_back(module: Module, args: Any, output: Any) -> Any:
    given = args[0]
    if given.shape != output.shape:
        raise ShapeError(
            f"drop_blocks: a {type(module).__name__} makes {tuple(output.shape)} of {tuple(given.shape)}; a module "
            "without a shortcut can be left out only if the shape stays"
        )
    return given.clone()  # a later layer may write in place


def drop_blocks(
    model: Module, dataset: Data, blocks: Sequence[Module | str] | None = None, *, counts: Sequence[int] = (),
    trials: int = 5, seed: int = 0, progress: bool = False,
) -> Dropped:  # fmt: skip
    """Measure the accuracy of a net without each of its residual blocks, and without several at a time.

    Without a block, its shortcut stays: the input, or its projection where the shape changes. The net is then as it
    was, also after an error.

    Args:
        model: the net; its output is (N, K).
        dataset: of images and classes: a Dataset, a DataLoader, or a pair of tensors.
        blocks: the modules to be left out, or their names; None: all residual blocks. A module that is no residual
            block, as in a net without shortcuts, is replaced by its input, so its shape must stay.
        counts: how many blocks to leave out together, such as (2, 4, 8).
        trials: as many random choices of each count.
        seed: of these choices.
        progress: show how far it is, on stderr.

    Raises:
        ValueError: there are no residual blocks, no such module, no images, or not as many blocks as are to be dropped.
        TypeError: images have no classes.
        ShapeError: the output is not (N, K), or a module without a shortcut changes the shape.

    >>> from minicnn.explain import drop_blocks
    >>> data = minicnn.rand(8, 3, 32, 32), minicnn.zeros(8, dtype=minicnn.int64)
    >>> found = drop_blocks(minicnn.models.resnet20(), data)
    >>> found.images, len(found.blocks)
    (8, 9)
    """
    op = "drop_blocks"
    check_module(op, model)
    trials = whole(trials, op, "trials", 1)
    chosen = _chosen(op, model, dataset, blocks)
    for n in counts:
        if not 0 <= whole(n, op, "counts") <= len(chosen):
            raise ValueError(f"{op}: {n} blocks cannot be left out; there are {len(chosen)}")
    total, images = _accuracy(op, model, dataset, (), progress)
    alone = [DroppedBlock(block, _accuracy(op, model, dataset, (block,), progress)[0]) for block in chosen]
    rng = np.random.default_rng(seed)
    together = {}
    for n in counts:
        draws = [rng.choice(len(chosen), n, replace=False) for _ in range(trials)]
        found = [_accuracy(op, model, dataset, [chosen[i] for i in draw], progress)[0] for draw in draws]
        together[int(n)] = np.array(found)
    return Dropped(total, alone, together, images)


def _chosen(op: str, model: Module, dataset: Data, blocks: Any) -> list[ResidualBlock]:
    with batches(op, model, dataset, labels=True) as stream:
        size = tuple(next(stream).x.shape[1:])
    known = {block.name: block for block in residual_blocks(model, size)}
    if blocks is None:
        if not known:
            raise ValueError(
                f"{op}: {type(model).__name__} has no residual blocks; name modules whose shape stays: blocks=[...]"
            )
        return list(known.values())
    if isinstance(blocks, (str, Module)):
        raise TypeError(f"{op}: blocks must be several modules or names in a list, got {shown(blocks)}")
    return [
        known.get(name) or ResidualBlock(name, type(module).__name__, None, True)
        for name, module in named(op, model, blocks).items()
    ]


def _accuracy(
    op: str, model: Module, dataset: Data, dropped: Sequence[ResidualBlock], progress: bool
) -> tuple[float, int]:  # fmt: skip
    """The accuracy without blocks, and the number of images."""
    right = count = 0
    with without(model, dropped), batches(op, model, dataset, {"": model}, labels=True, progress=progress) as stream:
        for x, classes, outputs in stream:
            y = numbers(outputs[""])
            if y.ndim != 2 or len(y) != len(x) or classes is None:
                raise ShapeError(f"{op}: the output of the net must be (N, K), scores of K classes, got {y.shape}")
            right += int((y.argmax(1) == classes).sum())
            count += len(x)
    return right / count, count
