"""Statements of the courses that no test of architectures computes, with the reason.

What they say is measured, used or tested elsewhere, or is outside of what a program can check.
"""

from __future__ import annotations

ACCURACY = "an accuracy or error that others measured on ImageNet or CIFAR; it cannot be computed from the net"
HISTORY = "history, who was first or when; nothing to compute"
LOG = "one line of a course's training log; the training is repeated in tests/train"
RECIPE = "settings of a training; the recipes are tested in tests/train"
DATA = "a fact about a data set; tested, where minicnn has the data, in tests/datasets"
FEATURE = "a technique without a number"
ELSEWHERE = "published, and not of a net that is built here"

LEFT_OUT = {
    "act-002": "how much faster a training converged in 2012; an experience, not a constant",
    "loss-002": "a slip of the sign in a formula: accuracy is to be maximised; it has no number",
    "lenet-008": HISTORY,
    "lenet-009": DATA,
    "lenet-010": RECIPE,
    **{f"lenet-log-{epoch:02d}": LOG for epoch in range(1, 11)},
    "lenet-011": LOG,
    "alexnet-005": RECIPE,
    "alexnet-006": ACCURACY,
    "alexnet-009": "an augmentation of the training images",
    "alexnet-010": ACCURACY,
    "alexnet-015": HISTORY,
    "zf-003": ACCURACY,
    "zf-004": ACCURACY,
    "vgg-007": ACCURACY,
    "vgg-008": ACCURACY,
    "vgg-009": ACCURACY,
    "vgg-010": ACCURACY,
    "vgg-011": ACCURACY,
    "inc-018": ACCURACY,
    "xcep-003": ACCURACY,
    "resnet-003": ACCURACY,
    "resnet-004": ACCURACY,
    "resnet-005": RECIPE,
    "resnet-007": RECIPE,
    "resnet-015": DATA,
    "wrn-001": ACCURACY,
    "eff-tab-NASNet-A": f"{ELSEWHERE}: NASNet-A large; the mobile one is",
    "eff-tab-GPipe": f"{ELSEWHERE}: AmoebaNet-B",
    "eff-002": "how a net was searched for",
    "imnet-002": DATA,
    "imnet-003": DATA,
    "imnet-004": DATA,
    "imnet-005": "a published analysis of computing costs over seven years",
    "feat-001": RECIPE,
    "feat-002": "advice on which layers to train again",
    "feat-label-smoothing": FEATURE,
    "feat-mixup": FEATURE,
    "feat-test-time-augmentation": FEATURE,
    "feat-progressive-resizing": FEATURE,
    "feat-discriminative-fine-tuning": FEATURE,
    "feat-batch-renormalisation": FEATURE,
    "feat-initialisations": FEATURE,
    "feat-augment": FEATURE,
    "feat-dropout-bn": FEATURE,
    "feat-se": FEATURE,
    "feat-rmsprop": FEATURE,
}
