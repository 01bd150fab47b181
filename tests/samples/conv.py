"""Samples of convolutions and transposed convolutions."""

from __future__ import annotations

from .table import Op, S

CONV2D = [
    S((2, 3, 5, 6), (4, 3, 3, 2), (4,)),
    S((2, 3, 6, 7), (4, 3, 3, 3), (4,), padding=(1, 0)),
    S((1, 1, 7, 7), (1, 1, 3, 3), None, stride=3),  # does not fit: the last row and column are in no window
    S((2, 4, 6, 5), (6, 2, 3, 3), (6,), groups=2, padding=1, stride=(2, 1)),
    S((2, 3, 7, 4), (3, 1, 2, 3), None, groups=3, padding=(0, 2), dilation=(3, 1)),  # depthwise
    S((2, 2, 3, 3), (2, 2, 3, 3), (2,), padding=4, dilation=2, stride=2),  # windows wholly in the padding
    S((3, 5, 2, 3), (4, 5, 1, 1), (4,)),
    S((0, 2, 4, 4), (3, 2, 3, 3), (3,), padding="same"),
    S((2, 5, 4), (3, 2, 2, 2), None),  # one image without a batch axis
    S((1, 2, 5, 4), (2, 1, 2, 4), (2,), padding="same", groups=2),  # even kernels: one more pixel at the end
    S((2, 4, 5), (2, 2, 4, 3), None, padding="same", dilation=(3, 2)),
    S((1, 2, 4, 5), (2, 2, 3, 2), None, padding="valid", stride=(2,)),
    S((1, 1, 1, 4), (2, 1, 1, 2), (2,), stride=[1, 2], padding=[0, 1]),
    S((1, 1, 4), (2, 1, 1, 2), (2,)),  # an image one pixel high, without a batch axis
]
CONV1D = [
    S((2, 3, 7), (4, 3, 3), (4,)),
    S((2, 1, 5), (3, 1, 2), (3,)),
    S((1, 4, 9), (6, 2, 3), None, groups=2, stride=(2,), padding=(1,), dilation=(2,)),
    S((3, 5), (2, 3, 4), (2,), padding="same"),
    S((1, 5), (2, 1, 2), None, stride=3),
    S((0, 2, 4), (3, 2, 3), (3,), padding="valid"),
]
TRANSPOSED2D = [
    S((2, 3, 4, 5), (3, 4, 3, 2), (4,)),
    S((2, 2, 3, 4), (2, 3, 3, 4), (3,), stride=(2, 3), padding=(1, 0), output_padding=(1, 2)),
    S((1, 4, 3, 2), (4, 3, 2, 3), (6,), groups=2, stride=2),
    S((2, 3, 3, 3), (3, 1, 3, 3), None, groups=3, padding=1, dilation=(2, 1), output_padding=(1, 0)),  # depthwise
    S((1, 2, 5, 4), (2, 2, 2, 2), None, stride=3, output_padding=2),  # rows and columns that no window reaches
    S((2, 3, 4, 3), (3, 2, 1, 1), (2,), dilation=2, output_padding=(0, 1)),  # 1x1, but another number of pixels
    S((2, 3, 4, 3), (3, 2, 1, 1), (2,), dilation=(2, 1), output_padding=(1, 0)),
    S((2, 2, 2, 3), (2, 2, 3, 3), (2,), padding=2, stride=2, dilation=2),
    S((3, 4, 2), (3, 2, 3, 2), (2,), stride=2),  # without a batch axis
    S((0, 2, 3, 3), (2, 3, 2, 2), (3,), stride=2),
    S((1, 5, 2, 2), (5, 3, 1, 1), (3,)),
    S((2, 1, 1, 1), (1, 2, 4, 3), None, stride=2, padding=1),
]
TRANSPOSED1D = [
    S((2, 3, 5), (3, 4, 3), (4,), stride=2, padding=1, output_padding=1),
    S((1, 4, 3), (4, 1, 2), (2,), groups=2, dilation=(3,), output_padding=(2,)),
    S((3, 4), (3, 2, 3), None, stride=(3,)),
    S((1, 4), (1, 2, 3), (2,)),
    S((0, 2, 3), (2, 3, 2), (3,)),
]
BEYOND = [
    S((2, 3, 5, 6), (4, 3, 3, 2), (4,), flipped=True),
    S((4, 4, 5), (4, 2, 3, 2), None, groups=2, flipped=True, padding=1),
    S((1, 2, 7, 5), (2, 2, 3, 3), None, stride=2, fit="strict", flipped=True),
    S((2, 0, 4, 3), (3, 0, 2, 2), (3,)),  # no input channels: the bias alone; PyTorch then has no output channels
]

OPS = {
    "conv2d": Op("nn.functional.conv2d", CONV2D, linear=(0, 1)),
    "conv1d": Op("nn.functional.conv1d", CONV1D, linear=(0, 1)),
    "conv_transpose2d": Op("nn.functional.conv_transpose2d", TRANSPOSED2D, linear=(0, 1)),
    "conv_transpose1d": Op("nn.functional.conv_transpose1d", TRANSPOSED1D, linear=(0, 1)),
    "conv2d (beyond PyTorch)": Op("nn.functional.conv2d", BEYOND, linear=(0, 1), torch=False),
    "conv2d (flipped by hand)": Op(  # the same with PyTorch's functions
        lambda lib, x, w, **options: lib.nn.functional.conv2d(
            x, *([lib.flip(w, (2, 3))] if lib.__name__ == "torch" else [w]), **options,
            **({} if lib.__name__ == "torch" else {"flipped": True}),
        ),
        [S((2, 3, 5, 6), (4, 3, 3, 2)), S((3, 4, 5), (2, 3, 2, 3), padding=1)],
        linear=(0, 1),
    ),
}  # fmt: skip
