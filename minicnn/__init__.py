"""minicnn: convolutional networks from scratch, under PyTorch's names. See README.md."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from minicnn_kernels import NoKernelError, ShapeError, use

from . import autograd, nn, ops, optim
from .autograd import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .device import Device as device
from .ops.activation import relu, sigmoid, tanh
from .ops.arithmetic import add, div, exp, log, mul, neg, pow, sqrt, sub
from .ops.linear import matmul
from .ops.reduction import argmax, mean, sum
from .ops.shape import flatten, permute, reshape, transpose
from .random import Generator, default_generator, manual_seed
from .tensor import Tensor, float16, float32, float64, from_numpy, int32, int64, tensor, uint8

if TYPE_CHECKING:
    from . import analysis, datasets, models, train, transforms, utils, visualize
    from .analysis import summary

__version__ = "0.1.0"

__all__ = [
    "Generator",
    "NoKernelError",
    "ShapeError",
    "Tensor",
    "add",
    "analysis",
    "argmax",
    "autograd",
    "datasets",
    "default_generator",
    "device",
    "div",
    "enable_grad",
    "exp",
    "flatten",
    "float16",
    "float32",
    "float64",
    "from_numpy",
    "int32",
    "int64",
    "is_grad_enabled",
    "log",
    "manual_seed",
    "matmul",
    "mean",
    "models",
    "mul",
    "neg",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "permute",
    "pow",
    "relu",
    "reshape",
    "set_grad_enabled",
    "sigmoid",
    "sqrt",
    "sub",
    "sum",
    "summary",
    "tanh",
    "tensor",
    "train",
    "transforms",
    "transpose",
    "uint8",
    "use",
    "utils",
    "visualize",
]

_LAZY = {"analysis", "datasets", "models", "train", "transforms", "utils", "visualize"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return import_module(f".{name}", __name__)
    if name == "summary":
        from .analysis import summary

        return summary
    raise AttributeError(f"module 'minicnn' has no attribute {name!r}")
