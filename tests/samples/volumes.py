"""Samples of operations on volumes (N, C, D, H, W)."""

from __future__ import annotations

from .pooling import fractional_of, unpool
from .table import Op, S, apart, beyond, positive

CONV = [
    S((2, 3, 4, 5, 6), (4, 3, 2, 3, 2), (4,)),
    S((1, 2, 5, 4, 3), (4, 1, 3, 2, 3), (4,), groups=2, padding=(2, 1, 0), stride=(2, 1, 1), dilation=(1, 2, 1)),
    S((2, 2, 3, 2, 3), (2, 2, 2, 2, 2), None, padding="same"),
    S((1, 2, 4, 3, 3), (3, 2, 1, 1, 1), (3,), stride=(3, 1, 2)),
    S((2, 4, 3, 3), (2, 2, 3, 1, 2), None, padding=1, stride=2),  # one volume without a batch axis
    S((2, 4, 2, 3, 4), (6, 2, 1, 1, 1), (6,), groups=2),  # each pixel by itself
    S((0, 2, 3, 4, 4), (3, 2, 2, 3, 3), (3,)),
    S((1, 1, 2, 2, 2), (1, 1, 2, 2, 2), (1,), padding=3, dilation=3, stride=(4, 1, 2)),  # slabs wholly in the padding
]
TRANSPOSED = [
    S((2, 3, 3, 4, 2), (3, 2, 2, 3, 2), (2,)),
    S((1, 4, 2, 3, 2), (4, 3, 3, 2, 2), (6,), groups=2, stride=(2, 1, 3), padding=(1, 0, 1), output_padding=(1, 0, 2)),
    S((3, 2, 2, 3), (3, 2, 2, 1, 3), None, stride=2, dilation=(3, 1, 1), output_padding=(2, 1, 0)),
    S((0, 2, 3, 3, 3), (2, 3, 2, 2, 2), (3,), stride=2),
]
POOL = [
    S((2, 2, 4, 4, 6), kernel_size=2),
    S((1, 2, 5, 3, 4), kernel_size=(3, 2, 2), stride=(1, 2, 1), padding=(1, 0, 1)),
    S((1, 2, 5, 5, 4), kernel_size=2, stride=3, ceil_mode=True),
    S((2, 3, 4, 5), kernel_size=(2, 1, 4), stride=()),
    S((0, 2, 3, 4, 4), kernel_size=2),
]
ADAPTIVE = [
    S((2, 2, 5, 4, 6), output_size=(2, 3, 4)),
    S((1, 3, 4, 6, 5), output_size=1),
    S((2, 2, 4, 3), output_size=(4, None, 2)),
    S((1, 2, 2, 3, 2), output_size=3),
    S((0, 2, 3, 4, 4), output_size=2),
    beyond((2, 1, 3, 3, 3), output_size=(2, 0, 2)),
    beyond((2, 1, 3, 3, 3), output_size=(0, 1, 2)),
]

OPS = {
    "conv3d": Op("nn.functional.conv3d", CONV, linear=(0, 1)),
    "conv_transpose3d": Op("nn.functional.conv_transpose3d", TRANSPOSED, linear=(0, 1)),
    "max_pool3d": Op(
        "nn.functional.max_pool3d", [*POOL, S((1, 2, 5, 4, 4), kernel_size=2, dilation=(3, 1, 2), stride=1)], draw=apart
    ),
    "max_pool3d_with_indices": Op(
        "nn.functional.max_pool3d_with_indices", [S((2, 2, 3, 5, 4), kernel_size=2, padding=1)], draw=apart
    ),
    "avg_pool3d": Op(
        "nn.functional.avg_pool3d",
        [
            *POOL,
            S((1, 2, 3, 5, 4), kernel_size=3, stride=2, padding=1, count_include_pad=False, ceil_mode=True),
            S((2, 4, 4, 4), kernel_size=(2, 3, 2), divisor_override=-3),
        ],
        (0,),
    ),
    "lp_pool3d": Op(
        "nn.functional.lp_pool3d",
        [
            S((2, 2, 3, 4, 5), norm_type=2, kernel_size=2),
            S((1, 3, 5, 4, 4), norm_type=3.0, kernel_size=(2, 3, 1), stride=2, ceil_mode=True),
            S((2, 3, 4, 4), norm_type=float("inf"), kernel_size=2),
        ],
        draw=positive,
    ),
    "adaptive_avg_pool3d": Op("nn.functional.adaptive_avg_pool3d", ADAPTIVE, (0,)),
    "adaptive_max_pool3d": Op("nn.functional.adaptive_max_pool3d", ADAPTIVE, draw=apart),
    "fractional_max_pool3d": Op(
        fractional_of("3d"),
        [
            S((2, 3, 5, 7, 7), samples=(2, 3, 3), kernel_size=2, output_size=(3, 4, 5)),
            S((1, 2, 4, 6, 5), samples=(1, 2, 3), kernel_size=(1, 3, 2), output_size=3, return_indices=True),
            S((3, 6, 7, 9), samples=(1, 3, 3), kernel_size=2, output_ratio=(0.5, 0.5, 0.34)),
        ],
        draw=apart,
    ),
    "max_unpool3d": Op(
        unpool("3d"),
        [
            S((2, 3, 1, 2, 3), size=(2, 3, 2, 4, 6), pool={"kernel_size": 2}, kernel_size=2),
            S((2, 3, 2, 2), size=(2, 7, 5, 4), pool={"kernel_size": 2}, kernel_size=2, output_size=(7, 5, 4)),
            S((0, 2, 2, 2, 2), size=(0, 2, 4, 4, 4), pool={"kernel_size": 2}, kernel_size=2),
        ],
        (0,),
    ),
}
