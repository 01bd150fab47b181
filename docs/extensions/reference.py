"""The pages of the reference: one for each module with public names, and one for each file that these names are in."""

from __future__ import annotations

import builtins
import importlib
import inspect
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from docstrings import escaped, rst
from names import PACKAGES, Name, public

from minicnn.compat.missing import Absent

HEADINGS = {  # module -> title, for those whose first line is not one
    "minicnn": "minicnn: tensors and their functions",
    "minicnn.nn.functional": "minicnn.nn.functional: layers as functions",
    "minicnn_kernels": "minicnn_kernels: arrays in, arrays out",
}
PARTS = {  # a part of the reference -> its modules; all in them belong to it, but those that another part names
    "Tensors": (
        "minicnn", "minicnn.linalg", "minicnn.special", "minicnn.autograd", "minicnn.func", "minicnn.random",
        "minicnn.distributions", "minicnn.cuda", "minicnn.serialization",
    ),
    "Layers": ("minicnn.nn", "minicnn.ops"),
    "Training": ("minicnn.optim", "minicnn.utils", "minicnn.datasets", "minicnn.transforms", "minicnn.train"),
    "Nets": ("minicnn.models", "minicnn.analysis"),
    "Seeing and learning": ("minicnn.explain", "minicnn.visualize", "minicnn.exercises", "minicnn.bench"),
    "Kernels": ("minicnn_kernels",),
    "Names of PyTorch that do little here": (
        "minicnn.testing", "minicnn.amp", "minicnn.jit", "minicnn.fx", "minicnn.hub", "minicnn.return_types",
        "minicnn.backends", "minicnn.cuda.amp", "minicnn.distributed", "minicnn.accelerator",
    ),
}  # fmt: skip


LARGE = 25  # methods and attributes, of a class that begins with a list of them


def part_of(place: str) -> str:
    """The part of the reference in which a module is: that of the longest name which is the module or has it inside.

    Raises:
        ValueError: it is in none.
    """
    named = {root: part for part, roots in PARTS.items() for root in roots}
    around = [root for root in named if root == place or (root != "minicnn" and place.startswith(f"{root}."))]
    if not around:
        raise ValueError(f"{place} is in no part of the reference: add it, or a module around it, to PARTS")
    return named[max(around, key=len)]


def first_line(doc: str | None) -> str:
    """The first sentence of a docstring."""
    text = " ".join(inspect.cleandoc(doc or "").split("\n\n")[0].split())
    return re.split(r"(?<=[a-z0-9)`])\.(?: |$)", text)[0].rstrip(".")


def page_of(place: str, home: str) -> str:
    """The document of the names of a module that are written in a file."""
    folder = place.replace(".", "/")
    last = home.rpartition(".")[2]
    return f"reference/{folder}/{last}" if home != place else f"reference/{folder}/{last}_"


def _is_hidden(base: type, documented: set[type]) -> bool:
    return base not in documented and base.__module__.split(".")[0] in PACKAGES


def hidden_bases(cls: type, documented: set[type]) -> list[type]:
    """The classes that a class inherits from, of ours, and that are not public; up to the first that are."""
    found: dict[type, None] = {}
    for base in cls.__bases__:
        if _is_hidden(base, documented):
            found.update(dict.fromkeys([base, *hidden_bases(base, documented)]))
    return list(found)


def members_of(cls: type, documented: set[type]) -> dict[str, Any]:
    """The public methods and attributes with a docstring that the page of a class shows, sorted by name."""
    found: dict[str, Any] = {}
    for each in (cls, *hidden_bases(cls, documented)):
        for name, value in vars(each).items():
            plain = inspect.isroutine(value) or isinstance(value, property | staticmethod | classmethod)
            lacks = name.startswith("_") or name == "extra_repr" or isinstance(value, Absent)
            if plain and not lacks and (value.__doc__ or "").strip():
                found.setdefault(name, value)
    return dict(sorted(found.items()))


class Reference:
    """All pages, as text; and what the docstrings link to."""

    def __init__(self) -> None:
        self.names = public()
        self.by_full = {full: one for one in self.names for full in (one.full, *one.others)}
        short: dict[str, set[str]] = defaultdict(set)
        for one in self.names:
            short[one.name].add(one.full)
        self.classes = {one.value for one in self.names if one.kind in ("class", "exception")}
        self.short = {name: next(iter(fulls)) for name, fulls in short.items() if len(fulls) == 1}

    def link(self, code: str) -> str | None:
        """The full name that a piece of code in a docstring names, if it names one."""
        name = code.removesuffix("()")
        if name in self.by_full:
            return self.by_full[name].full
        if re.fullmatch(r"[A-Z]\w*[a-z]\w*", name) or (re.fullmatch(r"\w+", name) and "_" in name):
            return self.short.get(name)
        tail = re.fullmatch(r"(?:nn|optim|F|functional|explain|visualize|analysis|train|models|init)\.[\w.]+", name)
        if tail:
            for prefix in ("minicnn.", "minicnn.nn."):
                if prefix + name in self.by_full:
                    return self.by_full[prefix + name].full
        return None

    def pages(self) -> dict[str, str]:
        """Document name -> reStructuredText."""
        grouped: dict[tuple[str, str], list[Name]] = defaultdict(list)
        for one in self.names:
            grouped[one.place, one.home].append(one)
        pages = {page_of(*key): self._family(key, names) for key, names in grouped.items()}
        places: dict[str, list[str]] = defaultdict(list)
        for place, home in grouped:
            places[place].append(home)
        for place, homes in places.items():
            pages[f"reference/{place.replace('.', '/')}/index"] = self._place(place, homes, grouped)
        pages["reference/index"] = self._index(list(places))
        return pages

    def _family(self, key: tuple[str, str], names: list[Name]) -> str:
        place, home = key
        module = importlib.import_module(home)
        title = _title(home) if home != place else f"{place} itself"
        body = [":orphan:", "", *_heading(title), f".. currentmodule:: {place}", ""]  # few entries in the sidebar
        text = inspect.cleandoc(module.__doc__ or "").removeprefix(f"{title}.").strip().split("\n")
        body += [f":doc:`{place} <index>`, written in :source:`{names[0].file}`.", "", *rst(text, self.link), ""]
        for one in sorted(names, key=lambda each: (each.kind != "class", each.line)):
            body += self._entry(one)
        return "\n".join(body)

    def _entry(self, one: Name) -> list[str]:
        if one.kind == "data":
            shown = _value(one.value)
            lines = [f".. py:data:: {one.name}", f"   :module: {one.place}"]
            return [*lines, *([f"   :value: {shown}"] if shown else []), "", f"   {escaped(_kind_of(one.value))}", ""]
        lines = [f".. auto{one.kind}:: {one.full}"]
        if one.kind in ("class", "exception"):
            lines += ["   :members:", "   :show-inheritance:"]
            if hidden := hidden_bases(one.value, self.classes):  # what they give to the class is found nowhere else
                stop = {base.__name__ for base in one.value.__mro__[1:] if base not in hidden}
                lines.append(f"   :inherited-members: {', '.join(sorted(stop))}")
            lines += self._overview(one)
        lines += ["", *([f"   Also {', '.join(f'``{other}``' for other in one.others)}.", ""] if one.others else [])]
        return lines

    def _overview(self, one: Name) -> list[str]:
        """The methods and attributes of a large class, a line each."""
        members = members_of(one.value, self.classes)
        if len(members) < LARGE:
            return []
        lines = ["", "   .. list-table:: In the order of the alphabet", "      :widths: 30 70", ""]
        for name, value in members.items():
            about = " ".join(rst([first_line(value.__doc__)], self.link))
            lines += [f"      * - :py:obj:`{name} <{one.full}.{name}>`", f"        - {about}"]
        return lines

    def _place(self, place: str, homes: list[str], grouped: dict[tuple[str, str], list[Name]]) -> str:
        module = importlib.import_module(place)
        body = [*_heading(HEADINGS.get(place, place)), f".. currentmodule:: {place}", ""]
        body += [*rst(inspect.cleandoc(module.__doc__ or "").split("\n"), self.link), ""]
        for home in sorted(homes):
            title = _title(home) if home != place else f"{place} itself"
            page = page_of(place, home).rpartition("/")[2]
            body += [".. list-table::", "   :widths: 30 70", "", f"   * - :doc:`{escaped(title)} <{page}>`", "     - "]
            for one in sorted(grouped[place, home], key=lambda each: each.name.casefold()):
                role = {"class": "class", "exception": "exc", "function": "func", "data": "data"}[one.kind]
                about = first_line(one.value.__doc__) if one.kind != "data" else _kind_of(one.value)
                body += [f"   * - :py:{role}:`{one.name} <{one.full}>`", f"     - {' '.join(rst([about], self.link))}"]
            body.append("")
        return "\n".join(body)

    def _index(self, places: list[str]) -> str:
        body = [
            *_heading("Reference"),
            "Every public name, from the docstrings. Examples begin with::",
            "",
            "    import minicnn",
            "    import numpy as np",
            "    from minicnn import nn",
            "    import minicnn.nn.functional as F",
            "",
            "and give what they say: the tests run them. ``[source]`` leads to the lines that do the work. Letters of",
            "shapes: N images, C channels, H x W pixels; O filters of KH x KW; OH x OW pixels of the output.",
            "",
        ]
        for part in PARTS:
            body += ["", f".. toctree::\n   :maxdepth: 1\n   :caption: {part}", ""]
            chosen = sorted(place for place in places if part_of(place) == part)
            body += [f"   {HEADINGS.get(place, place)} <{place.replace('.', '/')}/index>" for place in chosen]
        return "\n".join(body) + "\n"


def _heading(title: str) -> list[str]:
    return [escaped(title), "=" * (len(escaped(title)) + 2), ""]


def _title(home: str) -> str:
    """What a file has, from the first line of its docstring."""
    line = first_line(importlib.import_module(home).__doc__)
    return HEADINGS.get(home) or re.split(r"[:;]| \(", line)[0].replace("`", "").strip() or home


def _value(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 and "\n" not in text and " at 0x" not in text else ""


def _kind_of(value: Any) -> str:
    package, kind = type(value).__module__.split(".")[0], type(value).__name__
    if package in ("types", "typing"):
        return "type"
    if package in PACKAGES and hasattr(value, "__wrapped__"):
        return first_line(value.__doc__) or "function"  # that Numba compiles
    return f"{package} {kind}".removeprefix("builtins ")


# ------------------------------------------------------------------------------------------------------------ in Sphinx


def write(app: Any, config: Any = None) -> None:
    """Write the pages that have changed into the source folder; delete those that are there no more."""
    reference = app.config._reference = Reference()
    pages = reference.pages()
    folder = Path(app.srcdir)
    for old in (folder / "reference").rglob("*.rst"):
        if old.relative_to(folder).with_suffix("").as_posix() not in pages:
            old.unlink()
            (Path(app.outdir) / old.relative_to(folder).with_suffix(".html")).unlink(missing_ok=True)
    for document, text in pages.items():
        file = folder / f"{document}.rst"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def convert(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """A docstring as reStructuredText."""
    lines[:] = rst(list(lines), app.config._reference.link)


def skip(app: Any, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out fields of tuples without words, and methods that say nothing of their own."""
    doc = getattr(obj, "__doc__", None) or ""
    return True if doc.startswith("Alias for field number") or name == "extra_repr" else None


def public_bases(app: Any, name: str, obj: Any, options: Any, bases: list[Any]) -> None:
    """Instead of a base class that is not public, show the public ones that it has its methods from."""
    documented = app.config._reference.classes
    found: dict[Any, None] = {}
    for base in bases:
        hidden = inspect.isclass(base) and _is_hidden(base, documented)
        nearest = next((each for each in base.__mro__ if each in documented), object) if hidden else base
        found[nearest] = None
    bases[:] = [base for base in found if base is not object] or [object]


def pythons_own(app: Any, doctree: Any) -> None:
    """In a signature, `int` and `bool` are Python's, not the types of tensors with these names."""
    from docutils import nodes
    from sphinx.addnodes import pending_xref

    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and hasattr(builtins, node.get("reftarget", "")):
            node.replace_self(nodes.Text(node["reftarget"]))


def alias(app: Any, env: Any) -> None:
    """Enter the other names of each thing, so that links and the inventory have them."""
    objects = env.get_domain("py").objects
    for one in app.config._reference.names:
        entry = objects.get(one.full)
        for other in one.others if entry else ():
            objects.setdefault(other, entry._replace(aliased=True))


def setup(app: Any) -> dict[str, Any]:
    """Connect with Sphinx."""
    app.connect("config-inited", lambda app, config: write(app), priority=900)
    app.connect("autodoc-process-docstring", convert, priority=100)
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-bases", public_bases)
    app.connect("doctree-read", pythons_own)
    app.connect("env-updated", lambda app, env: alias(app, env))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
