"""The updates of the optimisers that nets are trained with most: weights changed in place by their gradients.

    SGD(weights, gradients, numbers)      stochastic gradient descent, with or without momentum
    ADAM(weights, gradients, numbers)     Adam and AdamW, with or without amsgrad

    weights      `Weights`: the arrays of all parameters of a group, and the buffers of each
    gradients    as many arrays, each of the shape of its parameter
    numbers      `SGDNumbers` or `AdamNumbers`: the hyperparameters, as the update computes with them

A call changes all tensors of a group at once, so that a row may be one launch. `sgd.py` and `adam.py` have the
equations and the rows, `weights.py` and `addresses.py` what the compiled rows need to go over many tensors in one call,
and `pieces.py` the way of the NumPy rows over an array, which the optimisers without a kernel use too.
"""

from __future__ import annotations

from .adam import ADAM, AdamNumbers
from .sgd import SGD, SGDNumbers
from .weights import Weights

__all__ = ["ADAM", "SGD", "AdamNumbers", "SGDNumbers", "Weights"]
