"""The outputs of layers inside a net, in place of its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..compat.missing import answer as _answer
from ..nn import Module

__all__ = ["FeatureExtractor", "create_feature_extractor", "get_graph_node_names"]

Nodes = Iterable[str] | Mapping[str, str]


class _Complete(Exception):
    """Everything that was asked for is there: the rest of the net need not run."""


class FeatureExtractor(Module):
    """A net that returns the outputs of some of its layers; see `create_feature_extractor`.

    It shares the layers of the net, and its state dict has the same names.
    """

    def __init__(self, model: Module, train_nodes: Mapping[str, str], eval_nodes: Mapping[str, str]) -> None:
        super().__init__()
        object.__setattr__(self, "_model", model)  # no part of this module: its parts are
        self._modules, self._parameters, self._buffers = model._modules, model._parameters, model._buffers
        self._non_persistent_buffers_set = model._non_persistent_buffers_set
        self.train_nodes, self.eval_nodes = dict(train_nodes), dict(eval_nodes)
        self.training = model.training

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Set the mode of this net and of the one that it belongs to."""
        self._model.train(mode)
        self.training = mode
        return self

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run the net until the last of the layers; return their outputs by name, in the order of the calls."""
        wanted = self.train_nodes if self.training else self.eval_nodes
        found: dict[str, Any] = {}
        calls: dict[str, int] = {}
        handles = []

        def after(layer: str) -> Callable[..., None]:
            def hook(module: Module, inputs: Any, output: Any) -> None:
                calls[layer] = calls.get(layer, -1) + 1
                name = wanted.get(f"{layer}_{calls[layer]}" if calls[layer] else layer)
                if name is not None:
                    found[name] = output
                    if len(found) == len(wanted):
                        raise _Complete

            return hook

        try:
            for layer in {_layer(self._model, node) for node in wanted}:
                handles.append(self._model.get_submodule(layer).register_forward_hook(after(layer)))
            self._model(*args, **kwargs)
        except _Complete:
            return found
        finally:
            for handle in handles:
                handle.remove()
        lost = [node for node, name in wanted.items() if name not in found]
        raise RuntimeError(
            f"FeatureExtractor: {', '.join(map(repr, lost))} of the {type(self._model).__name__} did not run"
        )


def get_graph_node_names(
    model: Module, tracer_kwargs: Any = None, suppress_diff_warning: bool = False, concrete_args: Any = None
) -> tuple[list[str], list[str]]:
    """The names of the layers of a net that `create_feature_extractor` takes, in training and in evaluation mode.

    Names of parts that hold layers can be given too, and mean their output. Functions that a net calls, such as an
    addition, have no names here: the output of the part that ends with it is the same.

    >>> minicnn.models.feature_extraction.get_graph_node_names(minicnn.models.lenet5())[0][:3]
    ['features.0', 'features.1', 'features.2']
    """
    names = [name for name, module in model.named_modules() if name and not any(True for _ in module.children())]
    return names, list(names)


def create_feature_extractor(
    model: Module, return_nodes: Nodes | None = None, train_return_nodes: Nodes | None = None,
    eval_return_nodes: Nodes | None = None, tracer_kwargs: Any = None, suppress_diff_warning: bool = False,
    concrete_args: Any = None,
) -> FeatureExtractor:  # fmt: skip
    """A net that returns a dictionary of the outputs of some layers, and runs no further than the last of them.

    Args:
        model: the net, whose layers it shares.
        return_nodes: names of layers as in `model.named_modules()`, or a dictionary from them to names in the result.
            The second call of a layer is "relu_1", the third "relu_2".
        train_return_nodes, eval_return_nodes: both in place of `return_nodes`: for training and for evaluation.
        tracer_kwargs, suppress_diff_warning, concrete_args: have no effect, since nothing is traced.

    Raises:
        ValueError: the net has no layer of this name; or nodes are given in both ways.
        RuntimeError: (when called) a layer does not run.

    >>> net = minicnn.models.resnet18()
    >>> stages = minicnn.models.feature_extraction.create_feature_extractor(net, {"layer1": "fine", "layer4": "coarse"})
    >>> {name: tuple(y.shape) for name, y in stages(minicnn.zeros(1, 3, 64, 64)).items()}
    {'fine': (1, 64, 16, 16), 'coarse': (1, 512, 2, 2)}
    """
    several = train_return_nodes is not None and eval_return_nodes is not None
    if (return_nodes is None) != several or (return_nodes is not None and (train_return_nodes or eval_return_nodes)):
        raise ValueError(
            "create_feature_extractor: give return_nodes, or both train_return_nodes and eval_return_nodes"
        )
    pair = (return_nodes, return_nodes) if return_nodes is not None else (train_return_nodes, eval_return_nodes)
    named = [dict(nodes) if isinstance(nodes, Mapping) else {one: one for one in _several(nodes)} for nodes in pair]
    for nodes in named:
        if not nodes:
            raise ValueError("create_feature_extractor: no layer is named; give at least one")
        if len(set(nodes.values())) < len(nodes):
            raise ValueError("create_feature_extractor: two layers have the same name in the result; give each its own")
        for node in nodes:
            if not isinstance(node, str) or not _layer(model, node):
                raise ValueError(
                    f"create_feature_extractor: {node!r} is not present in model: the {type(model).__name__} has no "
                    "such layer; get_graph_node_names(model)[0] lists them"
                )
    return FeatureExtractor(model, *named)


def _several(nodes: Any) -> Iterable[Any]:
    return [nodes] if isinstance(nodes, str) else nodes or ()


def _layer(model: Module, node: str) -> str:
    """The name of the layer in "relu_1", which is its second call; "" if the net has no such layer."""
    layers = {name for name, _ in model.named_modules(remove_duplicate=False)}
    base, _, number = node.rpartition("_")
    if node in layers:
        return node
    return base if base in layers and number.isdecimal() else ""


_answer(globals())
