"""Which pixels speak for a class: gradients, their variants for nets with ReLUs, and what happens without a pixel.

For a net with the outputs S_k and an image x, and the class k = target:

    saliency              |dS_k/dx|
    input_x_gradient      x dS_k/dx
    integrated_gradients  (x - x0) times the mean of dS_k/dx on the way from a baseline x0 to x
    smooth_grad           the mean of saliency over noisy copies of x
    deconvolution         dS_k/dx, where a ReLU passes gradients that are positive, whatever its input was
    guided_backprop       dS_k/dx, where a ReLU passes gradients that are positive, where its input was positive
    grad_cam              sum over channels of (mean of dS_k/dA_c) A_c for the maps A of a layer
    guided_grad_cam       guided_backprop times grad_cam
    occlusion             how much S_k falls if a window of x is covered (`occlusion.py`)

The names and numbers are Captum's (https://captum.ai). The net runs in evaluation mode and is left as it was; its
parameters and their gradients are not touched.

K. Simonyan et al. 2013, https://arxiv.org/abs/1312.6034; M. Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365;
D. Smilkov et al. 2017, https://arxiv.org/abs/1706.03825; M. D. Zeiler, R. Fergus 2013, https://arxiv.org/abs/1311.2901;
J. T. Springenberg et al. 2014, https://arxiv.org/abs/1412.6806; R. R. Selvaraju et al. 2016,
https://arxiv.org/abs/1610.02391.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array, xp
from minicnn_kernels.geometry import ShapeError, shown

from ..autograd import grad, no_grad
from ..autograd.engine import Node
from ..nn import Conv2d, Module
from ..nn import functional as F
from ..nn.module import check_module
from ..ops.activation_functions import Relu
from ..tensor import Tensor
from .scores import Target, evaluating, score, targets

__all__ = [
    "deconvolution", "feature_maps", "grad_cam", "guided_backprop", "guided_grad_cam", "input_x_gradient",
    "integrated_gradients", "saliency", "smooth_grad",
]  # fmt: skip

MOST = 12  # names of layers in a message

# ------------------------------------------------------------------------------------------------------------ gradients


def saliency(model: Module, x: Tensor, target: Target = None, *, absolute: bool = True) -> Tensor:
    """|dS/dx|: how much the score of a class changes with each number of the input.

    Args:
        model: the net; its output is (N, K).
        x: a batch of inputs, (N, C, H, W).
        target: the class, or one for each input; None for the class that the net predicts.
        absolute: without it, the gradient itself.

    Returns:
        A tensor of the shape of x.

    Raises:
        ShapeError: the output is not (N, K).
        ValueError, TypeError: there is no such class, or not one for each input.

    >>> from minicnn.explain import saliency
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> _ = net[1].weight.data.copy_(minicnn.tensor([[1., -2., 0., 0.], [0., 0., 0., 3.]]))
    >>> saliency(net, minicnn.ones(1, 1, 2, 2), target=0)
    tensor([[[[1., 2.],
              [0., 0.]]]])
    """
    with evaluating("saliency", model):
        found = _gradient("saliency", model, x, target)
    return found.abs() if absolute else found


def input_x_gradient(model: Module, x: Tensor, target: Target = None) -> Tensor:
    """x dS/dx: of a linear net, what each number adds to the score. Arguments and errors: `saliency`.

    >>> from minicnn.explain import input_x_gradient
    >>> net = nn.Linear(2, 1, bias=False)
    >>> _ = net.weight.data.copy_(minicnn.tensor([[3., -1.]]))
    >>> input_x_gradient(net, minicnn.tensor([[2., 5.]]))  # their sum is the score, 1
    tensor([[ 6., -5.]])
    """
    with evaluating("input_x_gradient", model):
        return x.detach() * _gradient("input_x_gradient", model, x, target)


def integrated_gradients(
    model: Module, x: Tensor, target: Target = None, *, baseline: float | Tensor = 0.0, steps: int = 50
) -> Tensor:
    """(x - x0) times the mean gradient on the straight way from a baseline x0 to x.

        a = (x - x0) integral_0^1 dS/dx (x0 + t (x - x0)) dt          sum of a = S(x) - S(x0)

    The integral is a sum of `steps` gradients (Gauss and Legendre). The more a ReLU net bends on the way, the more of
    them the equation at the right needs.

    Args:
        baseline: x0, a number or a tensor that x can be broadcast with.
        steps: gradients in the sum.

    Other arguments, and errors: `saliency`.

    >>> from minicnn.explain import integrated_gradients
    >>> net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU())
    >>> _ = net[0].weight.data.copy_(minicnn.tensor([[3., -1.]]))
    >>> found = integrated_gradients(net, minicnn.tensor([[2., 5.]]))
    >>> [round(value, 4) for value in found[0].tolist()]  # their sum is the score, 1
    [6.0, -5.0]
    """
    steps = geometry.whole(steps, "integrated_gradients", "steps", 1)
    at, weights = np.polynomial.legendre.leggauss(steps)
    x = x.detach()
    with evaluating("integrated_gradients", model):
        classes = targets("integrated_gradients", model, x, target)
        way = x - baseline
        total = x.new_zeros(x.shape)
        for t, weight in zip((1 + at) / 2, weights / 2, strict=True):
            total += _gradient("integrated_gradients", model, x - way * float(1 - t), classes) * float(weight)
    return way * total


def smooth_grad(
    model: Module, x: Tensor, target: Target = None, *, samples: int = 25, stdev: float | None = None,
    absolute: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of `saliency` over copies of x with normal noise, which hides what changes from pixel to pixel.

    Args:
        samples: noisy copies; the noise is drawn from the stream of `minicnn.manual_seed`.
        stdev: of the noise; None: 0.15 of the range of the numbers of x, as in the paper.

    Other arguments, and errors: `saliency`.

    >>> from minicnn.explain import smooth_grad
    >>> smooth_grad(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), minicnn.ones(1, 1, 2, 2), samples=3).shape
    minicnn.Size([1, 1, 2, 2])
    """
    samples = geometry.whole(samples, "smooth_grad", "samples", 1)
    x = x.detach()
    stdev = 0.15 * float(x.max() - x.min()) if stdev is None else float(stdev)
    with evaluating("smooth_grad", model):
        classes = targets("smooth_grad", model, x, target)
        total = x.new_zeros(x.shape)
        for _ in range(samples):
            found = _gradient("smooth_grad", model, x + x.new_empty(x.shape).normal_(0, stdev), classes)
            total += found.abs() if absolute else found
    return total / samples


# ------------------------------------------------------------------------------------------------ ReLUs of another kind


class Deconvolution(Relu):
    """A ReLU whose backward pass is a ReLU of gy: the deconvnet."""

    @classmethod
    def backward(cls, ctx: Any, gy: Array) -> Array:
        return np.asarray(np.maximum(gy, 0)) if isinstance(gy, np.ndarray) else xp(gy).maximum(gy, 0)


class _Guided(Relu):
    """A ReLU whose backward pass takes gy where gy > 0 and x > 0."""

    @classmethod
    def backward(cls, ctx: Any, gy: Array) -> Array:
        return super().backward(ctx, Deconvolution.backward(ctx, gy))


def deconvolution(model: Module, x: Tensor, target: Target = None) -> Tensor:
    """The gradient of a class, where a ReLU passes what is positive, whatever its input was; see `saliency`.

    >>> from minicnn.explain import deconvolution
    >>> deconvolution(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), minicnn.ones(1, 3)).shape
    minicnn.Size([1, 3])
    """
    with evaluating("deconvolution", model):
        return _gradient("deconvolution", model, x, target, Deconvolution)


def guided_backprop(model: Module, x: Tensor, target: Target = None) -> Tensor:
    """The gradient of a class, where a ReLU passes what is positive, where its input was positive; see `saliency`.

    >>> from minicnn.explain import guided_backprop
    >>> guided_backprop(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), minicnn.ones(1, 3)).shape
    minicnn.Size([1, 3])
    """
    with evaluating("guided_backprop", model):
        return _gradient("guided_backprop", model, x, target, _Guided)


def replace_relus(y: Tensor, kind: type[Relu]) -> int:
    """Give the ReLUs of a recorded graph another backward pass; return how many there are."""
    found, seen, todo = 0, set(), [y.grad_fn]
    while todo:
        node = todo.pop()
        if not isinstance(node, Node) or id(node) in seen:
            continue
        seen.add(id(node))
        if node.function is Relu:
            node.function = kind
            found += 1
        todo += [before for before, _ in node.next_functions]
    return found


# ------------------------------------------------------------------------------------------------------------- Grad-CAM


def grad_cam(
    model: Module, x: Tensor, target: Target = None, layer: Module | str | None = None, *, relu: bool = True
) -> Tensor:
    """Where a layer's maps speak for a class: sum over c of w_c A_c, with w_c the mean of dS/dA_c over the map.

    Args:
        layer: the layer, or its name as in `named_modules`; None for the last `Conv2d` that is called.
        relu: leave out what speaks against the class.

    Returns:
        (N, 1, h, w), in the size of the layer's maps: `nn.functional.interpolate(found, x.shape[2:])` brings it to the
        size of the image.

    Raises:
        ShapeError: the layer's output is not (N, C, h, w).
        ValueError: there is no such layer, or it is not called.

    Other arguments, and errors: `saliency`.

    >>> from minicnn.explain import grad_cam
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 10))
    >>> grad_cam(net, minicnn.rand(2, 3, 8, 8)).shape
    minicnn.Size([2, 1, 6, 6])
    """
    with evaluating("grad_cam", model):
        return _cam("grad_cam", model, x, target, layer, relu)


def guided_grad_cam(
    model: Module, x: Tensor, target: Target = None, layer: Module | str | None = None
) -> Tensor:  # fmt: skip
    """`guided_backprop` times `grad_cam`, which is brought to the size of x by repeating pixels.

    >>> from minicnn.explain import guided_grad_cam
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 10))
    >>> guided_grad_cam(net, minicnn.rand(2, 3, 8, 8)).shape
    minicnn.Size([2, 3, 8, 8])
    """
    op = "guided_grad_cam"
    with evaluating(op, model):
        where = F.interpolate(_cam(op, model, x, target, layer, relu=True), x.shape[2:])
        return _gradient(op, model, x, target, _Guided) * where


def _cam(op: str, model: Module, x: Tensor, target: Target, layer: Any, relu: bool) -> Tensor:
    maps, gradient = _maps(op, model, x, target, layer)
    found = (gradient.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True)
    return F.relu(found) if relu else found


def feature_maps(model: Module, x: Tensor, layers: Sequence[Module | str] | None = None) -> dict[str, Tensor]:
    """The outputs (N, C, h, w) of layers, by name, in the order in which they are called.

    Args:
        model: the net.
        x: a batch of inputs.
        layers: the layers or their names; None for all that have no layers of their own and give images.

    Raises:
        ValueError: there is no such layer.

    >>> from minicnn.explain import feature_maps
    >>> net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2))
    >>> {name: tuple(maps.shape) for name, maps in feature_maps(net, minicnn.zeros(1, 1, 32, 32)).items()}
    {'0': (1, 6, 28, 28), '1': (1, 6, 28, 28), '2': (1, 6, 14, 14)}
    """
    check_module("feature_maps", model)
    names = {id(module): name for name, module in model.named_modules()}
    if layers is None:
        chosen = [module for module in model.modules() if not list(module.children())]
    else:
        chosen = [layer_of("feature_maps", model, layer) for layer in layers]
    found: dict[str, Tensor] = {}

    def keep(module: Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and (layers is not None or output.ndim == 4):
            found[names[id(module)]] = output.detach().clone()

    handles = [module.register_forward_hook(keep) for module in chosen]
    try:
        with evaluating("feature_maps", model), no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _maps(op: str, model: Module, x: Tensor, target: Target, layer: Any) -> tuple[Tensor, Tensor]:
    """The output of a layer, and the gradient of the score for it."""
    chosen = None if layer is None else layer_of(op, model, layer)
    kept: list[Tensor] = []

    def keep(module: Module, args: Any, output: Any) -> Any:
        if chosen is not None or isinstance(module, Conv2d):
            kept.append(output)
            return output.clone() if isinstance(output, Tensor) else None  # a layer after it may write in place
        return None

    watched = list(model.modules()) if chosen is None else [chosen]
    handles = [module.register_forward_hook(keep) for module in watched]
    try:
        total = score(op, model, x.detach().clone().requires_grad_(), target)
    finally:
        for handle in handles:
            handle.remove()
    if not kept:
        what = "has no Conv2d" if layer is None else f"does not call the layer {shown(layer)}"
        raise ValueError(f"{op}: the net {what}; give the layer whose maps count")
    maps = kept[-1]
    if not isinstance(maps, Tensor) or maps.ndim != 4:
        raise ShapeError(
            f"{op}: the output of {shown(layer)} must be (N, C, h, w), got {shown(getattr(maps, 'shape', maps))}"
        )
    (gradient,) = grad(total, maps)
    assert gradient is not None
    return maps.detach(), gradient


def layer_of(op: str, model: Module, layer: Any) -> Module:
    """A layer by its name or itself."""
    modules = dict(model.named_modules())
    if isinstance(layer, Module) and any(layer is module for module in modules.values()):
        return layer
    if isinstance(layer, str) and layer in modules:
        return modules[layer]
    names = [name for name in modules if name]
    near = difflib.get_close_matches(str(layer), names, n=3)
    known = f"similar names are {', '.join(near)}" if near else f"there are: {', '.join(names[:MOST])}"
    raise ValueError(f"{op}: the net has no layer {shown(layer)}; {known}" + " ..." * (not near and len(names) > MOST))


def _gradient(op: str, model: Module, x: Tensor, target: Any, relus: type[Relu] | None = None) -> Tensor:
    """dS/dx."""
    leaf = x.detach().clone().requires_grad_()
    total = score(op, model, leaf, target)
    if relus is not None and not replace_relus(total, relus):
        raise ValueError(f"{op}: the net has no ReLU, so this is the gradient itself; take saliency(absolute=False)")
    (found,) = grad(total, leaf, allow_unused=True)
    return leaf.new_zeros(leaf.shape) if found is None else found
