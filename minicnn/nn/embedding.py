"""Tables of vectors as layers: `Embedding` and `EmbeddingBag`."""

from __future__ import annotations

from typing import Any

from minicnn_kernels.geometry import whole

from ..autograd import no_grad
from ..ops.embedding import dense, embedding, embedding_bag, padding_row
from ..ops.tensor.creation import empty
from ..tensor import Tensor
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """The common part: `weight` (num_embeddings, embedding_dim), drawn from N(0, 1); the padding row is 0."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, max_norm: float | None,
        norm_type: float, scale_grad_by_freq: bool, sparse: bool, _weight: Tensor | None, frozen: bool, device: Any,
        dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        name = type(self).__name__
        dense(name, sparse)
        self.num_embeddings = whole(num_embeddings, name, "num_embeddings", 0)
        self.embedding_dim = whole(embedding_dim, name, "embedding_dim", 0)
        self.padding_idx = padding_row(name, padding_idx, self.num_embeddings)
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.sparse = sparse
        if _weight is None:
            shape = self.num_embeddings, self.embedding_dim
            self.weight = Parameter(empty(shape, device=device, dtype=dtype), requires_grad=not frozen)
            self.reset_parameters()
            return
        if tuple(_weight.shape) != (self.num_embeddings, self.embedding_dim):
            raise AssertionError(
                f"{name}: Shape of weight does not match num_embeddings and embedding_dim: {tuple(_weight.shape)} and "
                f"{self.num_embeddings}, {self.embedding_dim}"
            )
        self.weight = Parameter(_weight, requires_grad=not frozen)

    def reset_parameters(self) -> None:
        """Draw new start values."""
        init.normal_(self.weight)
        self._fill_padding_idx_with_zero()

    def _fill_padding_idx_with_zero(self) -> None:
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].fill_(0)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        text += f", padding_idx={self.padding_idx}" if self.padding_idx is not None else ""
        text += f", max_norm={self.max_norm}" if self.max_norm is not None else ""
        text += f", norm_type={self.norm_type}" if self.norm_type != 2 else ""
        return text + (
            f", scale_grad_by_freq={self.scale_grad_by_freq}" if self.scale_grad_by_freq is not False else ""
        )


def _matrix(embeddings: Tensor) -> None:
    if embeddings.ndim != 2:
        raise AssertionError(f"Embeddings parameter is expected to be 2-dimensional, got {tuple(embeddings.shape)}")


class Embedding(_Table):
    """A table of `num_embeddings` vectors: (...) numbers of rows -> (..., embedding_dim); see `functional.embedding`.

    Args:
        num_embeddings, embedding_dim: V and E of the `weight` (V, E), drawn from N(0, 1).
        padding_idx: a row that is zero, and gets no gradient.
        max_norm, norm_type, scale_grad_by_freq: as in `functional.embedding`.
        sparse: only False is supported.
        device, dtype: of the weight.

    >>> table = nn.Embedding(10, 3, padding_idx=0)
    >>> table(minicnn.tensor([[1, 2, 0, 5]])).shape
    minicnn.Size([1, 4, 3])
    >>> table(minicnn.tensor([0])).detach()
    tensor([[0., 0., 0.]])
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False, _weight: Tensor | None = None,
        _freeze: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight,
            _freeze, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """(...) -> (..., E)."""
        return embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
    ) -> Embedding:  # fmt: skip
        """A layer with given vectors (V, E), which training leaves as they are, unless `freeze` is False.

        >>> table = nn.Embedding.from_pretrained(minicnn.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> table(minicnn.tensor([1])), table.weight.requires_grad
        (tensor([[3., 4.]]), False)
        """
        _matrix(embeddings)
        rows, size = embeddings.shape
        return cls(
            rows, size, padding_idx=padding_idx, max_norm=max_norm, norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq, sparse=sparse, _weight=embeddings, _freeze=freeze,
        )  # fmt: skip


class EmbeddingBag(_Table):
    """The sum, mean or largest values of the vectors in each bag: (B, L) -> (B, E); see `functional.embedding_bag`.

    Args:
        num_embeddings, embedding_dim: V and E of the `weight` (V, E), drawn from N(0, 1).
        max_norm, norm_type, scale_grad_by_freq: as in `functional.embedding`.
        mode: "sum", "mean" or "max".
        sparse: only False is supported.
        include_last_offset, padding_idx: as in `functional.embedding_bag`.
        device, dtype: of the weight.

    >>> bags = nn.EmbeddingBag(10, 3, mode="sum")
    >>> bags(minicnn.tensor([1, 2, 4, 5, 4]), minicnn.tensor([0, 3])).shape  # bags of 3 and of 2
    minicnn.Size([2, 3])
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, _weight: Tensor | None = None,
        include_last_offset: bool = False, padding_idx: int | None = None, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight,
            False, device, dtype,
        )  # fmt: skip
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """(B, L), or (M,) and offsets (B,), -> (B, E)."""
        return embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode,
            self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        padding, self.padding_idx = self.padding_idx, None  # PyTorch prints it last
        text = super().extra_repr()
        self.padding_idx = padding
        return f"{text}, mode={self.mode!r}" + (f", padding_idx={padding}" if padding is not None else "")

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:  # fmt: skip
        """A layer with given vectors (V, E), which training leaves as they are, unless `freeze` is False."""
        _matrix(embeddings)
        rows, size = embeddings.shape
        bag = cls(
            rows, size, _weight=embeddings, max_norm=max_norm, norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq, mode=mode, sparse=sparse,
            include_last_offset=include_last_offset, padding_idx=padding_idx,
        )  # fmt: skip
        bag.weight.requires_grad = not freeze
        return bag
