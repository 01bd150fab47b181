"""The courses' comparisons: what one way of building a net costs against another. Each returns a `Table`; print it.

The layers are built (on the meta device, without memory) and counted, so that any channels, kernels and image sizes can
be asked for; the defaults are the cases of the courses. One MAC is 2 FLOPs, a bias is 1 FLOP per output.

    blocks.py       two layers or blocks: small kernels against a large one, separable, factorised, bottleneck, dense
    inception.py    the Inception module: naive, with reductions, and against one convolution
    nets.py         whole nets: the memory of VGG-16 line by line, ResNet-50 against VGG-16, SqueezeNet against AlexNet
"""

from __future__ import annotations

from .blocks import bottleneck, compare, factorised, fire, fully_connected, separable, stacked
from .inception import inception_against_convolution, inception_module
from .nets import memory, nets

__all__ = [
    "bottleneck", "compare", "factorised", "fire", "fully_connected", "inception_against_convolution",
    "inception_module", "memory", "nets", "separable", "stacked",
]  # fmt: skip
