"""`torch.nn.grad`: the gradients of convolutions as functions."""

from __future__ import annotations

from ..compat.missing import answer as _answer
from ..ops.conv3d import conv3d_input, conv3d_weight
from ..ops.conv_gradients import conv1d_input, conv1d_weight, conv2d_input, conv2d_weight

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]

_answer(globals())
