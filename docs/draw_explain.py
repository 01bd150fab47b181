"""Draw the pictures of explain.md. Those of attributions need runs, that is nets that were trained:

minicnn train resnet20 --dataset cifar10 --epochs 10
python docs/draw_explain.py runs/resnet20-cifar10-...
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import minicnn
from minicnn import explain, visualize
from minicnn.train import Run
from minicnn.utils.data import DataLoader

PICTURES = Path(__file__).parent / "images" / "explain"
IMAGES = 6


def convolution() -> None:
    """The example with stride 2: a gradient, and the window that slides."""
    example = explain.EXAMPLES["stride"]
    x, w = (minicnn.tensor(rows).float().reshape(1, 1, len(rows), -1) for rows in (example.x, example.w))
    gy = np.arange(1, 10).reshape(1, 1, 3, 3)
    trace = explain.conv_trace(x, w, stride=example.stride, padding=example.padding, grad=gy)
    visualize.window(trace, grad_cell=(0, 0, 1, 1), out=PICTURES / "gradient.png")
    visualize.sliding(trace, PICTURES / "sliding.gif")


def attributions(folder: str) -> None:
    """Which pixels speak for the class, for the first images of a run's test set that the net gets right."""
    run = Run.open(folder)
    model, _, _ = run.model()
    model.eval()
    x, y = next(iter(DataLoader(run.test_set(None), batch_size=200)))
    with minicnn.no_grad():
        right = model(x).argmax(1) == y
    x, y = x[right][:IMAGES], y[right][:IMAGES]
    minicnn.manual_seed(0)
    found = {
        "saliency": explain.saliency(model, x, y),
        "integrated_gradients": explain.integrated_gradients(model, x, y),
        "smooth_grad": explain.smooth_grad(model, x, y),
        "grad_cam": explain.grad_cam(model, x, y),
        "occlusion": explain.occlusion(model, x, y, window=x.shape[2] // 4),
    }
    if any(isinstance(module, minicnn.nn.ReLU) for module in model.modules()):
        found["guided_backprop"] = explain.guided_backprop(model, x, y)
    classes = run.config["dataset"]["classes"]
    name = run.config["model"]["name"].lower()
    labels = [str(classes[int(k)]) for k in y]
    visualize.attribution(x, found, labels=labels, out=PICTURES / f"attribution_{name}.png")


if __name__ == "__main__":
    convolution()
    for each in sys.argv[1:]:
        attributions(each)
