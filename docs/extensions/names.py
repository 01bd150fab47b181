"""The public names of minicnn: where each is documented, what its other names are, and where it is written."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = {"minicnn": ROOT / "minicnn", "minicnn_kernels": ROOT / "kernels" / "minicnn_kernels"}
FOLDERS = ("minicnn", "kernels/minicnn_kernels")  # all files of these have a page of the site
OTHERS = ("tests", "benchmarks", "docs", "notebooks")  # of these, the ones that pages link to
KINDS = {".py": "python", ".cu": "cuda", ".cuh": "cuda", ".h": "c++", ".toml": "toml"}

# The modules with public names. A name that is in several of them is documented in the first.
PLACES = [
    "minicnn.nn",
    "minicnn.nn.functional",
    "minicnn.nn.init",
    "minicnn.nn.utils",
    "minicnn.nn.utils.parametrize",
    "minicnn.nn.utils.parametrizations",
    "minicnn.nn.utils.prune",
    "minicnn.nn.utils.rnn",
    "minicnn.nn.utils.stateless",
    "minicnn.nn.utils.fusion",
    "minicnn.nn.grad",
    "minicnn.nn.parallel",
    "minicnn.ops",
    "minicnn.autograd",
    "minicnn.autograd.function",
    "minicnn.autograd.functional",
    "minicnn.autograd.graph",
    "minicnn.autograd.variable",
    "minicnn.autograd.gradcheck",
    "minicnn.optim",
    "minicnn.optim.lr_scheduler",
    "minicnn.optim.swa_utils",
    "minicnn.distributions",
    "minicnn.distributions.constraints",
    "minicnn.distributions.constraint_registry",
    "minicnn.distributions.transforms",
    "minicnn.distributions.relaxed",
    "minicnn.distributions.utils",
    "minicnn.utils",
    "minicnn.utils.data",
    "minicnn.utils.checkpoint",
    "minicnn.utils.tensorboard",
    "minicnn.utils.dlpack",
    "minicnn.datasets",
    "minicnn.datasets.folder",
    "minicnn.transforms",
    "minicnn.transforms.functional",
    "minicnn.transforms.v2",
    "minicnn.transforms.v2.functional",
    "minicnn.models",
    "minicnn.models.feature_extraction",
    "minicnn.models._utils",
    "minicnn.train",
    "minicnn.analysis",
    "minicnn.analysis.comparisons",
    "minicnn.explain",
    "minicnn.visualize",
    "minicnn.exercises",
    "minicnn.exercises.lesson",
    "minicnn.exercises.quiz",
    "minicnn.bench",
    "minicnn.linalg",
    "minicnn.random",
    "minicnn.cuda",
    "minicnn.serialization",
    "minicnn.testing",
    "minicnn.amp",
    "minicnn.jit",
    "minicnn.fx",
    "minicnn.special",
    "minicnn.func",
    "minicnn.hub",
    "minicnn.distributed",
    "minicnn.accelerator",
    "minicnn.backends.cudnn",
    "minicnn.backends.mkldnn",
    "minicnn.backends.mps",
    "minicnn.cuda.amp",
    "minicnn.jit.annotations",
    "minicnn.return_types",
    "minicnn",
    "minicnn.nn.parameter",
    "minicnn.utils.hooks",
    "minicnn.nn.modules.module",
    "minicnn.nn.modules.lazy",
    "minicnn.nn.modules.utils",
    "minicnn.optim.optimizer",
    "minicnn_kernels",
    "minicnn_kernels.geometry",
    "minicnn_kernels.conv2d",
    "minicnn_kernels.conv2d.direct",
    "minicnn_kernels.conv2d.im2col",
    "minicnn_kernels.conv2d.im2col.columns",
    "minicnn_kernels.conv2d.implicit",
    "minicnn_kernels.conv2d.registers",
    "minicnn_kernels.conv2d.winograd",
    "minicnn_kernels.conv2d.fft",
    "minicnn_kernels.conv2d.pointwise",
    "minicnn_kernels.conv2d.depthwise",
    "minicnn_kernels.pooling",
    "minicnn_kernels.batchnorm",
    "minicnn_kernels.matmul",
    "minicnn_kernels.softmax",
    "minicnn_kernels.softmax_xent",
    "minicnn_kernels.warp",
    "minicnn_kernels.dispatch",
    "minicnn_kernels.layout",
]


COLLECTIONS = {"minicnn", "minicnn.nn", "minicnn.nn.functional"}  # their names are written in many files
PARTLY = {  # modules of PyTorch's paths that show more than programs import from there
    "minicnn.nn.parameter": "is_lazy|UninitializedTensorMixin",
    "minicnn.nn.modules.module": "register_module_\\w+|typename",
    "minicnn.nn.modules.lazy": "LazyModuleMixin",
    "minicnn.nn.modules.utils": "consume_prefix_in_state_dict_if_present",
    "minicnn.optim.optimizer": "register_optimizer_\\w+|required",
}
Definitions = dict[str, list[tuple[str, Path, int]]]


@dataclass
class Name:
    """A public name.

    Attributes:
        place: the module where it is documented.
        name: in this module.
        value: what it names.
        home: the module that defines it.
        file, line: where, relative to the repository.
        others: the same thing's other full names.
    """

    place: str
    name: str
    value: Any
    home: str
    file: str
    line: int
    others: list[str] = field(default_factory=list)

    @property
    def full(self) -> str:
        """Such as minicnn.nn.Conv2d."""
        return f"{self.place}.{self.name}"

    @property
    def kind(self) -> str:
        """class, exception, function or data."""
        if inspect.isclass(self.value):
            if self.value.__module__.split(".")[0] not in PACKAGES:
                return "data"  # such as NumPy's dtype
            return "exception" if issubclass(self.value, BaseException) else "class"
        return "function" if inspect.isroutine(self.value) else "data"


def module_of(path: Path) -> str:
    """The dotted name of a file of one of the packages."""
    for package, folder in PACKAGES.items():
        if path.is_relative_to(folder):
            return ".".join([package, *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")
    raise ValueError(path)


def written() -> Definitions:
    """For each name that some module defines at its top level: the modules, files and lines."""
    found: Definitions = {}
    for folder in PACKAGES.values():
        for path in sorted(folder.rglob("*.py")):
            for node in _top(ast.parse(path.read_text(encoding="utf-8")).body):
                for name in _defined(node):
                    found.setdefault(name, []).append((module_of(path), path, node.lineno))
    return found


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.With | ast.Try | ast.For):
            yield from _top(node.body)


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
    return []


def _listed(module: ModuleType, place: str) -> list[str]:
    names = getattr(module, "__all__", None)
    if names is not None and place not in PARTLY:
        return list(names)
    return [name for name in vars(module) if not name.startswith("_") and name != "annotations"]


def _belongs(module: ModuleType, place: str, value: Any, name: str, definitions: Definitions) -> bool:
    """Whether a module offers a name: its `__all__` lists it, or it is written there, or the module collects names."""
    if place in PARTLY:
        return bool(re.fullmatch(PARTLY[place], name))
    if hasattr(module, "__all__"):
        return True
    where = getattr(value, "__module__", None)
    if any(written_in == module.__name__ for written_in, _, _ in definitions.get(name, [])):
        return True
    if place in COLLECTIONS:
        ours = isinstance(where, str) and (where.split(".")[0] in PACKAGES or where == "numpy")
        return ours or name in definitions
    return callable(value) and f"{where}.".startswith(f"{module.__name__}.")


def public() -> list[Name]:
    """All public names, each once."""
    definitions = written()
    seen: dict[int, Name] = {}
    found: list[Name] = []
    for place in PLACES:
        module = importlib.import_module(place)
        for name in _listed(module, place):
            value = getattr(module, name)
            if inspect.ismodule(value) or not _belongs(module, place, value, name, definitions):
                continue
            if id(value) in seen and callable(value):
                seen[id(value)].others.append(f"{place}.{name}")
                continue
            home, file, line = _home(place, name, value, definitions)
            one = Name(place, name, value, home, file, line)
            seen[id(value)] = one
            found.append(one)
    return found


def _home(place: str, name: str, value: Any, definitions: Definitions) -> tuple[str, str, int]:
    """Where a name is written: not where a factory makes it, but the row with its name."""
    candidates = []
    for module, path, line in definitions.get(name, []):
        if vars(importlib.import_module(module)).get(name) is value:
            candidates.append((module, path.relative_to(ROOT).as_posix(), line))
    own = getattr(value, "__module__", None)
    candidates.sort(key=lambda each: (each[0] != own, each[0]))
    if candidates:
        return candidates[0]
    try:
        inner = inspect.unwrap(value)  # not where a decorator is
        path, line = Path(inspect.getsourcefile(inner) or ""), inspect.getsourcelines(inner)[1]
        return module_of(path), path.relative_to(ROOT).as_posix(), max(line, 1)
    except (TypeError, ValueError, OSError):
        path = Path(importlib.import_module(place).__file__ or "")
        return place, path.relative_to(ROOT).as_posix(), 1
