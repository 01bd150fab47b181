"""What happened inside: every number of a layer, forward and backward, from the kernels that train.

`explain(layer, x, cell=...)` tells where a number comes from. `conv_trace` and its like give the numbers and places as
arrays. `diagnose` names the mistake in a backward pass. `saliency`, `grad_cam`, `occlusion` and others say which pixels
speak for a class. Nothing is drawn here; that is for `minicnn.visualize`.
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
from .convolution import CellError, ConvTrace, conv_trace, conv_transpose_trace
from .diagnosis import Diagnosis, Finding, compare, compare_results, diagnose
from .document import Explanation
from .dreams import deep_dream, maximize_activation
from .examples import EXAMPLES, Example
from .explanation import explain
from .occlusion import occlusion
from .sums import Factor, Sum
from .windows import Windows, window_map

__all__ = [
    "EXAMPLES", "CellError", "ConvTrace", "Diagnosis", "Example", "Explanation", "Factor", "Finding", "Sum", "Windows",
    "compare", "compare_results", "conv_trace", "conv_transpose_trace", "deconvolution", "deep_dream", "diagnose",
    "explain", "feature_maps", "grad_cam", "guided_backprop", "guided_grad_cam", "input_x_gradient",
    "integrated_gradients", "maximize_activation", "occlusion", "saliency", "smooth_grad", "window_map",
]  # fmt: skip
