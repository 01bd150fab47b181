"""PyTorch's own sample inputs, operation by operation: results to 1e-10, gradients to 1e-8, in float64."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from .opinfo import Unsupported, check, function

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
pytest.importorskip("expecttest", reason="PyTorch's sample inputs need expecttest: pip install expecttest")

from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402

FOUND = [op for op in op_db if function(op) is not None]
# All samples are complex numbers, PyTorch functions, for a GPU, views of a part of other memory, or no tensors.
NOTHING = {
    "nn.functional.silu.complex", "nn.functional.triplet_margin_with_distance_loss", "broadcast_shapes",
    "nn.functional.batch_norm.without_cudnn", "as_strided.partial_views",
}  # fmt: skip
# The samples are not symmetric, so that a gradient is of no meaning; the database's wrapper adds their transposes.
SYMMETRIC = {"linalg.pinv.hermitian"}


def test_no_operation_is_lost() -> None:
    """As many operations of the database are here as were, so that one that disappears is noticed."""
    assert len(FOUND) >= 380
    names = {op.name for op in FOUND}
    wanted = """
        add sub mul div pow neg abs exp log log1p sqrt rsqrt sign reciprocal where clamp maximum minimum sum mean
        var std amax amin argmax argmin prod norm logsumexp all any sort topk cumsum reshape view flatten unflatten
        squeeze unsqueeze permute transpose movedim expand repeat flip roll cat stack split chunk unbind __getitem__
        gather scatter masked_fill matmul mm bmm einsum nn.functional.conv1d nn.functional.conv2d
        nn.functional.conv_transpose2d nn.functional.max_pool2d nn.functional.max_unpool2d nn.functional.avg_pool2d
        nn.functional.adaptive_avg_pool2d nn.functional.adaptive_max_pool2d nn.functional.batch_norm
        nn.functional.layer_norm nn.functional.group_norm nn.functional.instance_norm
        nn.functional.local_response_norm nn.functional.linear softmax log_softmax nn.functional.pad
        nn.functional.unfold nn.functional.pixel_shuffle nn.functional.pixel_unshuffle nn.functional.channel_shuffle
        nn.functional.interpolate nn.functional.one_hot nn.functional.normalize nn.functional.cosine_similarity
        nn.functional.cross_entropy nn.functional.nll_loss nn.functional.mse_loss nn.functional.l1_loss
        nn.functional.smooth_l1_loss nn.functional.huber_loss nn.functional.binary_cross_entropy
        nn.functional.binary_cross_entropy_with_logits nn.functional.kl_div nn.functional.multi_margin_loss
    """
    assert not set(wanted.split()) - names


def types(op: Any) -> list[Any]:
    """float64, with gradients; and an integer type, where the operation takes integers."""
    kinds = [torch.float64, torch.int64, torch.bool]
    return [kind for kind in kinds if op.supports_dtype(kind, "cpu")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", FOUND, ids=lambda op: op.full_name)
def test_results_and_gradients(op: Any, compared: Counter[str]) -> None:
    wrong, agreed = [], 0
    mine, theirs = function(op), op.op
    if op.full_name in SYMMETRIC:
        mine, theirs = (partial(op.gradcheck_wrapper, one) for one in (mine, theirs))
    for kind in types(op):
        with_gradients = kind == torch.float64 and op.supports_autograd
        for number, sample in enumerate(op.sample_inputs("cpu", kind, requires_grad=with_gradients)):
            try:
                check(op.name, mine, theirs, sample, torch, 1e-10, 1e-8)
                compared[op.name] += 1
                agreed += 1
            except Unsupported:
                pass
            except Exception as error:
                if kind != torch.float64 and "must be float32 or float64" in str(error):
                    continue  # kernels take floating-point numbers only, and say so
                wrong.append(f"{kind} sample {number}: {type(error).__name__}: {error}\n{sample}")
    assert agreed or wrong or op.full_name in NOTHING, "none of the samples could be compared"
    assert not wrong, f"{len(wrong)} samples differ; the first:\n{wrong[0]}"
