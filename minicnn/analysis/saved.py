"""What the tape keeps of a run for its backward pass, by rules instead of a run: on the meta device nothing is kept.

Each operation keeps what its gradient needs: a convolution its input (for the gradient of the weight), ReLU its output,
max pooling the place of each maximum, dropout and addition nothing. Arrays that two operations keep are in memory once,
and parameters are there anyway; both are counted so. A view keeps the whole array behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..ops.activation_functions import Activation, Relu, Sigmoid, Tanh
from ..ops.adaptive_pooling import MaxUnpool
from ..ops.batchnorm import BatchNormEvaluation, BatchNormTraining
from ..ops.conv import Convolution
from ..ops.conv_transpose import TransposedConvolution
from ..ops.linear import Linear
from ..ops.normalization import GroupNorm, LocalResponseNorm
from ..ops.pooling import MaxPool
from ..ops.slopes import PRelu, RandomRelu
from ..ops.softmax import LogSoftmax, Softmax
from ..ops.tensor.clamp import Where
from ..ops.tensor.elementwise import Elementwise
from ..ops.tensor.gather import Gather
from ..ops.tensor.indexing import Index, Put
from ..ops.tensor.linear_map import View
from ..ops.tensor.masks import MaskedFill
from ..ops.tensor.matmul import Matmul
from ..ops.tensor.max_min import Pick
from ..ops.tensor.reduction import Reduction
from .graph import Graph, Operation, Value

INT32, INT64 = 4, 8  # bytes of the places that pooling keeps, and of those of other functions


def kept(graph: Graph) -> dict[Operation, tuple[int, int]]:
    """Return, for each operation, the bytes that it keeps and no operation before it: of one image, and of none.

    The second number is of arrays whose size does not depend on the batch, such as the mean of a batch.
    """
    seen: set[int] = set()
    memory: dict[int, Value] = {}  # the value whose memory a view shows
    turned: set[int] = set()  # values whose order in memory is not that of their axes
    found: dict[Operation, tuple[int, int]] = {}
    for operation in graph.operations:
        _place(operation, memory, turned)
        per_image = constant = 0
        for part in _parts(operation) if any(v.wants_grad for v in operation.inputs) else ():
            nbytes, by_image = (part, operation.outputs[0].of_batch) if isinstance(part, int) else (0, False)
            if isinstance(part, Value):
                whole = memory.get(id(part), part)
                if id(whole) in seen or whole.kind in ("parameter", "buffer"):
                    continue
                seen.add(id(whole))
                nbytes, by_image = whole.nbytes, whole.of_batch and not _is_of_batch(whole)
            elif isinstance(part, tuple):
                nbytes = part[0]
            per_image, constant = (per_image + nbytes, constant) if by_image else (per_image, constant + nbytes)
        found[operation] = per_image // graph.batch, constant
    return found


def _is_of_batch(value: Value) -> bool:
    """Return whether a value is a mean or variance over the batch."""
    made = value.producer
    return made is not None and made.function is BatchNormTraining and value is not made.outputs[0]


def _place(operation: Operation, memory: dict[int, Value], turned: set[int]) -> None:
    """Note whose memory the outputs of a view show. A reshape of a permuted array is a copy."""
    if operation.function is None and operation.name != "identity":
        return
    if operation.function is not None and not operation.function.view:
        return
    source = operation.inputs[0]
    if operation.function is View and operation.name == "reshape" and id(source) in turned:
        return
    for output in operation.outputs:
        memory[id(output)] = memory.get(id(source), source)
        if operation.name == "permute" or id(source) in turned:
            turned.add(id(output))


def _parts(operation: Operation) -> Iterator[Value | int | tuple[int]]:
    """Iterate over what an operation keeps: tensors, bytes that grow with the batch, and (bytes,) that do not."""
    function, inputs, outputs = operation.function, operation.inputs, operation.outputs
    y = outputs[0]
    if function in (Convolution, TransposedConvolution):
        if inputs[1].wants_grad:
            yield inputs[0]
        if inputs[0].wants_grad:
            yield inputs[1]
    elif function in (Linear, Matmul):
        yield from inputs[:2]
    elif function in (Relu, Tanh, Sigmoid, Softmax, LogSoftmax):
        yield y
    elif function in (Activation, PRelu):
        yield from inputs
    elif function is BatchNormTraining:
        yield inputs[0]
        yield outputs[1]
        yield (outputs[2].nbytes,)  # 1/sqrt(var + eps)
    elif function is BatchNormEvaluation:
        yield inputs[0]
        yield (2 * y.shape[1] * y.dtype.itemsize,)
    elif function is GroupNorm:
        yield from (inputs[0], outputs[1], outputs[2])
    elif function is LocalResponseNorm:
        yield inputs[0]
        yield y.nbytes
    elif function is MaxPool:
        yield y.size * INT32
    elif function is RandomRelu:
        yield y.nbytes
    elif function is Elementwise:
        yield from _of_row(operation)
    elif function is Reduction:
        row = operation.options["row"]
        if row.gradient:
            yield from ({"a": inputs[0], "y": y}[name] for name in row.needs if name in ("a", "y"))
    elif function in (Index, Gather, MaxUnpool):
        yield from inputs[1:]
    elif function in (Put, MaskedFill):
        yield from inputs[2:] if function is Put else inputs[1:2]
    elif function is Where:
        yield inputs[0]
    elif function is Pick:
        yield outputs[1].size * INT64


def _of_row(operation: Operation) -> Iterator[Value]:
    """Iterate over the operands, and the result, that the gradients of a row of functions need."""
    operands = operation.arguments
    needs = tuple(isinstance(a, Value) and a.wants_grad for a in operands)
    have = {**dict(zip("abc", operands, strict=False)), "y": operation.outputs[0]}
    for name in operation.options["row"].kept(needs):
        if isinstance(have.get(name), Value):
            yield have[name]
