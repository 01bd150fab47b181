"""Runs PyTorch's own sample inputs (its OpInfo database) through minicnn and through PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import reduce
from types import FunctionType
from typing import Any

import numpy as np

import minicnn
from minicnn import Tensor
from minicnn.autograd import grad

# Their results are random numbers, or memory as it was found: shapes and types are compared, values are not.
RANDOM = {
    "random", "bernoulli", "cauchy", "empty", "empty_like", "exponential", "geometric", "log_normal", "multinomial",
    "empty_strided", "new_empty",
    "normal", "rand_like", "randint", "randint_like", "randn", "randn_like", "uniform", "nn.functional.alpha_dropout",
    "nn.functional.dropout", "nn.functional.dropout2d", "nn.functional.feature_alpha_dropout", "nn.functional.rrelu",
    "nn.functional.dropout3d", "nn.functional.fractional_max_pool2d", "nn.functional.fractional_max_pool3d",
    "nn.functional.gumbel_softmax",
}  # fmt: skip


# Which of several equal elements an index names is left open by PyTorch; the values are compared.
TIES = {"argsort", "kthvalue", "mode", "msort", "sort", "topk"}
METHODS = {"bool", "unfold"}  # minicnn.bool is a dtype, minicnn.nn.functional.unfold another function


# Singular vectors and eigenvectors are unique but for their signs: the database's own choice of what does not depend on
# these is compared, such as absolute values.
SIGNS = {"svd", "linalg.svd", "linalg.eigh"}
# PyTorch gives the elements of the other triangle, which its results do not depend on, a gradient; minicnn gives 0. The
# number is that of the triangle among the tensors.
TRIANGLES = {"cholesky_inverse": 0, "cholesky_solve": 1}
# PyTorch's series for the first derivative of digamma has an error of some 1e-10; minicnn's is exact to rounding.
ROUGH = {"polygamma": 1e-9, "special.polygamma": 1e-9}


class Unsupported(Exception):
    """A sample with something minicnn leaves out, such as complex numbers."""


def ours(value: Any, torch: Any, dtypes: dict[Any, Any]) -> Any:
    """A PyTorch argument as minicnn's: tensors keep values, strides and requires_grad."""
    if isinstance(value, torch.Tensor):
        if value.is_complex() or value.dtype not in dtypes or value.layout != torch.strided:
            raise Unsupported(str(value.dtype))
        if value.device.type == "meta":
            raise Unsupported("meta")
        if value._is_zerotensor():
            raise Unsupported("a tensor without memory")
        return Tensor(value.detach().resolve_neg().numpy().view(), requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        if value not in dtypes:
            raise Unsupported(str(value))
        return dtypes[value]
    if isinstance(value, torch.Size):
        return minicnn.Size(value)
    if isinstance(value, torch.device):
        return minicnn.device(str(value))
    if isinstance(value, torch.memory_format):
        return getattr(minicnn, str(value).removeprefix("torch."))
    if isinstance(value, (torch.layout, torch.Generator, complex, torch.nn.Module)) or callable(value):
        raise Unsupported(type(value).__name__)
    if isinstance(value, dict):
        return {k: ours(v, torch, dtypes) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(ours(v, torch, dtypes) for v in value)
    return value


def table(torch: Any) -> dict[Any, Any]:
    """PyTorch's dtypes and ours."""
    names = "float16 float32 float64 uint8 int8 int16 int32 int64 bool"
    return {getattr(torch, name): np.dtype(name) for name in names.split()}


def function(op: Any) -> Any:
    """The operation in minicnn: a function by its dotted name, a method or a property of Tensor; None if none is.

    Where the database wraps the operation in a lambda, such as one that clones what is written to, the lambda runs with
    minicnn in the place of torch.
    """
    try:
        found = reduce(getattr, op.name.split("."), minicnn)
    except AttributeError:
        found = None
    if not callable(found) or op.name in METHODS:
        found = getattr(Tensor, op.name, None)
        found = found.__get__ if isinstance(found, property) else found
    wrapper = op.op
    if found and isinstance(wrapper, FunctionType) and wrapper.__module__.startswith("torch.testing"):
        names = {**wrapper.__globals__, "torch": minicnn}
        return FunctionType(wrapper.__code__, names, wrapper.__name__, wrapper.__defaults__, wrapper.__closure__)
    return found


def leaves(value: Any, kind: type) -> Iterator[Any]:
    """The tensors in nested lists, tuples and dicts."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from leaves(item, kind)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item, kind)


def compare(name: str, found: Any, expected: Any, torch: Any, forward: float) -> None:
    """The same tree of results: shapes, types and values."""
    if isinstance(expected, torch.Tensor):
        assert isinstance(found, Tensor), f"{name}: {type(found).__name__} for a tensor"
        assert tuple(found.shape) == tuple(expected.shape), f"{name}: shape {found.shape}, PyTorch {expected.shape}"
        assert found.dtype == table(torch).get(expected.dtype), f"{name}: {found.dtype}, PyTorch {expected.dtype}"
        if name not in RANDOM and not (name in TIES and expected.dtype == torch.int64):
            assert found.requires_grad == expected.requires_grad, f"{name}: requires_grad {found.requires_grad}"
            a, b = found.detach().numpy(), expected.detach().resolve_neg().numpy()
            tolerance = forward if b.dtype == np.float64 else max(forward, 2e-6)  # float32, from integers
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=name)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), f"{name}: {len(found)} results, PyTorch {len(expected)}"
        for a, b in zip(found, expected, strict=True):
            compare(name, a, b, torch, forward)
    elif isinstance(expected, float):
        np.testing.assert_allclose(found, expected, rtol=forward, atol=forward, err_msg=name)
    elif isinstance(expected, torch.dtype):
        assert found == table(torch)[expected]
    else:
        assert found == expected, f"{name}: {found!r}, PyTorch {expected!r}"


def differs(name: str, sample: Any, torch: Any) -> bool:
    """Whether minicnn documents that it does something else with a sample."""
    if name == "histogramdd":  # edges must ascend: NumPy, which counts, refuses others; PyTorch does not look
        edges = [e for e in sample.args[0] if isinstance(e, torch.Tensor)] if isinstance(sample.args[0], list) else []
        return any(bool((e[1:] < e[:-1]).any()) for e in edges)
    if name == "as_strided" and isinstance(sample.input, torch.Tensor):
        # The steps are counted within the tensor, which is contiguous and without the rest of the memory that it views.
        return sample.input.untyped_storage().nbytes() != sample.input.numel() * sample.input.element_size()
    return False


def drops(name: str, sample: Any) -> bool:
    """Whether a sample of attention drops weights."""
    given = sample.args[9:10] if name.endswith("multi_head_attention_forward") else (0.0,)
    return sample.kwargs.get("dropout_p", *given or (0.0,)) > 0


def check(name: str, mine: Any, theirs: Any, sample: Any, torch: Any, forward: float, backward: float) -> None:
    """One sample through both: results, and gradients of a random combination of them."""
    if differs(name, sample, torch):
        raise Unsupported("documented")
    dtypes = table(torch)
    inputs = (sample.input, *sample.args), sample.kwargs
    random = name in RANDOM or drops(name, sample)
    args, options = ours(inputs, torch, dtypes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(*inputs[0], **inputs[1])
        found = mine(*args, **options)
    if name in SIGNS:
        expected, found = sample.output_process_fn_grad(expected), sample.output_process_fn_grad(found)
    forward = max(forward, ROUGH.get(name, 0.0))
    compare("random" if random else name, found, expected, torch, forward)
    pairs = [
        (a, b) for a, b in zip(leaves(found, Tensor), leaves(expected, torch.Tensor), strict=True) if b.requires_grad
    ]
    wanted = [
        (a, b)
        for a, b in zip(leaves((args, options), Tensor), leaves(inputs, torch.Tensor), strict=True)
        if b.requires_grad and b.is_leaf
    ]
    if random or not pairs or not wanted:
        return
    rng = np.random.default_rng(0)
    ups = [rng.standard_normal(tuple(a.shape)) for a, _ in pairs]
    gradients = torch.autograd.grad(
        [b for _, b in pairs],
        [b for _, b in wanted],
        [torch.tensor(up, dtype=b.dtype) for up, (_, b) in zip(ups, pairs, strict=True)],
        allow_unused=True,
    )
    got = grad(
        [a for a, _ in pairs],
        [a for a, _ in wanted],
        [Tensor(up.astype(a.dtype)) for up, (a, _) in zip(ups, pairs, strict=True)],
        allow_unused=True,
    )
    for number, (a, b) in enumerate(zip(got, gradients, strict=True)):
        a, b = (None if g is None else g.detach().numpy(force=True) for g in (a, b))
        if a is None and b is None:
            continue
        a, b = np.zeros_like(b) if a is None else a, np.zeros_like(a) if b is None else b  # no gradient is one of 0
        if TRIANGLES.get(name) == number:
            b = (np.triu if sample.kwargs.get("upper") else np.tril)(b)
        np.testing.assert_allclose(a, b, rtol=backward, atol=backward, err_msg=f"{name}: gradient")
