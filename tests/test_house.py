"""The rules of the house: imports point down, nothing heavy at import time, files stay readable."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minicnn
import minicnn_kernels

ROOT = Path(__file__).parents[1]
PACKAGES = {"minicnn": Path(minicnn.__file__).parent, "minicnn_kernels": Path(minicnn_kernels.__file__).parent}
FILES = {
    ".".join([package, *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__"): path
    for package, folder in PACKAGES.items()
    for path in sorted(folder.rglob("*.py"))
}

# From the bottom up; a file imports from its own layer or from one below. The longest matching prefix counts.
LAYERS = [
    ["minicnn_kernels"],
    ["minicnn.device", "minicnn.dtypes", "minicnn.memory_formats", "minicnn.random", "minicnn.version",
     "minicnn.cuda", "minicnn.serialization.files", "minicnn.cli.early_interrupt",
     "minicnn.compat.doors", "minicnn.compat.missing", "minicnn.compat.return_types"],
    ["minicnn.tensor", "minicnn.autograd"],
    ["minicnn.ops.tensor"],
    ["minicnn.ops"],
    ["minicnn.nn"],
    [
        "minicnn.distributions", "minicnn.optim", "minicnn.utils", "minicnn.datasets", "minicnn.transforms",
        "minicnn.models", "minicnn.serialization",
    ],
    ["minicnn.analysis", "minicnn.explain", "minicnn.train"],
    ["minicnn.visualize"],
    ["minicnn.exercises"],
    ["minicnn.bench"],
    ["minicnn.compat"],  # PyTorch's paths to all of that; only `minicnn` itself imports it
    ["minicnn.cli", "minicnn", "minicnn.__main__"],
]  # fmt: skip
# The declared exceptions, of a file and what it imports from above or in a circle.
DECLARED = {
    # names that are looked up late, in rooms above
    ("minicnn.ops", "minicnn.compat.ops.misc"),
    ("minicnn.ops", "minicnn.compat.ops.feature_pyramid_network"),
    ("minicnn.ops", "minicnn.compat.ops.poolers"),
    ("minicnn.ops", "minicnn.nn.detection"),
    ("minicnn.analysis", "minicnn.bench"),
    # packages that show the modules of `compat` that bear their name
    ("minicnn.cuda", "minicnn.compat.cuda.amp"),
    ("minicnn.nn", "minicnn.compat.nn.modules"),
    ("minicnn.utils", "minicnn.compat.utils.dlpack"),
    ("minicnn.utils", "minicnn.compat.utils.hooks"),
    ("minicnn.utils", "minicnn.compat.utils.model_zoo"),
    ("minicnn.transforms.transforms", "minicnn.transforms"),  # the package under the name of torchvision's file
    # the second version shows the names of the first, which does not import it
    ("minicnn.transforms.v2", "minicnn.transforms"),
}
HEAVY = {
    "numba", "scipy", "matplotlib", "PIL", "sklearn", "cupy", "torch", "tqdm", "safetensors", "threadpoolctl",
    "tensorboardX",
}  # fmt: skip


def layer(module: str) -> int:
    best, found = "", -1
    for number, names in enumerate(LAYERS):
        for name in names:
            if (module == name or module.startswith(name + ".")) and len(name) > len(best):
                best, found = name, number
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id.endswith("TYPE_CHECKING")


def imports(module: str, path: Path, *, top_only: bool = False) -> set[str]:
    """The modules, ours and others, that a file imports; not those for type checking."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if is_type_checking(node) or (top_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in FILES else base)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            found.update(arg.value for arg in node.args if isinstance(arg, ast.Constant) and arg.value in FILES)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module: str) -> None:
    assert layer(module) >= 0, f"{module} is in no layer; enter it in LAYERS"
    for target in imports(module, FILES[module]):
        if target.split(".")[0] in PACKAGES and target != module and (module, target) not in DECLARED:
            assert layer(target) <= layer(module), f"{module} imports {target} from a layer above"
            same_package = (
                target != "minicnn_kernels"
                and target == module.rpartition(".")[0]
                and FILES[target].name == "__init__.py"
            )
            top = layer(module) == len(LAYERS) - 1  # the command line stands on the whole package
            assert not same_package or top, f"{module} imports its own package {target}; name the file"


def test_declared_exceptions_are_needed() -> None:
    for module, target in DECLARED:
        assert target in imports(module, FILES[module]), f"{module} no longer imports {target}; take it out of DECLARED"


def test_no_import_circles() -> None:
    """Imports inside functions count, except the declared ones."""
    graph = {
        module: {t for t in imports(module, path) if t in FILES and t != module and (module, t) not in DECLARED}
        for module, path in FILES.items()
    }
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, "circle: " + " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for target in sorted(graph[module]):
                walk(target, (*path, module))
            done.add(module)

    for module in graph:
        walk(module, ())


@pytest.mark.parametrize("module", FILES)
def test_heavy_packages_are_imported_lazily(module: str) -> None:
    at_top = {name.split(".")[0] for name in imports(module, FILES[module], top_only=True)}
    assert not at_top & HEAVY, (
        f"{module} imports {at_top & HEAVY} at the top; import it inside the function that needs it"
    )


@pytest.mark.parametrize("path", [*FILES.values(), *sorted((ROOT / "tests").rglob("*.py"))], ids=str)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, (
        f"{path} has more than 400 lines; split it by subject"
    )


def test_import_is_light(tmp_path: Path) -> None:
    """`import minicnn` loads NumPy and the standard library alone, in under 0.3 s beyond NumPy: the best of four.

    The first run compiles to byte code, as an installation does; whether the environment keeps it does not matter.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    code = (
        "import sys, time, numpy; start = time.process_time(); import minicnn; spent = time.process_time() - start;"
        f"print(*sorted({HEAVY!r} & set(sys.modules)), spent)"
    )
    spent = []
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        *loaded, seconds = done.stdout.split()
        assert not loaded, f"import minicnn loads {loaded}"
        spent.append(float(seconds))
    assert min(spent) < 0.3  # of the processor's time, so that a busy machine does not matter


def test_only_ops_call_kernels() -> None:
    """Above the ops, of the kernels' package only shapes, memory, errors, choices of one and what they run on; the
    optimisers call their own kernels, through which no gradient flows, and the solutions of exercises are kernels.
    """
    allowed = {
        "minicnn_kernels", "minicnn_kernels.ahead", "minicnn_kernels.arrays", "minicnn_kernels.blas",
        "minicnn_kernels.dispatch", "minicnn_kernels.geometry", "minicnn_kernels.layout",
        "minicnn_kernels.machine_code", "minicnn_kernels.memory", "minicnn_kernels.runtime",
    }  # fmt: skip
    for module, path in FILES.items():
        if module.startswith("minicnn.") and not module.startswith(("minicnn.ops", "minicnn.exercises.solutions")):
            used = {name for name in imports(module, path) if name.startswith("minicnn_kernels")}
            if module.startswith("minicnn.optim."):
                used = {name for name in used if not name.startswith("minicnn_kernels.optimizers")}
            assert used <= allowed, f"{module} uses {used - allowed}; go through minicnn.ops"


def test_no_placeholders() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b")
    for path in FILES.values():
        assert not marks.search(path.read_text(encoding="utf-8")), f"{path} has an unfinished part"


def test_every_folder_of_code_is_a_package_and_in_the_repository() -> None:
    folders = {path.parent for path in FILES.values()}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
    if (ROOT / ".git").exists():
        paths = "\n".join(str(folder / "__init__.py") for folder in folders if folder.is_relative_to(ROOT))
        ignored = ["git", "check-ignore", "--no-index", "--stdin"]
        found = subprocess.run(ignored, input=paths, cwd=ROOT, capture_output=True, text=True)
        assert found.stdout == ""
