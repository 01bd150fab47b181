"""Hooks and lazy modules in both libraries: what the hooks see, in which order, and what becomes of the gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from differential.scenarios import Scenario, assert_same, double, filled

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def seen(gradients: tuple[Any, ...]) -> list[Any]:
    return [None if g is None else g.tolist() for g in gradients]


def forward_hooks(lib: Any) -> Any:
    log: list[Any] = []
    layer, x = filled(lib, lib.nn.Linear(2, 2)), double(lib, 2, 2)
    layer.register_forward_pre_hook(lambda m, args: log.append(("pre", args)))
    doubling = layer.register_forward_pre_hook(lambda m, args: args[0] * 2)
    layer.register_forward_pre_hook(lambda m, args: log.append("first"), prepend=True)
    layer.register_forward_pre_hook(lambda m, args, kwargs: log.append(kwargs), with_kwargs=True)
    layer.register_forward_hook(lambda m, args, y: log.append(("post", args, y)))
    adding = layer.register_forward_hook(lambda m, args, y: y + 1)
    layer.register_forward_hook(lambda m, a, k, y: log.append(("kwargs", k, y)), with_kwargs=True, prepend=True)
    first = layer(x)
    doubling.remove()
    adding.remove()
    adding.remove()
    with layer.register_forward_hook(lambda *_: log.append("once")):
        layer(x)
    return log, first, layer(x), len(layer._forward_hooks)


def keyword_hooks(lib: Any, changed: Callable[[Any, Any], Any]) -> Any:
    class Times(lib.nn.Module):
        def forward(self, a: Any, *, b: int = 1) -> Any:
            return a * b

    log: list[Any] = []
    module = Times()
    module.register_forward_pre_hook(lambda m, args, kwargs: changed(args, kwargs), with_kwargs=True)
    module.register_forward_hook(lambda m, args, kwargs, y: log.append(kwargs), with_kwargs=True)
    return module(double(lib, 2), b=3), log


def after_an_exception(lib: Any) -> Any:
    class Broken(lib.nn.Module):
        def forward(self, a: Any) -> Any:
            raise ValueError("broken")

    log: list[Any] = []
    module = Broken()
    module.register_forward_hook(lambda m, args, y: log.append(("always", y)), always_call=True)
    module.register_forward_hook(lambda m, args, y: 1 / 0, always_call=True)
    module.register_forward_hook(lambda m, args, y: log.append("never"))
    try:
        module(double(lib, 2))
    except ValueError as error:
        log.append(str(error))
    return log


def backward_hooks(lib: Any, factor: Any = None, pre: Any = None, wanted: bool = True) -> Any:
    log: list[Any] = []
    layer, x = filled(lib, lib.nn.Linear(2, 2)), double(lib, 2, 2).requires_grad_(wanted)

    def hook(module: Any, grad_input: Any, grad_output: Any) -> Any:
        log.append((type(module).__name__, seen(grad_input), seen(grad_output)))
        return None if factor is None else tuple(None if g is None else g * factor for g in grad_input)

    def pre_hook(module: Any, grad_output: Any) -> Any:
        log.append(seen(grad_output))
        return tuple(g * pre for g in grad_output)

    layer.register_full_backward_hook(hook)
    if pre is not None:
        layer.register_full_backward_pre_hook(pre_hook)
    layer.register_full_backward_hook(lambda *_: log.append("first"), prepend=True)
    (layer(x) * double(lib, 2, 2, seed=1)).sum().backward()
    return log, x.grad, layer.weight.grad, layer.bias.grad


def two_outputs(lib: Any, hook: Any = None, pre_hook: Any = None) -> Any:
    class Two(lib.nn.Module):
        def forward(self, a: Any, n: int, b: Any) -> Any:
            return a * b, a + 1, n

    log: list[Any] = []
    module, a = Two(), double(lib, 2, 2).requires_grad_()
    module.register_full_backward_hook(hook or (lambda m, gi, go: log.append((seen(gi), seen(go)))))
    if pre_hook:
        module.register_full_backward_pre_hook(pre_hook)
    y, _, n = module(a, 3, a.detach() * 2)
    y.sum().backward()
    y, z, _ = module(a, 3, a)
    (y.sum() + z.sum()).backward()
    return log, n, a.grad


def used_twice(lib: Any) -> Any:
    log: list[Any] = []
    layer, x = filled(lib, lib.nn.Linear(2, 2)), double(lib, 2, 2).requires_grad_()
    layer.register_full_backward_hook(lambda m, gi, go: log.append((seen(gi), seen(go))))
    layer(layer(x)).sum().backward()
    return log, x.grad


def both_kinds(lib: Any, first: str, second: str) -> None:
    layer = lib.nn.ReLU()
    getattr(layer, first)(lambda *_: None)
    getattr(layer, second)(lambda *_: None)


def older_kind(lib: Any) -> Any:
    """Guided backpropagation, as published code writes it."""
    log: list[Any] = []
    layer, x = lib.nn.ReLU(), double(lib, 2, 3).requires_grad_()
    layer.register_backward_hook(lambda m, gi, go: (log.append((seen(gi), seen(go))), (gi[0].clamp(min=0),))[1])
    (layer(x) * double(lib, 2, 3, seed=1)).sum().backward()
    return log, x.grad


def everywhere(lib: Any) -> Any:
    log: list[Any] = []
    place = lib.nn.modules.module
    handles = [
        place.register_module_forward_pre_hook(lambda m, args: log.append("before")),
        place.register_module_forward_hook(lambda m, args, y: log.append("after")),
        place.register_module_full_backward_pre_hook(lambda m, go: log.append("arriving")),
        place.register_module_full_backward_hook(lambda m, gi, go: log.append("leaving")),
    ]
    x = double(lib, 2).requires_grad_()
    try:
        lib.nn.ReLU()(x).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    lib.nn.ReLU()(x)
    return log


def unusual_output(lib: Any) -> Any:
    class Named(lib.nn.Module):
        def forward(self, a: Any) -> Any:
            return {"o": a * 2}

    log: list[Any] = []
    module, x = Named(), double(lib, 2).requires_grad_()
    module.register_full_backward_hook(lambda *_: log.append("called"))
    module(x)["o"].sum().backward()
    return log, x.grad


def lazy(kind: str, *shape: int, **options: Any) -> Scenario:
    """A lazy layer before and after its first forward."""

    def scenario(lib: Any) -> Any:
        layer = getattr(lib.nn, kind)(**options)
        before = repr(layer), list(layer.state_dict()), layer.has_uninitialized_params()
        parts = [(type(p).__name__, repr(p), p.requires_grad) for p in layer.parameters()]
        copied = copy.deepcopy(layer) if not list(layer.buffers()) else layer  # PyTorch cannot copy lazy buffers
        result = layer(double(lib, *shape).float())
        own = [(type(p).__name__, list(p.shape), p.requires_grad) for p in layer.parameters()]
        hooks = len(layer._forward_pre_hooks), len(layer._load_state_dict_pre_hooks)
        counters = {name: list(buffer.shape) for name, buffer in layer.named_buffers()}
        return before, parts, repr(copied), list(result.shape), repr(layer), own, counters, hooks

    return scenario


def lazy_loaded(lib: Any) -> Any:
    layer, other = lib.nn.LazyLinear(3), filled(lib, lib.nn.Linear(5, 3)).float()
    layer.load_state_dict(other.state_dict())
    before = layer.has_uninitialized_params(), type(layer).__name__
    x = double(lib, 1, 5).float()
    return before, bool((layer(x) == other(x)).all()), layer.in_features, type(layer).__name__


def lazy_of_ones_own(lib: Any, finished: bool) -> Any:
    class Own(lib.nn.modules.lazy.LazyModuleMixin, lib.nn.Linear):
        cls_to_become = lib.nn.Linear

        def __init__(self) -> None:
            super().__init__(0, 0)
            self.weight, self.bias = lib.nn.UninitializedParameter(), lib.nn.UninitializedParameter()

        def initialize_parameters(self, x: Any) -> None:
            self.weight.materialize((2, x.shape[-1]))
            if finished:
                self.bias.materialize((2,))

    module = Own()
    return list(module(double(lib, 1, 7).float()).shape), type(module).__name__


CONV = {"out_channels": 4, "kernel_size": 3}
SCENARIOS: dict[str, Scenario] = {
    "forward": forward_hooks,
    "keywords": lambda lib: keyword_hooks(lib, lambda args, kwargs: (args, {"b": kwargs["b"] + 1})),
    "keywords: no pair": lambda lib: keyword_hooks(lib, lambda args, kwargs: 3),
    "after an exception": after_an_exception,
    "backward": backward_hooks,
    "backward: changed": lambda lib: backward_hooks(lib, factor=3),
    "backward: changed before": lambda lib: backward_hooks(lib, pre=2),
    "backward: changed twice": lambda lib: backward_hooks(lib, factor=3, pre=2),
    "backward: no gradient of the input": lambda lib: backward_hooks(lib, wanted=False),
    "backward: no gradient, before": lambda lib: backward_hooks(lib, pre=2, wanted=False),
    "backward: two outputs": two_outputs,
    "backward: wrong number": lambda lib: two_outputs(lib, lambda m, gi, go: (gi[0],)),
    "backward: wrong number before": lambda lib: two_outputs(lib, None, lambda m, go: (go[0],)),
    "backward: used twice": used_twice,
    "backward: full, then older": lambda lib: both_kinds(lib, "register_full_backward_hook", "register_backward_hook"),
    "backward: older, then full": lambda lib: both_kinds(lib, "register_backward_hook", "register_full_backward_hook"),
    "backward: older": older_kind,
    "backward: a dict": unusual_output,
    "all modules": everywhere,
    "LazyLinear": lazy("LazyLinear", 2, 5, out_features=3),
    "LazyLinear: no bias": lazy("LazyLinear", 2, 4, 5, out_features=3, bias=False),
    "LazyConv1d": lazy("LazyConv1d", 2, 5, 6, **CONV),
    "LazyConv2d": lazy("LazyConv2d", 2, 5, 6, 6, **CONV, padding="same"),
    "LazyConv2d: groups": lazy("LazyConv2d", 6, 6, 6, **CONV, groups=2, bias=False),
    "LazyConv2d: groups do not fit": lazy("LazyConv2d", 5, 6, 6, **CONV, groups=2),
    "LazyConv2d: axes do not fit": lazy("LazyConv2d", 6, 6, **CONV),
    "LazyConvTranspose1d": lazy("LazyConvTranspose1d", 2, 4, 6, **CONV, stride=2),
    "LazyConvTranspose2d": lazy("LazyConvTranspose2d", 2, 4, 6, 6, **CONV, groups=2),
    "LazyBatchNorm1d": lazy("LazyBatchNorm1d", 2, 5),
    "LazyBatchNorm2d": lazy("LazyBatchNorm2d", 2, 5, 3, 4, momentum=None),
    "LazyBatchNorm2d: no weight": lazy("LazyBatchNorm2d", 2, 5, 3, 4, affine=False),
    "LazyInstanceNorm1d": lazy("LazyInstanceNorm1d", 2, 5, 3),
    "LazyInstanceNorm2d": lazy("LazyInstanceNorm2d", 2, 5, 3, 4, affine=False),
    "lazy: loaded": lazy_loaded,
    "lazy: own": lambda lib: lazy_of_ones_own(lib, True),
    "lazy: own, unfinished": lambda lib: lazy_of_ones_own(lib, False),
    "lazy: shape": lambda lib: lib.nn.LazyLinear(3).weight.shape,
    "lazy: double": lambda lib: str(lib.nn.LazyLinear(3).double()(double(lib, 2, 3)).dtype == lib.float64),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_in_pytorch(name: str) -> None:
    assert_same(SCENARIOS[name], minicnn, torch)
