"""Samples of operations that move elements."""

from __future__ import annotations

from .table import Op, S, beyond

OPS = {
    "reshape": Op("reshape", [S((2, 6), shape=(3, -1)), S((2, 3, 2, 2), shape=(2, 12)), S((0, 2), shape=(0, 4))], (0,)),
    "flatten": Op("flatten", [S((2, 3, 4, 5), start_dim=1), S(()), S((2, 3, 4), start_dim=0, end_dim=1)], (0,)),
    "unflatten": Op("unflatten", [S((2, 6, 2), dim=1, sizes=(3, -1)), S((4,), dim=-1, sizes=(2, 2))], (0,)),
    "squeeze": Op("squeeze", [S((1, 3, 1)), S((1, 3, 1), dim=-1), S((2, 3), dim=0), S((1, 2, 1), dim=(0, 2))], (0,)),
    "unsqueeze": Op("unsqueeze", [S((2, 3), dim=1), S((2,), dim=-1), S((), dim=0)], (0,)),
    "permute": Op("permute", [S((2, 3, 4), dims=(2, 0, 1)), S((2, 0), dims=(1, 0)), S((2, 3), dims=(-1, 0))], (0,)),
    "transpose": Op("transpose", [S((2, 3, 4), dim0=0, dim1=-1), S((), dim0=0, dim1=0)], (0,)),
    "movedim": Op(
        "movedim", [S((2, 3, 4), source=0, destination=-1), S((2, 3, 4), source=(0, 2), destination=(1, 0))], (0,)
    ),
    "expand": Op(
        lambda lib, x, size: x.expand(*size), [S((3, 1), size=(2, -1, 4)), S((2,), size=(2,)), S((), size=(0, 2))], (0,)
    ),
    "repeat": Op(lambda lib, x, n: x.repeat(*n), [S((2, 3), n=(2, 1, 3)), S((), n=(3,)), S((2,), n=(0,))], (0,)),
    "repeat_interleave": Op(
        lambda lib, x, n, **o: lib.repeat_interleave(x, lib.tensor(n) if isinstance(n, list) else n, **o),
        [S((2, 3), n=2), S((2, 3), n=[1, 0, 3], dim=1), S((3, 2), n=3, dim=0)],
        (0,),
    ),
    "flip": Op("flip", [S((2, 3, 4), dims=(0, -1)), S((3,), dims=(0,)), S((2, 0), dims=())], (0,)),
    "roll": Op(
        "roll", [S((2, 5), shifts=3), S((3, 4), shifts=(1, -2), dims=(0, 1)), S((0, 2), shifts=1, dims=0)], (0,)
    ),
    "rot90": Op("rot90", [S((2, 3), k=k) for k in (-1, 0, 1, 2)] + [S((2, 3, 4), k=1, dims=(2, 0))], (0,)),
    "windows": Op(
        lambda lib, x, at: x.unfold(*at),
        [S((7, 2), at=(0, 3, 2)), S((2, 5), at=(-1, 2, 1)), S((4,), at=(0, 4, 1))],
        (0,),
    ),
    "clone": Op("clone", [S((2, 3, 2, 2)), S(()), S((0, 2))], (0,)),
    "contiguous": Op(lambda lib, x: x.transpose(0, -1).contiguous(), [S((2, 3, 4)), S((1, 3))], (0,)),
    "diagonal": Op(
        "diagonal", [S((3, 4)), S((3, 2), offset=-1), S((2, 3, 4), offset=1, dim1=-1, dim2=0), S((2, 0))], (0,)
    ),
    "diag": Op("diag", [S((3,)), S((2,), diagonal=-1), S((2, 3), diagonal=1)], (0,)),
    "diag_embed": Op("diag_embed", [S((2, 3)), S((2, 3), offset=-1, dim1=0, dim2=2), S((0,))], (0,)),
    "trace": Op("trace", [S((2, 3)), S((0, 0))], (0,)),
    "tril": Op("tril", [S((3, 4)), S((2, 3, 2), diagonal=1), S((2, 2), diagonal=-3)], (0,)),
    "triu": Op("triu", [S((3, 4)), S((2, 3, 2), diagonal=-1), S((0, 2))], (0,)),
    "cat": Op(
        lambda lib, x, y, z, **o: lib.cat((x, y, z), **o),
        [S((2, 3), (1, 3), (0, 3)), S((2, 1, 2), (2, 2, 2), (2, 3, 2), dim=-2)],
        (0, 1, 2),
    ),
    "cat (one of shape (0,))": Op(lambda lib, x, y: lib.cat((x, x.new_empty(0), y)), [S((2, 3), (1, 3))], (0, 1)),
    "stack": Op(
        lambda lib, x, y, **o: lib.stack([x, y], **o),
        [S((2, 3), (2, 3), dim=-1), S((), ()), S((0, 2), (0, 2), dim=1)],
        (0, 1),
    ),
    "hstack": Op(lambda lib, x, y: lib.hstack((x, y)), [S((2,), (3,)), S((2, 1), (2, 3)), S((), (1,))], (0, 1)),
    "dstack": Op(lambda lib, x, y: lib.dstack((x, y)), [S((2,), (2,)), S((2, 3), (2, 3))], (0, 1)),
    "block_diag": Op("block_diag", [S((2, 3), (2,)), S((), (0, 2))], (0, 1)),
    "split": Op(
        lambda lib, x, k, **o: lib.cat(lib.split(x, **o)[k:]),
        [
            S((5, 2), k=1, split_size_or_sections=2),
            S((6, 2), k=1, split_size_or_sections=[1, 2, 3]),
            S((3, 2), k=2, split_size_or_sections=1),
        ],
        (0,),
    ),
    "chunk": Op("chunk", [S((5, 2), chunks=3), S((2, 7), chunks=4, dim=-1), S((2, 0), chunks=2, dim=1)], (0,)),
    "tensor_split": Op(
        "tensor_split", [beyond((5, 2), indices_or_sections=3), beyond((2, 7), indices_or_sections=(2, 5), dim=1)], (0,)
    ),
    "diff": Op("diff", [S((5,)), S((2, 4), n=2, dim=0), S((3, 4), n=3), S((2, 5), dim=-2), S((0, 3), dim=0)], (0,)),
    "unbind": Op("unbind", [S((2, 3)), S((2, 3, 4), dim=-2)], (0,)),
    "meshgrid": Op(
        lambda lib, x, y, indexing: lib.stack(lib.meshgrid(x, y, indexing=indexing)),
        [S((2,), (3,), indexing="ij"), S((2,), (3,), indexing="xy")],
        (0, 1),
    ),
    "cartesian_prod": Op("cartesian_prod", [S((2,), (3,))], (0, 1)),
}
