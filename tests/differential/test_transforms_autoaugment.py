"""The operations, scales and tables of AutoAugment and its kin against torchvision's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import transforms
from minicnn.transforms import autoaugment

torch = pytest.importorskip("torch")
pytest.importorskip("differential.model_pairs", reason="needs PyTorch")
theirs = pytest.importorskip("torchvision.transforms")
their_module = pytest.importorskip("torchvision.transforms.autoaugment")

SIZES = [(32, 32), (24, 40)]


def test_policies() -> None:
    for policy in transforms.AutoAugmentPolicy:
        other = theirs.AutoAugment(theirs.AutoAugmentPolicy(policy.value)).policies
        ours = transforms.AutoAugment(policy).policies
        assert [tuple(map(tuple, pair)) for pair in other] == [tuple(map(tuple, pair)) for pair in ours]


SPACES: dict[str, Any] = {
    "AutoAugment": (autoaugment._MODERATE, lambda size: theirs.AutoAugment()._augmentation_space(10, size)),
    "RandAugment": (autoaugment._MODERATE, lambda size: theirs.RandAugment()._augmentation_space(31, size)),
    "TrivialAugmentWide": (autoaugment._WIDE, lambda size: theirs.TrivialAugmentWide()._augmentation_space(31)),
    "AugMix": (autoaugment._MIXED, lambda size: theirs.AugMix()._augmentation_space(10, size)),
}


@pytest.mark.parametrize("name", SPACES)
def test_scales(name: str) -> None:
    limits, space = SPACES[name]
    for size in SIZES:
        other = space(size)
        bins = max(strengths.numel() for strengths, _ in other.values())
        ours = autoaugment.scales(limits, bins, size)
        assert set(ours) | {"Invert"} == set(other) | {"Invert", "Identity"}
        for operation, (strengths, signed) in other.items():
            mine, mine_signed = ours.get(operation, (None, False))
            assert mine_signed == signed, operation
            if strengths.ndim == 0:
                assert mine is None
            else:
                assert mine is not None
                scale = 255 if operation == "Solarize" else 1  # ours is a share
                np.testing.assert_allclose(scale * mine, strengths.numpy(), rtol=1e-6, atol=1e-6)


STRENGTHS = {
    "ShearX": 0.27, "ShearY": -0.9, "TranslateX": 7.6, "TranslateY": -5.2, "Rotate": 33.0, "Brightness": -0.4,
    "Color": 0.9, "Contrast": 0.3, "Sharpness": -0.9, "Posterize": 3.0, "Solarize": 0.4, "AutoContrast": 0.0,
    "Equalize": 0.0, "Invert": 0.0, "Identity": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("operation", STRENGTHS)
@pytest.mark.parametrize("fill", [None, [120.0, 3.0, 250.0]], ids=["black", "fill"])
@pytest.mark.parametrize("mode", ["NEAREST", "BILINEAR"])
def test_operations(operation: str, fill: Any, mode: str) -> None:
    strength = STRENGTHS[operation]
    other = strength * 255 if operation == "Solarize" else strength
    ours = transforms.RandAugment(interpolation=transforms.InterpolationMode[mode], fill=fill)
    how = {"interpolation": theirs.InterpolationMode[mode], "fill": fill}
    for height, width in SIZES:
        pixels = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
        image = Image.fromarray(pixels)
        expected = their_module._apply_op(image, operation, other, **how)
        np.testing.assert_array_equal(np.asarray(ours._operate(image, operation, strength)), np.asarray(expected))
        tensor = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        expected = their_module._apply_op(torch.from_numpy(tensor), operation, other, **how).numpy().astype(int)
        found = ours._operate(minicnn.tensor(tensor), operation, strength).numpy().astype(int)
        steps = np.abs(found - expected)
        assert (steps > 1).mean() < 0.003 and (steps > 0).mean() < 0.01, operation


def test_representations() -> None:
    for name in ("AutoAugment", "RandAugment", "TrivialAugmentWide", "AugMix"):
        assert repr(getattr(transforms, name)()) == repr(getattr(theirs, name)())
