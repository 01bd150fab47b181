"""What happened inside: every number of a layer, forward and backward, from the kernels that train.

`explain(layer, x, cell=...)` tells where a number comes from. `conv_trace` and its like give the numbers and places as
arrays. `diagnose` names the mistake in a backward pass. `saliency`, `grad_cam`, `occlusion` and others say which pixels
speak for a class. `recorded` returns what the tape holds of a loss, and the gradients that flow back along it.
`activation_curve`, `connections`, `fitting`, `known_kernels` and `versions` give what lessons draw. Nothing is drawn
here; that is for `minicnn.visualize`.
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
from .connections import Connections, connections
from .convolution import CellError, ConvTrace, conv_trace, conv_transpose_trace
from .dense import BatchNormTrace, LinearTrace
from .diagnosis import Diagnosis, Finding, compare, compare_results, diagnose
from .document import Explanation
from .dreams import deep_dream, maximize_activation
from .examples import EXAMPLES, Example
from .explanation import explain
from .fitting import Fit, fitting, shrinkage
from .known_kernels import known_kernels, respond, sample_image
from .occlusion import occlusion
from .pooling import PoolTrace
from .recorded import recorded
from .sums import Factor, Sum
from .tape import Numbers, Tape
from .versions import versions
from .windows import Windows, window_map

__all__ = [
    "EXAMPLES", "ActivationCurve", "BatchNormTrace", "CellError", "Connections", "ConvTrace", "Diagnosis",
    "Example", "Explanation", "Factor", "Finding", "Fit", "LinearTrace", "Numbers", "PoolTrace", "Sum", "Tape",
    "Windows", "activation_curve", "compare", "compare_results", "connections", "conv_trace",
    "conv_transpose_trace", "deconvolution", "deep_dream", "diagnose", "explain", "feature_maps", "fitting",
    "grad_cam", "guided_backprop", "guided_grad_cam", "input_x_gradient", "integrated_gradients", "known_kernels",
    "maximize_activation", "occlusion", "recorded", "respond", "saliency", "sample_image", "shrinkage",
    "smooth_grad", "versions", "window_map",
]  # fmt: skip
