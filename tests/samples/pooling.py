"""Samples of pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import Op, S, Shape, apart, beyond, positive

POOL = [
    S((2, 3, 4, 6), kernel_size=2),
    S((1, 2, 7, 5), kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)),
    S((2, 2, 7, 8), kernel_size=3, stride=2, ceil_mode=True),
    S((1, 2, 2, 6), kernel_size=3, stride=4, ceil_mode=True),  # larger than the input, but ceil_mode allows it
    S((2, 1, 5, 5), kernel_size=3, stride=1, padding=1),
    S((3, 2, 5, 7), kernel_size=(5, 7)),  # one window: the whole image
    S((2, 2, 6, 7), kernel_size=(4,), stride=(), padding=(2, 1), ceil_mode=True),
    S((0, 2, 4, 4), kernel_size=2),
    S((2, 6, 4), kernel_size=(2, 3)),
]
POOL_1D = [
    S((2, 3, 8), kernel_size=2),
    S((1, 2, 7), kernel_size=(3,), stride=2, padding=(1,)),
    S((2, 3, 8), kernel_size=3, stride=2, ceil_mode=True),
    S((0, 2, 5), kernel_size=2),
    S((3, 9), kernel_size=4, stride=[1]),
]
ADAPTIVE = [
    S((2, 3, 7, 5), output_size=3),
    S((2, 2, 6, 8), output_size=(3, 2)),  # the same windows as in plain pooling
    S((2, 2, 6, 9), output_size=(4, 3)),  # as in plain pooling, in one direction only
    S((1, 2, 3, 4), output_size=(5, 7)),  # more outputs than pixels
    S((3, 2, 5, 4), output_size=(None, 3)),
    S((2, 4, 7, 5), output_size=1),
    S((2, 2, 4, 5), output_size=[2, None]),
    beyond((2, 1, 3, 3), output_size=(0, 2)),
    S((0, 2, 5, 4), output_size=3),
    S((3, 5, 6), output_size=(2, 4)),
]
ADAPTIVE_1D = [
    S((2, 3, 8), output_size=3),
    S((2, 3, 8), output_size=(4,)),
    S((1, 2, 3), output_size=5),
    S((0, 2, 5), output_size=2),
    S((3, 7), output_size=1),
]
LP = [
    S((2, 2, 5, 6), norm_type=2, kernel_size=2),
    S((1, 2, 6, 7), norm_type=1.5, kernel_size=(3, 2), stride=(1, 2)),
    S((2, 1, 5, 5), norm_type=3.0, kernel_size=3, stride=2, ceil_mode=True),
    S((2, 4, 4), norm_type=1, kernel_size=2, stride=1),
    S((2, 4, 4), norm_type=float("inf"), kernel_size=(2, 3)),
    S((2, 4, 4), norm_type=-float("inf"), kernel_size=2),
    S((0, 2, 4, 4), norm_type=2, kernel_size=2),
]
LP_1D = [
    S((2, 2, 7), norm_type=2, kernel_size=3),
    S((2, 7), norm_type=0.5, kernel_size=2, stride=1, ceil_mode=True),
    S((2, 2, 7), norm_type=float("inf"), kernel_size=2),
]


def fractional_of(name: str) -> Any:
    """Make a call of fractional pooling with given random numbers."""

    def call(lib: Any, x: Any, *, samples: Shape, **options: Any) -> Any:
        given = lib.tensor(np.random.default_rng(5).random(samples), dtype=x.dtype, device=x.device)
        return getattr(lib.nn.functional, f"fractional_max_pool{name}")(x, _random_samples=given, **options)

    return call


def unpool(name: str) -> Any:
    """Make a call of unpooling to the places found by a pooling of other numbers; `size` is the size before pooling."""

    def call(lib: Any, x: Any, *, size: Shape, pool: dict[str, Any], **options: Any) -> Any:
        pooled = lib.tensor(np.random.default_rng(3).standard_normal(size)).to(x.device)
        _, index = getattr(lib.nn.functional, f"max_pool{name}")(pooled, **pool, return_indices=True)
        return getattr(lib.nn.functional, f"max_unpool{name}")(x, index, **options)

    return call


OPS = {
    "max_pool2d": Op(
        "nn.functional.max_pool2d", [*POOL, S((2, 2, 7, 7), kernel_size=2, dilation=2, stride=1)], draw=apart
    ),
    "max_pool1d": Op("nn.functional.max_pool1d", [*POOL_1D, S((2, 2, 9), kernel_size=2, dilation=3)], draw=apart),
    "max_pool2d_with_indices": Op(
        "nn.functional.max_pool2d_with_indices", [S((2, 2, 5, 4), kernel_size=2, padding=1)], draw=apart
    ),
    "avg_pool2d": Op(
        "nn.functional.avg_pool2d",
        [
            *POOL,
            S((2, 2, 5, 4), kernel_size=3, stride=2, padding=1, count_include_pad=False),
            S((2, 2, 5, 4), kernel_size=3, stride=2, padding=1, count_include_pad=False, ceil_mode=True),
            S((1, 2, 4, 4), kernel_size=2, divisor_override=3),
            S((2, 4, 4), kernel_size=4, divisor_override=-2),
        ],
        (0,),
    ),
    "avg_pool1d": Op(
        "nn.functional.avg_pool1d", [*POOL_1D, S((2, 2, 5), kernel_size=2, padding=1, count_include_pad=False)], (0,)
    ),
    "adaptive_avg_pool2d": Op("nn.functional.adaptive_avg_pool2d", ADAPTIVE, (0,)),
    "adaptive_avg_pool1d": Op("nn.functional.adaptive_avg_pool1d", ADAPTIVE_1D, (0,)),
    "adaptive_max_pool2d": Op("nn.functional.adaptive_max_pool2d", ADAPTIVE, draw=apart),
    "adaptive_max_pool1d": Op("nn.functional.adaptive_max_pool1d", ADAPTIVE_1D, draw=apart),
    "fractional_max_pool2d": Op(
        fractional_of("2d"),
        [
            S((2, 3, 7, 8), samples=(2, 3, 2), kernel_size=2, output_size=(4, 5)),
            S((1, 2, 6, 5), samples=(1, 2, 2), kernel_size=(1, 3), output_size=3, return_indices=True),
            S((3, 7, 9), samples=(1, 3, 2), kernel_size=2, output_ratio=(0.5, 0.34)),
            S((2, 1, 4, 5), samples=(2, 1, 2), kernel_size=(3, 2), output_size=1),
        ],
        draw=apart,
    ),
    "lp_pool2d": Op("nn.functional.lp_pool2d", LP, draw=positive),
    "lp_pool1d": Op("nn.functional.lp_pool1d", LP_1D, draw=positive),
    "max_unpool2d": Op(
        unpool("2d"),
        [
            S((2, 3, 2, 3), size=(2, 3, 4, 6), pool={"kernel_size": 2}, kernel_size=2),
            S((2, 2, 3, 2), size=(2, 2, 7, 5), pool={"kernel_size": 2}, kernel_size=2, output_size=(7, 5)),
            S(
                (1, 2, 3, 4),
                size=(1, 2, 7, 13),
                pool={"kernel_size": (3, 2), "stride": 3, "padding": (1, 0)},
                kernel_size=(3, 2),
                stride=3,
                padding=(1, 0),
                output_size=(1, 2, 7, 13),
            ),
            S((3, 2, 1), size=(3, 4, 3), pool={"kernel_size": (2, 3)}, kernel_size=(2, 3)),
            S((0, 2, 2, 2), size=(0, 2, 4, 4), pool={"kernel_size": 2}, kernel_size=2),
        ],
        (0,),
    ),
    "max_unpool1d": Op(
        unpool("1d"),
        [
            S((2, 3, 4), size=(2, 3, 8), pool={"kernel_size": 2}, kernel_size=2),
            S((3, 2), size=(3, 5), pool={"kernel_size": 2}, kernel_size=(2,), output_size=(5,)),
        ],
        (0,),
    ),
}
