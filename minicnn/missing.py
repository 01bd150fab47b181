"""What of PyTorch is not here, and what to use instead: the text of the error for an unknown name.

`minicnn`, `minicnn.nn`, `nn.functional`, `optim` and `Tensor` ask here when they are asked for a name they lack.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable

import numpy as np

# The first pattern that matches the whole name counts; from the special to the general.
REMEDIES = [
    (r"bfloat16|BFloat16.*", "NumPy has no bfloat16; use float32"),
    (r"complex\w*|view_as_(complex|real)|real|imag|angle|conj\w*|polar|c(float|double|half)|is_complex|is_conj",
     "tensors are real; keep the real and the imaginary part as two tensors"),
    (r"\w*(3d|3D)|conv_tbc", "pictures are 2-d; fold the third axis into the batch or the channels, for the 2d form"),
    (r"\w*(RNN|LSTM|GRU)\w*|rnn_\w*|lstm\w*|gru\w*|Transformer\w*|\w*[mM]ulti_?[hH]ead\w*|scaled_dot_product\w*|"
     r"Embedding\w*|embedding\w*|\w*[cC][tT][cC]_?[lL]oss|AdaptiveLogSoftmaxWithLoss",
     "sequence models are left out; minicnn is for convolutional nets: attention and embeddings can be written with "
     "matmul, softmax and indexing"),
    (r"Bilinear|bilinear", "write it with minicnn.einsum('ni,oij,nj->no', x1, weight, x2)"),
    (r"SyncBatchNorm", "use BatchNorm2d"),
    (r"(quantiz\w*|q(u?int\d+|int)|ao|QInt\w*|dequantize|fake_quantize|per_\w+_affine\w*|int_repr|q_\w+)\w*",
     "there is no quantisation; compute in float32"),
    (r"\w*sparse\w*|SparseAdam|to_mkldnn|layout|strided", "tensors are dense"),
    (r"distributed|rpc|multiprocessing|DistributedDataParallel", "training runs in one process"),
    (r"compiler?|_dynamo|_inductor|export|package|fx|onnx|profiler|monitor|vmap|func|_foreach\w*",
     "modules run as the Python they are; leave the call out"),
    (r"fft|i?stft|\w+_window|signal", "use numpy.fft on x.numpy(), without gradients"),
    (r"special", "the functions are in minicnn itself where it has them: minicnn.erf, minicnn.log1p, minicnn.logit"),
    (r"linalg\w*|svd\w*|eig\w*|inverse|pinverse|qr|geqrf|cholesky\w*|l(st)?sq\w*|lu\w*|triangular_solve|slogdet|det|logdet|"
     r"matrix_\w+|ormqr|orgqr",
     "decompositions are left out; use numpy.linalg on x.numpy(), without gradients"),
    (r"(apply|map2?)_|vectorize\w*", "use NumPy on x.numpy(), or write it with the operations there are"),
    (r"IterableDataset|DistributedSampler", "use Dataset with __len__ and __getitem__"),
    (r"grid_sample\w*|affine_grid\w*", "use interpolate for grids along the axes"),
    (r"(mtia|xpu|mps|cuda|ipu|hpu|xla|accelerator|vulkan)\w*", "minicnn computes on device('cpu')"),
    (r"hessian|jvp|vjp|hvp|gradgradcheck|forward_ad",
     "gradients of gradients are left out; autograd.grad gives first ones"),
    (r"names|rename_?|align_(to|as|tensors)|refine_names|\w*dimname\w*|has_names", "axes have numbers, not names"),
    (r"(un)?typed_storage|storage|storage_type|set_|resize_\w*|as_strided\w*|Storage|\w+Storage",
     "a tensor's memory is its NumPy array: x.numpy()"),
]  # fmt: skip
_COMPILED = [(re.compile(pattern), remedy) for pattern, remedy in REMEDIES]


class Imports:
    """The last finder of modules: says of `import minicnn.distributed` what `minicnn.distributed` would be answered."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Raise for a module of ours that nobody has found."""
        package, _, last = name.rpartition(".")
        if name.startswith("minicnn.") and package in sys.modules:
            known = [n for n in vars(sys.modules[package]) if not n.startswith("_")]
            raise ModuleNotFoundError(str(unknown(package, last, known)), name=name)


def unknown(where: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for `where.name`: why PyTorch's thing of that name is not here and what to use, or a name like it."""
    text = f"{where!r} has no attribute {name!r}"
    if name.startswith("__") and name.endswith("__"):
        return AttributeError(text)
    close = difflib.get_close_matches(name, [n for n in known if not n.startswith("_")], 3)
    remedy = next((remedy for pattern, remedy in _COMPILED if pattern.fullmatch(name)), None)
    if remedy:
        text += f": minicnn does not have this part of PyTorch. Instead: {remedy}"
    elif not name.startswith("_") and callable(getattr(np, name, None)):
        text += f": minicnn does not have it. Instead: numpy.{name} on x.numpy(), without gradients"
    elif close:
        text += f"; use {' or '.join(close)}?"
    else:
        text += ": minicnn does not have it. Use what docs/pytorch.md lists, or write it with the operations there are"
    return AttributeError(text)
