"""Several predictions averaged: of several nets (an ensemble), or of one net on several views of an image.

Both are nets themselves: what `evaluate` and `predict` do with a net, they do with these. The scores that they return
are the logarithms of the mean probabilities,

    y[n, k] = log(1/M sum_m p_m[n, k]),    p_m = softmax(scores of prediction m),

because their softmax is again the mean: so cross entropy, top-k and calibration need no other code.

L. K. Hansen, P. Salamon, "Neural network ensembles", 1990, https://doi.org/10.1109/34.58871
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..nn import Module, ModuleList
from ..nn import functional as F
from ..nn.module import check_module
from ..ops.tensor.concatenate import stack
from ..ops.tensor.reduction import logsumexp
from ..tensor import Array, Tensor
from .metrics import accuracy, softmax
from .views import View, named_views

KINDS = ("probabilities", "scores")


class Ensemble(Module):
    """Several nets as one: the mean of their probabilities, or of their scores.

    Args:
        models: the nets; all give scores (N, classes) for the same classes.
        average: "probabilities" (see above), or "scores": y = 1/M sum_m scores of m, which is the geometric mean of the
            probabilities, up to a constant of each row.

    Raises:
        ValueError: there is no net, or `average` is another word.
        TypeError: something is no net, or there is no list.

    >>> sure, unsure = nn.Linear(1, 2, bias=False), nn.Linear(1, 2, bias=False)
    >>> for net, weights in ((sure, [[0.], [2.]]), (unsure, [[0.], [0.]])):
    ...     _ = net.weight.data.copy_(minicnn.tensor(weights))
    >>> both = minicnn.train.Ensemble([sure, unsure])
    >>> both(minicnn.ones(1, 1)).softmax(1).detach()  # the means of 0.1192 and 0.5, and of 0.8808 and 0.5
    tensor([[0.3096, 0.6904]])
    """

    def __init__(self, models: Iterable[Module], average: str = "probabilities") -> None:
        super().__init__()
        if isinstance(models, Module) and not isinstance(models, ModuleList):
            raise TypeError(
                f"Ensemble: give a list of nets, got one net, a {type(models).__name__}: Ensemble([net, ...])"
            )
        models = list(models)
        for model in models:
            check_module("Ensemble", model)
        if not models:
            raise ValueError("Ensemble: there are no nets; give at least one")
        self.models = ModuleList(models)
        self.average = _kind("Ensemble", average)

    def forward(self, input: Tensor) -> Tensor:
        """(N, ...) -> (N, classes)."""
        return _together("Ensemble", [_scores(model(input)) for model in self.models], self.average)


class TestTimeAugmentation(Module):
    """A net that looks at several views of each image, and averages what it says.

    Args:
        model: the net.
        views: functions from images (N, C, H, W) to images of the same number, or to a list of such; or the names of
            views as `named_views` takes them, such as "flip" or "flip+shift".
        average: "probabilities" or "scores", as in `Ensemble`.

    Raises:
        ValueError: there are no views or no such names, or a view changes the number of images.
        TypeError: a view is no function, or returns something else.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    >>> _ = net[1].weight.data.copy_(minicnn.tensor([[0., 0.], [2., 0.]]))  # looks at the left pixel alone
    >>> both = minicnn.train.TestTimeAugmentation(net, "flip")
    >>> both(minicnn.tensor([[[[1., 0.]]]])).softmax(1).detach()  # the pixel is 1, and 0 in the mirror image
    tensor([[0.3096, 0.6904]])
    """

    __test__ = False  # pytest takes classes named Test... for tests

    def __init__(
        self, model: Module, views: str | Iterable[Callable[[Tensor], Any]], average: str = "probabilities"
    ) -> None:
        super().__init__()
        op = "TestTimeAugmentation"
        check_module(op, model)
        self.model = model
        self.views: list[View] = named_views(views) if isinstance(views, str) else list(views)
        if not self.views:
            raise ValueError(f"{op}: there are no views; give functions of images, or names such as 'flip'")
        for view in self.views:
            if not callable(view):
                raise TypeError(f"{op}: a view must be a function from images to images, got {view!r}")
        self.average = _kind(op, average)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        found = []
        for view in self.views:
            seen = view(input)
            for images in seen if isinstance(seen, Iterable) and not isinstance(seen, Tensor) else (seen,):
                if not isinstance(images, Tensor):
                    raise TypeError(
                        "TestTimeAugmentation: a view must return a tensor of images, or a list of such, got "
                        f"{type(images).__name__}"
                    )
                if len(images) != len(input):
                    raise ValueError(
                        f"TestTimeAugmentation: a view made {len(images)} images of {len(input)}; it must give as "
                        "many, or a list of such batches"
                    )
                found.append(_scores(self.model(images)))
        return _together("TestTimeAugmentation", found, self.average)


class EnsembleError(NamedTuple):
    """The errors of several nets, alone and together, from 0 to 1.

    Attributes:
        alone: of each net.
        together: entry i is that of the first i + 1 nets together.
    """

    alone: list[float]
    together: list[float]

    @property
    def mean(self) -> float:
        """The mean error of a single net."""
        return math.fsum(self.alone) / len(self.alone)

    @property
    def gain(self) -> float:
        """How much smaller the error of all nets together is than the mean error of one."""
        return self.mean - self.together[-1]


def ensemble_error(scores: Sequence[Tensor | Array], targets: Tensor | Array, k: int = 1) -> EnsembleError:
    """The top-k errors of nets and of their ensembles, whose probabilities are averaged.

    AlexNet had a top-5 error of 18.2 % alone, and of 15.4 % as one of seven nets.

    Args:
        scores: of each net on the same images, (N, classes).
        targets: the classes, (N,).
        k: an answer is right if the true class is among the k with the highest scores.

    Raises:
        ValueError: there are no nets, or the shapes do not fit; or an error of `accuracy`.

    >>> scores = [np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [0.0, 3.0]])]
    >>> minicnn.train.ensemble_error(scores, np.array([0, 1]))  # the first is surer of image 0, and is right
    EnsembleError(alone=[0.0, 0.5], together=[0.0, 0.0])
    """
    found = [softmax(one) for one in scores]
    if not found:
        raise ValueError("ensemble_error: there are no nets; give the scores of at least one")
    if len({one.shape for one in found}) > 1:
        raise ValueError(
            "ensemble_error: all nets must have scored the same images and classes, got the shapes "
            f"{', '.join(str(one.shape) for one in found)}"
        )
    sums = np.cumsum(found, axis=0)  # (nets, N, classes)
    alone = [1 - accuracy(one, targets, (k,))[0] for one in found]
    return EnsembleError(alone, [1 - accuracy(total, targets, (k,))[0] for total in sums])


def _kind(op: str, average: str) -> str:
    if average not in KINDS:
        raise ValueError(f"{op}: average must be 'probabilities' or 'scores', got {average!r}")
    return average


def _scores(output: Any) -> Tensor:
    """The scores in a net's output, which is a tuple if the net has auxiliary heads and is in training mode."""
    return output if isinstance(output, Tensor) else output[0]


def _together(op: str, scores: list[Tensor], average: str) -> Tensor:
    shapes = {tuple(one.shape) for one in scores}
    if len(shapes) > 1 or scores[0].ndim != 2:
        raise ValueError(f"{op}: all predictions must be (N, classes) for the same classes, got {sorted(shapes)}")
    if len(scores) == 1:
        return scores[0]
    if average == "scores":
        return stack(scores).mean(0)
    return logsumexp(stack([F.log_softmax(one, 1) for one in scores]), 0) - math.log(len(scores))
