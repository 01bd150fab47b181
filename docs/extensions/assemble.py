"""Collects what the site is made of in one folder: pages, notebooks, and files that are pages elsewhere.

Links between files of the repository are those that a reader of the repository follows. Here they become links between
pages of the site, and links to the pages of source files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

from names import FOLDERS, KINDS, OTHERS, ROOT

ELSEWHERE = {  # files outside `docs` that are pages of the site
    "README.md": "readme",
    "CONTRIBUTING.md": "contributing",
    "kernels/README.md": "kernels",
    "notebooks/README.md": "notebooks/index",
}
# Caption -> pages, in the order in which one reads them. A star stands for those that are not named before.
CONTENTS = {
    "Course": ["notebooks/index"],
    "How to": ["how-to/index", "how-to/*"],
    "Guides": [
        "training", "recipes", "architectures", "analysis", "explain", "graph", "views", "pictures", "exercises",
        "quiz", "pytorch", "gpu", "speed", "*",
    ],
    "Explanation": [
        "explanation/house", "explanation/route", "explanation/convolution/index", "explanation/convolution/direct",
        "explanation/convolution/im2col", "explanation/convolution/implicit", "explanation/convolution/registers",
        "explanation/convolution/winograd", "explanation/convolution/fft", "explanation/convolution/pointwise",
        "explanation/convolution/depthwise", "explanation/convolution/*", "explanation/*", "kernels", "contributing",
    ],
    "Reference": ["reference/index"],
}  # fmt: skip
GENERATED = {"reference/index"}  # by `reference.py`, after this
OUTSIDE = {"index", "readme", *GENERATED}  # pages that the star at the top does not stand for
_LINK = re.compile(  # a block of code, a link (in whose words code may be), or code (in which there is no link)
    r"(?P<fence>^(```|~~~).*?^\2\s*$)"
    r"|(?P<image>!?)\[(?P<words>(?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?://|#|mailto:)(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)"
    r"|`[^`\n]+`"
    r'|(?P<tag><img [^>]*?src=")(?P<src>[^"]+)',
    re.M | re.S,
)
_FENCE = re.compile(r"^```(\w*)$(.*?)^```$", re.M | re.S)
_BADGE = re.compile(r"\[!\[([^\]]*)\]\([^)]*\)\]\(([^)]*)\)")


class LinkError(ValueError):
    """A link of a page leads to no file."""


class Site:
    """The pages of the site.

    Attributes:
        pages: file of the repository -> page, without suffix.
        pictures: file of the repository -> file of the site, for all pictures that pages show.
    """

    def __init__(self) -> None:
        self.pages = {file: page for file, page in ELSEWHERE.items() if (ROOT / file).is_file()}
        for path in sorted((ROOT / "docs").rglob("*.md")):
            self.pages[path.relative_to(ROOT).as_posix()] = path.relative_to(ROOT / "docs").with_suffix("").as_posix()
        for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
            self.pages[f"notebooks/{path.name}"] = f"notebooks/{path.stem}"
        self.pictures: dict[str, str] = {}

    def write(self, folder: Path) -> None:
        """Write what has changed into a folder; delete what is there no more.

        Raises:
            LinkError: a link leads to nothing.
        """
        wanted = {folder / f"{page}{_suffix(file)}": self.page(file) for file, page in self.pages.items()}
        for target, text in wanted.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.is_file() or target.read_text(encoding="utf-8") != text:
                target.write_text(text, encoding="utf-8")
        for old in [*folder.rglob("*.md"), *folder.rglob("*.ipynb")]:
            if old not in wanted:
                old.unlink()
        for file, place in self.pictures.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, folder / place)

    def page(self, file: str) -> str:
        """The text of a page, with the links of the site, and with its table of contents."""
        text = (ROOT / file).read_text(encoding="utf-8")
        if not file.endswith(".ipynb"):
            orphan = "---\norphan: true\n---\n" if self.pages[file] == "readme" else ""
            return orphan + _FENCE.sub(_as_text, self.linked(text, file)) + self.contents(self.pages[file])
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = [_BADGE.sub(r"[\1](\2)", self.linked("".join(cell["source"]), file))]
        return json.dumps(notebook)

    def linked(self, text: str, file: str) -> str:
        """The text of a file with the links of the site. Code stays as it is."""
        return _LINK.sub(lambda found: self._link(found, file), text)

    def _link(self, found: re.Match[str], file: str) -> str:
        target = found["target"] or found["src"]
        if not target or urlsplit(target).scheme:
            return found[0]
        image, words, anchor = found["image"], found["words"], found["anchor"] or ""
        path = Path(os.path.normpath(ROOT / Path(file).parent / target))
        start = os.path.dirname(self.pages[file]) or "."
        if not path.is_relative_to(ROOT) or not path.exists():
            page = os.path.relpath(path, ROOT / "docs").removesuffix(".md")
            if page in GENERATED:
                return f"[{words}]({os.path.relpath(page, start)}.rst{anchor})"
            raise LinkError(f"{file}: the link to {target} leads to no file")
        name = path.relative_to(ROOT).as_posix()
        if path.is_dir():
            inside = [f"{name}/{one}" for one in ("README.md", "__init__.py") if (path / one).is_file()]
            name = inside[0] if inside else name
        if image or found["src"]:
            place = self.pictures[name] = name.removeprefix("docs/")
            picture = os.path.relpath(place, start)
            return f"![{words}]({picture})" if image else found["tag"] + picture
        if name in self.pages:
            return f"[{words}]({os.path.relpath(self.pages[name], start)}{_suffix(name)}{anchor})"
        if Path(name).suffix in KINDS and name.startswith(tuple(f"{one}/" for one in (*FOLDERS, *OTHERS))):
            return f"{{source}}``{words.replace('`', '')} <{name}{anchor}>``"
        return words  # such as a licence

    def contents(self, page: str) -> str:
        """The table of contents of the front page and of the course."""
        all_pages = set(self.pages.values())
        if page == "notebooks/index":
            notebooks = sorted(each for each in all_pages if re.match(r"notebooks/\d", each))
            return _toctree([each.removeprefix("notebooks/") for each in notebooks])
        if page != "index":
            return ""
        done: set[str] = {name for names in CONTENTS.values() for name in names} | OUTSIDE
        text = ""
        for caption, names in CONTENTS.items():
            chosen: list[str] = []
            for name in names:
                if "*" not in name:
                    chosen += [name] * (name in all_pages or name in GENERATED)
                    continue
                fits = [each for each in sorted(all_pages - done) if fnmatch(each, name)]
                fits = [each for each in fits if each.count("/") == name.count("/")]
                chosen += fits
                done.update(fits)
            text += _toctree(chosen, caption) if chosen else ""
        return text


def _as_text(block: re.Match[str]) -> str:
    """What programs print is no Python, and Mermaid's diagrams are not drawn."""
    return f"```{'text' if block[1] in ('', 'mermaid') else block[1]}{block[2]}```"


def _suffix(file: str) -> str:
    return Path(file).suffix


def _toctree(pages: list[str], caption: str = "") -> str:
    options = [":hidden:", ":maxdepth: 2", *([f":caption: {caption}"] if caption else [])]
    return "\n\n" + "\n".join(["```{toctree}", *options, "", *pages, "```"]) + "\n"
