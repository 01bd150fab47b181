"""`diagnose`: what is wrong with a layer. Mistakes are made on purpose, until one gives the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import shown

from ..nn import functional as F
from ..tensor import Tensor, array_of
from .mistakes import MISTAKES, RESULTS, Arrays, Call, another_mask, common, common_results

NAMES = ("x", "w", "b")  # of the inputs that have gradients, in the order of the function's arguments
_SEED = 20_777_216  # of upstream gradients; if x came from the same seed, gy = x would hide mistakes
_CLOSE = 1e-6  # of the largest number: gradients are the same; float64 leaves room for other orders of sums


@dataclass(frozen=True)
class Finding:
    """What is known about a gradient, or about a result.

    Attributes:
        input: "x", "w" or "b", whose gradient it is; or the name of a result, "y" or another.
        error: the largest difference from the right gradient, relative to its largest number.
        where: the place of that difference.
        got, right: the numbers there.
        mistakes: (name, remedy) of the mistakes that give exactly these numbers, the likeliest first; empty if all is
            right, or if none does.
        is_gradient: whether it is a gradient, not a result.
    """

    input: str
    error: float
    where: tuple[int, ...]
    got: float
    right: float
    mistakes: tuple[tuple[str, str], ...] = ()
    is_gradient: bool = True

    @property
    def name(self) -> str:
        """ "gx" for the gradient of x; "y" for a result."""
        return f"g{self.input}" if self.is_gradient else self.input

    @property
    def ok(self) -> bool:
        """Whether it is right."""
        return self.error <= _CLOSE

    def __str__(self) -> str:
        if self.ok:
            return f"{self.name}: right"
        if self.mistakes and np.isnan(self.got) and np.isnan(self.right):  # no place: the shape, the last one, is wrong
            (name, remedy), *others = self.mistakes
            return f"{self.name}: {name}. Remedy: {remedy}." + (f" ({others[-1][0]})" if others else "")
        place = list(self.where) if self.where else ""
        text = f"{self.name}{place} is {self.got:.6g} and must be {self.right:.6g}"
        if not self.mistakes:
            return f"{text}; no known mistake gives {'this gradient' if self.is_gradient else 'this result'}"
        name, remedy = self.mistakes[0]
        text += f": {name}. Remedy: {remedy}."
        if len(self.mistakes) > 1:
            text += f" (The same numbers would come from: {'; '.join(name for name, _ in self.mistakes[1:])}.)"
        return text


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found. Printed, it is a line for each gradient.

    Attributes:
        op: the operation that the function is compared with.
        forward: what is wrong with the result, or None.
        findings: one for each gradient; empty if the result is wrong.
    """

    op: str
    forward: str | None
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the result and all gradients are right."""
        return self.forward is None and all(finding.ok for finding in self.findings)

    def __str__(self) -> str:
        lines = [f"forward: {self.forward}"] if self.forward else [str(finding) for finding in self.findings]
        return "\n".join([self.op, *[f"  {line}" for line in lines]])

    __repr__ = __str__


def diagnose(
    func: Callable[..., Tensor], inputs: Tensor | Sequence[Tensor], like: str | None = None, *, grad: Any = None,
    **options: Any,
) -> Diagnosis:  # fmt: skip
    """Compare a function of your own with the library's, forward and backward, and name the mistake.

        class MyRelu(minicnn.autograd.Function): ...

        print(diagnose(MyRelu.apply, minicnn.randn(4, 5)))
        # relu
        #   gx[0, 2] is 0 and must be -0.31: the mask is that of gy ... Remedy: take gy where x > 0.

        diagnose(lambda x, w, b: my_conv(x, w, b, stride=2), (x, w, b), "conv2d", stride=2)

    Everything is done in float64, with a random upstream gradient: one of ones would hide mistakes.

    Args:
        func: takes the inputs and returns a tensor, whose `backward` is checked.
        inputs: x; or x, w and b, as the operation has them. Take small ones, with no size twice: two axes of equal size
            can be swapped without an error.
        like: the operation: conv2d, linear, relu, tanh, sigmoid, max_pool2d, avg_pool2d, batch_norm (in training),
            softmax (over axis 1), cross_entropy, conv_transpose2d, or dropout with the options mask (what is kept) and
            p. None: the one that gives the same result, with these options.
        grad: the upstream gradient; None for a random one.
        options: of the operation, by name: stride, padding, kernel_size, target ...

    Raises:
        ValueError: the operation is not known, or none gives the result of `func`.
        TypeError: an input is not a tensor.

    >>> from minicnn.explain import diagnose
    >>> class MyRelu(minicnn.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x.clamp(min=0)
    ...
    ...     @staticmethod
    ...     def backward(ctx, gy):
    ...         return gy  # forgets the mask
    >>> found = diagnose(MyRelu.apply, minicnn.tensor([[1., -2.], [-3., 4.], [5., -6.]]), "relu")
    >>> found.ok, found.findings[0].mistakes[0]
    (False, ('there is no mask', 'take gy where x > 0, else 0'))
    """
    given: list[Any] = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    for tensor in given:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"diagnose: the inputs must be tensors, got {shown(tensor)}")
    if like is not None and like not in MISTAKES:
        raise ValueError(f"diagnose: like must be one of {', '.join(MISTAKES)}, got {like!r}")
    leaves = [_leaf(tensor) for tensor in given]
    y = func(*leaves)
    op = like or _op_of(y, leaves, options)
    own = [_leaf(tensor) for tensor in given]
    expected = _run(op, own, options)
    got, right = array_of(y), array_of(expected)
    if _difference(got, right):
        arrays = {name: array_of(leaf) for name, leaf in zip(NAMES, own, strict=False)}
        (finding,) = compare_results(op, arrays, {"y": right}, {"y": got}, **options)
        return Diagnosis(op, f"{str(finding).removesuffix('.')}; mend the forward pass first", ())
    rng = np.random.default_rng(_SEED)
    gy = rng.standard_normal(tuple(y.shape)) if grad is None else array_of(grad).astype(np.float64)
    y.backward(y.new_tensor(gy))
    grads = {
        name: None if leaf.grad is None else array_of(leaf.grad) for name, leaf in zip(NAMES, leaves, strict=False)
    }
    return Diagnosis(op, None, compare(op, [leaf.detach() for leaf in own], gy, grads, **options))


def compare(
    op: str, inputs: Sequence[Tensor], gy: Array, got: dict[str, Array | None], **options: Any
) -> tuple[Finding, ...]:  # fmt: skip
    """`diagnose` of gradients that are there as arrays, by the names x, w and b; None counts as zero.

    >>> from minicnn.explain import compare
    >>> x, gy = minicnn.tensor([[1., -2.]], dtype=minicnn.float64), np.array([[3.0, 4.0]])
    >>> (found,) = compare("relu", [x], gy, {"x": gy})
    >>> found.ok, found.mistakes[0]
    (False, ('the mask is that of gy: where the upstream gradient is positive', 'take gy where x > 0'))
    """
    right = _gradients(op, inputs, gy, options)
    ones = _gradients(op, inputs, np.ones_like(gy), options)
    arrays = {name: array_of(tensor) for name, tensor in zip(NAMES, inputs, strict=False)}
    plain = {name: array_of(value) if isinstance(value, Tensor) else value for name, value in options.items()}
    call = Call(arrays, plain, array_of(_run(op, inputs, options)), gy, right)
    return tuple(_finding(call, op, name, got.get(name), ones) for name in right)


def compare_results(op: str, inputs: Arrays, right: Arrays, got: Arrays, **options: Any) -> tuple[Finding, ...]:
    """Name the mistakes in results, all of them arrays by their names.

        compare_results("conv2d", {"x": x, "w": w}, {"y": y}, {"y": mine}, stride=2)

    Args:
        op: the operation: one of those of `diagnose`, or unfold (im2col), fold (col2im), sgd, adam, initial_scale.
        inputs: x, w, b; for an optimiser x, g and its buffers, before the step.
        right: the right results: y; for batch_norm also running_mean and running_var; for an optimiser x and its
            buffers after the step.
        got: the results that are compared with them.
        options: of the operation, by name.

    >>> from minicnn.explain import compare_results
    >>> x = np.array([[1.0, -2.0, 3.0]])
    >>> found = compare_results("relu", {"x": x}, {"y": np.maximum(x, 0)}, {"y": np.abs(x)})
    >>> found[0].where, found[0].got, found[0].right
    ((0, 1), 2.0, 0.0)
    """
    plain = {name: array_of(value) if isinstance(value, Tensor) else value for name, value in options.items()}
    call = Call(inputs, plain, right.get("y", np.zeros(())), np.zeros(()), right)
    found = []
    for name, expected in right.items():
        own = array_of(got[name]).astype(np.float64)
        if own.shape == expected.shape:
            error, where = _largest(own, expected)
            values = (float(own[where]) + 0.0, float(expected[where]) + 0.0) if own.size else (0.0, 0.0)
        else:
            error, where, values = np.inf, (), (np.nan, np.nan)
        named = () if error <= _CLOSE else tuple(named_results(call, op, name, own))
        if own.shape != expected.shape:
            text = f"the result has the shape {own.shape} and must have {expected.shape}"
            named = (*named, (text, "check the size of the result")) if named else ((text, "check its size"),)
        found.append(Finding(name, error, where, *values, named, False))
    return tuple(found)


def named_results(call: Call, op: str, name: str, got: Array) -> Iterator[tuple[str, str]]:
    """(name, remedy) of the mistakes that give this result."""
    with np.errstate(all="ignore"):
        for mistake in RESULTS.get(op, {}).get(name, []):
            result = mistake.gradient(call)
            if result is not None and same_numbers(got, result, call.right[name]):
                yield mistake.name, mistake.remedy
        for text, remedy, result in common_results(call, name):
            if same_numbers(got, result, call.right[name]):
                yield text, remedy


def same_numbers(found: Array, wrong: Array, right: Array) -> bool:
    """Whether a mistake gives what was found, and that is not right."""
    if found.shape != wrong.shape or _largest(found, wrong)[0] > _CLOSE:
        return False
    return wrong.shape != right.shape or _largest(right, wrong)[0] > _CLOSE


def _finding(call: Call, op: str, name: str, got: Array | None, ones: Arrays) -> Finding:
    right = call.right[name]
    found = np.zeros_like(right) if got is None else array_of(got).astype(np.float64)
    if found.shape != right.shape:
        text = f"its shape is {found.shape}, that of {name} is {right.shape}"
        return Finding(name, np.inf, (), np.nan, np.nan, ((text, "a gradient has the shape of its input"),))
    error, where = _largest(found, right)
    at = (float(found[where]) + 0.0, float(right[where]) + 0.0) if found.size else (0.0, 0.0)  # + 0.0: no -0
    if error <= _CLOSE:
        return Finding(name, error, where, *at)
    named: list[tuple[str, str]] = []
    with np.errstate(all="ignore"):
        for mistake in MISTAKES[op].get(name, []):
            gradient = mistake.gradient(call)
            if gradient is not None and _same(found, gradient, right):
                named.append((mistake.name, mistake.remedy))
        for text, remedy, gradient in common(call, name, ones):
            if _same(found, gradient, right):
                named.append((text, remedy))
    if op == "dropout" and not named and (other := another_mask(call, found)) is not None:
        named.append(other)
    return Finding(name, error, where, *at, tuple(named))


def _same(found: Array, gradient: Array, right: Array) -> bool:
    """Whether a mistake gives what was found. One that gives the right gradient here explains nothing."""
    return gradient.shape == right.shape and same_numbers(found, gradient, right)


def _largest(a: Array, b: Array) -> tuple[float, tuple[int, ...]]:
    """The largest difference, relative to the largest number of b (or of a, if b is all zero), and its place."""
    if not a.size:
        return 0.0, ()
    with np.errstate(invalid="ignore"):  # Inf - Inf
        difference = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    difference = np.where(np.isnan(difference), np.inf, difference)
    where = tuple(int(k) for k in np.unravel_index(int(difference.argmax()), a.shape))
    scale = _size(b) or _size(a) or 1.0
    return float(difference[where]) / scale, where


def _size(a: Array) -> float:
    return float(np.abs(a[np.isfinite(a)]).max(initial=0))


def _difference(y: Array, expected: Array) -> bool:
    """Whether a result is wrong."""
    return y.shape != expected.shape or _largest(y, expected)[0] > _CLOSE


# ----------------------------------------------------------------------------------------------------- the library's op


def _leaf(tensor: Tensor) -> Tensor:
    """A copy in float64 that gets a gradient."""
    return tensor.detach().double().clone().requires_grad_()


def _run(op: str, inputs: Sequence[Tensor], options: dict[str, Any]) -> Tensor:
    """The operation of the library."""
    if op == "batch_norm":
        vectors = [*inputs[1:], None, None]
        return F.batch_norm(inputs[0], None, None, vectors[0], vectors[1], training=True, **options)
    if op == "softmax":
        return F.softmax(inputs[0], 1)
    if op == "dropout":
        mask = inputs[0].new_tensor(array_of(options["mask"]).astype(float))
        return inputs[0] * (mask / (1 - options["p"])) if options.get("training", True) else inputs[0].clone()
    found: Tensor = getattr(F, op)(*inputs, **options)
    return found


def _gradients(op: str, inputs: Sequence[Tensor], gy: Array, options: dict[str, Any]) -> Arrays:
    leaves = [_leaf(tensor) for tensor in inputs]
    y = _run(op, leaves, options)
    y.backward(y.new_tensor(gy))
    return {name: array_of(leaf.grad) for name, leaf in zip(NAMES, leaves, strict=False) if leaf.grad is not None}


def _op_of(y: Tensor, leaves: list[Tensor], options: dict[str, Any]) -> str:
    """The operation that gives the same result."""
    for op in MISTAKES:
        try:
            expected = _run(op, [leaf.detach() for leaf in leaves], options)
        except (TypeError, ValueError, RuntimeError, KeyError):  # it does not take these inputs
            continue
        if not _difference(array_of(y), array_of(expected)):
            return op
    raise ValueError(
        f"diagnose: none of {', '.join(MISTAKES)} gives this result with the options {options or 'that were given'}; "
        "say which one it should be, as like='conv2d', with its options"
    )
