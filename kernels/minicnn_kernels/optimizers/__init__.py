"""The updates of the most used optimisers, SGD and Adam: they change weights in place by their gradients.

    SGD(weights, gradients, numbers)      stochastic gradient descent, with or without momentum
    ADAM(weights, gradients, numbers)     Adam and AdamW, with or without amsgrad

    weights      `Weights`: the arrays of all parameters of a group, and their buffers
    gradients    for each parameter an array of its shape
    numbers      `SGDNumbers` or `AdamNumbers`: the hyperparameters, in the form in which the update uses them

A call changes all tensors of a group at once, so that a row can be one launch of compiled code. `sgd.py` and `adam.py`
have the equations and the rows. `weights.py` lets the compiled rows go over many tensors in one call, on the CPU by
`addresses.py`, on a GPU by `tables.py`; `places.py` says which tensors.
`pieces.py` has the loop of the NumPy rows over an array; the optimisers without a kernel use it too.
"""

from __future__ import annotations

from .adam import ADAM, AdamNumbers
from .sgd import SGD, SGDNumbers
from .weights import Weights

__all__ = ["ADAM", "SGD", "AdamNumbers", "SGDNumbers", "Weights"]
