"""Samples of normalisation."""

from __future__ import annotations

from typing import Any

from .table import Op, S, apart, beyond


def statistics(lib: Any, x: Any) -> tuple[Any, Any]:
    """A running mean and variance for the channels of x."""
    mean = lib.arange(x.shape[1], dtype=x.dtype, device=x.device) - 1
    return mean, mean * mean + 0.5


PAIRS = [
    S((4, 3), (4, 3)),
    S((2, 3, 4, 5), (2, 3, 4, 5), dim=-1),
    S((2, 1, 4), (3, 1), dim=2),
    S((3,), (2, 3), dim=1),
    S((0, 3), (0, 3)),
]

OPS = {
    "batch_norm (training)": Op(
        lambda lib, x, w, b, **o: lib.nn.functional.batch_norm(x, None, None, w, b, training=True, **o),
        [
            S((3, 2, 4, 5), (2,), (2,)),
            S((4, 3), (3,), None, eps=0.1),
            S((2, 2, 3), None, None),
            S((1, 2, 3, 3), (2,), (2,)),
            S((2, 2, 2, 1, 3), None, (2,)),
        ],
    ),
    "batch_norm (moving statistics)": Op(
        lambda lib, x, w, b, **o: lib.nn.functional.batch_norm(x, *statistics(lib, x), w, b, True, **o),
        [S((3, 2, 4, 5), (2,), (2,), momentum=0.3), S((2, 3, 1), None, (3,))],
    ),
    "batch_norm (evaluation)": Op(
        lambda lib, x, w, b, **o: lib.nn.functional.batch_norm(x, *statistics(lib, x), w, b, training=False, **o),
        [S((3, 2, 4, 5), (2,), (2,)), S((1, 3), (3,), None), S((0, 2, 2, 2), None, None), S((2, 2, 3), None, (2,))],
    ),
    "group_norm": Op(
        lambda lib, x, w, b, num_groups, **o: lib.nn.functional.group_norm(x, num_groups, w, b, **o),
        [
            S((3, 4, 5, 2), (4,), (4,), num_groups=2),
            S((2, 6, 3), None, None, num_groups=3, eps=0.1),
            S((1, 3, 2, 4), (3,), None, num_groups=1),
            beyond((2, 3, 1, 4), None, (3,), num_groups=3),
            S((5, 4), (4,), (4,), num_groups=2),
            S((2, 4, 2, 3, 2), (4,), (4,), num_groups=4),
            S((0, 4, 2, 2), (4,), (4,), num_groups=2),
        ],
    ),
    "instance_norm": Op(
        lambda lib, x, w, b, **o: lib.nn.functional.instance_norm(x, None, None, w, b, **o),
        [
            S((3, 2, 4, 5), (2,), (2,)),
            S((2, 3, 4), None, None, eps=0.1),
            S((1, 2, 2, 3), (2,), None),
            S((2, 2, 2, 1, 3), None, (2,)),
        ],
    ),
    "instance_norm (evaluation)": Op(
        lambda lib, x, w, b, **o: lib.nn.functional.instance_norm(x, *statistics(lib, x), w, b, False, **o),
        [S((3, 2, 4, 5), (2,), (2,)), S((2, 3, 1), None, None)],
    ),
    "layer_norm": Op(
        lambda lib, x, w, b, shape, **o: lib.nn.functional.layer_norm(x, shape, w, b, **o),
        [
            S((2, 3, 4, 5), (5,), (5,), shape=(5,)),
            S((3, 4, 5), (4, 5), (4, 5), shape=[4, 5]),
            S((6,), (6,), None, shape=(6,)),
            S((2, 3), None, (3,), shape=(3,), eps=0.1),
            S((4, 2, 3), None, None, shape=(4, 2, 3)),
            S((0, 3), (3,), (3,), shape=(3,)),
            S((3, 1), (1,), (1,), shape=(1,), eps=0.5),
        ],
    ),
    "rms_norm": Op(
        lambda lib, x, w, shape, **o: lib.nn.functional.rms_norm(x, shape, w, **o),
        [
            S((2, 3, 4, 5), (5,), shape=(5,)),
            S((3, 4, 5), (4, 5), shape=[4, 5], eps=1e-3),
            S((6,), None, shape=(6,)),
            S((0, 3), (3,), shape=(3,)),
        ],
    ),
    "local_response_norm": Op(
        "nn.functional.local_response_norm",
        [
            S((2, 5, 3, 4), size=3, alpha=0.8, k=2.0),
            S((2, 4, 3), size=4, alpha=2.0, beta=0.5),
            S((1, 3, 2, 1, 2), size=1, alpha=1.0, beta=1.3, k=0.5),
            S((2, 3, 2, 2), size=9, alpha=0.5),
            S((0, 3, 2, 2), size=2),
        ],
    ),
    "normalize": Op(
        "nn.functional.normalize",
        [
            S((3, 4)),
            S((2, 3, 4), p=1, dim=-1),
            S((2, 3, 2), p=3.5, dim=(0, 2)),
            S((2, 3), p=float("inf"), dim=0),
            S((2, 3), eps=50.0),
            S((0, 3)),
            S((4,), dim=0),
        ],
        draw=apart,
    ),
    "cosine_similarity": Op("nn.functional.cosine_similarity", PAIRS),
    "pairwise_distance": Op(
        "nn.functional.pairwise_distance",
        [
            S((4, 3), (4, 3)),
            S((3,), (3,), p=1.0, eps=0.01),
            S((2, 1, 3), (4, 3), p=float("inf"), keepdim=True),
            S((2, 3), (2, 3), p=-2.0),
            S((0, 3), (0, 3)),
        ],
    ),
}
