"""Samples of unfolding, folding and shuffling."""

from __future__ import annotations

from .table import Op, S

OPS = {
    "unfold (windows)": Op(
        "nn.functional.unfold",
        [
            S((2, 3, 5, 6), kernel_size=(2, 3)),
            S((1, 2, 7, 6), kernel_size=3, dilation=(2, 1), padding=(1, 2), stride=(2, 3)),
            S((2, 4, 5), kernel_size=[2, 2], stride=2),
            S((1, 1, 2, 3), kernel_size=(2, 2), padding=3, dilation=3),
            S((0, 2, 3, 3), kernel_size=2),
            S((2, 3, 2, 2), kernel_size=1),
        ],
        linear=(0,),
    ),
    "fold": Op(
        "nn.functional.fold",
        [
            S((2, 18, 20), output_size=(5, 7), kernel_size=(2, 3)),
            S((1, 18, 9), output_size=(7, 6), kernel_size=3, dilation=(2, 1), padding=(1, 2), stride=(2, 3)),
            S((8, 4), output_size=(4, 5), kernel_size=[2, 2], stride=2),
            S((0, 8, 4), output_size=3, kernel_size=2),
            S((1, 4, 4), output_size=5, kernel_size=2, stride=3),  # pixels in no window
        ],
        linear=(0,),
    ),
    "pixel_shuffle": Op(
        "pixel_shuffle",
        [
            S((2, 12, 2, 3), upscale_factor=2), S((9, 2, 1), upscale_factor=3), S((2, 1, 4, 3, 2), upscale_factor=2),
            S((1, 2, 3, 4), upscale_factor=1),
        ],
        linear=(0,),
    ),
    "pixel_unshuffle": Op(
        "nn.functional.pixel_unshuffle",
        [
            S((2, 3, 4, 6), downscale_factor=2), S((2, 3, 6), downscale_factor=3),
            S((2, 1, 2, 2, 4), downscale_factor=2),
        ],
        linear=(0,),
    ),
    "pixel_shuffle (empty)": Op(  # PyTorch's backward fails
        "pixel_shuffle", [S((0, 4, 2, 2), upscale_factor=2), S((2, 4, 0, 3), upscale_factor=2)], torch=False
    ),
    "channel_shuffle": Op(
        "channel_shuffle",
        [S((2, 6, 3, 2), groups=3), S((2, 6, 3), groups=2), S((1, 4, 2, 1, 3), groups=4), S((0, 4, 2, 2), groups=2)],
        linear=(0,),
    ),
}  # fmt: skip
