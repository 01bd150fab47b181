"""Pages with the source files, offline: the role `source`, and `[source]` beside each name of the reference."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from names import FOLDERS, KINDS, ROOT
from sphinx import addnodes

_ROLE = re.compile(r"\{source\}``[^`<]*<([^>#]+)")


def files(srcdir: str) -> list[str]:
    """All files that have a page, relative to the repository."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in KINDS]
    linked = {name for path in Path(srcdir).rglob("*.md") for name in _ROLE.findall(path.read_text(encoding="utf-8"))}
    return sorted({path.relative_to(ROOT).as_posix() for path in found} | linked)


def page(file: str) -> str:
    """The page of a file."""
    return f"source/{file}"


def role(
    name: str, rawtext: str, text: str, lineno: int, inliner: Any, options: Any = None, content: Any = None
) -> Any:
    """A link to a source file."""
    env = inliner.document.settings.env
    words, file = found.groups() if (found := re.fullmatch(r"(.*?)\s*<(.+)>", text, re.S)) else (text, text)
    label = nodes.literal(words, words) if not found or "/" in words or "." in words else nodes.inline(words, words)
    if file.partition("#")[0] not in env.config._source_files:
        return [], [inliner.reporter.error(f"there is no page of the file {file}", line=lineno)]
    return [nodes.reference("", "", label, refuri=_uri(env.app, env.docname, file), internal=True)], []


def _uri(app: Any, docname: str, file: str) -> str:
    name, _, line = file.partition("#L")
    return str(app.builder.get_relative_uri(docname, page(name))) + (f"#L-{line}" if line else "")


def beside_names(app: Any, doctree: Any) -> None:
    """Add `[source]` to each name of the reference."""
    reference = app.config._reference
    lines: dict[Any, tuple[str, int]] = {one.full: (one.file, one.line) for one in reference.names}
    lines |= {id(one.value): (one.file, one.line) for one in reference.names if one.kind == "function"}
    for signature in doctree.findall(addnodes.desc_signature):
        full = f"{signature.get('module')}.{signature.get('fullname')}"
        place = lines.get(full) or _of_member(signature.get("module"), signature.get("fullname"), lines)
        if place is None:
            continue
        file, line = place
        uri = f"{_uri(app, app.env.docname, file)}#L-{line}"
        link = nodes.reference(
            "", "", nodes.inline("", "[source]", classes=["viewcode-link"]), refuri=uri, internal=True
        )
        only = addnodes.only(expr="html")
        only += link
        signature += only


def _of_member(module: str | None, name: str | None, lines: dict[Any, tuple[str, int]]) -> tuple[str, int] | None:
    """The file and the line of a method or a property; of a method that is a public function too, those of this."""
    value: Any = importlib.import_module(module) if module else None
    for part in (name or "").split("."):
        value = inspect.getattr_static(value, part, None)
    if id(value) in lines:
        return lines[id(value)]
    value = value.fget if isinstance(value, property) else inspect.unwrap(getattr(value, "__func__", value))
    code = getattr(value, "__code__", None)
    if code is None or not (path := Path(code.co_filename)).is_relative_to(ROOT):
        return None
    file = path.relative_to(ROOT).as_posix()
    return (file, code.co_firstlineno) if file.startswith(tuple(f"{folder}/" for folder in FOLDERS)) else None


def pages(app: Any) -> Any:
    """The pages, with numbered lines."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    for file in app.config._source_files:
        text = (ROOT / file).read_text(encoding="utf-8")
        formatter = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=True, wrapcode=True)
        body = highlight(text, get_lexer_by_name(KINDS[Path(file).suffix]), formatter)
        yield page(file), {"title": file, "body": body}, "source.html"


def setup(app: Any) -> dict[str, Any]:
    """Connect with Sphinx."""
    app.connect("config-inited", lambda app, config: setattr(config, "_source_files", files(app.srcdir)))
    app.add_role("source", role)
    app.connect("doctree-read", beside_names)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
