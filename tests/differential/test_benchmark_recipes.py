"""The recipes that `benchmarks/cifar.py` trains in both libraries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def test_recipes_of_both_libraries(benchmark: Any) -> None:
    """PyTorch's schedule has minicnn's rates; a recipe with what is not trained there is refused."""
    cifar = benchmark("cifar")
    for name in ("resnet-cifar-short", "wideresnet-cifar-hour", "resnet-cifar", "airbench-cifar-hour"):
        recipe = cifar.find(name, epochs=2)
        theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], **recipe.optimizer_options)
        ours = minicnn.optim.SGD([minicnn.nn.Parameter(minicnn.zeros(1))], **recipe.optimizer_options)
        schedule = cifar.torch_schedule(torch, recipe, theirs, 20)
        own = minicnn.train.build_schedule(recipe.schedule, recipe.schedule_options, ours, 2, 10)
        for _ in range(19):
            assert theirs.param_groups[0]["lr"] == pytest.approx(ours.param_groups[0]["lr"]), name
            theirs.step(), ours.step(), schedule.step(), own.step()
    for name, why in (
        ("vgg-cifar", "warmup = 0.05, model = 'vgg11_bn'"),
        ("mobilenet-cifar", "model = 'mobilenet_v2'"),
    ):
        with pytest.raises(ValueError, match=why):
            cifar.find(name)


@pytest.mark.parametrize("name", ["resnet20", "wrn_16_2", "airbench94"])
def test_nets_of_both_libraries(benchmark: Any, name: str) -> None:
    """With the same weights both give the same scores."""
    ours, theirs = minicnn.models.get_model(name).eval(), benchmark("cifar").torch_net(torch, name).eval()
    minicnn.manual_seed(0)
    for parameter in ours.parameters():  # a new norm would hide a mistake
        minicnn.nn.init.normal_(parameter, 0.1, 0.1)
    arrays = [torch.from_numpy(value.numpy().copy()) for value in ours.state_dict().values()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), arrays, strict=True)))
    x = minicnn.rand(2, 3, 32, 32)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x.numpy())).numpy()
    np.testing.assert_allclose(ours(x).detach().numpy(), expected, rtol=1e-4)


def test_steps_of_both_libraries(benchmark: Any) -> None:
    """Frozen filters, rates of their own for some parameters and smoothed labels: after three steps weights agree."""
    cifar = benchmark("cifar")
    recipe = replace(cifar.find("airbench-cifar-hour", epochs=1), whiten=20)
    images = minicnn.datasets.FakeData(20, (3, 32, 32), 10, minicnn.transforms.ToTensor())
    ours, own = cifar.start(recipe, 0, images)
    theirs = cifar.torch_net(torch, recipe.model)
    arrays = [torch.from_numpy(value.numpy().copy()) for value in ours.state_dict().values()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), arrays, strict=True)))
    other = cifar.torch_optimizer(torch, theirs, ours, own, recipe)
    assert {group["lr"] for group in other.param_groups} == {0.4, 25.6}
    schedule = minicnn.train.build_schedule(recipe.schedule, recipe.schedule_options, own, 1, 100)
    torch_schedule = cifar.torch_schedule(torch, recipe, other, 100)
    loss, torch_loss = (
        minicnn.train.build_loss(recipe.loss, recipe.loss_options),
        torch.nn.CrossEntropyLoss(**recipe.loss_options),
    )
    x, y = minicnn.stack([image for image, _ in images]), minicnn.tensor([int(target) for _, target in images])
    ours.double(), theirs.double()
    for _ in range(3):
        own.zero_grad(), other.zero_grad()
        loss(ours(x.double()), y).backward()
        torch_loss(theirs(torch.from_numpy(x.numpy()).double()), torch.from_numpy(y.numpy())).backward()
        own.step(), other.step(), schedule.step(), torch_schedule.step()
    for one, another in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        np.testing.assert_allclose(one.numpy(), another.numpy(), rtol=1e-6, atol=1e-9)
