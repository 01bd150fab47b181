"""What optimisers share: parameter groups and their state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..tensor import Tensor

Params = Iterable[Tensor] | Iterable[dict[str, Any]]


class Optimizer:
    """Holds parameters in groups, each a dict {"params": [...], "lr": ..., ...} that may be changed during training.

    Args:
        params: tensors, or dicts with "params" and the options of that group.
        defaults: the options of groups that do not give them.

    Raises:
        ValueError: no parameters, or one in two groups.
        TypeError: something that is not a leaf tensor.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        name = type(self).__name__
        if isinstance(params, Tensor):
            raise TypeError(
                f"{name}: params must be an iterable of tensors, such as model.parameters(), not one tensor"
            )
        groups = list(params)
        if not groups:
            raise ValueError(f"{name}: got an empty parameter list; was the generator parameters() used up before?")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)  # type: ignore[arg-type]

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Take on more parameters, with options of their own."""
        name = type(self).__name__
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{name}: can only optimise tensors, got {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(f"{name}: can only optimise leaf tensors; this one was computed by {p.grad_fn}")
            if id(p) in known:
                raise ValueError(f"{name}: a parameter of shape {p.shape} is in more than one group or twice in one")
            known.add(id(p))
        unknown = set(group) - set(self.defaults) - {"params"}
        if unknown:
            raise ValueError(
                f"{name}: unknown options {sorted(unknown)} in a group; there are: {', '.join(self.defaults)}"
            )
        self.param_groups.append({**self.defaults, **group, "params": params})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.zero_()

    def step(self, closure: Any = None) -> Any:
        """Change the parameters by their gradients; to be given by the subclass."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The options of the groups and the state of the parameters, these numbered in the order of the groups."""
        params = [p for group in self.param_groups for p in group["params"]]
        number = {id(p): i for i, p in enumerate(params)}
        groups = [{**group, "params": [number[id(p)] for p in group["params"]]} for group in self.param_groups]
        return {"state": {number[id(p)]: state for p, state in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict`.

        Raises:
            ValueError: another number of groups, or of parameters in one.
        """
        ours, theirs = self.param_groups, state_dict["param_groups"]
        if [len(g["params"]) for g in ours] != [len(g["params"]) for g in theirs]:
            raise ValueError(
                f"{type(self).__name__}: the state has groups of {[len(g['params']) for g in theirs]} parameters, "
                f"this optimiser of {[len(g['params']) for g in ours]}"
            )
        params = [p for group in ours for p in group["params"]]
        for group, loaded in zip(ours, theirs, strict=True):
            group.update({key: value for key, value in loaded.items() if key != "params"})
        self.state = {
            params[i]: {k: Tensor(v.array.copy()) if isinstance(v, Tensor) else v for k, v in state.items()}
            for i, state in state_dict["state"].items()
        }
