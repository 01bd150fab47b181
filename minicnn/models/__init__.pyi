"""The names of `minicnn.models` for type checkers; written by tests/models/write_stub.py."""

from .airbench import airbench94 as airbench94
from .alexnet import AlexNet as AlexNet
from .alexnet import alexnet as alexnet
from .alexnet import alexnet_bn as alexnet_bn
from .alexnet import alexnet_lrn as alexnet_lrn
from .alexnet import alexnet_simple as alexnet_simple
from .alexnet import alexnet_two_towers as alexnet_two_towers
from .all_cnn import all_cnn_c as all_cnn_c
from .alphago import AlphaGo as AlphaGo
from .alphago import alphago as alphago
from .bn_inception import BNInception as BNInception
from .bn_inception import bn_inception as bn_inception
from .convnetjs import ConvNetJS as ConvNetJS
from .convnetjs import convnetjs as convnetjs
from .densenet import DenseNet as DenseNet
from .densenet import densenet121 as densenet121
from .densenet import densenet161 as densenet161
from .densenet import densenet169 as densenet169
from .densenet import densenet201 as densenet201
from .densenet_cifar import CifarDenseNet as CifarDenseNet
from .densenet_cifar import densenet40_k12 as densenet40_k12
from .densenet_cifar import densenet100_k12 as densenet100_k12
from .densenet_cifar import densenet_bc100_k12 as densenet_bc100_k12
from .efficientnet import EfficientNet as EfficientNet
from .efficientnet import compound_scaling as compound_scaling
from .efficientnet import efficientnet_b0 as efficientnet_b0
from .efficientnet import efficientnet_b1 as efficientnet_b1
from .efficientnet import efficientnet_b2 as efficientnet_b2
from .efficientnet import efficientnet_b3 as efficientnet_b3
from .efficientnet import efficientnet_b4 as efficientnet_b4
from .efficientnet import efficientnet_b5 as efficientnet_b5
from .efficientnet import efficientnet_b6 as efficientnet_b6
from .efficientnet import efficientnet_b7 as efficientnet_b7
from .efficientnet import efficientnet_v2_l as efficientnet_v2_l
from .efficientnet import efficientnet_v2_m as efficientnet_v2_m
from .efficientnet import efficientnet_v2_s as efficientnet_v2_s
from .googlenet import GoogLeNet as GoogLeNet
from .googlenet import GoogLeNetOutputs as GoogLeNetOutputs
from .googlenet import NaiveInception as NaiveInception
from .googlenet import googlenet as googlenet
from .googlenet import googlenet_2014 as googlenet_2014
from .googlenet import googlenet_bn as googlenet_bn
from .highway import HighwayConvNet as HighwayConvNet
from .highway import HighwayNet as HighwayNet
from .highway import highway10 as highway10
from .highway import highway20 as highway20
from .highway import highway50 as highway50
from .highway import highway100 as highway100
from .inception import Inception3 as Inception3
from .inception import InceptionOutputs as InceptionOutputs
from .inception import inception_v3 as inception_v3
from .inception_parts import auxiliary_loss as auxiliary_loss
from .inception_v4 import InceptionV4 as InceptionV4
from .inception_v4 import inception_v4 as inception_v4
from .lenet import LeNet5 as LeNet5
from .lenet import LeNet5Original as LeNet5Original
from .lenet import lenet5 as lenet5
from .lenet import lenet5_1998 as lenet5_1998
from .lookup import get_model as get_model
from .lookup import get_model_builder as get_model_builder
from .lookup import list_models as list_models
from .lookup import register_model as register_model
from .mlp import MLP as MLP
from .mlp import mlp as mlp
from .mnasnet import MNASNet as MNASNet
from .mnasnet import mnasnet0_5 as mnasnet0_5
from .mnasnet import mnasnet0_75 as mnasnet0_75
from .mnasnet import mnasnet1_0 as mnasnet1_0
from .mnasnet import mnasnet1_3 as mnasnet1_3
from .mobilenetv1 import MobileNetV1 as MobileNetV1
from .mobilenetv1 import mobilenet_v1 as mobilenet_v1
from .mobilenetv2 import MobileNetV2 as MobileNetV2
from .mobilenetv2 import mobilenet_v2 as mobilenet_v2
from .mobilenetv3 import MobileNetV3 as MobileNetV3
from .mobilenetv3 import mobilenet_v3_large as mobilenet_v3_large
from .mobilenetv3 import mobilenet_v3_small as mobilenet_v3_small
from .nasnet import NASNetMobile as NASNetMobile
from .nasnet import nasnet_mobile as nasnet_mobile
from .nin import NiN as NiN
from .nin import nin as nin
from .nin import nin_cifar as nin_cifar
from .pattern import conv_net as conv_net
from .pattern import pattern_of as pattern_of
from .pattern_grammar import PatternError as PatternError
from .pattern_search import random_search as random_search
from .published import WeightsEnum as WeightsEnum
from .published import get_model_weights as get_model_weights
from .published import get_weight as get_weight
from .resnet import ResNet as ResNet
from .resnet import resnet18 as resnet18
from .resnet import resnet18_a as resnet18_a
from .resnet import resnet34 as resnet34
from .resnet import resnet34_a as resnet34_a
from .resnet import resnet50 as resnet50
from .resnet import resnet50_v1 as resnet50_v1
from .resnet import resnet101 as resnet101
from .resnet import resnet101_v1 as resnet101_v1
from .resnet import resnet152 as resnet152
from .resnet import resnet152_v1 as resnet152_v1
from .resnet import resnext50_32x4d as resnext50_32x4d
from .resnet import resnext101_32x4d as resnext101_32x4d
from .resnet import resnext101_32x8d as resnext101_32x8d
from .resnet import resnext101_64x4d as resnext101_64x4d
from .resnet import wide_resnet50_2 as wide_resnet50_2
from .resnet import wide_resnet101_2 as wide_resnet101_2
from .resnet_cifar import CifarResNet as CifarResNet
from .resnet_cifar import plain20 as plain20
from .resnet_cifar import plain32 as plain32
from .resnet_cifar import plain44 as plain44
from .resnet_cifar import plain56 as plain56
from .resnet_cifar import plain110 as plain110
from .resnet_cifar import resnet20 as resnet20
from .resnet_cifar import resnet32 as resnet32
from .resnet_cifar import resnet44 as resnet44
from .resnet_cifar import resnet56 as resnet56
from .resnet_cifar import resnet110 as resnet110
from .resnet_cifar import resnet1202 as resnet1202
from .resnet_preact import PreActResNet as PreActResNet
from .resnet_preact import preact_resnet18 as preact_resnet18
from .resnet_preact import preact_resnet50 as preact_resnet50
from .resnet_preact import preact_resnet101 as preact_resnet101
from .resnet_preact import preact_resnet110 as preact_resnet110
from .resnet_preact import preact_resnet152 as preact_resnet152
from .resnet_preact import preact_resnet164 as preact_resnet164
from .resnet_preact import preact_resnet200 as preact_resnet200
from .resnet_preact import preact_resnet1001 as preact_resnet1001
from .resnet_wide import WideResNet as WideResNet
from .resnet_wide import wrn_16_2 as wrn_16_2
from .resnet_wide import wrn_16_8 as wrn_16_8
from .resnet_wide import wrn_28_10 as wrn_28_10
from .resnet_wide import wrn_40_4 as wrn_40_4
from .senet import SENet as SENet
from .senet import se_resnet50 as se_resnet50
from .senet import se_resnet50_v1 as se_resnet50_v1
from .senet import se_resnet101 as se_resnet101
from .senet import se_resnet152 as se_resnet152
from .senet import senet154 as senet154
from .shufflenetv1 import ShuffleNetV1 as ShuffleNetV1
from .shufflenetv1 import shufflenet_v1_g1 as shufflenet_v1_g1
from .shufflenetv1 import shufflenet_v1_g2 as shufflenet_v1_g2
from .shufflenetv1 import shufflenet_v1_g3 as shufflenet_v1_g3
from .shufflenetv1 import shufflenet_v1_g4 as shufflenet_v1_g4
from .shufflenetv1 import shufflenet_v1_g8 as shufflenet_v1_g8
from .shufflenetv2 import ShuffleNetV2 as ShuffleNetV2
from .shufflenetv2 import shufflenet_v2_x0_5 as shufflenet_v2_x0_5
from .shufflenetv2 import shufflenet_v2_x1_0 as shufflenet_v2_x1_0
from .shufflenetv2 import shufflenet_v2_x1_5 as shufflenet_v2_x1_5
from .shufflenetv2 import shufflenet_v2_x2_0 as shufflenet_v2_x2_0
from .squeezenet import SqueezeNet as SqueezeNet
from .squeezenet import squeezenet1_0 as squeezenet1_0
from .squeezenet import squeezenet1_1 as squeezenet1_1
from .vgg import VGG as VGG
from .vgg import vgg11 as vgg11
from .vgg import vgg11_bn as vgg11_bn
from .vgg import vgg11_lrn as vgg11_lrn
from .vgg import vgg13 as vgg13
from .vgg import vgg13_bn as vgg13_bn
from .vgg import vgg16 as vgg16
from .vgg import vgg16_bn as vgg16_bn
from .vgg import vgg16_c as vgg16_c
from .vgg import vgg16_c_bn as vgg16_c_bn
from .vgg import vgg19 as vgg19
from .vgg import vgg19_bn as vgg19_bn
from .weights import load_weights as load_weights
from .xception import SeparableConv2d as SeparableConv2d
from .xception import Xception as Xception
from .xception import xception as xception
from .zfnet import ZFNet as ZFNet
from .zfnet import zfnet as zfnet
from .zfnet import zfnet_wide as zfnet_wide

AlexNet_Weights: type[WeightsEnum]
DenseNet121_Weights: type[WeightsEnum]
DenseNet161_Weights: type[WeightsEnum]
DenseNet169_Weights: type[WeightsEnum]
DenseNet201_Weights: type[WeightsEnum]
EfficientNet_B0_Weights: type[WeightsEnum]
EfficientNet_B1_Weights: type[WeightsEnum]
EfficientNet_B2_Weights: type[WeightsEnum]
EfficientNet_B3_Weights: type[WeightsEnum]
EfficientNet_B4_Weights: type[WeightsEnum]
EfficientNet_B5_Weights: type[WeightsEnum]
EfficientNet_B6_Weights: type[WeightsEnum]
EfficientNet_B7_Weights: type[WeightsEnum]
EfficientNet_V2_L_Weights: type[WeightsEnum]
EfficientNet_V2_M_Weights: type[WeightsEnum]
EfficientNet_V2_S_Weights: type[WeightsEnum]
GoogLeNet_Weights: type[WeightsEnum]
Inception_V3_Weights: type[WeightsEnum]
MNASNet0_5_Weights: type[WeightsEnum]
MNASNet0_75_Weights: type[WeightsEnum]
MNASNet1_0_Weights: type[WeightsEnum]
MNASNet1_3_Weights: type[WeightsEnum]
MobileNet_V2_Weights: type[WeightsEnum]
MobileNet_V3_Large_Weights: type[WeightsEnum]
MobileNet_V3_Small_Weights: type[WeightsEnum]
ResNeXt101_32X8D_Weights: type[WeightsEnum]
ResNeXt101_64X4D_Weights: type[WeightsEnum]
ResNeXt50_32X4D_Weights: type[WeightsEnum]
ResNet101_Weights: type[WeightsEnum]
ResNet152_Weights: type[WeightsEnum]
ResNet18_Weights: type[WeightsEnum]
ResNet34_Weights: type[WeightsEnum]
ResNet50_Weights: type[WeightsEnum]
ShuffleNet_V2_X0_5_Weights: type[WeightsEnum]
ShuffleNet_V2_X1_0_Weights: type[WeightsEnum]
ShuffleNet_V2_X1_5_Weights: type[WeightsEnum]
ShuffleNet_V2_X2_0_Weights: type[WeightsEnum]
SqueezeNet1_0_Weights: type[WeightsEnum]
SqueezeNet1_1_Weights: type[WeightsEnum]
VGG11_BN_Weights: type[WeightsEnum]
VGG11_Weights: type[WeightsEnum]
VGG13_BN_Weights: type[WeightsEnum]
VGG13_Weights: type[WeightsEnum]
VGG16_BN_Weights: type[WeightsEnum]
VGG16_Weights: type[WeightsEnum]
VGG19_BN_Weights: type[WeightsEnum]
VGG19_Weights: type[WeightsEnum]
Wide_ResNet101_2_Weights: type[WeightsEnum]
Wide_ResNet50_2_Weights: type[WeightsEnum]
