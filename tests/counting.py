"""Parameters and multiply-accumulates, counted by hooks and not by `minicnn.analysis`, which is tested against this."""

from __future__ import annotations

from typing import Any

import minicnn
from minicnn import nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)


def count(model: nn.Module, size: tuple[int, ...]) -> tuple[int, int]:
    """Trainable parameters, and the multiply-accumulates of convolutions and linear layers for one image, no biases.

    The model should be on the meta device, where nothing is computed.
    """
    macs = 0

    def note(layer: Any, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal macs
        if isinstance(layer, CONVOLUTIONS):
            macs += output[0].numel() * layer.weight[0].numel()  # each output is a sum of (C/groups) KH KW products
        elif isinstance(layer, nn.Linear):
            macs += output[0].numel() * layer.in_features

    for module in model.modules():
        module.register_forward_hook(note)
    with minicnn.no_grad():
        model.eval()(minicnn.zeros(2, *size, device="meta"))
    return sum(p.numel() for p in model.parameters() if p.requires_grad), macs


def finite_gradients(net: nn.Module, *size: int, batch: int = 2) -> None:
    """Run a training step's forward and backward on noise; check that each trained parameter gets a finite gradient.

    The random upstream gradient is that of a sum with random weights. Auxiliary outputs count too.
    """
    minicnn.manual_seed(0)
    outputs = net.train()(minicnn.randn(batch, *size))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum((y * minicnn.randn(*y.shape)).sum() for y in outputs if y is not None).backward()
    for name, parameter in net.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, f"{name} has no gradient"
        assert bool(minicnn.isfinite(parameter.grad).all()), f"the gradient of {name} is not finite"
        assert parameter.grad.abs().max().item() > 0, f"the gradient of {name} is zero"


def overfits(net: nn.Module, *size: int, classes: int = 4, steps: int = 300, lr: float = 1e-3) -> None:
    """Train on 16 images of noise by Adam until all are classified right, in evaluation mode too."""
    minicnn.manual_seed(0)
    x, y = minicnn.randn(16, *size), minicnn.arange(16) % classes
    optimizer = minicnn.optim.Adam(net.parameters(), lr=lr)
    for step in range(steps):
        net.train()
        optimizer.zero_grad()
        outputs = net(x)
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        nn.functional.cross_entropy(first, y).backward()
        optimizer.step()
        if step % 10 == 9:
            with minicnn.no_grad():
                outputs = net.eval()(x)
            if bool((outputs.argmax(1) == y).all()):
                return
    raise AssertionError(f"not all of 16 images are learned after {steps} steps; the loss of the last step is high")
