"""Parametrisation: a module computes a weight from the trained tensor, each time the weight is used.

    class Symmetric(nn.Module):
        def forward(self, w):
            return w.triu() + w.triu(1).T

    register_parametrization(layer, "weight", Symmetric())    # layer.weight is symmetric from now on

The trained tensor is `layer.parametrizations.weight.original`. If the first parametrisation computes the weight from
several tensors, they are `original0`, `original1`, ..., and its `right_inverse(weight)` returns their start values.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from ...autograd import no_grad
from ...compat.missing import answer as _answer
from ...tensor import Tensor
from ..container import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip

M = TypeVar("M", bound=Module)
_caches: list[dict[tuple[int, str], Tensor]] = []


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrised tensor only once inside the block.

    >>> fc = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> with nn.utils.parametrize.cached():
    ...     fc.weight is fc.weight
    True
    """
    _caches.append(_caches[-1] if _caches else {})
    try:
        yield
    finally:
        _caches.pop()


def _register(module: Module, name: str, value: Tensor) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


class ParametrizationList(ModuleList):
    """The parametrisations of one tensor, in order, with the tensors that the first one takes.

    Args:
        modules: the parametrisations.
        original: the parameter or buffer.
        unsafe: allow the result to have another shape or dtype.

    >>> fc = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> len(fc.parametrizations.weight), fc.parametrizations.weight.original0.shape
    (1, minicnn.Size([2, 1]))
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        with no_grad():
            new: Any = original
            for module in reversed(list(self)):
                new = _inverse(module, new)
        if not isinstance(new, (Tensor, Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        shape, dtype = original.shape, original.dtype
        if isinstance(new, Tensor):
            if new.dtype != dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {dtype}\nright_inverse(original).dtype: {new.dtype}"
                )
            original.data = new.detach()  # the same object, because an optimiser may hold it
            _register(self, "original", original)
        else:
            for number, part in enumerate(new):
                if not isinstance(part, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                        f"Got element {number} of the sequence with type {type(part).__name__}."
                    )
                trained = isinstance(original, Parameter)
                _register(
                    self, f"original{number}", Parameter(part, original.requires_grad) if trained else part.detach()
                )
        if not unsafe:
            _check_kept(self(), shape, dtype, "Registering a parametrization")

    def _originals(self) -> list[Tensor]:
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]
        return [getattr(self, name) for name in names]

    def forward(self) -> Tensor:
        """The tensor."""
        value: Any = self[0](*self._originals())
        for module in list(self)[1:]:
            value = module(value)
        found: Tensor = value
        return found

    def right_inverse(self, value: Tensor) -> None:
        """Change the originals so that the tensor becomes `value`."""
        new: Any = value
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                new = module.right_inverse(new)
        parts = [new] if self.is_tensor else list(new)
        if len(parts) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of "
                f"length {len(parts)}."
            )
        for original, part in zip(self._originals(), parts, strict=True):
            if not isinstance(part, Tensor) or part.dtype != original.dtype:
                raise ValueError(
                    f"`right_inverse` should return tensors of dtype {original.dtype}, got "
                    f"{part.dtype if isinstance(part, Tensor) else type(part).__name__}"
                )
            original.data = part.detach()


def _inverse(module: Any, value: Any) -> Any:
    """Call `right_inverse`; where it is not defined, return the value."""
    if not hasattr(module, "right_inverse"):
        return value
    try:
        return module.right_inverse(value)
    except NotImplementedError:
        return value


def _check_kept(value: Any, shape: Any, dtype: Any, what: str) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(value).__name__}.")
    for kind, before, after in (("dtype", dtype, value.dtype), ("shape", shape, value.shape)):
        if before != after:
            raise ValueError(
                f"{what} may not change the {kind} of the tensor, unless `unsafe` flag is enabled.\n"
                f"unparametrized {kind}: {before!r}\nparametrized {kind}: {after!r}"
            )


def _check_inverse(value: Any, before: Tensor, name: str) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(value).__name__}")
    for kind, expected, found in (("dtype", before.dtype, value.dtype), ("shape", before.shape, value.shape)):
        if expected != found:
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {kind} as module.{name}, "
                f"unless the `unsafe` flag is enabled.\nmodule.{name}.{kind}: {expected!r}\n"
                f"returned {kind}: {found!r}"
            )


def register_parametrization(module: M, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> M:
    """Compute the parameter or buffer `tensor_name` by `parametrization`, after those that it already has.

    The module gets a class of its own, a subclass of its old class, in which the name is a property.

    Raises:
        ValueError: there is no such parameter or buffer, or, unless `unsafe`, the result has another shape or dtype.

    >>> class Symmetric(nn.Module):
    ...     def forward(self, w):
    ...         return w.triu() + w.triu(1).T
    >>> fc = nn.utils.parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((fc.weight == fc.weight.T).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            before = getattr(module, tensor_name)
            value = parametrization(before)
            _check_kept(value, before.shape, before.dtype, "Registering a parametrization")
            _check_inverse(_inverse(parametrization, value), before, tensor_name)
        parametrizations: Any = module.parametrizations[tensor_name]
        parametrizations.append(parametrization)
        parametrizations.unsafe |= unsafe
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    parametrizations = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        kind = type(module)
        module.__class__ = type(
            f"Parametrized{kind.__name__}", (kind,), {"__getstate__": _no_state, "__deepcopy__": _copy}
        )
        module.parametrizations = ModuleDict()
    setattr(type(module), tensor_name, property(_Getter(tensor_name), _Setter(tensor_name)))
    module.parametrizations[tensor_name] = parametrizations
    return module


def _no_state(self: Any) -> Any:
    raise RuntimeError("Serialization of parametrized modules is only supported through state_dict().")


def _copy(self: Any, memo: dict[int, Any]) -> Any:
    """Return a deep copy; the class, made for this one module, is shared."""
    copied = self.__new__(type(self))
    memo[id(self)] = copied
    copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return copied


class _Getter:
    """Computes the tensor of one name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: Any) -> Tensor:
        compute: Any = module.parametrizations[self.name]
        if not _caches:
            found: Tensor = compute()
            return found
        key = id(module), self.name
        if key not in _caches[-1]:
            _caches[-1][key] = compute()
        return _caches[-1][key]


class _Setter(_Getter):
    """Gives the tensor of one name another value."""

    def __call__(self, module: Any, value: Tensor) -> None:  # type: ignore[override]
        module.parametrizations[self.name].right_inverse(value)


def is_parametrized(module: Any, tensor_name: str | None = None) -> bool:
    """Return whether a tensor of the module is parametrised; without a name, whether any is.

    >>> fc = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> nn.utils.parametrize.is_parametrized(fc), nn.utils.parametrize.is_parametrized(fc, "bias")
    (True, False)
    """
    parametrizations = getattr(module, "parametrizations", None)
    if not isinstance(parametrizations, ModuleDict):
        return False
    return bool(len(parametrizations)) if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module: M, tensor_name: str, leave_parametrized: bool = True) -> M:
    """Make the tensor an ordinary one again.

    Args:
        module: the owner of the tensor, which is changed and returned.
        tensor_name: the name of the tensor.
        leave_parametrized: True keeps the current value, False restores the original.

    >>> fc = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> fc = nn.utils.parametrize.remove_parametrizations(fc, "weight")
    >>> [name for name, p in fc.named_parameters()]
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    parametrizations: Any = module.parametrizations[tensor_name]
    if not parametrizations.is_tensor and not leave_parametrized:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    value = getattr(module, tensor_name)
    if parametrizations.is_tensor:
        original = parametrizations.original
        if leave_parametrized:
            original.data = value.detach()
    else:
        original = Parameter(value) if value.requires_grad else value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def transfer_parametrizations_and_params(from_module: Module, to_module: M, tensor_name: str | None = None) -> M:
    """Give `to_module` the parametrisations of another module, copied, and their originals; return it.

    Args:
        from_module: the module with the parametrisations; it stays as it is.
        to_module: the module that gets them; a parameter that it lacks is added.
        tensor_name: only those of this tensor; None means all.

    >>> fc = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> other = nn.utils.parametrize.transfer_parametrizations_and_params(fc, nn.Linear(3, 2))
    >>> bool((other.weight == fc.weight).all())
    True
    """
    if not is_parametrized(from_module):
        return to_module
    given: Any = from_module.parametrizations
    for name in given if tensor_name is None else [tensor_name]:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for parametrization in given[name]:
            register_parametrization(to_module, name, copy.deepcopy(parametrization), unsafe=given[name].unsafe)
        target: Any = to_module.parametrizations[name]
        with no_grad():
            for ours, theirs in zip(target._originals(), given[name]._originals(), strict=True):
                ours.data = theirs.detach().clone()
    return to_module


def type_before_parametrizations(module: Module) -> type:
    """Return the module's class before its parametrisations.

    >>> fc = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> type(fc).__name__, nn.utils.parametrize.type_before_parametrizations(fc).__name__
    ('ParametrizedLinear', 'Linear')
    """
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


_answer(globals())
