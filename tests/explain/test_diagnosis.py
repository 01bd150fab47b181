"""`diagnose`: every mistake that is planted is named, and a right backward pass is never accused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import autograd
from minicnn.explain import diagnose
from minicnn.explain.diagnosis import NAMES, _gradients, _run, _same, compare
from minicnn.explain.mistakes import MISTAKES, Call
from minicnn.nn import functional as F

Inputs = list[minicnn.Tensor]


def normal(rng: Any, *shape: int) -> minicnn.Tensor:
    return minicnn.tensor(rng.standard_normal(shape))


def cases(op: str) -> list[tuple[Inputs, dict[str, Any]]]:
    """Calls of an operation, among which each of its mistakes can be made."""
    rng = np.random.default_rng(0)
    if op == "conv2d":
        steps: list[dict[str, Any]] = [
            {"stride": (2, 1), "padding": (1, 2)}, {"dilation": (2, 1), "padding": 2}, {"stride": (1, 2)},
            {"groups": 2, "padding": 1}, {"padding": (0, 1)}, {"dilation": (1, 2), "stride": 2, "padding": (2, 1)},
        ]  # fmt: skip
        shapes = [((3, 4, 7, 8), (4, 4, 3, 3)), ((2, 4, 8, 7), (6, 4, 3, 2))]
        calls = [(x, w, one) for x, w in shapes for one in steps]
        calls += [((4, 4, 6, 6), (4, 4, 3, 3), {}), ((2, 2, 3, 6), (3, 2, 3, 3), {"stride": (3, 2)})]
        calls += [((2, 2, 8, 8), (3, 2, 3, 3), {"stride": 3, "dilation": (1, 2)})]
        return [
            ([normal(rng, *x), normal(rng, w[0], w[1] // one.get("groups", 1), *w[2:]), normal(rng, w[0])], one)
            for x, w, one in calls
        ]
    if op == "conv_transpose2d":
        transposed: list[dict[str, Any]] = [
            {"stride": 2}, {"stride": (2, 1), "padding": (1, 0)}, {"padding": (1, 2), "output_padding": 0},
            {"groups": 2, "stride": 2, "output_padding": (1, 0)}, {"stride": (1, 2), "padding": (0, 1)}, {},
        ]  # fmt: skip
        return [
            ([normal(rng, 3, 4, 5, 6), normal(rng, 4, 2, 3, 3), normal(rng, 2 * one.get("groups", 1))], one)
            for one in transposed
        ] + [([normal(rng, 4, 4, 2, 2), normal(rng, 4, 4, 3, 3), normal(rng, 4)], {})]
    if op == "dropout":
        mask = rng.random((4, 5)) < 0.6
        x = rng.standard_normal((4, 5))
        x[mask.nonzero()[0][:2], mask.nonzero()[1][:2]] = 0
        return [
            ([minicnn.tensor(x)], {"mask": mask, "p": 0.4}),
            ([minicnn.tensor(x)], {"mask": mask, "p": 0.4, "training": False}),
        ]
    if op == "linear":
        return [
            ([normal(rng, n, k), normal(rng, o, k), normal(rng, o)], {})
            for n, k, o in ((3, 4, 4), (5, 3, 4), (4, 5, 4))
        ]
    if op in ("max_pool2d", "avg_pool2d"):
        ties = minicnn.tensor(rng.integers(0, 2, (2, 2, 6, 7)).astype(float))
        options = [{"kernel_size": 2}, {"kernel_size": (3, 2), "stride": 1}]
        return [([x], one) for x in (normal(rng, 2, 3, 6, 7), ties) for one in options]
    if op == "batch_norm":
        vectors = [normal(rng, 3), normal(rng, 3)]
        return [([normal(rng, 4, 3, 2, 5), *vectors], {}), ([normal(rng, 6, 3), *vectors], {"eps": 1e-3})]
    if op == "cross_entropy":
        return [([normal(rng, 5, 4)], {"target": minicnn.tensor([0, 3, 1, 1, 2])})]
    if op == "relu":
        return [([normal(rng, 4, 5)], {}), ([minicnn.tensor([[0.0, 1, -1], [0, -2, 3]])], {})]
    return [([normal(rng, 4, 5)], {})]


def call_of(op: str, inputs: Inputs, options: dict[str, Any]) -> tuple[Call, Any]:
    y = _run(op, inputs, options)
    gy = np.random.default_rng(1).standard_normal(tuple(y.shape))
    arrays = {name: tensor.numpy() for name, tensor in zip(NAMES, inputs, strict=False)}
    plain = {name: v.numpy() if isinstance(v, minicnn.Tensor) else v for name, v in options.items()}
    return Call(arrays, plain, y.numpy(), gy, _gradients(op, inputs, gy, options)), gy


@pytest.mark.parametrize("op", MISTAKES)
def test_every_planted_mistake_is_named(op: str) -> None:
    planted: Counter[tuple[str, str]] = Counter()
    first: Counter[tuple[str, str]] = Counter()
    for inputs, options in cases(op):
        call, gy = call_of(op, inputs, options)
        for name, mistakes in MISTAKES[op].items():
            for mistake in mistakes:
                with np.errstate(all="ignore"):
                    wrong = mistake.gradient(call)
                if wrong is None or not _same(wrong, wrong, call.right[name]):
                    continue  # it cannot be made here, or changes nothing
                found = {f.input: f for f in compare(op, inputs, gy, {**call.right, name: wrong}, **options)}
                assert not found[name].ok and all(f.ok for key, f in found.items() if key != name)
                assert mistake.name in [known for known, _ in found[name].mistakes], mistake.name
                assert mistake.remedy in str(found[name]) or mistake.name in str(found[name])
                planted[name, mistake.name] += 1
                first[name, mistake.name] += found[name].mistakes[0][0] == mistake.name
    every = {(name, mistake.name) for name, mistakes in MISTAKES[op].items() for mistake in mistakes}
    assert set(planted) == every, f"never planted: {every - set(planted)}"
    assert all(first[key] for key in every), f"never named first: {[key for key in every if not first[key]]}"


@pytest.mark.parametrize("op", MISTAKES)
def test_mistakes_that_any_gradient_can_have(op: str) -> None:
    inputs, options = cases(op)[0]
    call, gy = call_of(op, inputs, options)
    for name, right in call.right.items():
        for wrong, words in (
            (None, "zero"), (-right, "sign"), (right * len(gy) if gy.ndim else -right, ""),
            (right * 2, "2 times too large"),
        ):  # fmt: skip
            (found,) = [f for f in compare(op, inputs, gy, {**call.right, name: wrong}, **options) if f.input == name]
            assert found.mistakes and words in " ".join(text for text, _ in found.mistakes), (name, words, found)
        (found,) = [
            f for f in compare(op, inputs, gy, {**call.right, name: right[..., None]}, **options) if f.input == name
        ]
        assert "its shape is" in found.mistakes[0][0]
        noise = right + np.random.default_rng(2).standard_normal(right.shape)
        (found,) = [f for f in compare(op, inputs, gy, {**call.right, name: noise}, **options) if f.input == name]
        assert not found.mistakes and "no known mistake" in str(found)


# ---------------------------------------------------------------------------------------------- functions of a student


class StudentConv(autograd.Function):
    """A convolution by im2col, as a student writes it; `mistake` is planted in its backward pass."""

    mistake = ""

    @staticmethod
    def windows(x: Any, w: Any, s: int, p: int) -> Any:
        wide = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        oh, ow = ((n - k) // s + 1 for n, k in zip(wide.shape[2:], w.shape[2:], strict=True))
        places = [
            (slice(None), slice(None), slice(i * s, i * s + w.shape[2]), slice(j * s, j * s + w.shape[3]))
            for i in range(oh) for j in range(ow)
        ]  # fmt: skip
        return wide, places, (oh, ow)

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, b: Any, s: int, p: int) -> Any:
        x, w, b = (t.detach().numpy() for t in (x, w, b))
        wide, places, size = StudentConv.windows(x, w, s, p)
        ctx.arrays = x, w, s, p
        rows = [np.einsum("ncab,ocab->no", wide[place], w) + b for place in places]
        return minicnn.tensor(np.stack(rows, -1).reshape(len(x), len(w), *size))

    @staticmethod
    def backward(ctx: Any, gy: Any) -> Any:
        x, w, s, p = ctx.arrays
        wide, places, _ = StudentConv.windows(x, w, s, p)
        gx, gw = np.zeros_like(wide), np.zeros_like(w)
        up = gy.numpy().reshape(len(x), len(w), -1)
        for t, place in enumerate(places):
            filters = w[:, :, ::-1, ::-1] if StudentConv.mistake == "flipped" else w
            part = np.einsum("no,ocab->ncab", up[:, :, t], filters)
            gx[place] = part if StudentConv.mistake == "+=" else gx[place] + part
            gw += np.einsum("no,ncab->ocab", up[:, :, t], wide[place])
        gb = up.mean((0, 2)) if StudentConv.mistake == "mean" else up.sum((0, 2))
        if StudentConv.mistake == "1/N":
            gw /= len(x)
        height, width = x.shape[2:]
        at = 0 if StudentConv.mistake == "padding" else p
        gx = gx[:, :, at : at + height, at : at + width]
        return minicnn.tensor(gx), minicnn.tensor(gw), minicnn.tensor(gb), None, None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_right_convolution_is_never_accused(data: Any) -> None:
    def number(low: int, high: int) -> int:
        return int(data.draw(st.integers(low, high)))

    s, p, kernel = number(1, 3), number(0, 2), (number(1, 3), number(1, 3))
    x = number(1, 3), number(1, 3), kernel[0] + number(0, 4), kernel[1] + number(0, 4)
    rng = np.random.default_rng(number(0, 99))
    o = number(1, 3)
    inputs = normal(rng, *x), normal(rng, o, x[1], *kernel), normal(rng, o)
    StudentConv.mistake = ""
    found = diagnose(lambda *a: StudentConv.apply(*a, s, p), inputs, "conv2d", stride=s, padding=p)
    assert found.ok and not any(f.mistakes for f in found.findings), str(found)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("+=", "gx.*overwritten, not added"), ("flipped", "gx.*the filter is flipped"),
        ("mean", "gb.*the mean is taken"),
        ("padding", "gx.*cut off at the end"), ("1/N", "gw.*times too small, the batch size"),
    ],
)  # fmt: skip
def test_a_wrong_convolution(mistake: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    monkeypatch.setattr(StudentConv, "mistake", mistake)
    inputs = normal(rng, 3, 2, 7, 6), normal(rng, 4, 2, 3, 3), normal(rng, 4)
    found = diagnose(lambda *a: StudentConv.apply(*a, 2, 1), inputs, stride=2, padding=1)  # the operation is found
    assert found.op == "conv2d" and not found.ok
    assert len([f for f in found.findings if not f.ok]) == 1
    lines = [line for line in str(found).splitlines() if "right" not in line]
    assert re.search(words, "\n".join(lines)), str(found)


def wrong(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
    class Wrong(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = forward(x)
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx: Any, gy: Any) -> Any:
            return backward(gy, *ctx.saved_tensors)

    return Wrong.apply


def test_the_operation_is_found() -> None:
    x = normal(np.random.default_rng(0), 4, 5)
    relu = diagnose(wrong(F.relu, lambda gy, x, y: gy * (gy > 0)), x)
    assert relu.op == "relu" and "the mask is that of gy" in str(relu)
    assert diagnose(wrong(F.relu, lambda gy, x, y: gy * (x > 0)), x).ok
    tanh = diagnose(wrong(minicnn.tanh, lambda gy, x, y: gy * (1 - x * x)), x)
    assert tanh.op == "tanh" and "x is taken instead of y" in str(tanh)
    soft = diagnose(wrong(lambda x: F.softmax(x, 1), lambda gy, x, y: gy * y * (1 - y)), x)
    assert soft.op == "softmax" and "diagonal of the Jacobian" in str(soft)
    target = minicnn.tensor([1, 0, 4, 2])
    loss = diagnose(
        wrong(lambda x: F.cross_entropy(x, target), lambda gy, x, y: gy * (F.softmax(x, 1) - F.one_hot(target, 5))),
        x, target=target,
    )  # fmt: skip
    assert loss.op == "cross_entropy" and "the mean over the batch is missing" in str(loss)


def test_what_is_not_a_backward_mistake() -> None:
    x = normal(np.random.default_rng(0), 4, 5)
    found = diagnose(wrong(lambda x: x + 1, lambda gy, x, y: gy), x, "relu")
    assert not found.ok and "mend the forward pass first" in str(found) and not found.findings
    assert "has the shape" in str(diagnose(wrong(lambda x: x[0], lambda gy, x, y: gy), x, "relu"))
    with pytest.raises(ValueError, match=r"none of conv2d, .* gives this result"):
        diagnose(wrong(lambda x: x + 1, lambda gy, x, y: gy), x)
    with pytest.raises(ValueError, match="like must be one of"):
        diagnose(F.relu, x, "gelu")
    with pytest.raises(TypeError, match="the inputs must be tensors, got 3"):
        diagnose(F.relu, [3])  # type: ignore[list-item]


def test_a_result_of_another_shape_is_told_by_its_shape() -> None:
    text = str(diagnose(lambda x: x.relu()[:2], minicnn.randn(3, 4), "relu"))
    assert "nan" not in text and ".;" not in text
    assert "y: the result has the shape (2, 4) and must have (3, 4)" in text


def test_an_array_is_no_tensor() -> None:
    with pytest.raises(TypeError, match="must be tensors, got array"):
        diagnose(F.relu, np.ones(3), "relu")  # type: ignore[arg-type]
