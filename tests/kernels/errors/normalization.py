"""Errors of geometry/normalization.py."""

from __future__ import annotations

from minicnn_kernels import geometry as G

from .table import Error

ERRORS: list[Error] = [
    (lambda: G.batch_norm((3,), True, {}), ["batch_norm: input must be (N, C, ...)", "(3,)"]),
    (
        lambda: G.batch_norm((4, 3), True, {"weight": (4,)}),
        ["batch_norm: weight should contain 3 elements not 4", "shape (4,)", "3 channels"],
    ),
    (
        lambda: G.batch_norm((1, 3, 1, 1), True, {}),
        ["batch_norm: Expected more than 1 value per channel", "(1, 3, 1, 1)", "model.eval()"],
    ),
    (
        lambda: G.instance_norm((2, 3, 1, 1), True, {}),
        ["instance_norm: Expected more than 1 spatial element", "(2, 3, 1, 1)", "larger images"],
    ),
    (
        lambda: G.group_norm((2, 6, 4), 4, {}),
        ["group_norm: Expected number of channels", "(2, 6, 4) and num_groups=4", "divide 6"],
    ),
    (lambda: G.group_norm((2, 6, 4), 0, {}), ["num_groups=0", "at least 1"]),
    (
        lambda: G.group_norm((1, 3, 1), 3, {"bias": (3,)}),
        ["group_norm: Expected more than 1 value per channel", "(1, 3, 1)", "use fewer groups"],
    ),
    (
        lambda: G.layer_norm((2, 3), (), {}),
        ["layer_norm: Expected normalized_shape to be at least 1-dimensional", "()"],
    ),
    (
        lambda: G.layer_norm((2, 3), (3,), {"bias": (2,)}),
        ["layer_norm: Expected bias to be of same shape", "bias of shape (2,)", "normalized_shape = (3,)"],
    ),
    (
        lambda: G.layer_norm((2, 3, 4), (3, 3), {}, "rms_norm"),
        ["rms_norm: Given normalized_shape=(3, 3)", "expected input with shape (*, 3, 3)", "of size (2, 3, 4)"],
    ),
    (lambda: G.layer_norm((4,), (3, 4), {}), ["expected input with shape (*, 3, 4)", "of size (4,)"]),
    (
        lambda: G.local_response_norm((2, 3), 2),
        ["local_response_norm: Expected 3D or higher", "(N, C, ...)", "got 2 dimensions, (2, 3)"],
    ),
    (lambda: G.local_response_norm((2, 3, 4), 0), ["local_response_norm: size must be at least 1, got 0"]),
]
