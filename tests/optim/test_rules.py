"""Every optimiser against its documented equations, written out in plain NumPy, number by number."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn_kernels.optimizers.pieces import BLOCK

Array = Any
Rule = Callable[..., tuple[Array, dict[str, Any]]]


def sgd(x, g, s, t, lr, momentum=0, dampening=0, nesterov=False):
    if momentum:
        b = s["b"] = g if t == 1 else momentum * s["b"] + (1 - dampening) * g
        g = g + momentum * b if nesterov else b
    return x - lr * g


def adam(x, g, s, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, amsgrad=False):
    m = s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    v = s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    if amsgrad:
        v = s["w"] = np.maximum(s.get("w", 0), v)
    return x - lr * m / (1 - betas[0] ** t) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def adamax(x, g, s, t, lr=2e-3, betas=(0.9, 0.999), eps=1e-8):
    m = s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    u = s["u"] = np.maximum(betas[1] * s.get("u", 0), np.abs(g) + eps)
    return x - lr * m / (1 - betas[0] ** t) / u


def nadam(x, g, s, t, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, momentum_decay=4e-3):
    def mu(n):
        return betas[0] * (1 - 0.96 ** (n * momentum_decay) / 2)

    m = s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    v = s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    product = np.prod([mu(n) for n in range(1, t + 1)])
    d = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
    return x - lr * d / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def radam(x, g, s, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    m = s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    v = s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    end = 2 / (1 - betas[1]) - 1
    rho = end - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
    d = m / (1 - betas[0] ** t)
    if rho > 5:
        r = sqrt((rho - 4) * (rho - 2) * end / ((end - 4) * (end - 2) * rho))
        d = d * r / ((np.sqrt(v) + eps) / sqrt(1 - betas[1] ** t))
    return x - lr * d


def rmsprop(x, g, s, t, lr=1e-2, alpha=0.99, eps=1e-8, momentum=0, centered=False):
    v = s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g**2
    a = s["a"] = alpha * s.get("a", 0) + (1 - alpha) * g if centered else 0
    b = s["b"] = momentum * s.get("b", 0) + g / (np.sqrt(v - a**2) + eps)
    return x - lr * b


def adagrad(x, g, s, t, lr=1e-2, lr_decay=0, initial_accumulator_value=0, eps=1e-10):
    total = s["s"] = s.get("s", initial_accumulator_value) + g**2
    return x - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps)


def adadelta(x, g, s, t, lr=1.0, rho=0.9, eps=1e-6):
    v = s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    u = s.get("u", 0)
    d = g * np.sqrt(u + eps) / np.sqrt(v + eps)
    s["u"] = rho * u + (1 - rho) * d**2
    return x - lr * d


def asgd(x, g, s, t, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6):
    eta, mu = s.get("eta", lr), s.get("mu", 1)
    x = (1 - lambd * eta) * x - eta * g
    s["ax"] = s.get("ax", x) + mu * (x - s.get("ax", x))
    s["eta"], s["mu"] = lr / (1 + lambd * lr * t) ** alpha, 1 / max(1, t - t0)
    return x


def rprop(x, g, s, t, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    agree = g * s.get("g", 0)
    size = s.get("size", lr) * np.where(agree > 0, etas[1], np.where(agree < 0, etas[0], 1))
    s["size"] = size = np.clip(size, *step_sizes)
    s["g"] = g = np.where(agree < 0, 0, g)
    return x - size * np.sign(g)


DECAY = [{}, {"weight_decay": 0.1, "maximize": True}]
DECOUPLED = [{"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}]
RULES: dict[str, tuple[Callable[..., Array], list[dict[str, Any]]]] = {
    "SGD": (sgd, [*DECAY, {"momentum": 0.9, "dampening": 0.3}, {"momentum": 0.9, "nesterov": True}]),
    "Adam": (adam, [*DECAY, *DECOUPLED, {"amsgrad": True, "betas": (0.5, 0.6), "eps": 0.1}]),
    "AdamW": (adam, [{"weight_decay": 0.1}]),
    "Adamax": (adamax, [*DECAY, {"betas": (0.5, 0.6), "eps": 0.1}]),
    "NAdam": (nadam, [*DECAY, *DECOUPLED, {"momentum_decay": 0.1, "betas": (0.5, 0.6)}]),
    "RAdam": (radam, [*DECAY, *DECOUPLED, {"betas": (0.5, 0.9), "eps": 0.1}]),
    "RMSprop": (rmsprop, [*DECAY, {"centered": True, "alpha": 0.5}, {"momentum": 0.9}]),
    "Adagrad": (adagrad, [*DECAY, {"lr_decay": 0.1, "initial_accumulator_value": 2.0}]),
    "Adadelta": (adadelta, [*DECAY, {"rho": 0.5, "eps": 0.1}]),
    "ASGD": (asgd, [*DECAY, {"lambd": 0.1, "alpha": 0.5, "t0": 7}]),
    "Rprop": (rprop, [{}, {"maximize": True}, {"etas": (0.3, 2), "step_sizes": (0.05, 0.2)}]),
}
CASES = [(name, options) for name, (_, rows) in RULES.items() for options in rows]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_update_rule(name: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    x, gradients = rng.standard_normal((3, 4)), rng.standard_normal((20, 3, 4))
    p, state = nn.Parameter(x.copy()), {}
    optimizer = getattr(optim, name)([p], lr=0.1, **options)
    for t, g in enumerate(gradients, 1):
        p.grad = minicnn.Tensor(g.copy())
        optimizer.step()
        assert np.array_equal(p.grad.numpy(), g)
        common = ("weight_decay", "maximize", "decoupled_weight_decay")
        own = {key: value for key, value in options.items() if key not in common}
        decay = options.get("weight_decay", 0)
        g = -g if options.get("maximize") else g
        if options.get("decoupled_weight_decay") or name == "AdamW":
            x = x * (1 - 0.1 * decay)
        else:
            g = g + decay * x
        x = RULES[name][0](x, g, state, t, 0.1, **own)
        # the states that PyTorch keeps in float32, NAdam's product and ASGD's rate, are rounded
        tolerance = 1e-6 if name in ("NAdam", "ASGD") else 1e-11
        np.testing.assert_allclose(p.detach().numpy(), x, tolerance, tolerance)
    if name == "ASGD":
        if "t0" not in options:  # before it, the mean is the parameter, exactly
            assert np.array_equal(optimizer.state[p]["ax"].numpy(), p.detach().numpy())
        np.testing.assert_allclose(optimizer.state[p]["ax"].numpy(), state["ax"], 1e-6, 1e-6)


@pytest.mark.parametrize("name", RULES)
def test_layout_and_length_do_not_matter(name: str) -> None:
    """Blocks of any length, arrays in any memory order, and float32 give the same numbers."""
    rng = np.random.default_rng(1)
    shape = (3, BLOCK // 8, 5)
    start, gradients = rng.standard_normal(shape), rng.standard_normal((4, *shape))

    def run(dtype: Any, arrange: Callable[[Array], Array], arrange_gradient: Callable[[Array], Array]) -> Array:
        p = nn.Parameter(arrange(start.astype(dtype)))
        options = {} if name == "Rprop" else {"weight_decay": 0.1, "maximize": True}
        optimizer = getattr(optim, name)([p], lr=0.01, **options)
        for g in gradients:
            p.grad = minicnn.Tensor(arrange_gradient(g.astype(dtype)))
            optimizer.step()
        assert p.dtype == dtype
        return p.detach().numpy()

    def transposed(a: Array) -> Array:
        return np.ascontiguousarray(a.T).T

    def sparse(a: Array) -> Array:
        return np.repeat(a, 2, axis=1)[:, ::2]

    plain = run(np.float64, np.copy, np.copy)
    for arrange, arrange_gradient in ((transposed, np.copy), (np.copy, transposed), (sparse, lambda a: a[::-1][::-1])):
        assert np.array_equal(run(np.float64, arrange, arrange_gradient), plain)
    np.testing.assert_allclose(run(np.float32, np.copy, np.copy), plain, 1e-3, 1e-5)


@pytest.mark.parametrize("name", RULES)
def test_edges(name: str) -> None:
    """Empty, 0-d and meta parameters, gradients of 0, NaN and infinity: no warning, and nothing but NaN spreads."""
    values = [np.zeros((0, 3)), np.array(1.0), np.ones(4)]
    params = [nn.Parameter(v) for v in values]
    meta = nn.Parameter(minicnn.Tensor(np.ones(2)).to("meta"))
    optimizer = getattr(optim, name)([*params, meta])
    for _ in range(2):
        meta.grad = minicnn.Tensor(np.ones(2)).to("meta")
        for p in params:
            p.grad = minicnn.Tensor(np.zeros(p.shape))
        params[2].grad = minicnn.Tensor(np.array([0, np.nan, np.inf, 1]))
        optimizer.step()
    assert np.isfinite(params[1].item())
    finite = np.isfinite(params[2].detach().numpy())
    assert finite[0] and finite[3] and finite[1] == (name == "Rprop")  # which does not move by NaN


def rosenbrock(p: Any) -> Any:
    return 100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2


@pytest.mark.parametrize("options", [{"line_search_fn": "strong_wolfe"}, {"lr": 1e-2, "max_iter": 800}], ids=str)
def test_lbfgs_finds_the_end_of_a_curved_valley(options: dict[str, Any]) -> None:
    p = nn.Parameter(np.array([-1.2, 1.0]))
    optimizer = optim.LBFGS([p], **options)

    def closure() -> minicnn.Tensor:
        optimizer.zero_grad()
        loss = rosenbrock(p)
        loss.backward()
        return loss

    with minicnn.no_grad():
        assert optimizer.step(closure).item() == pytest.approx(24.2)
    for _ in range(5):
        optimizer.step(closure)
    np.testing.assert_allclose(p.detach().numpy(), [1, 1], 1e-3 if "lr" in options else 1e-4)


def test_lbfgs_refuses() -> None:
    p, q = nn.Parameter(np.ones(1)), nn.Parameter(np.ones(1))
    for call, error, text in [
        (lambda: optim.LBFGS([p]).step(), TypeError, "a closure is needed"),
        (lambda: optim.LBFGS([p], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.LBFGS([{"params": p}, {"params": q}]), ValueError, "parameter groups"),
        (lambda: optim.LBFGS([p], line_search_fn="wolfe").step(lambda: None), RuntimeError, "only 'strong_wolfe'"),
    ]:
        with pytest.raises(error, match=text):
            call()


@pytest.mark.parametrize("maximize", [False, True])
def test_rprop_does_not_move_by_nan(maximize: bool) -> None:
    p = nn.Parameter(minicnn.ones(3))
    optimiser = optim.Rprop([p], lr=0.1, maximize=maximize)
    for g in ([np.nan, 1.0, np.inf], [1.0, np.nan, np.inf]):
        p.grad = minicnn.tensor(np.array(g, np.float32))
        optimiser.step()
    way = 1 if maximize else -1
    np.testing.assert_allclose(p.detach().numpy(), [1 + way * 0.1, 1 + way * 0.1, 1 + way * 0.22], 1e-6)
