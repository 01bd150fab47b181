"""Normalisation, softmax and distance layers in both libraries: several batches of training, then evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from differential.scenarios import assert_same, double, filled

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

LAYERS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "batch norm": (lambda nn: nn.BatchNorm2d(3), (4, 3, 5, 2)),
    "batch norm, average of all batches": (lambda nn: nn.BatchNorm1d(3, momentum=None), (4, 3)),
    "batch norm without weights": (lambda nn: nn.BatchNorm1d(3, affine=False, momentum=0.7), (4, 3, 2)),
    "batch norm without a bias": (lambda nn: nn.BatchNorm3d(2, 0.1, bias=False), (3, 2, 2, 1, 3)),
    "batch norm without running statistics": (lambda nn: nn.BatchNorm2d(3, track_running_stats=False), (4, 3, 5, 2)),
    "instance norm": (lambda nn: nn.InstanceNorm2d(3), (4, 3, 5, 2)),
    "instance norm with weights": (lambda nn: nn.InstanceNorm1d(3, 0.1, affine=True), (2, 3, 4)),
    "instance norm with running statistics": (
        lambda nn: nn.InstanceNorm2d(3, momentum=0.3, affine=True, track_running_stats=True),
        (4, 3, 5, 2),
    ),
    "instance norm without momentum": (
        lambda nn: nn.InstanceNorm3d(2, momentum=None, track_running_stats=True),
        (2, 2, 2, 1, 3),
    ),
    "instance norm of one image": (lambda nn: nn.InstanceNorm2d(3, affine=True, track_running_stats=True), (3, 5, 2)),
    "group norm": (lambda nn: nn.GroupNorm(2, 6), (3, 6, 4, 2)),
    "group norm in one group": (lambda nn: nn.GroupNorm(1, 6, affine=False), (3, 6)),
    "layer norm": (lambda nn: nn.LayerNorm((4, 2)), (3, 6, 4, 2)),
    "layer norm without a bias": (lambda nn: nn.LayerNorm(5, 0.1, bias=False), (2, 5)),
    "rms norm": (lambda nn: nn.RMSNorm([4, 2]), (3, 4, 2)),
    "local response norm": (lambda nn: nn.LocalResponseNorm(4, 0.9, 0.6, 2.0), (2, 7, 3, 2)),
    "softmax": (lambda nn: nn.Softmax(dim=1), (2, 3, 4)),
    "softmax without an axis": (lambda nn: nn.Softmax(), (2, 3, 4)),
    "log softmax": (lambda nn: nn.LogSoftmax(-1), (2, 3, 4)),
    "softmin": (lambda nn: nn.Softmin(0), (2, 3)),
    "softmax of images": (lambda nn: nn.Softmax2d(), (2, 3, 4, 2)),
}


def course(lib: Any, build: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
    """Three batches of training with gradients and one of evaluation; everything that comes out."""
    layer = filled(lib, build(lib.nn))
    found: list[Any] = [repr(layer)]
    for seed in range(4):
        layer.train(seed < 3)
        layer.zero_grad()
        x = (double(lib, *shape, seed=seed) * (1 + seed) + seed).requires_grad_()
        y = layer(x)
        y.backward(double(lib, *y.shape, seed=9))
        found += [y, x.grad, [p.grad for p in layer.parameters()], layer.state_dict()]
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_layers_over_several_batches(name: str) -> None:
    assert_same(lambda lib: course(lib, *LAYERS[name]), minicnn, torch)


def without_count(lib: Any, version: bool) -> Any:
    """A batch norm layer after a state without a count of batches was loaded into it."""
    layer, other = filled(lib, lib.nn.BatchNorm1d(2), seed=1), filled(lib, lib.nn.BatchNorm1d(2), seed=2)
    layer(double(lib, 3, 2))
    state = other.state_dict() if version else dict(other.state_dict())
    del state["num_batches_tracked"]
    return [repr(layer.load_state_dict(state)), layer.state_dict()]


@pytest.mark.parametrize("version", [False, True])
def test_a_state_without_a_count_of_batches(version: bool) -> None:
    assert_same(lambda lib: without_count(lib, version), minicnn, torch)


def gradients(lib: Any, call: Callable[..., Any], *inputs: Any) -> Any:
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = call(*leaves)
    y.backward(double(lib, *y.shape, seed=5))
    return [y, *(x.grad for x in leaves)]


@pytest.mark.parametrize(
    "scenario",
    [
        lambda lib: gradients(lib, lib.nn.functional.normalize, double(lib, 3, 4) * 0),
        lambda lib: gradients(lib, lambda x: lib.nn.functional.normalize(x, eps=1.0), double(lib, 3, 4) * 0.1),
        lambda lib: gradients(
            lib, lambda x, y: lib.nn.functional.cosine_similarity(x, y, eps=1.5), double(lib, 5, 3), double(lib, 5, 3)
        ),
        lambda lib: gradients(lib, lib.nn.CosineSimilarity(0), double(lib, 3) * 0, double(lib, 3)),
        lambda lib: gradients(lib, lib.nn.PairwiseDistance(), double(lib, 4, 3), double(lib, 4, 3)),
        lambda lib: gradients(lib, lib.nn.PairwiseDistance(3, 0.1, True), double(lib, 4, 3), double(lib, 3, seed=1)),
        lambda lib: gradients(lib, lambda x: x.softmax(0), double(lib, 3)[0]),
        lambda lib: gradients(lib, lambda x: lib.softmax(x, dim=1, dtype=lib.float64), double(lib, 2, 3)),
        lambda lib: gradients(lib, lambda x: lib.log_softmax(x, 1), double(lib, 2, 3) * 1000),
        lambda lib: lib.nn.functional.softmax(lib.tensor([[1, float("inf")], [-float("inf")] * 2]), 1).isnan(),
        lambda lib: lib.nn.functional.batch_norm(lib.zeros(0), lib.zeros(0), lib.ones(0), training=True),
        lambda lib: lib.nn.functional.softmax(lib.ones(2, 3, dtype=lib.float16), 1).dtype == lib.float16,
    ],
)
def test_corner_cases(scenario: Any) -> None:
    scenario(torch)  # it is no error in PyTorch
    assert_same(scenario, minicnn, torch)


@pytest.mark.parametrize(
    "call",
    [
        lambda lib: lib.nn.functional.batch_norm(double(lib, 1, 3), None, None, training=True),
        lambda lib: lib.nn.functional.batch_norm(double(lib, 2, 3), double(lib, 3), None, training=True),
        lambda lib: lib.nn.functional.batch_norm(double(lib, 2, 3), double(lib, 2), double(lib, 2), training=True),
        lambda lib: lib.nn.functional.batch_norm(double(lib, 2, 3), None, None),
        lambda lib: lib.nn.functional.batch_norm(double(lib, 2, 3), None, None, training=True, eps=0.0),
        lambda lib: lib.nn.functional.instance_norm(double(lib, 2, 3, 1)),
        lambda lib: lib.nn.functional.group_norm(double(lib, 2, 3), 2),
        lambda lib: lib.nn.functional.layer_norm(double(lib, 2, 3), (2,)),
        lambda lib: lib.nn.functional.local_response_norm(double(lib, 2, 3), 2),
        lambda lib: lib.nn.functional.softmax(double(lib, 2, 3), 2),
        lambda lib: lib.nn.GroupNorm(2, 3),
        lambda lib: lib.nn.BatchNorm2d(3)(double(lib, 2, 3)),
        lambda lib: lib.nn.Softmax2d()(double(lib, 2, 3)),
    ],
)
def test_what_pytorch_refuses_is_refused_with_its_error(call: Any) -> None:
    with pytest.raises((ValueError, RuntimeError, IndexError)) as theirs:
        call(torch)
    with pytest.raises(theirs.type):
        call(minicnn)
