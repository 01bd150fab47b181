"""PyTorch's own sample inputs of modules: reprs, state dicts, results and gradients in training and in evaluation."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minicnn

from .opinfo import Unsupported, check, ours, table

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
pytest.importorskip("expecttest", reason="PyTorch's sample inputs need expecttest: pip install expecttest")

from torch.testing._internal.common_modules import module_db  # noqa: E402

FOUND = [info for info in module_db if hasattr(minicnn.nn, info.name.removeprefix("nn."))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("info", FOUND, ids=lambda info: info.name)
def test_modules(info: Any, training: bool, compared: Counter[str]) -> None:
    wrong = []
    samples = info.module_inputs_func(info, "cpu", torch.float64, requires_grad=True, training=training)
    for number, sample in enumerate(samples):
        if sample.forward_input is None:
            continue
        try:
            one(info, sample, training)
            compared[info.name] += 1
        except Unsupported:
            pass
        except Exception as error:
            wrong.append(
                f"sample {number}: {type(error).__name__}: {error}\n{sample.constructor_input.args} "
                f"{sample.constructor_input.kwargs} {sample.desc}"
            )
    assert not wrong, f"{len(wrong)} samples differ; the first:\n{wrong[0]}"


def one(info: Any, sample: Any, training: bool) -> None:
    """One pair of modules and inputs through both libraries."""
    given = sample.constructor_input
    theirs = info.module_cls(*given.args, **given.kwargs).double().train(training)
    args, options = ours((given.args, given.kwargs), torch, table(torch))
    mine = getattr(minicnn.nn, info.name.removeprefix("nn."))(*args, **options).double().train(training)
    assert repr(mine) == repr(theirs)
    state = theirs.state_dict()
    assert list(mine.state_dict()) == list(state)
    if any(isinstance(value, torch.nn.parameter.UninitializedParameter) for value in state.values()):
        first = sample.forward_input.args[0].detach()
        mine(ours(first, torch, table(torch))), theirs(first)
        state = theirs.state_dict()
    mine.load_state_dict({key: value.detach().numpy().copy() for key, value in state.items()})
    random = "Dropout" in info.name or (info.name == "nn.RReLU" and training)
    inputs = SimpleNamespace(input=theirs, args=sample.forward_input.args, kwargs=sample.forward_input.kwargs)
    name = "nn.functional.dropout" if random and training else info.name
    first, *rest = inputs.args or [inputs.kwargs.pop("input")]
    forward = SimpleNamespace(input=first, args=tuple(rest), kwargs=inputs.kwargs)
    check(name, mine, theirs, forward, torch, 1e-10, 1e-8)
    for key, value in theirs.state_dict().items():  # running statistics
        np.testing.assert_allclose(mine.state_dict()[key].numpy(), value.numpy(), rtol=1e-10, atol=1e-10, err_msg=key)
    parameters = list(theirs.parameters())
    if parameters and not random:
        args, options = ours(((first, *rest), inputs.kwargs), torch, table(torch))
        both = theirs(first, *rest, **inputs.kwargs), mine(*args, **options)
        results = [y[0] if isinstance(y, tuple) else y for y in both]
        ups = np.random.default_rng(0).standard_normal(tuple(results[0].shape))
        results[0].backward(torch.tensor(ups))
        results[1].backward(minicnn.tensor(ups))
        for p, q in zip(mine.parameters(), parameters, strict=True):
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-8, atol=1e-8)
