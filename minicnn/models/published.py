"""Which trained weights are published for the models, as data, and torchvision's enumerations of them.

The files are those of torchvision, on the server `BASE`. A file's name ends with the first digits of its SHA-256.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from .registry import MODELS

BASE = "https://download.pytorch.org/models/"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's training images
_HALF = (0.5, 0.5, 0.5)  # both mean and std: values from -1 to 1
_CAFFE, _BYTES = (0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)  # only the mean is subtracted, from 0...255


class File(NamedTuple):
    """A file of weights trained on ImageNet, and how its images are prepared.

    Attributes:
        file: its name on the server.
        top1: its accuracy in percent on the validation images, as published with it; None if its head is not trained.
        resize, crop: the shorter side of an image is resized, then the square in the centre is cut out; in pixels.
        interpolation: of the resizing.
        mean, std: of the channels of an image with values from 0 to 1.
    """

    file: str
    top1: float | None
    resize: int
    crop: int
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = _MEAN
    std: tuple[float, ...] = _STD


# model: (the enumeration's name, files by the name of the weights); "DEFAULT" is the one with the best accuracy
PUBLISHED: dict[str, tuple[str, dict[str, File]]] = {
    "alexnet": ("AlexNet_Weights", {"IMAGENET1K_V1": File("alexnet-owt-7be5be79.pth", 56.522, 256, 224)}),
    "vgg11": ("VGG11_Weights", {"IMAGENET1K_V1": File("vgg11-8a719046.pth", 69.02, 256, 224)}),
    "vgg11_bn": ("VGG11_BN_Weights", {"IMAGENET1K_V1": File("vgg11_bn-6002323d.pth", 70.37, 256, 224)}),
    "vgg13": ("VGG13_Weights", {"IMAGENET1K_V1": File("vgg13-19584684.pth", 69.928, 256, 224)}),
    "vgg13_bn": ("VGG13_BN_Weights", {"IMAGENET1K_V1": File("vgg13_bn-abd245e5.pth", 71.586, 256, 224)}),
    "vgg16": ("VGG16_Weights", {
        "IMAGENET1K_V1": File("vgg16-397923af.pth", 71.592, 256, 224),
        "IMAGENET1K_FEATURES": File("vgg16_features-amdegroot-88682ab5.pth", None, 256, 224, mean=_CAFFE, std=_BYTES),
    }),
    "vgg16_bn": ("VGG16_BN_Weights", {"IMAGENET1K_V1": File("vgg16_bn-6c64b313.pth", 73.36, 256, 224)}),
    "vgg19": ("VGG19_Weights", {"IMAGENET1K_V1": File("vgg19-dcbb9e9d.pth", 72.376, 256, 224)}),
    "vgg19_bn": ("VGG19_BN_Weights", {"IMAGENET1K_V1": File("vgg19_bn-c79401a0.pth", 74.218, 256, 224)}),
    "googlenet": ("GoogLeNet_Weights", {"IMAGENET1K_V1": File("googlenet-1378be20.pth", 69.778, 256, 224)}),
    "inception_v3": ("Inception_V3_Weights", {
        "IMAGENET1K_V1": File("inception_v3_google-0cc3c7bd.pth", 77.294, 342, 299),
    }),
    "resnet18": ("ResNet18_Weights", {"IMAGENET1K_V1": File("resnet18-f37072fd.pth", 69.758, 256, 224)}),
    "resnet34": ("ResNet34_Weights", {"IMAGENET1K_V1": File("resnet34-b627a593.pth", 73.314, 256, 224)}),
    "resnet50": ("ResNet50_Weights", {
        "IMAGENET1K_V1": File("resnet50-0676ba61.pth", 76.13, 256, 224),
        "IMAGENET1K_V2": File("resnet50-11ad3fa6.pth", 80.858, 232, 224),
    }),
    "resnet101": ("ResNet101_Weights", {
        "IMAGENET1K_V1": File("resnet101-63fe2227.pth", 77.374, 256, 224),
        "IMAGENET1K_V2": File("resnet101-cd907fc2.pth", 81.886, 232, 224),
    }),
    "resnet152": ("ResNet152_Weights", {
        "IMAGENET1K_V1": File("resnet152-394f9c45.pth", 78.312, 256, 224),
        "IMAGENET1K_V2": File("resnet152-f82ba261.pth", 82.284, 232, 224),
    }),
    "wide_resnet50_2": ("Wide_ResNet50_2_Weights", {
        "IMAGENET1K_V1": File("wide_resnet50_2-95faca4d.pth", 78.468, 256, 224),
        "IMAGENET1K_V2": File("wide_resnet50_2-9ba9bcbe.pth", 81.602, 232, 224),
    }),
    "wide_resnet101_2": ("Wide_ResNet101_2_Weights", {
        "IMAGENET1K_V1": File("wide_resnet101_2-32ee1156.pth", 78.848, 256, 224),
        "IMAGENET1K_V2": File("wide_resnet101_2-d733dc28.pth", 82.51, 232, 224),
    }),
    "resnext50_32x4d": ("ResNeXt50_32X4D_Weights", {
        "IMAGENET1K_V1": File("resnext50_32x4d-7cdf4587.pth", 77.618, 256, 224),
        "IMAGENET1K_V2": File("resnext50_32x4d-1a0047aa.pth", 81.198, 232, 224),
    }),
    "resnext101_32x8d": ("ResNeXt101_32X8D_Weights", {
        "IMAGENET1K_V1": File("resnext101_32x8d-8ba56ff5.pth", 79.312, 256, 224),
        "IMAGENET1K_V2": File("resnext101_32x8d-110c445d.pth", 82.834, 232, 224),
    }),
    "resnext101_64x4d": ("ResNeXt101_64X4D_Weights", {
        "IMAGENET1K_V1": File("resnext101_64x4d-173b62eb.pth", 83.246, 232, 224),
    }),
    "densenet121": ("DenseNet121_Weights", {"IMAGENET1K_V1": File("densenet121-a639ec97.pth", 74.434, 256, 224)}),
    "densenet169": ("DenseNet169_Weights", {"IMAGENET1K_V1": File("densenet169-b2777c0a.pth", 75.6, 256, 224)}),
    "densenet201": ("DenseNet201_Weights", {"IMAGENET1K_V1": File("densenet201-c1103571.pth", 76.896, 256, 224)}),
    "densenet161": ("DenseNet161_Weights", {"IMAGENET1K_V1": File("densenet161-8d451a50.pth", 77.138, 256, 224)}),
    "squeezenet1_0": ("SqueezeNet1_0_Weights", {"IMAGENET1K_V1": File("squeezenet1_0-b66bff10.pth", 58.092, 256, 224)}),
    "squeezenet1_1": ("SqueezeNet1_1_Weights", {"IMAGENET1K_V1": File("squeezenet1_1-b8a52dc0.pth", 58.178, 256, 224)}),
    "mobilenet_v2": ("MobileNet_V2_Weights", {
        "IMAGENET1K_V1": File("mobilenet_v2-b0353104.pth", 71.878, 256, 224),
        "IMAGENET1K_V2": File("mobilenet_v2-7ebf99e0.pth", 72.154, 232, 224),
    }),
    "mobilenet_v3_small": ("MobileNet_V3_Small_Weights", {
        "IMAGENET1K_V1": File("mobilenet_v3_small-047dcff4.pth", 67.668, 256, 224),
    }),
    "mobilenet_v3_large": ("MobileNet_V3_Large_Weights", {
        "IMAGENET1K_V1": File("mobilenet_v3_large-8738ca79.pth", 74.042, 256, 224),
        "IMAGENET1K_V2": File("mobilenet_v3_large-5c1a4163.pth", 75.274, 232, 224),
    }),
    "shufflenet_v2_x0_5": ("ShuffleNet_V2_X0_5_Weights", {
        "IMAGENET1K_V1": File("shufflenetv2_x0.5-f707e7126e.pth", 60.552, 256, 224),
    }),
    "shufflenet_v2_x1_0": ("ShuffleNet_V2_X1_0_Weights", {
        "IMAGENET1K_V1": File("shufflenetv2_x1-5666bf0f80.pth", 69.362, 256, 224),
    }),
    "shufflenet_v2_x1_5": ("ShuffleNet_V2_X1_5_Weights", {
        "IMAGENET1K_V1": File("shufflenetv2_x1_5-3c479a10.pth", 72.996, 232, 224),
    }),
    "shufflenet_v2_x2_0": ("ShuffleNet_V2_X2_0_Weights", {
        "IMAGENET1K_V1": File("shufflenetv2_x2_0-8be3c8ee.pth", 76.23, 232, 224),
    }),
    "mnasnet0_5": ("MNASNet0_5_Weights", {
        "IMAGENET1K_V1": File("mnasnet0.5_top1_67.823-3ffadce67e.pth", 67.734, 256, 224),
    }),
    "mnasnet0_75": ("MNASNet0_75_Weights", {"IMAGENET1K_V1": File("mnasnet0_75-7090bc5f.pth", 71.18, 232, 224)}),
    "mnasnet1_0": ("MNASNet1_0_Weights", {
        "IMAGENET1K_V1": File("mnasnet1.0_top1_73.512-f206786ef8.pth", 73.456, 256, 224),
    }),
    "mnasnet1_3": ("MNASNet1_3_Weights", {"IMAGENET1K_V1": File("mnasnet1_3-a4c69d6f.pth", 76.506, 232, 224)}),
    "efficientnet_b0": ("EfficientNet_B0_Weights", {
        "IMAGENET1K_V1": File("efficientnet_b0_rwightman-7f5810bc.pth", 77.692, 256, 224, "bicubic"),
    }),
    "efficientnet_b1": ("EfficientNet_B1_Weights", {
        "IMAGENET1K_V1": File("efficientnet_b1_rwightman-bac287d4.pth", 78.642, 256, 240, "bicubic"),
        "IMAGENET1K_V2": File("efficientnet_b1-c27df63c.pth", 79.838, 255, 240),
    }),
    "efficientnet_b2": ("EfficientNet_B2_Weights", {
        "IMAGENET1K_V1": File("efficientnet_b2_rwightman-c35c1473.pth", 80.608, 288, 288, "bicubic"),
    }),
    "efficientnet_b3": ("EfficientNet_B3_Weights", {
        "IMAGENET1K_V1": File("efficientnet_b3_rwightman-b3899882.pth", 82.008, 320, 300, "bicubic"),
    }),
    "efficientnet_b4": ("EfficientNet_B4_Weights", {
        "IMAGENET1K_V1": File("efficientnet_b4_rwightman-23ab8bcd.pth", 83.384, 384, 380, "bicubic"),
    }),
    "efficientnet_b5": ("EfficientNet_B5_Weights", {
        "IMAGENET1K_V1": File("efficientnet_b5_lukemelas-1a07897c.pth", 83.444, 456, 456, "bicubic"),
    }),
    "efficientnet_b6": ("EfficientNet_B6_Weights", {
        "IMAGENET1K_V1": File("efficientnet_b6_lukemelas-24a108a5.pth", 84.008, 528, 528, "bicubic"),
    }),
    "efficientnet_b7": ("EfficientNet_B7_Weights", {
        "IMAGENET1K_V1": File("efficientnet_b7_lukemelas-c5b4e57e.pth", 84.122, 600, 600, "bicubic"),
    }),
    "efficientnet_v2_s": ("EfficientNet_V2_S_Weights", {
        "IMAGENET1K_V1": File("efficientnet_v2_s-dd5fe13b.pth", 84.228, 384, 384),
    }),
    "efficientnet_v2_m": ("EfficientNet_V2_M_Weights", {
        "IMAGENET1K_V1": File("efficientnet_v2_m-dc08266a.pth", 85.112, 480, 480),
    }),
    "efficientnet_v2_l": ("EfficientNet_V2_L_Weights", {
        "IMAGENET1K_V1": File("efficientnet_v2_l-59c71312.pth", 85.808, 480, 480, "bicubic", _HALF, _HALF),
    }),
}  # fmt: skip
ENUMS = {enum: model for model, (enum, _) in PUBLISHED.items()}


class WeightsEnum(Enum):
    """The published weights of a model: `resnet50(weights=ResNet50_Weights.IMAGENET1K_V2)`.

    Each member is a `File`, which `.value` gives.

    >>> weights = minicnn.models.ResNet50_Weights.DEFAULT
    >>> weights.name, weights.value.top1, weights.value.crop
    ('IMAGENET1K_V2', 80.858, 224)
    """

    @property
    def url(self) -> str:
        """The address of the file."""
        return BASE + self.value.file

    @property
    def meta(self) -> dict[str, Any]:
        """What is known about the weights; unlike in torchvision without the names of the classes."""
        entry = MODELS[ENUMS[type(self).__name__]]
        metrics = {"ImageNet-1K": {"acc@1": self.value.top1}}
        return {"num_params": entry.params, "num_classes": entry.num_classes, "_metrics": metrics}

    def transforms(self) -> Any:
        """The steps from a PIL image to the net's input: resizing, the square in the centre, normalisation."""
        from ..transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

        about = self.value
        resize = Resize(about.resize, interpolation=InterpolationMode(about.interpolation))
        return Compose([resize, CenterCrop(about.crop), ToTensor(), Normalize(about.mean, about.std)])


@cache
def weights_enum(name: str) -> type[WeightsEnum]:
    """The enumeration with torchvision's name: `weights_enum("ResNet50_Weights")`.

    >>> minicnn.models.weights_enum("ResNet50_Weights") is minicnn.models.ResNet50_Weights
    True
    """
    model = ENUMS[name]
    files = PUBLISHED[model][1]
    members = {**files, "DEFAULT": files[default(model)]}  # the last one is another name of a member
    functional: Any = WeightsEnum
    made: type[WeightsEnum] = functional(name, members, module="minicnn.models")
    made.__doc__ = f"The published weights of `{model}`: {', '.join(files)}; DEFAULT is {default(model)}."
    return made


def default(model: str) -> str:
    """The name of a model's best published weights."""
    files = PUBLISHED[model][1]
    return max(files, key=lambda name: files[name].top1 or 0)


def get_model_weights(name: Any) -> type[WeightsEnum]:
    """The enumeration of a model's published weights, by the model's name or its function.

    Raises:
        ValueError: there are none.

    >>> [weights.name for weights in minicnn.models.get_model_weights("resnet50")]
    ['IMAGENET1K_V1', 'IMAGENET1K_V2']
    """
    model = getattr(name, "__name__", name)
    if model not in PUBLISHED:
        raise ValueError(
            f"get_model_weights: no weights are published for {model!r}; there are: {', '.join(PUBLISHED)}"
        )
    return weights_enum(PUBLISHED[model][0])


def get_weight(name: str) -> WeightsEnum:
    """Published weights by their full name: `get_weight("ResNet50_Weights.IMAGENET1K_V2")`.

    Raises:
        ValueError: there are none of this name.

    >>> minicnn.models.get_weight("ResNet50_Weights.IMAGENET1K_V2").url
    'https://download.pytorch.org/models/resnet50-11ad3fa6.pth'
    """
    enum, _, member = str(name).partition(".")
    if enum not in ENUMS or member not in weights_enum(enum).__members__:
        known = ", ".join(weights_enum(enum).__members__) if enum in ENUMS else ", ".join(ENUMS)
        raise ValueError(f"get_weight: {name!r} is unknown; there are: {known}")
    return weights_enum(enum)[member]
