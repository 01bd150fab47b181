"""Architectures."""

from __future__ import annotations

from .lenet import LeNet5

__all__ = ["LeNet5"]
