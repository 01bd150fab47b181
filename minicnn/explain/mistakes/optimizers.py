"""Mistakes in a step of an optimiser: SGD with momentum, and Adam.

A call has the arrays before the step, x, g and the buffers (v; m and v), and the hyperparameters as `options`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from .base import Call, Mistake

SGD_DEFAULTS = {"lr": 1e-3, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}
ADAM_DEFAULTS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "t": 1}


class _SGD:
    """The names of the equations: x, g, v before the step; d, the gradient with weight decay; n, the new v."""

    def __init__(self, call: Call) -> None:
        o = SGD_DEFAULTS | call.options
        self.lr, self.mu, self.wd, self.nesterov = o["lr"], o["momentum"], o["weight_decay"], bool(o["nesterov"])
        self.x, self.g, self.v = (np.asarray(call.inputs[name], float) for name in ("x", "g", "v"))
        self.d = self.g + self.wd * self.x
        self.n = self.mu * self.v + self.d

    def x_of(self, d: Any, n: Any, x: Any = None) -> Array:
        """x after the step, from another gradient or momentum."""
        return np.asarray((self.x if x is None else x) - self.lr * (d + self.mu * n if self.nesterov else n))


def _sgd(change: Callable[[_SGD], Any]) -> Callable[[Call], Array | None]:
    def result(call: Call) -> Array | None:
        found = change(_SGD(call))
        return None if found is None else np.asarray(found)

    return result


def _velocity(
    name: str, remedy: str, v: Callable[[_SGD], Any], d: Callable[[_SGD], Any] | None = None
) -> tuple[Mistake, Mistake]:
    """A mistake in the momentum, which both x and v show."""
    return (
        Mistake(name, remedy, _sgd(lambda s: s.x_of(s.d if d is None else d(s), v(s)))),
        Mistake(name, remedy, _sgd(v)),
    )


_V, _X = "v <- momentum v + d", "x <- x - lr v; with Nesterov x <- x - lr (d + momentum v)"
_BOTH = [
    _velocity("the weight decay is left out", "d = g + weight_decay x", lambda s: s.mu * s.v + s.g, lambda s: s.g),
    _velocity("the weight decay has the wrong sign", "d = g + weight_decay x",
              lambda s: s.mu * s.v + s.g - s.wd * s.x, lambda s: s.g - s.wd * s.x),
    _velocity("the gradient is damped: (1 - momentum) d is added, not d", f"{_V}; PyTorch's dampening is 0",
              lambda s: s.mu * s.v + (1 - s.mu) * s.d),
    _velocity("the momentum multiplies the gradient, not the velocity", _V, lambda s: s.v + s.mu * s.d),
    _velocity("the velocity is not multiplied by the momentum", _V, lambda s: s.v + s.d),
    _velocity("the gradient is subtracted from the velocity", _V, lambda s: s.mu * s.v - s.d),
]  # fmt: skip
SGD_X = [
    Mistake("the step goes up the slope: the sign is wrong", _X, _sgd(lambda s: 2 * s.x - s.x_of(s.d, s.n))),
    Mistake("the step is taken without the velocity", _X, _sgd(lambda s: s.x - s.lr * s.d)),
    Mistake("the step is taken with the velocity of the step before", _X,
            _sgd(lambda s: None if s.nesterov else s.x - s.lr * s.v)),
    Mistake("Nesterov's momentum is left out", _X, _sgd(lambda s: s.x - s.lr * s.n)),
    Mistake("Nesterov's momentum is used although it is not asked for", _X,
            _sgd(lambda s: None if s.nesterov else s.x - s.lr * (s.d + s.mu * s.n))),
    Mistake("Nesterov's step lacks the gradient: lr momentum v", _X,
            _sgd(lambda s: s.x - s.lr * s.mu * s.n if s.nesterov else None)),
    Mistake("the weight decay shrinks x itself and is not in d (decoupled, as in AdamW)", "d = g + weight_decay x, "
            "which also enters the velocity",
            _sgd(lambda s: s.x_of(s.g, s.mu * s.v + s.g, s.x * (1 - s.lr * s.wd)))),
    *(pair[0] for pair in _BOTH),
    Mistake("the learning rate is missing", _X, _sgd(lambda s: s.x + (s.x_of(s.d, s.n) - s.x) / s.lr)),
    Mistake("the learning rate comes in twice: in the velocity and in the step", _X,
            _sgd(lambda s: s.x_of(s.lr * s.d, s.mu * s.v + s.lr * s.d))),
    Mistake("the learning rate is in the velocity: v <- momentum v + lr d, x <- x - v", f"{_V}; {_X}. With another lr "
            "in each step the two differ", _sgd(lambda s: s.x - (s.mu * s.v + s.lr * s.d))),
    Mistake("x does not change", _X, _sgd(lambda s: s.x)),
]  # fmt: skip
SGD_V = [
    Mistake("the velocity is not kept: the old one is returned", f"{_V}: return the new one", _sgd(lambda s: s.v)),
    Mistake("the velocity is the gradient alone", _V, _sgd(lambda s: s.d if s.mu else None)),
    *(pair[1] for pair in _BOTH),
    Mistake("the learning rate is in the velocity: v <- momentum v + lr d", f"{_V}, and lr in the step of x alone",
            _sgd(lambda s: s.mu * s.v + s.lr * s.d)),
    Mistake("the velocity is negative and has the learning rate: v <- momentum v - lr d, x <- x + v", f"{_V}; {_X}",
            _sgd(lambda s: s.mu * s.v - s.lr * s.d)),
    Mistake("Nesterov's sum is kept as the velocity", _V, _sgd(lambda s: s.d + s.mu * s.n if s.nesterov else None)),
    Mistake("the step of x is returned", "return the velocity itself", _sgd(lambda s: s.lr * s.n)),
]  # fmt: skip


class _Adam:
    """The names of the equations; m and v after the step."""

    def __init__(self, call: Call) -> None:
        o = ADAM_DEFAULTS | call.options
        self.lr, self.b1, self.b2, self.eps, self.t = (o[k] for k in ("lr", "beta1", "beta2", "eps", "t"))
        self.x, self.g, self.m0, self.v0 = (np.asarray(call.inputs[name], float) for name in ("x", "g", "m", "v"))
        self.m = self.b1 * self.m0 + (1 - self.b1) * self.g
        self.v = self.b2 * self.v0 + (1 - self.b2) * self.g**2

    def x_of(
        self, m: Any = None, v: Any = None, c1: Any = None, c2: Any = None, root: Callable[[Any], Any] | None = None,
        sign: float = 1.0,
    ) -> Array:  # fmt: skip
        """x after the step; c1 and c2 are the divisors of m and v."""
        m, v = self.m if m is None else m, self.v if v is None else v
        c1 = 1 - self.b1**self.t if c1 is None else c1
        c2 = 1 - self.b2**self.t if c2 is None else c2
        under = np.sqrt(v / c2) + self.eps if root is None else root(v / c2)
        return np.asarray(self.x - sign * self.lr * (m / c1) / under)

    def at(self, t: float) -> Array | None:
        """x with the corrections of another step number."""
        c1, c2 = 1 - self.b1**t, 1 - self.b2**t
        return self.x_of(c1=np.float64(c1), c2=np.float64(c2))


def _adam(change: Callable[[_Adam], Any]) -> Callable[[Call], Array | None]:
    def result(call: Call) -> Array | None:
        with np.errstate(all="ignore"):
            found = change(_Adam(call))
        return None if found is None else np.asarray(found)

    return result


_STEP = "x <- x - lr mhat / (sqrt(vhat) + eps), mhat = m / (1 - beta1^t), vhat = v / (1 - beta2^t)"
_M, _W = "m <- beta1 m + (1 - beta1) g", "v <- beta2 v + (1 - beta2) g^2"
ADAM_X = [
    Mistake("the bias correction is missing", _STEP, _adam(lambda s: s.x_of(c1=1.0, c2=1.0))),
    Mistake("the bias correction of v is missing", _STEP, _adam(lambda s: s.x_of(c2=1.0))),
    Mistake("the bias correction of m is missing", _STEP, _adam(lambda s: s.x_of(c1=1.0))),
    Mistake("the step number begins at 0: 1 - beta^(t - 1)", "t is 1 in the first step",
            _adam(lambda s: s.at(s.t - 1))),
    Mistake("the step number is one too large: 1 - beta^(t + 1)", "t is 1 in the first step, and is given",
            _adam(lambda s: s.at(s.t + 1))),
    Mistake("the bias correction does not depend on t: 1 - beta", _STEP, _adam(lambda s: s.at(1))),
    Mistake("the bias correction has beta t instead of beta^t", _STEP,
            _adam(lambda s: s.x_of(c1=1 - s.b1 * s.t, c2=1 - s.b2 * s.t))),
    Mistake("eps is inside the root", _STEP, _adam(lambda s: s.x_of(root=lambda v: np.sqrt(v + s.eps)))),
    Mistake("eps is missing", _STEP, _adam(lambda s: s.x_of(root=np.sqrt))),
    Mistake("the root of v is missing", _STEP, _adam(lambda s: s.x_of(root=lambda v: v + s.eps))),
    Mistake("m and v are swapped", _STEP, _adam(lambda s: s.x_of(m=s.v, v=s.m))),
    Mistake("the step is taken with m and v of the step before", _STEP, _adam(lambda s: s.x_of(m=s.m0, v=s.v0))),
    Mistake("the gradient is taken instead of m", _STEP, _adam(lambda s: s.x_of(m=s.g, c1=1.0))),
    Mistake("the step goes up the slope: the sign is wrong", _STEP, _adam(lambda s: s.x_of(sign=-1))),
    Mistake("beta1 and beta2 are swapped", f"{_M}; {_W}", _adam(
        lambda s: s.x_of(m=s.b2 * s.m0 + (1 - s.b2) * s.g, v=s.b1 * s.v0 + (1 - s.b1) * s.g**2,
                         c1=1 - s.b2**s.t, c2=1 - s.b1**s.t))),
    Mistake("v is a mean of g, not of its square", _W,
            _adam(lambda s: s.x_of(v=s.b2 * s.v0 + (1 - s.b2) * s.g))),
    Mistake("the factors 1 - beta are missing", f"{_M}; {_W}",
            _adam(lambda s: s.x_of(m=s.b1 * s.m0 + s.g, v=s.b2 * s.v0 + s.g**2))),
    Mistake("x does not change", _STEP, _adam(lambda s: s.x)),
]  # fmt: skip
ADAM_M = [
    Mistake("beta1 is at the wrong place: (1 - beta1) m + beta1 g", _M,
            _adam(lambda s: (1 - s.b1) * s.m0 + s.b1 * s.g)),
    Mistake("beta2 is taken instead of beta1", _M, _adam(lambda s: s.b2 * s.m0 + (1 - s.b2) * s.g)),
    Mistake("the factor 1 - beta1 is missing", _M, _adam(lambda s: s.b1 * s.m0 + s.g)),
    Mistake("the corrected mean is kept", "keep m itself; the correction is for the step of x only",
            _adam(lambda s: s.m / (1 - s.b1**s.t))),
    Mistake("the mean is not kept: the old one is returned", f"{_M}: return the new one", _adam(lambda s: s.m0)),
    Mistake("it is the mean of the square", _M, _adam(lambda s: s.b1 * s.m0 + (1 - s.b1) * s.g**2)),
    Mistake("m and v are returned in the wrong order", "return x, m, v", _adam(lambda s: s.v)),
]  # fmt: skip
ADAM_V = [
    Mistake("the square is missing: v is a mean of g", _W, _adam(lambda s: s.b2 * s.v0 + (1 - s.b2) * s.g)),
    Mistake("beta2 is at the wrong place: (1 - beta2) v + beta2 g^2", _W,
            _adam(lambda s: (1 - s.b2) * s.v0 + s.b2 * s.g**2)),
    Mistake("beta1 is taken instead of beta2", _W, _adam(lambda s: s.b1 * s.v0 + (1 - s.b1) * s.g**2)),
    Mistake("the factor 1 - beta2 is missing", _W, _adam(lambda s: s.b2 * s.v0 + s.g**2)),
    Mistake("the factor is squared, too: ((1 - beta2) g)^2", _W,
            _adam(lambda s: s.b2 * s.v0 + ((1 - s.b2) * s.g) ** 2)),
    Mistake("the square of m is taken, not that of g", _W, _adam(lambda s: s.b2 * s.v0 + (1 - s.b2) * s.m**2)),
    Mistake("the corrected mean is kept", "keep v itself; the correction is for the step of x only",
            _adam(lambda s: s.v / (1 - s.b2**s.t))),
    Mistake("the mean is not kept: the old one is returned", f"{_W}: return the new one", _adam(lambda s: s.v0)),
    Mistake("m and v are returned in the wrong order", "return x, m, v", _adam(lambda s: s.m)),
]  # fmt: skip
