"""PyTorch's own sample inputs, operation by operation: results to 1e-10, gradients to 1e-8, in float64."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from .opinfo import Unsupported, check, function

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
pytest.importorskip("expecttest", reason="PyTorch's sample inputs need expecttest: pip install expecttest")

from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

FOUND = [op for op in op_db if function(op) is not None]


def types(op: Any) -> list[Any]:
    """float64, with gradients; and an integer type, where the operation takes integers."""
    kinds = [torch.float64, torch.int64, torch.bool]
    return [kind for kind in kinds if op.supports_dtype(kind, "cpu")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", FOUND, ids=lambda op: op.full_name)
def test_results_and_gradients(op: Any, compared: Counter[str]) -> None:
    wrong = []
    for kind in types(op):
        with_gradients = kind == torch.float64 and op.supports_autograd
        for number, sample in enumerate(op.sample_inputs("cpu", kind, requires_grad=with_gradients)):
            try:
                check(op.name, function(op), op.op, sample, torch, 1e-10, 1e-8)
                compared[op.name] += 1
            except Unsupported:
                pass
            except Exception as error:
                if kind != torch.float64 and "must be float32 or float64" in str(error):
                    continue  # kernels take floating-point numbers only, and say so
                wrong.append(f"{kind} sample {number}: {type(error).__name__}: {error}\n{sample}")
    assert not wrong, f"{len(wrong)} samples differ; the first:\n{wrong[0]}"
