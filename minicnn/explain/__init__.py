"""What happened inside: every number of a layer, forward and backward, from the kernels that train.

`explain(layer, x, cell=...)` tells where a number comes from. `conv_trace` and its like give the numbers and places as
arrays. `diagnose` names the mistake in a backward pass. `saliency`, `grad_cam`, `occlusion` and others say which pixels
speak for a class. Views of a trained net over a dataset: `top_patches`, `embedding`, `linear_probes`, `drop_blocks`,
`gradient_flow`, `activation_statistics`. Nothing is drawn here; that is for `minicnn.visualize`.

Files:
    explanation.py  document.py  sections.py  sums.py  windows.py  examples.py    an explanation and its parts
    convolution.py  pooling.py  dense.py        the numbers of a layer, one kind of layer a file
    diagnosis.py    mistakes/                   what is wrong with a backward pass
    attribution.py  occlusion.py  scores.py     which pixels speak for a class
    dreams.py       images that excite a unit   patches.py    images of a dataset that do, and deconvnets
    embedding.py    images as points, t-SNE     probes.py     what a linear classifier makes of each layer
    blocks.py       residual nets as ensembles  flow.py       gradients and activations, layer by layer
    samples.py      a dataset through a net, batch by batch
"""

from .attribution import (
    deconvolution,
    feature_maps,
    grad_cam,
    guided_backprop,
    guided_grad_cam,
    input_x_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from .blocks import Dropped, DroppedBlock, ResidualBlock, drop_blocks, path_lengths, residual_blocks
from .convolution import CellError, ConvTrace, conv_trace, conv_transpose_trace
from .diagnosis import Diagnosis, Finding, compare, diagnose
from .document import Explanation
from .dreams import deep_dream, maximize_activation
from .embedding import Embedding, Neighbours, embedding, nearest, tsne
from .examples import EXAMPLES, Example
from .explanation import explain
from .flow import ActivationStatistics, LayerFlow, Magnitude, activation_statistics, gradient_flow
from .occlusion import occlusion
from .patches import TopPatches, deconvnet, top_patches
from .probes import Probe, linear_probes
from .sums import Factor, Sum
from .windows import Windows, window_map

__all__ = [
    "EXAMPLES", "ActivationStatistics", "CellError", "ConvTrace", "Diagnosis", "Dropped", "DroppedBlock", "Embedding",
    "Example", "Explanation", "Factor", "Finding", "LayerFlow", "Magnitude", "Neighbours", "Probe", "ResidualBlock",
    "Sum", "TopPatches", "Windows", "activation_statistics", "compare", "conv_trace", "conv_transpose_trace",
    "deconvnet", "deconvolution", "deep_dream", "diagnose", "drop_blocks", "embedding", "explain", "feature_maps",
    "grad_cam", "gradient_flow", "guided_backprop", "guided_grad_cam", "input_x_gradient", "integrated_gradients",
    "linear_probes", "maximize_activation", "nearest", "occlusion", "path_lengths", "residual_blocks", "saliency",
    "smooth_grad", "top_patches", "tsne", "window_map",
]  # fmt: skip
