"""Layers that find the size of their input at the first forward.

    layer = nn.LazyConv2d(64, 3)      # weight and bias are uninitialised parameters
    layer(x)                          # they get their shapes, and the layer becomes a Conv2d

A state dict that is loaded gives them their shapes, too.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..autograd import no_grad
from ..ops.tensor.creation import zeros
from ..tensor import Tensor
from .batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .normalization import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .parameter import UninitializedBuffer, UninitializedParameter, is_lazy

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d", "LazyLinear",
]  # fmt: skip


class LazyModuleMixin:
    """Makes a module lazy; it stands before the module's class among the base classes.

    The subclass makes `UninitializedParameter`s and defines `initialize_parameters(*args, **kwargs)`, which gets the
    arguments of the first forward and calls `materialize` on the parameters. Then the class of the module becomes
    `cls_to_become`, if it is set. Loading a state dict also gives the parameters their shapes.
    """

    cls_to_become: ClassVar[Any] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own: Any = self
        own._load_hook = own._register_load_state_dict_pre_hook(self._lazy_load_hook)
        own._initialize_hook = own.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def _parts(self) -> dict[str, Any]:
        own: Any = self
        return {**own._parameters, **own._buffers}

    def _lazy_load_hook(self, state_dict: Any, prefix: str, *_: Any) -> None:
        """Give uninitialised parameters the shapes of the values that will be loaded."""
        for name, part in self._parts().items():
            given = state_dict.get(prefix + name)
            if is_lazy(part) and given is not None and not is_lazy(given):
                with no_grad():
                    part.materialize(given.shape)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Materialise the parameters to fit the forward's arguments; the subclass defines it."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Return whether a parameter or buffer has no shape yet."""
        return any(is_lazy(part) for part in self._parts().values())

    def _infer_parameters(self, module: Any, args: Any, kwargs: Any = None) -> None:
        """Initialise before the first forward, and stop being lazy."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {type(self).__name__} has not been fully initialized")
        for hook in ("_initialize_hook", "_load_hook"):
            getattr(module, hook).remove()
            delattr(module, hook)
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become


class _LazyLayer(LazyModuleMixin):
    """A layer without its first argument, the number of input channels or features, which is found from the input.

    The layer is built on the meta device, where nothing is allocated, and uninitialised parameters and buffers replace
    its own; their shapes come from a second layer, which is built when the number is known.
    """

    channel_axis = 1
    _counted: str  # the name of the argument that is left out
    _given: dict[str, Any]  # the other arguments
    ranks: ClassVar[tuple[int, ...]] = ()  # axes of a batch and, if accepted, of a single input
    defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        import inspect

        given = inspect.signature(self.cls_to_become).bind(0, *args, **kwargs).arguments
        given = {**given, **{name: value for name, value in self.defaults.items() if name not in given}}
        self.__dict__["_counted"], self.__dict__["_given"] = next(iter(given)), given
        device, dtype = given.pop("device", None), given.pop("dtype", None)
        super().__init__(**{**given, self._counted: given.get("groups", 1)}, device="meta", dtype=dtype)
        own: Any = self
        setattr(self, self._counted, 0)
        for name, parameter in own._parameters.items():
            if parameter is not None:
                own._parameters[name] = UninitializedParameter(device=device, dtype=dtype)
        for name, buffer in own._buffers.items():
            if buffer is not None and buffer.ndim:
                own._buffers[name] = UninitializedBuffer(device=device, dtype=dtype)
            elif buffer is not None:
                own._buffers[name] = zeros((), dtype=buffer.dtype, device=device)  # a counter

    def reset_parameters(self) -> None:
        """Draw new start values for the parameters, if they have shapes."""
        own: Any = super()
        if not self.has_uninitialized_params() and getattr(self, self._counted) != 0:
            own.reset_parameters()

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Read the number of channels or features from the input, then materialise and draw the parameters."""
        loaded = not self.has_uninitialized_params()
        count = input.shape[self._axis(input)]
        setattr(self, self._counted, count)
        if not loaded:
            like = self.cls_to_become(**{**self._given, self._counted: count}, device="meta")
            for name, part in self._parts().items():
                if is_lazy(part):
                    part.materialize(getattr(like, name).shape)
            self.reset_parameters()

    def _infer_parameters(self, module: Any, args: Any, kwargs: Any = None) -> None:
        super()._infer_parameters(module, args, kwargs)
        del module.__dict__["_counted"], module.__dict__["_given"]

    def _axis(self, input: Tensor) -> int:
        """Return the axis of the channels."""
        if self.ranks and input.ndim not in self.ranks:
            batched, single = self.ranks
            raise RuntimeError(
                f"Expected {single}D (unbatched) or {batched}D (batched) input to {type(self).__name__}, but got "
                f"input of size: {input.shape!r}"
            )
        return 0 if self.ranks and input.ndim == self.ranks[1] else self.channel_axis


class LazyLinear(_LazyLayer, Linear):
    """A `Linear` without `in_features`: `LazyLinear(out_features, bias=True)`.

    >>> fc = nn.LazyLinear(10)
    >>> fc(minicnn.zeros(8, 400)).shape, fc.weight.shape  # the first input tells in_features
    (minicnn.Size([8, 10]), minicnn.Size([10, 400]))
    """

    cls_to_become = Linear
    channel_axis = -1


class LazyConv1d(_LazyLayer, Conv1d):
    """A `Conv1d` without `in_channels`: `LazyConv1d(out_channels, kernel_size, ...)`.

    >>> conv = nn.LazyConv1d(8, 3)
    >>> conv(minicnn.zeros(1, 2, 10)).shape, conv.in_channels
    (minicnn.Size([1, 8, 8]), 2)
    """

    cls_to_become = Conv1d
    ranks = (3, 2)


class LazyConv2d(_LazyLayer, Conv2d):
    """A `Conv2d` without `in_channels`: `LazyConv2d(out_channels, kernel_size, ...)`.

    >>> net = nn.Sequential(nn.LazyConv2d(8, 3), nn.Flatten(), nn.LazyLinear(10))
    >>> net(minicnn.zeros(1, 3, 6, 6)).shape
    minicnn.Size([1, 10])
    >>> net[0].in_channels, net[2].in_features  # 8*4*4
    (3, 128)
    """

    cls_to_become = Conv2d
    ranks = (4, 3)


class LazyConv3d(_LazyLayer, Conv3d):
    """A `Conv3d` without `in_channels`: `LazyConv3d(out_channels, kernel_size, ...)`.

    >>> conv = nn.LazyConv3d(8, 3)
    >>> conv(minicnn.zeros(1, 2, 4, 6, 6)).shape, conv.in_channels
    (minicnn.Size([1, 8, 2, 4, 4]), 2)
    """

    cls_to_become = Conv3d
    ranks = (5, 4)


class LazyConvTranspose1d(_LazyLayer, ConvTranspose1d):
    """A `ConvTranspose1d` without `in_channels`: `LazyConvTranspose1d(out_channels, kernel_size, ...)`.

    >>> conv = nn.LazyConvTranspose1d(8, 2, stride=2)
    >>> conv(minicnn.zeros(1, 2, 10)).shape, conv.in_channels
    (minicnn.Size([1, 8, 20]), 2)
    """

    cls_to_become = ConvTranspose1d
    ranks = (3, 2)


class LazyConvTranspose2d(_LazyLayer, ConvTranspose2d):
    """A `ConvTranspose2d` without `in_channels`: `LazyConvTranspose2d(out_channels, kernel_size, ...)`.

    >>> conv = nn.LazyConvTranspose2d(8, 2, stride=2)
    >>> conv(minicnn.zeros(1, 3, 7, 7)).shape, conv.in_channels
    (minicnn.Size([1, 8, 14, 14]), 3)
    """

    cls_to_become = ConvTranspose2d
    ranks = (4, 3)


class LazyConvTranspose3d(_LazyLayer, ConvTranspose3d):
    """A `ConvTranspose3d` without `in_channels`: `LazyConvTranspose3d(out_channels, kernel_size, ...)`.

    >>> conv = nn.LazyConvTranspose3d(8, 2, stride=2)
    >>> conv(minicnn.zeros(1, 3, 2, 7, 7)).shape, conv.in_channels
    (minicnn.Size([1, 8, 4, 14, 14]), 3)
    """

    cls_to_become = ConvTranspose3d
    ranks = (5, 4)


class LazyBatchNorm1d(_LazyLayer, BatchNorm1d):
    """A `BatchNorm1d` without `num_features`: `LazyBatchNorm1d(eps=1e-5, ...)`.

    >>> norm = nn.LazyBatchNorm1d()
    >>> norm(minicnn.zeros(4, 10)).shape, norm.num_features
    (minicnn.Size([4, 10]), 10)
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyLayer, BatchNorm2d):
    """A `BatchNorm2d` without `num_features`: `LazyBatchNorm2d(eps=1e-5, ...)`.

    >>> norm = nn.LazyBatchNorm2d()
    >>> norm(minicnn.zeros(4, 10, 2, 2)).shape, norm.num_features
    (minicnn.Size([4, 10, 2, 2]), 10)
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyLayer, BatchNorm3d):
    """A `BatchNorm3d` without `num_features`: `LazyBatchNorm3d(eps=1e-5, ...)`.

    >>> norm = nn.LazyBatchNorm3d()
    >>> norm(minicnn.zeros(4, 10, 2, 2, 2)).shape, norm.num_features
    (minicnn.Size([4, 10, 2, 2, 2]), 10)
    """

    cls_to_become = BatchNorm3d


_AFFINE = {"affine": True, "track_running_stats": True}  # the defaults of PyTorch's lazy classes, which differ here


class LazyInstanceNorm1d(_LazyLayer, InstanceNorm1d):
    """An `InstanceNorm1d` without `num_features`: `LazyInstanceNorm1d(eps=1e-5, ...)`; affine by default.

    >>> norm = nn.LazyInstanceNorm1d()
    >>> norm(minicnn.zeros(4, 10, 5)).shape, norm.num_features
    (minicnn.Size([4, 10, 5]), 10)
    """

    cls_to_become = InstanceNorm1d
    ranks = (3, 2)
    defaults = _AFFINE


class LazyInstanceNorm2d(_LazyLayer, InstanceNorm2d):
    """An `InstanceNorm2d` without `num_features`: `LazyInstanceNorm2d(eps=1e-5, ...)`; affine by default.

    >>> norm = nn.LazyInstanceNorm2d()
    >>> norm(minicnn.zeros(4, 10, 2, 2)).shape, norm.num_features
    (minicnn.Size([4, 10, 2, 2]), 10)
    """

    cls_to_become = InstanceNorm2d
    ranks = (4, 3)
    defaults = _AFFINE


class LazyInstanceNorm3d(_LazyLayer, InstanceNorm3d):
    """An `InstanceNorm3d` without `num_features`: `LazyInstanceNorm3d(eps=1e-5, ...)`; affine by default.

    >>> norm = nn.LazyInstanceNorm3d()
    >>> norm(minicnn.zeros(4, 10, 2, 2, 2)).shape, norm.num_features
    (minicnn.Size([4, 10, 2, 2, 2]), 10)
    """

    cls_to_become = InstanceNorm3d
    ranks = (5, 4)
    defaults = _AFFINE
