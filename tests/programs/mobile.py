"""Inverted residuals with depthwise convolutions, ReLU6, channel shuffle and squeeze-excitation, for PyTorch."""

from collections import OrderedDict
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F


def channel_shuffle(x, groups):
    batchsize, num_channels, height, width = x.size()
    x = x.view(batchsize, groups, num_channels // groups, height, width)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(batchsize, num_channels, height, width)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=4):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1)
        self.gate = nn.Hardsigmoid(inplace=True)

    def forward(self, x):
        scale = x.mean((2, 3), keepdim=True)
        scale = F.relu(self.fc1(scale), inplace=True)
        return x * self.gate(self.fc2(scale))


class InvertedResidual(nn.Module):
    def __init__(self, inp, oup, stride, expand_ratio, norm_layer=None):
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        hidden = int(round(inp * expand_ratio))
        self.use_res_connect = stride == 1 and inp == oup
        self.conv = nn.Sequential(
            OrderedDict(
                [
                    ("expand", nn.Conv2d(inp, hidden, 1, 1, 0, bias=False)),
                    ("bn1", norm_layer(hidden)),
                    ("act1", nn.ReLU6(inplace=True)),
                    ("depthwise", nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False)),
                    ("bn2", norm_layer(hidden)),
                    ("act2", nn.Hardswish()),
                    ("se", SqueezeExcite(hidden)),
                    ("project", nn.Conv2d(hidden, oup, 1, 1, 0, bias=False)),
                    ("bn3", norm_layer(oup)),
                ]
            )
        )

    def forward(self, x):
        if self.use_res_connect:
            return x + self.conv(x)
        return self.conv(x)


class Mobile(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        norm_layer = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), norm_layer(16), nn.SiLU())
        self.blocks = nn.ModuleList(
            [
                InvertedResidual(16, 16, 1, 2, norm_layer),
                InvertedResidual(16, 24, 2, 4, norm_layer),
                InvertedResidual(24, 24, 1, 4, norm_layer),
            ]
        )
        self.head = nn.Conv2d(12, 64, kernel_size=(1, 1), groups=4)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(128, num_classes)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        x = channel_shuffle(x, 4)
        left, right = x.chunk(2, dim=1)
        x = torch.cat([self.head(left), F.gelu(self.head(right))], 1)
        x = F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)
        return self.classifier(self.dropout(x))


model = Mobile()
INPUT = (3, 32, 32)
n_parameters = sum(p.numel() for p in model.parameters())
