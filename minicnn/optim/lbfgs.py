"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import host, on_device_of, xp

from ..autograd import enable_grad
from ..tensor import Array, Tensor
from .first_order import number
from .optimizer import Optimizer, Params

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """A quasi-Newton method: x <- x - t H g, where H approximates the inverse Hessian from the last changes of x and g.

    s_i and y_i are the changes of x and g in the last `history_size` iterations, r_i = 1 / <y_i, s_i>. H g is computed
    from the last pair to the first and back (J. Nocedal, "Updating quasi-Newton matrices with limited storage", Math.
    Comp. 35, 1980, https://doi.org/10.1090/S0025-5718-1980-0572855-7):

        q <- g;    a_i = r_i <s_i, q>,   q <- q - a_i y_i                   last to first
        q <- <s, y> / <y, y> q           of the last pair
        b_i = r_i <y_i, q>,   q <- q + (a_i - b_i) s_i                      first to last

    The length t is `lr`, in the very first iteration min(1, 1 / sum |g|) * lr; a line search with the strong Wolfe
    conditions starts from it. One `step` has up to `max_iter` iterations, which call the closure to compute loss
    and gradients again. So L-BFGS needs a loss that is the same in every call, without random batches. Its numbers are
    compared in Python, so on a GPU the program waits several times in each iteration.

    Args:
        params: tensors, in one group.
        lr: the length of an iteration.
        max_iter: iterations per step.
        max_eval: calls of the closure per step; max_iter * 5 // 4 by default.
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when no element of x changes by more, or the loss changes by less.
        history_size: the number of pairs to keep.
        line_search_fn: None or "strong_wolfe".

    Raises:
        ValueError: lr is negative, or there are several groups.

    >>> x = nn.Parameter(minicnn.tensor([5.0, -3.0]))
    >>> optimizer = minicnn.optim.LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((x - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> first_loss = optimizer.step(closure)
    >>> first_loss.item(), [round(value, 3) for value in x.tolist()]
    (32.0, [1.0, 1.0])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0:
            raise ValueError(f"Invalid learning rate: {lr}")
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Run the iterations, and return the result of the first call of `closure`.

        Raises:
            TypeError: there is no closure.
            RuntimeError: the line search is unknown.
        """
        if closure is None:
            raise TypeError("LBFGS.step: a closure is needed that computes the loss and its gradients, and returns it")
        if self.param_groups[0]["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        with enable_grad():
            first = closure()
        group = self.param_groups[0]
        state = self.state[
            group["params"][0]
        ]  # the state of all parameters is kept with the first, since a state dict has states of parameters only
        state["func_evals"] = state.get("func_evals", 0) + 1
        state.setdefault("n_iter", 0)
        with on_device_of(group["params"][0].array):
            g = self._gradient()
            if not _largest(g) <= group["tolerance_grad"]:
                with np.errstate(all="ignore"):
                    self._iterate(closure, group, state, float(first), g)
        return first

    def _iterate(self, closure: Callable[[], Any], group: dict[str, Any], state: Any, loss: float, g: Array) -> None:
        lr, tiny = number(group["lr"]), group["tolerance_change"]
        evaluations, iteration = 1, 0
        while iteration < group["max_iter"]:
            iteration += 1
            state["n_iter"] += 1
            begin = state["n_iter"] == 1
            d = _first(state, g) if begin else _direction(state, g, group["history_size"])
            state.update(d=Tensor(d), prev_flat_grad=Tensor(g), prev_loss=loss)
            t = state["t"] = float(min(1.0, 1.0 / _number(np.abs(g).sum())) * lr if begin else lr)
            slope = _dot(g, d)
            if slope > -tiny:
                break
            x, before, calls = self._parameters(), loss, 0

            def at(t: float, x: Array = x, d: Array = d) -> _Point:
                self._set(x + t * d)
                with enable_grad():
                    f = float(closure())
                found = self._gradient()
                return _Point(t, f, found, _dot(found, d))

            if group["line_search_fn"]:
                (t, loss, g, _), calls = _strong_wolfe(
                    at, t, _Point(0, loss, g, slope), _largest(d), group["max_eval"] - evaluations
                )
                state["t"] = t = float(t)
                self._set(x + t * d)
            elif iteration < group["max_iter"]:
                (_, loss, g, _), calls = at(t), 1
            else:  # the next step begins with this evaluation
                self._set(x + t * d)
            evaluations += calls
            state["func_evals"] += calls
            if (
                evaluations >= group["max_eval"]
                or _largest(g) <= group["tolerance_grad"]
                or _largest(t * d) <= tiny
                or abs(loss - before) < tiny
            ):
                break

    def _gradient(self) -> Array:
        """All gradients in one vector; zeros for a parameter without one."""
        params = self.param_groups[0]["params"]
        return np.concatenate(
            [xp(p.array).zeros(p.numel(), p.dtype) if p.grad is None else p.grad.array.ravel() for p in params]
        )

    def _parameters(self) -> Array:
        return np.concatenate([p.array.ravel() for p in self.param_groups[0]["params"]])

    def _set(self, x: Array) -> None:
        end = 0
        for p in self.param_groups[0]["params"]:
            begin, end = end, end + p.numel()
            p.detach().copy_(Tensor(x[begin:end].reshape(p.shape)))  # (elements) -> shape


def _number(x: Any) -> Any:
    """A number that was computed from an array; from a GPU it is fetched, for which the program waits."""
    return host(x)[()]


def _dot(a: Array, b: Array) -> Any:
    return _number(a @ b)


def _largest(a: Array) -> Any:
    return _number(np.abs(a).max())


def _first(state: dict[str, Any], g: Array) -> Array:
    """The first direction, without history: the negative gradient."""
    state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
    return -g


def _direction(state: dict[str, Any], g: Array, history_size: int) -> Array:
    """Add the last changes to the history, and multiply -g by the approximation of the inverse Hessian."""
    y = g - state["prev_flat_grad"].array
    s = state["d"].array * float(state["t"])
    ys = _dot(y, s)
    if ys > 1e-10:  # else the loss is not convex along s
        if len(state["old_dirs"]) == history_size:
            for name in ("old_dirs", "old_stps", "ro"):
                state[name].pop(0)
        state["old_dirs"].append(Tensor(y))
        state["old_stps"].append(Tensor(s))
        state["ro"].append(float(1.0 / ys))
        state["H_diag"] = float(ys / _dot(y, y))
    pairs = [(y.array, s.array, float(r)) for y, s, r in
             zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True)]  # fmt: skip
    q, weights = -g, []
    for y, s, r in reversed(pairs):
        weights.append(_dot(s, q) * r)
        q = q - weights[-1] * y
    q = q * float(state["H_diag"])
    for y, s, r in pairs:
        q = q + (weights.pop() - _dot(y, q) * r) * s
    return q


class _Point(NamedTuple):
    """A point on the line of a search: the length, the loss, the gradient, and its slope along the line."""

    t: float
    f: float
    g: Array
    slope: Any


def _strong_wolfe(
    at: Callable[[float], _Point], t: float, start: _Point, size: Any, evaluations: int, tiny: float = 1e-9
) -> tuple[_Point, int]:
    """A point with f <= f_0 + 1e-4 t f_0' (low enough) and |f'| <= 0.9 |f_0'| (flat enough), and the evaluations used.

    First the length grows until an interval must contain such a point; then cubic interpolation makes the interval
    smaller. J. Nocedal, S. Wright, "Numerical optimization", 2nd ed., 2006, algorithms 3.5 and 3.6.

    Args:
        at: evaluates the loss at a length.
        t: the first length to try.
        start: the point at length 0.
        size: the largest element of the direction; intervals shorter than tiny / size are not divided.
        evaluations: how many are allowed after the first.
    """

    def too_high(point: _Point) -> bool:
        return bool(point.f > start.f + 1e-4 * point.t * start.slope)

    def flat(point: _Point) -> bool:
        return bool(abs(point.slope) <= -0.9 * start.slope)

    before, new, used = start, at(t), 0
    bracket = [start, new]
    while used < evaluations:
        bracket = [before, new]
        if too_high(new) or (used > 1 and new.f >= before.f):
            break
        if flat(new):
            return new, used + 1
        if new.slope >= 0:
            break
        t = _lowest(before, new, (new.t + 0.01 * (new.t - before.t), new.t * 10))
        before, new = new, at(t)
        used += 1
        bracket = [start, new]  # in case there are no evaluations left
    low = 0 if bracket[0].f <= bracket[1].f else 1
    slow = False  # whether the previous point was near an end of the interval and stayed there
    while used < evaluations and abs(bracket[1].t - bracket[0].t) * size >= tiny:
        t = _lowest(bracket[0], bracket[1])
        left, right = sorted(point.t for point in bracket)
        margin = 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        away = near and (slow or t >= right or t <= left)
        if away:
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
        slow = near and not away
        new = at(t)
        used += 1
        if too_high(new) or new.f >= bracket[low].f:
            bracket[1 - low] = new
            low = 0 if bracket[0].f <= bracket[1].f else 1
            continue
        if flat(new):
            return new, used + 1
        if new.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = new
    return bracket[low], used + 1


def _lowest(a: _Point, b: _Point, bounds: tuple[float, float] | None = None) -> Any:
    """Where the cubic through two points with their slopes is lowest within the bounds; the middle if nowhere."""
    a, b = (a, b) if a.t <= b.t else (b, a)
    least, most = bounds or (a.t, b.t)
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2.0
    d2 = square**0.5
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, least), most)
