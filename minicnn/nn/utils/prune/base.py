"""What all methods of pruning share, and several of them one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from ....ops.tensor.zeros_like import ones_like
from ....tensor import Tensor

__all__ = ["BasePruningMethod", "PruningContainer", "prunes"]


class BasePruningMethod(ABC):
    """What all methods of pruning share. A subclass has a `PRUNING_TYPE` and `compute_mask`.

    `PRUNING_TYPE` says what a method that runs after others chooses from: "unstructured" from the entries that are not
    pruned yet, "structured" from the channels that are not, "global" from everything.

    An instance is the forward pre-hook of the module that it prunes.
    """

    PRUNING_TYPE: str
    _tensor_name: str

    def __call__(self, module: Any, inputs: Any) -> None:
        """Compute the pruned tensor, before the module's forward."""
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask for a tensor of importance scores, given the mask that holds until now."""

    def apply_mask(self, module: Any) -> Tensor:
        """Return the original times the mask."""
        if getattr(self, "_tensor_name", None) is None:
            raise AssertionError(f"Module {module} has to be pruned")
        mask, original = (getattr(module, f"{self._tensor_name}_{part}") for part in ("mask", "orig"))
        pruned: Tensor = mask.to(original.dtype) * original
        return pruned

    @classmethod
    def apply(
        cls, module: Any, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune the parameter `name` of a module, and let the module compute it at each forward.

        Args:
            module: the module, which is changed.
            name: the parameter.
            args, kwargs: go to the method's constructor.
            importance_scores: choose by these, of the parameter's shape, instead of by its values.

        Returns:
            The hook: the method, or a container of all methods that prune this parameter.
        """
        before = [(n, h) for n, h in module._forward_pre_hooks.items() if prunes(h, name)]
        if len(before) > 1:
            raise AssertionError(f"Avoid adding multiple pruning hooks to the same tensor {name} of module {module}")
        method: BasePruningMethod = cls(*args, **kwargs)
        method._tensor_name = name
        original = getattr(module, f"{name}_orig" if before else name)
        # what was pruned before is zero here, so that a slice counts with what is left of it
        scores = getattr(module, name) if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}: "
                f"{tuple(scores.shape)} is not {tuple(original.shape)}"
            )
        if before:
            mask = getattr(module, f"{name}_mask").detach()
            old = before[0][1]
            # a container of the old and the new, not the old one changed: an error below leaves the module as it was
            method = PruningContainer(*(old if isinstance(old, PruningContainer) else [old]), method)
        else:
            mask = ones_like(original)
        mask = method.compute_mask(scores, default_mask=mask).to(original.dtype)
        if before:
            del module._forward_pre_hooks[before[0][0]]
        else:
            del module._parameters[name]
            module.register_parameter(f"{name}_orig", original)
        module.register_buffer(f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """Return the tensor pruned once, without a module.

        >>> nn.utils.prune.L1Unstructured(amount=2).prune(minicnn.tensor([3.0, 1.0, 2.0, -4.0]))
        tensor([ 3.,  0.,  0., -4.])
        """
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as tensor t: {tuple(scores.shape)} is not "
                f"{tuple(t.shape)}"
            )
        return t * self.compute_mask(scores, default_mask=ones_like(t) if default_mask is None else default_mask)

    def remove(self, module: Any) -> None:
        """Make the pruned tensor an ordinary parameter, the same object as before pruning."""
        if getattr(self, "_tensor_name", None) is None:
            raise AssertionError(f"Module {module} has to be pruned before pruning can be removed")
        name = self._tensor_name
        pruned = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters.pop(f"{name}_orig")
        original.data = pruned.detach()
        del module._buffers[f"{name}_mask"]
        setattr(module, name, original)


def prunes(hook: Any, name: str) -> bool:
    """Return whether a hook prunes the parameter `name`."""
    return isinstance(hook, BasePruningMethod) and getattr(hook, "_tensor_name", None) == name


class PruningContainer(BasePruningMethod):
    """Several methods for one tensor, one after the other. `len`, iteration and indices give the methods.

    >>> fc = nn.utils.prune.l1_unstructured(nn.Linear(4, 2), "weight", amount=2)
    >>> fc = nn.utils.prune.random_unstructured(fc, "weight", amount=2)
    >>> int(fc.weight_mask.sum())
    4
    """

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1 and not isinstance(args[0], BasePruningMethod):
            args = tuple(args[0])  # one list of them
        if args:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Append a method for the same tensor."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask of the last method, which chooses from what the others have left."""
        method = self._pruning_methods[-1]
        mask = default_mask.to(t.dtype)
        if method.PRUNING_TYPE == "unstructured":
            left: Any = mask == 1
        elif method.PRUNING_TYPE == "structured":
            dim = method.dim % t.ndim  # type: ignore[attr-defined]
            kept = mask.sum([axis for axis in range(t.ndim) if axis != dim]) != 0
            left = tuple(kept if axis == dim else slice(None) for axis in range(t.ndim))
        elif method.PRUNING_TYPE == "global":
            left = tuple([slice(None)] * t.ndim)
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        new = mask.clone()
        new[left] = method.compute_mask(t[left], default_mask=mask[left]).to(mask.dtype)
        return new
