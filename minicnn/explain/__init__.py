"""What happened inside: every number of a layer, forward and backward, from the kernels that train.

`explain(layer, x, cell=...)` tells where a number comes from. `conv_trace` and its like give the numbers and places as
arrays. `diagnose` names the mistake in a backward pass. `recorded` returns what the tape holds of a loss, and the
gradients that flow back along it. `saliency`, `grad_cam`, `occlusion` and others say which pixels speak for a class.
Views of a trained net over a dataset: `top_patches`, `embedding`, `linear_probes`, `drop_blocks`, `gradient_flow`,
`activation_statistics`. `activation_curve`, `connections`, `fitting`, `known_kernels` and `versions` give what lessons
draw. Nothing is drawn here; that is for `minicnn.visualize`.

Files:
    explanation.py  document.py  sections.py  sums.py  windows.py  examples.py    an explanation and its parts
    convolution.py  pooling.py  dense.py        the numbers of a layer, one kind of layer a file
    diagnosis.py    mistakes/                   what is wrong with a backward pass
    attribution.py  occlusion.py  scores.py     which pixels speak for a class
    dreams.py       images that excite a unit   patches.py    images of a dataset that do, and deconvnets
    embedding.py    images as points, t-SNE     probes.py     what a linear classifier makes of each layer
    blocks.py       residual nets as ensembles  flow.py       gradients and activations, layer by layer
    samples.py      a dataset through a net, batch by batch
    recorded.py  tape.py  collapsed.py  frames.py   the tape of a loss, and its modules
    activations.py  connections.py  fitting.py  known_kernels.py  versions.py     what lessons draw
"""

from .activations import ActivationCurve, activation_curve
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
from .connections import Connections, connections
from .convolution import CellError, ConvTrace, conv_trace, conv_transpose_trace
from .dense import BatchNormTrace, LinearTrace
from .diagnosis import Diagnosis, Finding, compare, compare_results, diagnose
from .document import Explanation
from .dreams import deep_dream, maximize_activation
from .embedding import Embedding, Neighbours, embedding, nearest, tsne
from .examples import EXAMPLES, Example
from .explanation import explain
from .fitting import Fit, fitting, shrinkage
from .flow import ActivationStatistics, LayerFlow, Magnitude, activation_statistics, gradient_flow
from .known_kernels import known_kernels, respond, sample_image
from .occlusion import occlusion
from .patches import TopPatches, deconvnet, top_patches
from .pooling import PoolTrace
from .probes import Probe, linear_probes
from .recorded import recorded
from .sums import Factor, Sum
from .tape import Numbers, Tape
from .versions import versions
from .windows import Windows, window_map

__all__ = [
    "EXAMPLES", "ActivationCurve", "ActivationStatistics", "BatchNormTrace", "CellError", "Connections",
    "ConvTrace", "Diagnosis", "Dropped", "DroppedBlock", "Embedding", "Example", "Explanation", "Factor", "Finding",
    "Fit", "LayerFlow", "LinearTrace", "Magnitude", "Neighbours", "Numbers", "PoolTrace", "Probe", "ResidualBlock",
    "Sum", "Tape", "TopPatches", "Windows", "activation_curve", "activation_statistics", "compare",
    "compare_results", "connections", "conv_trace", "conv_transpose_trace", "deconvnet", "deconvolution",
    "deep_dream", "diagnose", "drop_blocks", "embedding", "explain", "feature_maps", "fitting", "grad_cam",
    "gradient_flow", "guided_backprop", "guided_grad_cam", "input_x_gradient", "integrated_gradients",
    "known_kernels", "linear_probes", "maximize_activation", "nearest", "occlusion", "path_lengths", "recorded",
    "residual_blocks", "respond", "saliency", "sample_image", "shrinkage", "smooth_grad", "top_patches", "tsne",
    "versions", "window_map",
]  # fmt: skip
