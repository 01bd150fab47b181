"""Which models there are: one row each, so that `minicnn.models` imports a file only when one of its names is asked.

The counts are those of the published architecture; the tests build every net and count again.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """A model: where it is, and what is known about it before it is built.

    Attributes:
        file: the module in `minicnn.models` that has the function with the model's name.
        year: of the paper, or of its first version.
        input_size: (C, H, W) of an image, as published.
        num_classes: outputs.
        params: trainable parameters.
        macs: multiply-accumulates of the convolutions and linear layers for one image, without biases.
        top1: published accuracy in percent (ImageNet for 1000 classes), or None.
    """

    file: str
    year: int
    input_size: tuple[int, int, int]
    num_classes: int
    params: int
    macs: int
    top1: float | None


MODELS = {
    "lenet5": Entry("lenet", 1998, (1, 32, 32), 10, 61_706, 416_520, 96.5),
    "lenet5_1998": Entry("lenet", 1998, (1, 32, 32), 10, 60_000, 325_680, 99.05),
    "mlp": Entry("mlp", 1998, (1, 28, 28), 10, 266_610, 266_200, 96.95),
    "highway10": Entry("highway", 2015, (1, 28, 28), 10, 85_660, 84_700, None),
    "highway20": Entry("highway", 2015, (1, 28, 28), 10, 136_660, 134_700, None),
    "highway50": Entry("highway", 2015, (1, 28, 28), 10, 289_660, 284_700, None),
    "highway100": Entry("highway", 2015, (1, 28, 28), 10, 544_660, 534_700, None),
    "convnetjs": Entry("convnetjs", 2014, (3, 32, 32), 10, 22_466, 3_920_000, None),
    "alexnet": Entry("alexnet", 2014, (3, 224, 224), 1000, 61_100_840, 714_188_480, 56.522),
    "alexnet_lrn": Entry("alexnet", 2012, (3, 227, 227), 1000, 62_378_344, 1_135_256_096, None),
    "alexnet_two_towers": Entry("alexnet", 2012, (3, 227, 227), 1000, 60_965_224, 724_406_816, 57.1),
    "alexnet_bn": Entry("alexnet", 2012, (3, 224, 224), 1000, 62_381_096, 1_135_256_096, None),
    "alexnet_simple": Entry("alexnet", 2012, (3, 224, 224), 1000, 61_266_088, 861_301_280, None),
    "zfnet": Entry("zfnet", 2013, (3, 224, 224), 1000, 62_357_608, 1_168_032_896, 61.6),
    "zfnet_wide": Entry("zfnet", 2013, (3, 224, 224), 1000, 107_627_624, 2_476_704_896, 62.5),
    "all_cnn_c": Entry("all_cnn", 2014, (3, 32, 32), 10, 1_369_738, 270_798_336, 92.75),
    "nin_cifar": Entry("nin", 2013, (3, 32, 32), 10, 966_986, 222_486_528, 89.6),
    "nin": Entry("nin", 2013, (3, 224, 224), 1000, 7_595_176, 1_100_188_800, 59.36),
    "vgg11": Entry("vgg", 2014, (3, 224, 224), 1000, 132_863_336, 7_609_090_048, 69.02),
    "vgg11_lrn": Entry("vgg", 2014, (3, 224, 224), 1000, 132_863_336, 7_609_090_048, 70.3),
    "vgg11_bn": Entry("vgg", 2014, (3, 224, 224), 1000, 132_868_840, 7_609_090_048, 70.37),
    "vgg13": Entry("vgg", 2014, (3, 224, 224), 1000, 133_047_848, 11_308_466_176, 69.928),
    "vgg13_bn": Entry("vgg", 2014, (3, 224, 224), 1000, 133_053_736, 11_308_466_176, 71.586),
    "vgg16_c": Entry("vgg", 2014, (3, 224, 224), 1000, 133_638_952, 11_770_888_192, 71.9),
    "vgg16_c_bn": Entry("vgg", 2014, (3, 224, 224), 1000, 133_647_400, 11_770_888_192, None),
    "vgg16": Entry("vgg", 2014, (3, 224, 224), 1000, 138_357_544, 15_470_264_320, 71.592),
    "vgg16_bn": Entry("vgg", 2014, (3, 224, 224), 1000, 138_365_992, 15_470_264_320, 73.36),
    "vgg19": Entry("vgg", 2014, (3, 224, 224), 1000, 143_667_240, 19_632_062_464, 72.376),
    "vgg19_bn": Entry("vgg", 2014, (3, 224, 224), 1000, 143_678_248, 19_632_062_464, 74.218),
    "googlenet": Entry("googlenet", 2014, (3, 224, 224), 1000, 13_004_888, 1_498_376_192, 69.778),
    "googlenet_2014": Entry("googlenet", 2014, (3, 224, 224), 1000, 13_378_280, 1_582_671_872, 68.7),
    "googlenet_bn": Entry("googlenet", 2015, (3, 224, 224), 1000, 13_385_816, 1_582_671_872, None),
    "bn_inception": Entry("bn_inception", 2015, (3, 224, 224), 1000, 11_295_240, 2_032_600_064, 73.5),
    "inception_v3": Entry("inception", 2015, (3, 299, 299), 1000, 27_161_264, 5_713_216_096, 77.294),
    "inception_v4": Entry("inception_v4", 2016, (3, 299, 299), 1000, 42_679_816, 12_253_974_624, 80.1),
    "xception": Entry("xception", 2016, (3, 299, 299), 1000, 22_855_952, 8_357_403_496, 79.0),
    "resnet18": Entry("resnet", 2015, (3, 224, 224), 1000, 11_689_512, 1_814_073_344, 69.758),
    "resnet18_a": Entry("resnet", 2015, (3, 224, 224), 1000, 11_515_688, 1_794_805_760, 72.12),
    "resnet34": Entry("resnet", 2015, (3, 224, 224), 1000, 21_797_672, 3_663_761_408, 73.314),
    "resnet34_a": Entry("resnet", 2015, (3, 224, 224), 1000, 21_623_848, 3_644_493_824, 74.97),
    "resnet50": Entry("resnet", 2015, (3, 224, 224), 1000, 25_557_032, 4_089_184_256, 76.13),
    "resnet50_v1": Entry("resnet", 2015, (3, 224, 224), 1000, 25_557_032, 3_857_973_248, 75.3),
    "resnet101": Entry("resnet", 2015, (3, 224, 224), 1000, 44_549_160, 7_801_405_440, 77.374),
    "resnet101_v1": Entry("resnet", 2015, (3, 224, 224), 1000, 44_549_160, 7_570_194_432, 76.4),
    "resnet152": Entry("resnet", 2015, (3, 224, 224), 1000, 60_192_808, 11_513_626_624, 78.312),
    "resnet152_v1": Entry("resnet", 2015, (3, 224, 224), 1000, 60_192_808, 11_282_415_616, 77.0),
    "wide_resnet50_2": Entry("resnet", 2016, (3, 224, 224), 1000, 68_883_240, 11_398_021_120, 78.468),
    "wide_resnet101_2": Entry("resnet", 2016, (3, 224, 224), 1000, 126_886_696, 22_753_050_624, 78.848),
    "resnext50_32x4d": Entry("resnet", 2016, (3, 224, 224), 1000, 25_028_904, 4_230_479_872, 77.618),
    "resnext101_32x4d": Entry("resnet", 2016, (3, 224, 224), 1000, 44_177_704, 7_969_996_800, 78.8),
    "resnext101_32x8d": Entry("resnet", 2016, (3, 224, 224), 1000, 88_791_336, 16_414_015_488, 79.312),
    "resnext101_64x4d": Entry("resnet", 2016, (3, 224, 224), 1000, 83_455_272, 15_460_270_080, 83.246),
    "resnet20": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 269_722, 40_551_040, 91.25),
    "resnet32": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 464_154, 68_862_592, 92.49),
    "resnet44": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 658_586, 97_174_144, 92.83),
    "resnet56": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 853_018, 125_485_696, 93.03),
    "resnet110": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 1_727_962, 252_887_680, 93.57),
    "resnet1202": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 19_421_274, 2_829_238_912, 92.07),
    "plain20": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 269_722, 40_551_040, None),
    "plain32": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 464_154, 68_862_592, None),
    "plain44": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 658_586, 97_174_144, None),
    "plain56": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 853_018, 125_485_696, None),
    "plain110": Entry("resnet_cifar", 2015, (3, 32, 32), 10, 1_727_962, 252_887_680, None),
    "preact_resnet110": Entry("resnet_preact", 2016, (3, 32, 32), 10, 1_727_962, 252_887_680, 93.63),
    "preact_resnet164": Entry("resnet_preact", 2016, (3, 32, 32), 10, 1_703_258, 247_646_720, 94.54),
    "preact_resnet1001": Entry("resnet_preact", 2016, (3, 32, 32), 10, 10_327_706, 1_490_995_712, 95.08),
    "preact_resnet18": Entry("resnet_preact", 2016, (3, 224, 224), 1000, 11_687_848, 1_814_073_344, None),
    "preact_resnet50": Entry("resnet_preact", 2016, (3, 224, 224), 1000, 25_549_480, 4_089_184_256, None),
    "preact_resnet101": Entry("resnet_preact", 2016, (3, 224, 224), 1000, 44_541_608, 7_801_405_440, None),
    "preact_resnet152": Entry("resnet_preact", 2016, (3, 224, 224), 1000, 60_185_256, 11_513_626_624, None),
    "preact_resnet200": Entry("resnet_preact", 2016, (3, 224, 224), 1000, 64_666_280, 15_007_481_856, None),
    "wrn_16_8": Entry("resnet_wide", 2016, (3, 32, 32), 10, 10_961_370, 1_548_145_664, 95.73),
    "wrn_28_10": Entry("resnet_wide", 2016, (3, 32, 32), 10, 36_479_194, 5_243_328_768, 96.0),
    "wrn_40_4": Entry("resnet_wide", 2016, (3, 32, 32), 10, 8_949_210, 1_298_582_016, 95.47),
    "se_resnet50": Entry("senet", 2017, (3, 224, 224), 1000, 28_088_024, 4_091_699_200, 77.63),
    "se_resnet50_v1": Entry("senet", 2017, (3, 224, 224), 1000, 28_088_024, 3_860_488_192, 77.63),
    "se_resnet101": Entry("senet", 2017, (3, 224, 224), 1000, 49_326_872, 7_806_148_608, 78.25),
    "se_resnet152": Entry("senet", 2017, (3, 224, 224), 1000, 66_821_848, 11_520_204_800, 78.66),
    "senet154": Entry("senet", 2017, (3, 224, 224), 1000, 115_088_984, 20_688_363_520, 81.32),
    "densenet121": Entry("densenet", 2016, (3, 224, 224), 1000, 7_978_856, 2_834_161_664, 74.434),
    "densenet169": Entry("densenet", 2016, (3, 224, 224), 1000, 14_149_480, 3_359_843_328, 75.6),
    "densenet201": Entry("densenet", 2016, (3, 224, 224), 1000, 20_013_928, 4_291_365_888, 76.896),
    "densenet161": Entry("densenet", 2016, (3, 224, 224), 1000, 28_681_000, 7_727_907_072, 77.138),
    "densenet40_k12": Entry("densenet_cifar", 2016, (3, 32, 32), 10, 1_019_722, 264_812_928, 94.76),
    "densenet100_k12": Entry("densenet_cifar", 2016, (3, 32, 32), 10, 6_979_642, 1_769_516_448, 95.9),
    "densenet_bc100_k12": Entry("densenet_cifar", 2016, (3, 32, 32), 10, 769_162, 287_929_692, 95.49),
    "squeezenet1_0": Entry("squeezenet", 2016, (3, 224, 224), 1000, 1_248_424, 818_924_576, 58.092),
    "squeezenet1_1": Entry("squeezenet", 2016, (3, 224, 224), 1000, 1_235_496, 349_151_936, 58.178),
    "mobilenet_v1": Entry("mobilenetv1", 2017, (3, 224, 224), 1000, 4_231_976, 568_740_352, 70.9),
    "mobilenet_v2": Entry("mobilenetv2", 2018, (3, 224, 224), 1000, 3_504_872, 300_774_272, 71.878),
    "mobilenet_v3_small": Entry("mobilenetv3", 2019, (3, 224, 224), 1000, 2_542_856, 56_510_400, 67.668),
    "mobilenet_v3_large": Entry("mobilenetv3", 2019, (3, 224, 224), 1000, 5_483_032, 216_589_760, 75.274),
    "shufflenet_v1_g1": Entry("shufflenetv1", 2017, (3, 224, 224), 1000, 1_531_936, 143_078_976, None),
    "shufflenet_v1_g2": Entry("shufflenetv1", 2017, (3, 224, 224), 1000, 1_733_848, 140_836_512, None),
    "shufflenet_v1_g3": Entry("shufflenetv1", 2017, (3, 224, 224), 1000, 1_865_728, 137_460_672, 67.8),
    "shufflenet_v1_g4": Entry("shufflenetv1", 2017, (3, 224, 224), 1000, 1_968_344, 134_339_776, None),
    "shufflenet_v1_g8": Entry("shufflenetv1", 2017, (3, 224, 224), 1000, 2_434_768, 138_365_952, 68.0),
    "shufflenet_v2_x0_5": Entry("shufflenetv2", 2018, (3, 224, 224), 1000, 1_366_792, 40_476_448, 60.552),
    "shufflenet_v2_x1_0": Entry("shufflenetv2", 2018, (3, 224, 224), 1000, 2_278_604, 144_907_992, 69.362),
    "shufflenet_v2_x1_5": Entry("shufflenetv2", 2018, (3, 224, 224), 1000, 3_503_624, 295_759_392, 72.996),
    "shufflenet_v2_x2_0": Entry("shufflenetv2", 2018, (3, 224, 224), 1000, 7_393_996, 583_253_464, 76.23),
    "nasnet_mobile": Entry("nasnet", 2017, (3, 224, 224), 1000, 5_289_978, 563_638_816, 74.0),
    "mnasnet0_5": Entry("mnasnet", 2018, (3, 224, 224), 1000, 2_218_512, 104_455_968, 67.734),
    "mnasnet0_75": Entry("mnasnet", 2018, (3, 224, 224), 1000, 3_170_208, 215_493_104, 71.18),
    "mnasnet1_0": Entry("mnasnet", 2018, (3, 224, 224), 1000, 4_383_312, 314_415_872, 73.456),
    "mnasnet1_3": Entry("mnasnet", 2018, (3, 224, 224), 1000, 6_282_256, 526_362_432, 76.506),
    "efficientnet_b0": Entry("efficientnet", 2019, (3, 224, 224), 1000, 5_288_548, 385_814_752, 77.692),
    "efficientnet_b1": Entry("efficientnet", 2019, (3, 240, 240), 1000, 7_794_184, 686_802_832, 78.642),
    "efficientnet_b2": Entry("efficientnet", 2019, (3, 288, 288), 1000, 9_109_994, 1_087_529_456, 80.608),
    "efficientnet_b3": Entry("efficientnet", 2019, (3, 300, 300), 1000, 12_233_232, 1_827_141_392, 82.008),
    "efficientnet_b4": Entry("efficientnet", 2019, (3, 380, 380), 1000, 19_341_616, 4_393_771_024, 83.384),
    "efficientnet_b5": Entry("efficientnet", 2019, (3, 456, 456), 1000, 30_389_784, 10_266_384_752, 83.444),
    "efficientnet_b6": Entry("efficientnet", 2019, (3, 528, 528), 1000, 43_040_704, 19_067_593_536, 84.008),
    "efficientnet_b7": Entry("efficientnet", 2019, (3, 600, 600), 1000, 66_347_960, 37_745_884_192, 84.122),
    "efficientnet_v2_s": Entry("efficientnet", 2021, (3, 384, 384), 1000, 21_458_488, 8_365_617_152, 84.228),
    "efficientnet_v2_m": Entry("efficientnet", 2021, (3, 480, 480), 1000, 54_139_356, 24_582_460_384, 85.112),
    "efficientnet_v2_l": Entry("efficientnet", 2021, (3, 480, 480), 1000, 118_515_272, 56_079_699_008, 85.808),
    "alphago": Entry("alphago", 2016, (48, 19, 19), 361, 3_882_793, 1_400_726_208, None),
}

CLASSES = {  # the public classes, by file
    "alexnet": ["AlexNet"],
    "alphago": ["AlphaGo"],
    "bn_inception": ["BNInception"],
    "convnetjs": ["ConvNetJS"],
    "densenet": ["DenseNet"],
    "densenet_cifar": ["CifarDenseNet"],
    "efficientnet": ["EfficientNet", "compound_scaling"],
    "googlenet": ["GoogLeNet", "GoogLeNetOutputs", "NaiveInception"],
    "highway": ["HighwayConvNet", "HighwayNet"],
    "inception": ["Inception3", "InceptionOutputs"],
    "inception_parts": ["auxiliary_loss"],
    "inception_v4": ["InceptionV4"],
    "lenet": ["LeNet5", "LeNet5Original"],
    "mlp": ["MLP"],
    "mnasnet": ["MNASNet"],
    "mobilenetv1": ["MobileNetV1"],
    "mobilenetv2": ["MobileNetV2"],
    "mobilenetv3": ["MobileNetV3"],
    "nasnet": ["NASNetMobile"],
    "nin": ["NiN"],
    "pattern": ["conv_net", "pattern_of"],
    "pattern_grammar": ["PatternError"],
    "pattern_search": ["random_search"],
    "resnet": ["ResNet"],
    "resnet_cifar": ["CifarResNet"],
    "resnet_preact": ["PreActResNet"],
    "resnet_wide": ["WideResNet"],
    "senet": ["SENet"],
    "shufflenetv1": ["ShuffleNetV1"],
    "shufflenetv2": ["ShuffleNetV2"],
    "squeezenet": ["SqueezeNet"],
    "vgg": ["VGG"],
    "xception": ["SeparableConv2d", "Xception"],
    "zfnet": ["ZFNet"],
}
