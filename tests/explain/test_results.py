"""`compare_results`: mistakes in results are named, and right results are never accused."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
from minicnn.explain import compare, compare_results, diagnose
from minicnn.explain.diagnosis import same_numbers
from minicnn.explain.mistakes import RESULTS, Call
from minicnn.nn import functional as F

Arrays = dict[str, Any]
Case = tuple[Arrays, Arrays, Arrays]  # inputs, options, right


def run(function: Callable[..., Any], inputs: Arrays, **options: Any) -> Arrays:
    tensors = [minicnn.tensor(a) for a in inputs.values()]
    return {"y": function(*tensors, **options).numpy()}


def conv(x: tuple[int, ...], w: tuple[int, ...], transposed: bool = False, seed: int = 0, **options: Any) -> Case:
    rng = np.random.default_rng(seed)
    outputs = w[1] * options.get("groups", 1) if transposed else w[0]
    inputs = {"x": rng.standard_normal(x), "w": rng.standard_normal(w), "b": rng.standard_normal(outputs)}
    return inputs, options, run(F.conv_transpose2d if transposed else F.conv2d, inputs, **options)


def norm(*shape: int, training: bool = True, momentum: float = 0.3, eps: float = 0.01) -> Case:
    rng = np.random.default_rng(0)
    inputs = {name: rng.standard_normal(shape[1]) for name in ("w", "b", "running_mean")}
    inputs = {"x": rng.standard_normal(shape), **inputs, "running_var": rng.random(shape[1]) + 0.5}
    mean, var = minicnn.tensor(inputs["running_mean"].copy()), minicnn.tensor(inputs["running_var"].copy())
    x, w, b = (minicnn.tensor(inputs[name]) for name in ("x", "w", "b"))
    y = F.batch_norm(x, mean, var, w, b, training, momentum, eps)
    right = {"y": y.numpy(), "running_mean": mean.numpy(), "running_var": var.numpy()}
    return inputs, {"training": training, "momentum": momentum, "eps": eps}, right


def step(make: Callable[..., Any], buffers: dict[str, str], t: int = 1, **options: Any) -> Case:
    """A step of an optimiser of the library, from random buffers."""
    rng = np.random.default_rng(t)
    inputs = {name: rng.random((2, 3)) + 0.5 for name in ("x", "g", *buffers)}
    p = minicnn.nn.Parameter(minicnn.tensor(inputs["x"]))
    optimizer = make([p])
    p.grad = minicnn.tensor(inputs["g"])
    optimizer.step()  # makes the state
    with minicnn.no_grad():
        p.copy_(minicnn.tensor(inputs["x"]))
    state = optimizer.state[p]
    for name, own in buffers.items():
        state[own] = minicnn.tensor(inputs[name])
    if "step" in state:
        state["step"] = minicnn.tensor(float(t - 1))
    optimizer.step()
    options = options | ({"t": t} if "step" in state else {})
    return inputs, options, {"x": p.detach().numpy(), **{name: state[own].numpy() for name, own in buffers.items()}}


def sgd(**options: Any) -> Case:
    return step(lambda p: minicnn.optim.SGD(p, **options), {"v": "momentum_buffer"}, **options)


def adam(t: int, lr: float = 0.1, eps: float = 0.01, betas: tuple[float, float] = (0.7, 0.9)) -> Case:
    numbers = {"lr": lr, "eps": eps, "beta1": betas[0], "beta2": betas[1]}
    buffers = {"m": "exp_avg", "v": "exp_avg_sq"}
    return step(lambda p: minicnn.optim.Adam(p, lr, betas, eps), buffers, t, **numbers)


def columns(fold: bool) -> list[Case]:
    rng, found = np.random.default_rng(0), []
    options: list[dict[str, Any]] = [
        {"stride": (2, 1), "padding": (1, 0)}, {"dilation": (2, 1)}, {}, {"padding": 1, "stride": (1, 2)},
    ]  # fmt: skip
    for one in options:
        x = rng.standard_normal((2, 3, 5, 6))
        y = F.unfold(minicnn.tensor(x), (2, 3), **one).numpy()
        if fold:
            col = rng.standard_normal(y.shape)
            image = F.fold(minicnn.tensor(col), (5, 6), (2, 3), **one).numpy()
            found.append(({"x": col}, {"kernel_size": (2, 3), **one}, {"y": image}))
        else:
            found.append(({"x": x}, {"kernel_size": (2, 3), **one}, {"y": y}))
    return found


def pooled(function: Callable[..., Any]) -> list[Case]:
    rng, found = np.random.default_rng(0), []
    options: list[dict[str, Any]] = [
        {"kernel_size": (2, 3), "stride": (2, 1)}, {"kernel_size": (3, 2), "stride": 2, "padding": (1, 1)},
        {"kernel_size": (2, 3)}, {"kernel_size": (2, 3), "stride": (1, 2), "padding": (0, 1)},
    ]  # fmt: skip
    for one in options:
        inputs = {"x": rng.standard_normal((2, 3, 6, 7)) - 0.5}
        found.append((inputs, one, run(function, inputs, **one)))
    return found


def classes() -> list[Case]:
    rng = np.random.default_rng(0)
    rows = [rng.random((4, 3)) + 0.1, np.array([[1000.0, 0, 1], [1, 2, 3]]), np.array([[0.0, 1, 2], [1000, 0, 1]])]
    return [({"x": x}, {"target": np.arange(len(x)) % 3}, {}) for x in rows]


def scales() -> list[Case]:
    found = []
    for scheme in ("xavier_normal", "xavier_uniform", "he_normal", "he_uniform"):
        for shape in ((6, 4, 3, 5), (7, 5)):
            out, into = (shape[i] * math.prod(shape[2:]) for i in (0, 1))
            std = math.sqrt(2 / (into + out)) if "xavier" in scheme else math.sqrt(2 / into)
            y = std * math.sqrt(3) if "uniform" in scheme else std
            found.append(({}, {"scheme": scheme, "shape": shape}, {"y": np.array(y)}))
    return found


def cases(op: str) -> list[Case]:
    """Calls of an operation, among which each of its mistakes can be made."""
    if op == "conv2d":
        steps: list[dict[str, Any]] = [
            {"stride": (2, 1), "padding": (1, 2)}, {"dilation": (2, 1), "padding": 1}, {"groups": 2, "padding": (1, 0)},
            {"stride": (1, 2), "padding": (0, 1)}, {}, {"dilation": (1, 2), "stride": 2, "padding": (2, 1)},
        ]  # fmt: skip
        return [conv((1, 4, 6, 7), (4, 4 // one.get("groups", 1), 3, 3), **one) for one in steps]
    if op == "conv_transpose2d":
        return [
            conv((2, 3, 4, 5), (3, 3, 3, 3), True, stride=2, padding=(1, 0)),
            conv((2, 4, 4, 5), (4, 3, 3, 2), True, stride=(2, 1), groups=2), conv((2, 3, 4, 5), (3, 3, 3, 3), True),
            conv((2, 3, 4, 5), (3, 3, 3, 3), True, stride=(1, 2), padding=(1, 2), output_padding=(0, 1)),
        ]  # fmt: skip
    if op in ("unfold", "fold"):
        return columns(op == "fold")
    if op in ("max_pool2d", "avg_pool2d"):
        return pooled(getattr(F, op))
    if op == "batch_norm":
        return [norm(4, 3, 2, 5), norm(5, 3), norm(4, 3, 2, 5, training=False)]
    if op == "softmax":
        return [(x, {}, run(lambda t: F.softmax(t, 1), x)) for x, _, _ in classes()]
    if op == "cross_entropy":
        return [(x, o, run(F.cross_entropy, x, target=minicnn.tensor(o["target"]))) for x, o, _ in classes()]
    if op == "dropout":
        rng = np.random.default_rng(0)
        x, mask = rng.standard_normal((4, 5)), rng.random((4, 5)) < 0.6
        return [
            ({"x": x}, {"mask": mask, "p": 0.3, "training": on}, {"y": np.where(mask, x / 0.7, 0) if on else x.copy()})
            for on in (True, False)
        ]
    if op == "sgd":
        plain = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.3}
        return [sgd(**plain), sgd(**plain, nesterov=True), sgd(**plain | {"weight_decay": 0})]
    if op == "adam":
        return [adam(1), adam(3), adam(2, betas=(0.3, 0.4))]
    return scales()


@pytest.mark.parametrize("op", RESULTS)
def test_every_planted_mistake_is_named(op: str) -> None:
    planted: Counter[tuple[str, str]] = Counter()
    first: Counter[tuple[str, str]] = Counter()
    for inputs, options, right in cases(op):
        assert all(found.ok and not found.mistakes for found in compare_results(op, inputs, right, right, **options))
        call = Call(inputs, options, right.get("y", np.zeros(())), np.zeros(()), right)
        for name, mistakes in RESULTS[op].items():
            for mistake in mistakes:
                with np.errstate(all="ignore"):
                    wrong = mistake.gradient(call)
                if wrong is None or not same_numbers(wrong, wrong, right[name]):
                    continue  # it cannot be made here, or changes nothing
                found = {f.name: f for f in compare_results(op, inputs, right, {**right, name: wrong}, **options)}
                assert not found[name].ok and all(f.ok for key, f in found.items() if key != name)
                assert (mistake.name, mistake.remedy) in found[name].mistakes, (mistake.name, str(found[name]))
                planted[name, mistake.name] += 1
                first[name, mistake.name] += found[name].mistakes[0][0] == mistake.name
    every = {(name, mistake.name) for name, mistakes in RESULTS[op].items() for mistake in mistakes}
    assert set(planted) == every, f"never planted: {every - set(planted)}"
    assert all(first[key] for key in every), f"never named first: {[key for key in every if not first[key]]}"


@pytest.mark.parametrize("op", RESULTS)
def test_mistakes_that_any_result_can_have(op: str) -> None:
    inputs, options, right = cases(op)[0]
    for name, y in right.items():
        for wrong, words in ((-y, "sign"), (2 * y, "twice"), (0 * y, "zero"), (y / 2, "half")):
            (found,) = [f for f in compare_results(op, inputs, right, {**right, name: wrong}, **options) if not f.ok]
            assert words in " ".join(text for text, _ in found.mistakes), (name, words, found)
        (found,) = [f for f in compare_results(op, inputs, right, {**right, name: y[None]}, **options) if not f.ok]
        assert "has the shape" in str(found.mistakes)
        (found,) = [f for f in compare_results(op, inputs, right, {**right, name: y + 3.21}, **options) if not f.ok]
        assert not found.mistakes and "no known mistake gives this result" in str(found)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_right_result_is_never_accused(data: Any) -> None:
    def number(low: int, high: int) -> int:
        return int(data.draw(st.integers(low, high)))

    kernel, groups, seed = (number(1, 3), number(1, 3)), number(1, 2), number(0, 99)
    options = {"stride": (number(1, 3), number(1, 3)), "padding": (number(0, 1), number(0, 1)), "groups": groups}
    x = number(1, 2), groups * number(1, 2), kernel[0] + number(0, 3), kernel[1] + number(0, 3)
    for transposed in (False, True):
        w = (x[1] if transposed else groups * number(1, 2), number(1, 2) if transposed else x[1] // groups, *kernel)
        if transposed and any(
            (n - 1) * s - 2 * p + k < 1
            for n, s, p, k in zip(x[2:], options["stride"], options["padding"], kernel, strict=True)
        ):
            continue  # nothing is left  # fmt: skip
        inputs, _, right = conv(x, w, transposed, seed, **options)
        op = "conv_transpose2d" if transposed else "conv2d"
        (found,) = compare_results(op, inputs, right, right, **options)
        assert found.ok and not found.mistakes
        noise = {"y": right["y"] + np.random.default_rng(1).standard_normal(right["y"].shape)}
        (found,) = compare_results(op, inputs, right, noise, **options)
        assert not found.mistakes, found  # noise is no mistake that has a name


def test_diagnose_names_mistakes_in_results() -> None:
    rng = np.random.default_rng(0)
    x, w, b = (minicnn.tensor(rng.standard_normal(shape)) for shape in ((2, 3, 6, 7), (4, 3, 3, 2), (4,)))
    found = diagnose(lambda x, w, b: F.conv2d(x, w.flip(2, 3), b, stride=2), (x, w, b), "conv2d", stride=2)
    assert not found.ok and "the filter is flipped" in str(found) and "mend the forward pass first" in str(found)
    found = diagnose(lambda x, w, b: F.conv2d(x, w, b), (x, w, b), "conv2d", padding=1)
    assert "the padding is left out" in str(found) and "has the shape (2, 4, 4, 6)" in str(found), str(found)
    mask = rng.random(x.shape) < 0.5
    keep = minicnn.tensor(mask.astype(float))
    found = diagnose(lambda x: x * keep, x, "dropout", mask=mask, p=0.5)
    assert "the scale is missing" in str(found)
    assert diagnose(lambda x: x * keep / 0.5, x, "dropout", mask=mask, p=0.5).ok


def test_a_mask_that_is_drawn_again() -> None:
    rng = np.random.default_rng(0)
    x, first, second = minicnn.tensor(rng.standard_normal((5, 6))), rng.random((5, 6)) < 0.5, rng.random((5, 6)) < 0.5
    gy = rng.standard_normal((5, 6))
    (found,) = compare("dropout", [x], gy, {"x": gy * second / 0.7}, mask=first, p=0.3)
    assert found.mistakes[0][0] == "another mask is drawn for the backward pass"
    for wrong in (gy * second, gy * second / 0.6, gy * rng.standard_normal((5, 6)), gy / 0.7):  # others than that
        (found,) = compare("dropout", [x], gy, {"x": wrong}, mask=first, p=0.3)
        assert not found.ok and not any("another mask" in name for name, _ in found.mistakes)
    assert compare("dropout", [x], gy, {"x": gy * first / 0.7}, mask=first, p=0.3)[0].ok
