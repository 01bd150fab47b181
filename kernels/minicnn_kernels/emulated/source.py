"""What g++ cannot read in a preprocessed CUDA source, in its words: shared memory and launch bounds.

    __shared__ T s[4], t;             static thread_local emulated::Variable ...; auto& s = ....place<T[4]>(...); ...
    extern __shared__ T d[];          auto d = emulated::dynamic<T>(...);
    __launch_bounds__(256) f(int n) { f(int n) { emulated::at_most(256);

So shared memory is laid out when a block runs, between guards (`cpp/shared.h`). Lines stay where they are.
"""

from __future__ import annotations

import re

_SHARED = re.compile(r"(?P<before>(?:\b(?:extern|static|const|volatile)\s+)*)\b__shared__\b")
_BOUNDS = re.compile(r"\b__launch_bounds__\s*(?=\()")
_ALIGNED = re.compile(r"\b(?:__attribute__\s*\(\s*\(\s*(?:__)?aligned(?:__)?\s*|alignas\s*)(?=\()")
_MARKER = re.compile(r"^# \d+ .*$", re.MULTILINE)  # of the preprocessor: which line of which file comes next
_CLOSES = {"(": ")", "[": "]", "{": "}", "<": ">"}


class SharedMemoryError(ValueError):
    """A declaration of shared memory that the emulator cannot read."""


def for_the_cpu(text: str) -> str:
    """The source in words that g++ knows.

    Raises:
        SharedMemoryError: a declaration of shared memory is none of the kinds above.
    """
    parts, done = [], 0
    for number, found in enumerate(_SHARED.finditer(text)):
        end = _end(text, found.end(), ";")
        declaration = text[found.start() : end + 1]
        outside = _outside(text, found.start())
        parts += [text[done : found.start()], _declared(number, found["before"], text[found.end() : end], outside)]
        markers = _MARKER.findall(declaration)
        parts.append(f"\n{markers[-1]}\n" if markers else "\n" * declaration.count("\n"))
        done = end + 1
    return _bounded("".join([*parts, text[done:]]))


def _declared(number: int, before: str, declaration: str, outside: bool) -> str:
    """Shared memory as C++."""
    plain = " ".join(_MARKER.sub("", declaration).split())
    aligned = []
    while found := _ALIGNED.search(plain):
        end = _end(plain, found.end() + 1, ")")
        aligned.append(plain[found.end() + 1 : end])
        rest = plain[end + 1 :]
        plain = plain[: found.start()] + (rest if "alignas" in found[0] else re.sub(r"^\s*\)\s*\)", "", rest))
    align = " | ".join(["0", *(f"({a})" for a in aligned)])
    first = re.match(r"(?P<type>.*?[\w>)])(?P<name>(?:\s*\*)*\s*\b[A-Za-z_]\w*\s*(?:\[.*)?)$", _parts(plain)[0])
    if first is None or re.search(r"[{=]", re.sub(r"\[.*?\]", "", plain)):
        raise SharedMemoryError(
            f"the emulator cannot read `__shared__{declaration};`: declare shared memory without an initial value, as "
            "`__shared__ TYPE NAME[SIZE];`"
        )
    kind = " ".join([*re.findall(r"const|volatile", before), first["type"].strip()])
    dynamic = "extern" in before
    if outside and not dynamic:
        raise SharedMemoryError(f"declare `__shared__ {plain};` inside the kernel that uses it")
    lines = []
    for i, declarator in enumerate([first["name"], *_parts(plain)[1:]]):
        stars, name, sizes = re.fullmatch(r"\s*([*\s]*)(\w+)\s*((?:\[.*)?)", declarator).groups()  # type: ignore[union-attr]
        if dynamic:
            where = "static thread_local const auto" if outside else "auto"
            of = f"{kind}{stars}{sizes[sizes.index(']') + 1 :]}"
            lines.append(f"{where} {name} = emulated::dynamic<{of}>({align});")
        else:
            of = f"{kind}{stars}{_in_brackets(sizes)}"
            variable = f"emulated_variable_{number}_{i}"
            lines.append(f"static thread_local emulated::Variable {variable};")
            lines.append(f'auto& {name} = {variable}.place<{of}>({align}, "{name}");')
    return " ".join(lines)


def _in_brackets(sizes: str) -> str:
    """Sizes of an array as an argument of a template, where > would end it."""
    return re.sub(r"\[", "[(", re.sub(r"\]", ")]", sizes)) if sizes.count("[") == sizes.count("]") else sizes


def _parts(text: str) -> list[str]:
    """The text between commas that stand in no brackets."""
    found, start = [], 0
    while (end := _end(text, start, ",", last=len(text))) < len(text):
        found.append(text[start:end])
        start = end + 1
    return [*found, text[start:]]


def _end(text: str, start: int, mark: str, last: int | None = None) -> int:
    """Where the next mark is that stands in no brackets; `<` is one outside of square brackets."""
    stack: list[str] = []
    for i in range(start, len(text)):
        c = text[i]
        if not stack and c == mark:
            return i
        if c in _CLOSES and not (c == "<" and ("]" in stack or ")" in stack)):
            stack.append(_CLOSES[c])
        elif stack and c == stack[-1]:
            stack.pop()
    if last is None:
        raise SharedMemoryError(f"there is no {mark!r} behind `{text[start : start + 60]}`")
    return last


def _outside(text: str, place: int) -> bool:
    """Whether a place is outside of all functions."""
    depth = 0
    for i in range(place - 1, -1, -1):
        if text[i] == "}":
            depth += 1
        elif text[i] == "{":
            if not depth:
                return bool(re.search(r'(\bnamespace\s*[\w:]*|\bextern\s*"C")\s*$', text[max(0, i - 200) : i]))
            depth -= 1
    return True


def _bounded(text: str) -> str:
    """Each kernel with bounds begins with a check of its number of threads."""
    while found := _BOUNDS.search(text):
        end = _end(text, found.end() + 1, ")")
        most = _parts(text[found.end() + 1 : end])[0]
        text = f"{text[: found.start()]}{text[end + 1 :]}"
        behind = re.compile(r"[^;{(]*\(").match(text, found.start())
        if behind:
            body = _end(text, behind.end(), ")") + 1
            if opening := re.compile(r"\s*\{").match(text, body):
                text = f"{text[: opening.end()]} emulated::at_most({most}); {text[opening.end() :]}"
    return text
