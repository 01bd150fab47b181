"""What a net costs and what it sees, without computing anything."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..compat.missing import unknown
from .empirical_field import EmpiricalField, empirical_receptive_field
from .graph import Graph
from .properties import Properties, properties, property_table
from .receptive_field import Box, LayerField, ReceptiveField, receptive_field
from .summary import Layer, LayerRow, Summary, summary
from .summary_string import summary_string
from .trace import trace

__all__ = [
    "Box", "EmpiricalField", "Graph", "Layer", "LayerField", "LayerRow", "Properties",
    "ReceptiveField", "Summary", "empirical_receptive_field", "properties", "property_table",
    "receptive_field", "summary", "summary_string", "trace",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "comparisons":
        return import_module("minicnn.analysis.comparisons")
    if name in ("Comparison", "compare_algorithms"):  # they were here before `minicnn.bench`, which lies above
        return getattr(import_module("minicnn.bench"), name)
    raise unknown(__name__, name, globals())
