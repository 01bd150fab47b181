"""timm's nets and torchinfo's tables: the libraries' own sources after the substitution, against them with PyTorch.

The sources of the installed packages are copied into a temporary folder under another name, so that both are imported
in one process. Nothing of them is in this repository.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
from differential.model_pairs import near, same_keys, share_weights  # noqa: E402 - before torchvision

timm = pytest.importorskip("timm", reason="timm is not installed: pip install timm")
torchinfo = pytest.importorskip("torchinfo", reason="torchinfo is not installed: pip install torchinfo")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed: pip install torchvision")

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the libraries

NETS = {  # a net of each family, as small as there is, and the side of its images
    "resnet18": 32, "resnext26ts": 32, "efficientnet_lite0": 32, "mobilenetv3_small_050": 32, "convnext_atto": 64,
    "densenet121": 64, "vgg11_bn": 32, "regnetx_002": 32, "res2net50_26w_4s": 32, "ghostnet_050": 32, "repvgg_a0": 32,
    "inception_next_atto": 64, "xception41": 64, "nf_regnet_b0": 32, "vit_tiny_patch16_224": 224,
}  # fmt: skip
TABLES = (
    "resnet18", "alexnet", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5",
    "vgg11_bn", "densenet121", "efficientnet_b0",
)  # fmt: skip
COLUMNS = ("input_size", "output_size", "num_params", "kernel_size", "mult_adds", "trainable")


def substituted(package: ModuleType, folder: Path) -> ModuleType:
    """The package after the substitution, imported as NAME_here."""
    name = f"{package.__name__}_here"
    source = Path(package.__file__ or "").parent
    for path in source.rglob("*.py"):
        text = re.sub(r"\b(torchvision|torchsummary|torch)\b", "minicnn", path.read_text(encoding="utf-8"))
        text = re.sub(rf"^(\s*)(from|import) {package.__name__}\b", rf"\1\2 {name}", text, flags=re.MULTILINE)
        target = folder / name / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    """Both packages after the substitution."""
    folder = tmp_path_factory.mktemp("libraries")
    sys.path.insert(0, str(folder))
    try:
        yield {package.__name__: substituted(package, folder) for package in (timm, torchinfo)}
    finally:
        sys.path.remove(str(folder))


def built(library: Any, name: str) -> Any:
    """A net without random parts."""
    net = library.create_model(name, num_classes=7, drop_rate=0.0)
    for module in net.modules():
        for option in ("p", "drop_prob"):
            if "Drop" in type(module).__name__ and hasattr(module, option):
                setattr(module, option, 0.0)
    return net


@pytest.mark.parametrize("name", NETS)
def test_a_net_of_timm_and_its_gradients(name: str, here: dict[str, ModuleType], compared: Counter[str]) -> None:
    """In float64, in training: batch norm with the statistics of the batch."""
    torch.manual_seed(0)
    theirs, ours = built(timm, name), built(here["timm"], name)
    same_keys(ours, theirs)
    assert repr(ours).replace("minicnn", "torch") == repr(theirs)
    share_weights(ours, theirs)
    ours, theirs = ours.double().train(), theirs.double().train()
    x = np.random.default_rng(0).standard_normal((2, 3, NETS[name], NETS[name]))
    y, wanted = ours(minicnn.tensor(x)), theirs(torch.from_numpy(x))
    near("the output", y, wanted, 1e-8)
    upstream = np.random.default_rng(1).standard_normal(tuple(wanted.shape))
    (y * minicnn.tensor(upstream)).sum().backward()
    (wanted * torch.from_numpy(upstream)).sum().backward()
    floor = 1e-6 * max(q.grad.abs().max().item() for q in theirs.parameters() if q.grad is not None)
    for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None), key
        if q.grad is not None:
            near(f"the gradient of {key}", p.grad, q.grad, 1e-6, floor)
    compared["timm"] += 1


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_torchinfo(name: str, here: dict[str, ModuleType], compared: Counter[str]) -> None:
    """The text is the same to the letter."""
    options: dict[str, Any] = {"input_size": (2, 3, 64, 64), "verbose": 0, "depth": 4, "col_names": COLUMNS}
    ours = here["torchinfo"].summary(getattr(minicnn.models, name)(), **options)
    theirs = torchinfo.summary(getattr(torchvision.models, name)(), **options)
    assert str(ours) == str(theirs)
    compared["torchinfo"] += 1
