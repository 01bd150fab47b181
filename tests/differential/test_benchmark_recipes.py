"""The recipes that `benchmarks/cifar.py` trains in both libraries."""

from __future__ import annotations

from typing import Any

import pytest

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def test_recipes_of_both_libraries(benchmark: Any) -> None:
    """PyTorch's schedule has minicnn's rates; a recipe with what is not trained there is refused."""
    cifar = benchmark("cifar")
    for name in ("resnet-cifar-short", "resnet-cifar-hour", "resnet-cifar"):
        recipe = cifar.find(name, epochs=2)
        theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], **recipe.optimizer_options)
        ours = minicnn.optim.SGD([minicnn.nn.Parameter(minicnn.zeros(1))], **recipe.optimizer_options)
        schedule = cifar.torch_schedule(torch, recipe, theirs, 20)
        own = minicnn.train.build_schedule(recipe.schedule, recipe.schedule_options, ours, 2, 10)
        for _ in range(19):
            assert theirs.param_groups[0]["lr"] == pytest.approx(ours.param_groups[0]["lr"]), name
            theirs.step(), ours.step(), schedule.step(), own.step()
    for name, why in (("vgg-cifar", "warmup = 0.05, model = 'vgg11_bn'"), ("wideresnet-cifar", "model = 'wrn_16_8'")):
        with pytest.raises(ValueError, match=why):
            cifar.find(name)
