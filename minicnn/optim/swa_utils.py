"""Averages of a net's weights during training: the mean (SWA), or a moving average (EMA).

    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.999))
    for images, labels in loader:
        ...
        optimizer.step()
        averaged.update_parameters(net)
    update_bn(loader, averaged)           # until here, the running statistics are those of `net`
    averaged(images)

SWA: P. Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018,
https://arxiv.org/abs/1803.05407
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any, Literal

from ..autograd import no_grad
from ..compat.missing import answer as _answer
from ..nn import Module
from ..nn.batchnorm import _BatchNorm
from ..ops.tensor.creation import tensor
from ..tensor import Tensor
from .lr_scheduler.base import Rates, Schedule, per_group
from .optimizer import Optimizer

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn",
    "update_bn",
]  # fmt: skip

Average = Callable[[Tensor, Tensor, Any], Tensor]
Averages = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The exponential moving average of one tensor: (average, current, n) -> decay * average + (1 - decay) * current.

    Raises:
        ValueError: a decay outside [0, 1].

    >>> average = minicnn.optim.swa_utils.get_ema_avg_fn(decay=0.9)
    >>> average(minicnn.tensor([10.]), minicnn.tensor([20.]), 5)
    tensor([11.])
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """The exponential moving average of lists of tensors, in place: a <- a + (1 - decay) * (current - a).

    Raises:
        ValueError: a decay outside [0, 1].

    >>> averages = [minicnn.tensor([10.])]
    >>> minicnn.optim.swa_utils.get_ema_multi_avg_fn(0.9)(averages, [minicnn.tensor([20.])], 5)
    >>> averages
    [tensor([11.])]
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], _: Any) -> None:
        for average, current in zip(ema_param_list, current_param_list, strict=True):
            if average.dtype.kind == "f":
                average.copy_(average + (1 - decay) * (current - average))
            else:  # rounded towards 0
                average.copy_(average * decay + current * (1 - decay))

    return ema_update


def get_swa_avg_fn() -> Average:
    """The mean of one tensor: (average, current, n) -> average + (current - average) / (n + 1).

    >>> minicnn.optim.swa_utils.get_swa_avg_fn()(minicnn.tensor([10.]), minicnn.tensor([20.]), 4)
    tensor([12.])
    """

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (int(num_averaged) + 1)

    return swa_update


def get_swa_multi_avg_fn() -> Averages:
    """The mean of lists of tensors, in place: average <- average + (current - average) / (n + 1).

    >>> averages = [minicnn.tensor([10.])]
    >>> minicnn.optim.swa_utils.get_swa_multi_avg_fn()(averages, [minicnn.tensor([20.])], 4)
    >>> averages
    [tensor([12.])]
    """

    @no_grad()
    def swa_update(averaged_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], n: Any) -> None:
        weight = float(1 / (n + 1))  # of the default type where n is a tensor: float32, as in PyTorch
        for average, current in zip(averaged_param_list, current_param_list, strict=True):
            average.copy_(average + weight * (current - average))

    return swa_update


def _check_decay(decay: float) -> None:
    if decay < 0 or decay > 1:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


class AveragedModel(Module):
    """A copy of a net, as `.module`, that holds the averages of its weights.

    Args:
        model: the net to copy.
        device: the device of the copy.
        avg_fn: averages one tensor, (average, current, n) -> new average; such as `get_ema_avg_fn` returns.
        multi_avg_fn: does the same for lists of tensors of one type, in place. Without either: the mean.
        use_buffers: average the buffers too; otherwise the latest buffers are copied.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> average = minicnn.optim.swa_utils.AveragedModel(net)
    >>> for weight in (1., 2., 6.):
    ...     _ = net.weight.data.fill_(weight)
    ...     average.update_parameters(net)
    >>> average.module.weight.item()
    3.0
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged net's output."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Add the weights of `model` to the averages; the first call copies them."""

        def parts(net: Module) -> list[Tensor]:
            return [t.detach() for t in (chain(net.parameters(), net.buffers()) if self.use_buffers else
                                         net.parameters())]  # fmt: skip

        pairs = list(zip(parts(self.module), parts(model), strict=True))
        if self.n_averaged == 0:
            for average, current in pairs:
                average.copy_(current)
        elif self.multi_avg_fn is not None:
            for dtype in dict.fromkeys(average.dtype for average, _ in pairs):
                averages, currents = map(list, zip(*(pair for pair in pairs if pair[0].dtype == dtype), strict=True))
                self.multi_avg_fn(averages, currents, self.n_averaged.clone())
        else:
            update = self.avg_fn or get_swa_avg_fn()
            for average, current in pairs:
                average.copy_(update(average, current, self.n_averaged.clone()))
        if not self.use_buffers:
            for average, current in zip(self.module.buffers(), model.buffers(), strict=True):
                average.detach().copy_(current.detach())
        self.n_averaged.copy_(self.n_averaged + 1)


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of all batch norms again, as means over the batches of `loader`.

    Args:
        loader: gives inputs, or tuples or lists that begin with an input.
        model: the net; it runs in training mode once per batch, then gets its mode back.
        device: the device that inputs are moved to.

    >>> net = nn.BatchNorm1d(1)
    >>> minicnn.optim.swa_utils.update_bn([minicnn.tensor([[1.], [3.]]), minicnn.tensor([[5.], [7.]])], net)
    >>> net.running_mean
    tensor([4.])
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    training, momenta = model.training, [module.momentum for module in norms]
    model.train()
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a plain mean over all batches
    for batch in loader:
        inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(inputs if device is None else inputs.to(device))
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
    model.train(training)


class SWALR(Schedule):
    """From the current rate to swa_lr in anneal_epochs steps, along half a cosine or a line; then constant.

    Args:
        optimizer: the optimiser; its groups get a "swa_lr".
        swa_lr: one value for all groups, or a list with one for each.
        anneal_epochs: the number of steps; 0: at once.
        anneal_strategy: "cos" or "linear".
        last_epoch: the last epoch done; -1 at the start.

    >>> optimizer = minicnn.optim.SGD([nn.Parameter(minicnn.zeros(1))], lr=0.1)
    >>> scheduler = minicnn.optim.swa_utils.SWALR(optimizer, swa_lr=0.02, anneal_epochs=2, anneal_strategy="linear")
    >>> for epoch in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(round(scheduler.get_last_lr()[0], 4))
    0.06
    0.02
    0.02
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        for rate, group in zip(per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How far the rate is on the way from the first rate to swa_lr, in [0, 1]."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def _next(self) -> Rates:
        step = max(1, self._step_count - 1) if self.anneal_epochs == 0 else self._step_count - 1
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group, lr in zip(self.optimizer.param_groups, self._rates(), strict=True):
            end = group["swa_lr"]
            first = end if before == 1 else (lr - before * end) / (1 - before)  # the rate at the start
            rates.append(end * now + first * (1 - now))
        return rates


_answer(globals())
