"""Activations by name: y = f(x), one value in, one value out, with up to three parameters.

    x, y, gx, gy   all of one shape, of any rank

`ACTIVATION(op, x, *parameters)` gives y, `ACTIVATION_BACKWARD(op, gy, x, *parameters)` gives gx = gy f'(x). `op` is:

    op            parameters         y
    leaky_relu    a                  x > 0: x, else a x
    hardtanh      a, b               min(max(x, a), b)
    hardswish                        x min(max(x + 3, 0), 6)/6
    hardsigmoid                      min(max(x + 3, 0), 6)/6
    threshold     a, b               x > a: x, else b
    hardshrink    a                  0 in [-a, a], else x
    softshrink    a                  x moved by a towards 0, 0 in [-a, a]
    elu           a, b, c            x > 0: b x, else a (e^(c x) - 1)
    softplus      a, b               log(1 + e^(a x))/a, x itself where a x > b
    logsigmoid                       log(1/(1 + e^-x))
    silu                             x/(1 + e^-x)
    mish                             x tanh(log(1 + e^x))
    gelu                             x P(X <= x), X standard normal
    gelu_tanh                        x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
    softsign                         x/(1 + |x|)
    tanhshrink                       x - tanh(x)

An activation has one entry in `scalars.py`, which is the definition, and also what Numba compiles and what is
translated to C++ for a GPU (`translation.py`); and one in `whole.py`, the NumPy line. relu, tanh and sigmoid, whose
gradients need only y, are in `relu_tanh_sigmoid.py`; prelu, whose slopes are learned, is in `prelu.py`.
"""

from __future__ import annotations

from ..dispatch import Table
from .loops import backward_cuda, backward_numba, backward_python, forward_cuda, forward_numba, forward_python
from .prelu import PRELU, PRELU_BACKWARD
from .relu_tanh_sigmoid import RELU, RELU_BACKWARD, SIGMOID, SIGMOID_BACKWARD, TANH, TANH_BACKWARD
from .scalars import NAMES
from .whole import backward_numpy, forward_numpy

__all__ = [
    "ACTIVATION", "ACTIVATION_BACKWARD", "NAMES", "PRELU", "PRELU_BACKWARD", "RELU", "RELU_BACKWARD", "SIGMOID",
    "SIGMOID_BACKWARD", "TANH", "TANH_BACKWARD",
]  # fmt: skip

ACTIVATION = Table(
    "activation",
    {
        ("elementwise", "python"): forward_python,
        ("elementwise", "numpy"): forward_numpy,
        ("elementwise", "numba"): forward_numba,
        ("elementwise", "cuda"): forward_cuda,
    },
)
ACTIVATION_BACKWARD = Table(
    "activation backward",
    {
        ("elementwise", "python"): backward_python,
        ("elementwise", "numpy"): backward_numpy,
        ("elementwise", "numba"): backward_numba,
        ("elementwise", "cuda"): backward_cuda,
    },
)
