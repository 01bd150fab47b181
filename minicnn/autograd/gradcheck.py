"""Checking gradients against finite differences.

For y = f(x), the backward pass should compute J^T v, where J[j, i] = dy_j/dx_i and v is the upstream gradient.
Central differences give the columns of J without the backward pass, with an error of about eps^2 plus rounding/eps:

    J[:, i] = (f(x + eps e_i) - f(x - eps e_i)) / (2 eps)

The check is reliable for three reasons: it is for float64 (in float32 no eps gives more than four digits); v is random
(with v = 1 a softmax whose backward returns zero would pass, since its rows sum to 1); and it checks every input.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels.arrays import beside, host, on_device_of

from ..tensor import Array, Tensor
from .backpropagation import grad
from .modes import enable_grad
from .modes import no_grad as no_grad  # part of the module since version 0.1.0

FULL = 256  # inputs of up to this many elements are perturbed one by one, larger ones in random directions
DIRECTIONS = 4


class GradcheckError(RuntimeError):
    """A gradient differs from the finite difference."""


def gradcheck(
    func: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Check that the gradients of `func` at `inputs` agree with those that finite differences give.

    An input of up to 256 elements is perturbed element by element. If the output is as small, the whole Jacobian is
    compared, else its product with random upstream gradients. A larger input is moved in random directions, all
    elements at once; if that fails, the direction is halved until one wrong element is left. `fast_mode=True` does this
    for every input. A numerical value n and an analytical value a agree if |n - a| <= atol + rtol*|n|.

    Args:
        func: takes the inputs and returns a tensor or several. It must give the same result at each call: fix the seed
            of a dropout. Inputs that it uses without taking them, as a layer its parameters, are checked too:
            `gradcheck(lambda x, *parameters: layer(x), (x, *layer.parameters()))`.
        inputs: tensors, and anything else that func takes. Those that require a gradient are checked; they should be
            float64, and for others there is a warning: with large eps and atol their check may still be of use.
        eps: the step. About 1e-5 gives the most digits for smooth functions.
        atol, rtol: the tolerances. With eps=1e-5, atol=1e-8 and rtol=1e-6 find errors that the defaults let pass.
        raise_exception: raise on failure instead of returning False.
        nondet_tol: how far two backward passes at the same point may differ.
        check_undefined_grad, check_grad_dtypes, check_backward_ad: always done (shapes and types of gradients, outputs
            without an upstream gradient).
        check_batched_grad, check_batched_forward_grad, check_forward_ad, masked: not supported.

    Returns:
        True; or False on failure if `raise_exception` is False.

    Raises:
        GradcheckError: a gradient is wrong; the message names the input, the cell and both values.
        ValueError: no input requires a gradient.
        AssertionError: the shape or type of an output depends on the values of the inputs.

    >>> x = minicnn.tensor([0.5, 2.0], dtype=minicnn.float64, requires_grad=True)
    >>> minicnn.autograd.gradcheck(lambda x: (x**3).sum(), (x,))
    True
    """
    if check_batched_grad or check_batched_forward_grad or check_forward_ad or masked:
        raise NotImplementedError("gradcheck: batched gradients, forward-mode gradients and masks are not supported")
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    numbers = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not numbers:
        raise ValueError(
            "gradcheck: no input requires a gradient, and gradcheck expects at least one input tensor to require "
            "gradient; pass float64 tensors with requires_grad=True"
        )
    for i in numbers:
        if given[i].dtype != np.float64:
            warnings.warn(
                f"gradcheck: Input #{i} requires gradient and is not a double precision floating point tensor, but "
                f"{given[i].dtype}; finite differences need float64, so the check will likely fail: use .double()",
                stacklevel=2,
            )
    try:
        check = _Check(func, given, eps, atol, rtol)
        if not check.kept:
            check.constant(numbers)
            return True
        check.repeats(numbers, nondet_tol)
        for i in numbers:
            check.input(i, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Check that the gradients of the gradients of `func` agree with those that finite differences give.

    It is `gradcheck` of the function that takes the inputs and the upstream gradients, and returns the gradients.

    Args:
        func, inputs, eps, atol, rtol, raise_exception, nondet_tol, fast_mode: as in `gradcheck`.
        grad_outputs: the upstream gradients; by default random ones, which are checked as inputs.
        gen_non_contig_grad_outputs: make these lie in memory with gaps.
        check_undefined_grad, check_grad_dtypes, check_rev_over_rev: as always done.
        check_batched_grad, check_fwd_over_rev, masked: not supported.

    Raises:
        GradcheckError: a gradient of a gradient is wrong.

    >>> x = minicnn.tensor([0.5, 2.0], dtype=minicnn.float64, requires_grad=True)
    >>> minicnn.autograd.gradgradcheck(lambda x: x**3, (x,))
    True
    """
    if check_batched_grad or check_fwd_over_rev or masked:
        raise NotImplementedError(
            "gradgradcheck: batched gradients, forward-mode gradients and masks are not supported"
        )
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    numbers = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    outputs = func(*given)
    several = [y for y in ([outputs] if isinstance(outputs, Tensor) else outputs) if y.requires_grad]
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        ups = [_drawn(rng, y, gen_non_contig_grad_outputs) for y in several]
    else:
        ups = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)

    def gradients(*args: Any) -> list[Tensor]:
        points = [a.detach().requires_grad_() if i in numbers and not a.requires_grad else a
                  for i, a in enumerate(args[: len(given)])]  # fmt: skip
        with enable_grad():
            results = func(*points)
            results = [y for y in ([results] if isinstance(results, Tensor) else results) if y.requires_grad]
            wanted = [points[i] for i in numbers]
            found = grad(results, wanted, args[len(given) :], create_graph=True, allow_unused=True)
        none = args[len(given)].sum() * 0  # a gradient that depends on nothing, such as that of `floor`
        return [gx if gx.requires_grad else gx + none for gx in found if gx is not None]

    tolerances: dict[str, Any] = {"eps": eps, "atol": atol, "rtol": rtol, "raise_exception": raise_exception}
    return gradcheck(gradients, [*given, *ups], **tolerances, nondet_tol=nondet_tol, fast_mode=fast_mode)


def _drawn(rng: np.random.Generator, y: Tensor, gaps: bool) -> Tensor:
    """Return a random upstream gradient of a result."""
    values = rng.standard_normal((*y.shape, 2))[..., 0] if gaps else rng.standard_normal(y.shape)
    return Tensor(beside(np.asarray(values, y.dtype), y.array), requires_grad=True)


class _Check:
    """The check of one function at one point: the graph of its forward pass, and random upstream gradients."""

    def __init__(self, func: Any, inputs: list[Any], eps: float, atol: float, rtol: float) -> None:
        self.func, self.eps, self.atol, self.rtol = func, eps, atol, rtol
        self.inputs = [Tensor(x.array, x.requires_grad) if isinstance(x, Tensor) else x for x in inputs]
        self.rng = np.random.default_rng(0)
        outputs = func(*self.inputs)
        self.all = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        self.outputs = [y for y in self.all if y.requires_grad]
        self.kept = [i for i, y in enumerate(self.all) if y.requires_grad]
        self.own: set[int] = set()
        if self.kept:
            self._take_own(inputs)

    def _take_own(self, given: list[Any]) -> None:
        """Find inputs that `func` uses without taking them, as a layer its parameters; these are changed in place."""
        numbers = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
        both = [self.inputs[i] for i in numbers] + [given[i] for i in numbers]
        ups = [y.detach() for y in self.outputs]  # any upstream gradient shows what is used
        found = grad(self.outputs, both, ups, retain_graph=True, allow_unused=True)
        for i, taken, used in zip(numbers, found, found[len(numbers) :], strict=False):
            if taken is None and used is not None:
                self.inputs[i] = given[i]
                self.own.add(i)

    def analytical(self, i: int, upstream: list[Array]) -> Array:
        """Return J^T v for input i, from the backward pass."""
        x = self.inputs[i]
        ups = [Tensor(v).to(y.device) for v, y in zip(upstream, self.outputs, strict=True)]
        (found,) = grad(self.outputs, x, ups, retain_graph=True, allow_unused=True)
        if found is None:
            return np.zeros(x.shape)
        if found.dtype != x.dtype:
            raise GradcheckError(f"gradcheck: the gradient of input {i} is {found.dtype}, the input is {x.dtype}")
        return host(found.array)

    def numerical(self, i: int, direction: Array) -> list[Array]:
        """Return J d for input i by central differences, one array per output."""
        x, ends, own = self.inputs[i].array, [], i in self.own
        before = x.copy() if own else x
        for sign in (1, -1):
            moved = [Tensor(a.array, a.requires_grad) if isinstance(a, Tensor) else a for a in self.inputs]
            with on_device_of(x):
                there = (before + beside(sign * self.eps * direction, x)).astype(x.dtype, copy=False)
            try:
                if own:
                    x[...] = there
                else:
                    moved[i] = Tensor(there, self.inputs[i].requires_grad)
                outputs = self.func(*moved)  # recorded, as the function may look at requires_grad
            finally:
                if own:
                    x[...] = before
            outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
            self._same_form(outputs)
            kept = self.kept or range(len(outputs))  # all, where none has a gradient
            ends.append([np.asarray(host(outputs[k].array), np.float64) for k in kept])
        return [(plus - minus) / (2 * self.eps) for plus, minus in zip(*ends, strict=True)]

    def _same_form(self, outputs: list[Tensor]) -> None:
        """Check that shapes and types of the outputs do not depend on the values of the inputs."""
        for k, (there, here) in enumerate(zip(outputs, self.all, strict=True)):
            for what in ("shape", "dtype"):
                if getattr(there, what) != getattr(here, what):
                    raise AssertionError(
                        f"gradcheck: func should return outputs with the same {what} when inputs are perturbed, but "
                        f"output {k} has {getattr(here, what)} at the inputs and {getattr(there, what)} next to them"
                    )

    def constant(self, numbers: list[int]) -> None:
        """Check that the outputs, none of which has a gradient, do not depend on the inputs."""
        for i in numbers:
            for cell in range(self.inputs[i].numel()):
                unit = np.zeros(self.inputs[i].numel())
                unit[cell] = 1
                for k, moved in enumerate(self.numerical(i, unit.reshape(self.inputs[i].shape))):
                    if np.any(moved != 0):
                        raise GradcheckError(
                            "gradcheck: no output depends on an input that requires a gradient. Numerical gradient for "
                            f"function expected to be zero, but that of output {k} with respect to input {i} is not: "
                            "detach(), no_grad() or tensor(...) in the function cuts the graph"
                        )

    def random_upstream(self) -> list[Array]:
        """Return a random upstream gradient for each output."""
        return [self.rng.standard_normal(y.shape) for y in self.outputs]

    def agree(self, numerical: float, analytical: float, scale: float = 0.0) -> bool:
        """Return whether two values agree within the tolerances; NaN never does. `scale`: size of the summed terms."""
        return bool(abs(numerical - analytical) <= self.atol * max(1.0, scale) + self.rtol * abs(numerical))

    def repeats(self, numbers: list[int], tolerance: float) -> None:
        """Check that two backward passes over the same graph agree."""
        upstream = self.random_upstream()
        for i in numbers:
            first, second = self.analytical(i, upstream), self.analytical(i, upstream)
            if not np.all(np.abs(first - second) <= tolerance) and not np.array_equal(first, second, equal_nan=True):
                worst = float(np.abs(first - second).max())
                raise GradcheckError(
                    f"gradcheck: two backward passes differ by {worst:.3g} for input {i}: not deterministic. Backward "
                    "is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                    f"different values; fix the seed inside the function, or allow it by nondet_tol (now {tolerance:g})"
                )

    def input(self, i: int, fast: bool) -> None:
        """Check the gradient of input i."""
        size = self.inputs[i].numel()
        if size > FULL or fast:
            for _ in range(DIRECTIONS if size else 0):
                self.direction(i)
            return
        columns = []  # of J, one per element of the input
        for cell in range(size):
            unit = np.zeros(size)
            unit[cell] = 1
            columns.append(np.concatenate([d.ravel() for d in self.numerical(i, unit.reshape(self.inputs[i].shape))]))
        if not columns:
            return
        jacobian = np.stack(columns, 1)  # (outputs, inputs)
        if jacobian.shape[0] <= FULL:
            upstreams = list(np.eye(jacobian.shape[0]))
        else:
            upstreams = [np.concatenate([v.ravel() for v in self.random_upstream()]) for _ in range(DIRECTIONS)]
        for number, flat in enumerate(upstreams):
            found = self.analytical(i, self._split(flat)).ravel()
            expected = flat @ jacobian
            for cell in range(size):
                if not self.agree(expected[cell], found[cell]):
                    row = number if jacobian.shape[0] <= FULL else None
                    self._fail(i, cell, expected[cell], found[cell], row)

    def direction(self, i: int) -> None:
        """Compare <v, J d> with <J^T v, d> for a random v and d; if they differ, halve d until one element is left."""
        shape = self.inputs[i].shape
        upstream = self.random_upstream()
        gradient = self.analytical(i, upstream).ravel()
        direction = self.rng.standard_normal(gradient.size)
        blamed = np.arange(gradient.size)

        def both(cells: Array) -> tuple[float, float]:
            d = np.zeros(gradient.size)
            d[cells] = direction[cells]
            moved = self.numerical(i, d.reshape(shape))
            numerical = sum(float((v * m).sum()) for v, m in zip(upstream, moved, strict=True))
            return numerical, float(gradient[cells] @ direction[cells])

        if self.agree(*both(blamed), scale=blamed.size**0.5):
            return
        while blamed.size > 1:
            halves = np.array_split(blamed, 2)
            off = [abs(n - a) if np.isfinite(n - a) else np.inf for n, a in map(both, halves)]
            blamed = halves[int(np.argmax(off))]
        numerical, analytical = both(blamed)
        cell = int(blamed[0])
        self._fail(i, cell, numerical / direction[cell], analytical / direction[cell], None)

    def _split(self, flat: Array) -> list[Array]:
        """Split a flat upstream gradient into one array per output."""
        parts, start = [], 0
        for y in self.outputs:
            parts.append(flat[start : start + y.numel()].reshape(y.shape))
            start += y.numel()
        return parts

    def _fail(self, i: int, cell: int, numerical: float, analytical: float, row: int | None) -> None:
        where = tuple(int(k) for k in np.unravel_index(cell, self.inputs[i].shape)) if self.inputs[i].ndim else ()
        of, output = "a random combination of the outputs", self.kept[0]
        if row is not None:
            for k, y in enumerate(self.outputs):
                if row < y.numel():
                    at = tuple(int(j) for j in np.unravel_index(row, y.shape)) if y.ndim else ()
                    of, output = f"output {self.kept[k]} at {at}", self.kept[k]
                    break
                row -= y.numel()
        raise GradcheckError(
            f"gradcheck: the gradient of {of} with respect to input {i} is wrong at cell {where}: numerical "
            f"{numerical:.9g}, "
            f"analytical {analytical:.9g}, difference {abs(numerical - analytical):.3g} "
            f"(allowed: {self.atol:g} + {self.rtol:g} * |numerical|). Jacobian mismatch for output {output} with "
            f"respect to input {i}; minicnn.explain.diagnose names common mistakes"
        )
