"""AlexNet with batch normalisation, as a course lists it, for PyTorch."""

import torch
from torch import nn


def conv(in_channels, out_channels, **options):
    return [nn.Conv2d(in_channels, out_channels, **options), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


class AlexNet(nn.Module):
    def __init__(self, n_classes=10):
        super().__init__()
        self.features = nn.Sequential(
            *conv(3, 96, kernel_size=11, stride=4, padding=2),
            nn.MaxPool2d(3, stride=2),
            *conv(96, 256, kernel_size=5, padding=2),
            nn.MaxPool2d(3, stride=2),
            *conv(256, 384, kernel_size=3, padding=1),
            *conv(384, 384, kernel_size=3, padding=1),
            *conv(384, 256, kernel_size=3, padding=1),
            nn.MaxPool2d(3, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(p=0.5),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(p=0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, n_classes),
        )

    def forward(self, x):
        x = self.features(x)
        x = x.view(x.size(0), -1)
        return self.classifier(x)


model = AlexNet(10)
INPUT = (3, 224, 224)
n_parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)


def show():
    from torchsummary import summary

    summary(model, INPUT)
