"""The stages of a net as a net of its own, under the name by which programs for torchvision import it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from ..compat.missing import answer as _answer
from ..nn import Module, ModuleDict
from ..tensor import Tensor

__all__ = ["IntermediateLayerGetter"]


class IntermediateLayerGetter(ModuleDict):
    """The children of a net up to the last one that is wanted, run in their order; returns the outputs of those wanted.

    It is right for a net whose `forward` calls its children one after another, in the order of their definition.
    `feature_extraction.create_feature_extractor` takes any net, and layers at any depth.

    Args:
        model: the net, whose layers it shares.
        return_layers: from the names of children to names in the result.

    Raises:
        ValueError: the net has no child of such a name.

    >>> from minicnn.models._utils import IntermediateLayerGetter
    >>> backbone = IntermediateLayerGetter(minicnn.models.resnet18(), {"layer1": "fine", "layer4": "coarse"})
    >>> {name: tuple(y.shape) for name, y in backbone(minicnn.zeros(1, 3, 64, 64)).items()}
    {'fine': (1, 64, 16, 16), 'coarse': (1, 512, 2, 2)}
    """

    def __init__(self, model: Module, return_layers: Mapping[str, Any]) -> None:
        children = dict(model.named_children())
        wanted = {str(name): result for name, result in return_layers.items()}
        if lost := [name for name in wanted if name not in children]:
            raise ValueError(
                f"IntermediateLayerGetter: return_layers are not present in model: {', '.join(map(repr, lost))}; the "
                f"{type(model).__name__} has {', '.join(children)}"
            )
        names = list(children)
        end = max((names.index(name) + 1 for name in wanted), default=0)
        super().__init__({name: children[name] for name in names[:end]})
        self.return_layers = wanted

    def forward(self, x: Tensor) -> OrderedDict[Any, Tensor]:
        """Run the children, and return the wanted outputs in their order."""
        found: OrderedDict[Any, Tensor] = OrderedDict()
        for name, child in self.items():
            x = child(x)
            if name in self.return_layers:
                found[self.return_layers[name]] = x
        return found


_answer(globals())
