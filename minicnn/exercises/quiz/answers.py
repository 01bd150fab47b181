"""What a person types as an answer, in any of the usual ways of writing it, as numbers.

    760    200,960    200 960    201k    2.01e5    3.3 MFLOPs    676 KiB    784*256 + 256    20 %    P = 2     numbers
    32x32x10    32 × 32 × 10    (10, 32, 32)    10@32x32                                      shapes

A number means all values that round to it: 201k is anything from 200,500 to 201,499. Some texts can be read in two
ways, such as 200.960, with a decimal point or with a German separator of thousands; then there are two readings, and an
answer is right if one of them is.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import NamedTuple

NO_FIT = "does not fit"
_NO_FIT = re.compile(
    r"((it|they|there) )?(does not|doesn.?t|do not|don.?t|cannot|can.?t|will not|won.?t|no|not|never|none|no padding) "
    r"?(fits?|padding)?( exactly)?|(there is )?none|(it is )?(impossible|not possible)|no solution|-"
)

WORDS = {  # a unit -> how it is written
    "parameters": ("parameters", "parameter", "params", "param"),
    "MACs": ("macs", "mac", "multiply-accumulates", "multiply-adds", "multiplications"),
    "FLOPs": ("flops", "flop", "operations", "ops", "comparisons", "comparison", "compares"),
    "multiplications": ("multiplications", "multiplication", "macs", "mac", "ops", "operations"),
    "B": ("b", "byte", "bytes", "octets"),
    "bits": ("bit", "bits"),
    "values": ("values", "value", "numbers", "floats"),
    "pixels": ("pixels", "pixel", "px"),
    "%": ("%", "percent", "per cent"),
    "epoch": ("epoch", "epochs"),
}
_SCALES = {
    "": 1, "k": 10**3, "m": 10**6, "g": 10**9, "thousand": 10**3, "million": 10**6, "billion": 10**9,
    "ki": 2**10, "mi": 2**20, "gi": 2**30,
}  # fmt: skip
_BINARY = {"k": 2**10, "m": 2**20, "g": 2**30}  # many people write KB for 1,024 bytes


class Reading(NamedTuple):
    """A number that a text can mean: any value that rounds to `value`: margin is half of its last digit."""

    value: float
    margin: float

    def means(self, number: float) -> bool:
        """Whether a number is one of them."""
        exact = abs(self.value - number) <= 1e-9 * abs(number)
        return exact or self.value - self.margin <= number < self.value + self.margin


class AnswerError(ValueError):
    """An answer that cannot be understood, or is understood and has another unit; the text says what is expected."""

    def __init__(self, text: str, understood: bool = False) -> None:
        super().__init__(text)
        self.understood = understood


def plain(text: str) -> str:
    """The text in lower case, with simple spaces, signs and quotes, without a full stop at its end."""
    for odd, usual in (("\N{MINUS SIGN}", "-"), ("\N{MULTIPLICATION SIGN}", "x"), ("\N{MIDDLE DOT}", "*"),
                       ("\N{RIGHT SINGLE QUOTATION MARK}", "'"), ("\N{ALMOST EQUAL TO}", "~")):  # fmt: skip
        text = text.replace(odd, usual)
    return " ".join(text.split()).strip().rstrip(".!").casefold()


def is_no_fit(text: str) -> bool:
    """Whether the text says that something does not fit, or that there is none."""
    return _NO_FIT.fullmatch(plain(text)) is not None


def is_zero(text: str, unit: str) -> bool:
    """Whether the text says in words that a number is 0: "none", "no parameters" or, of a padding, "no padding"."""
    found, words = plain(text), WORDS.get(unit, ("padding",))
    return found in ("zero", "nil", *(f"no {word}" for word in words)) or (unit != "" and found in ("none", "no"))


def numbers(text: str, unit: str = "") -> list[Reading]:
    """What a text can mean as a number, in the given unit.

    Raises:
        AnswerError: it is no number, or its unit is another one.
    """
    found = plain(text).rpartition("=")[2].lstrip("~ ").removeprefix("about ")  # "P = 2", "785*256 = 200960"
    for word in WORDS.get(unit, ("padding",)):
        found = found.removeprefix(f"{word} ")  # "epoch 7"
    square = re.fullmatch(r"(\d+) ?(?:x|by) ?\1( pixels| px)?", found)
    if unit == "pixels" and square:  # 7x7: a window is a square
        found = square[1]
    readings = _readings(found, unit, text)
    if unit == "%" and "%" not in found and "per" not in found:
        readings += [Reading(100 * r.value, min(100 * r.margin, 0.5)) for r in readings if 0 < r.value <= 1]
    return readings


def _readings(found: str, unit: str, text: str) -> list[Reading]:
    """What a number or a calculation can mean, both with a unit or without."""
    calculation = re.fullmatch(r"(.*[\d)]) ?([a-z%][a-z% -]*)?", found)
    if calculation is not None and (value := _calculated(calculation[1])) is not None:
        return [Reading(value * scale, 0) for scale in _scales(calculation[2] or "", unit, text)]
    match = re.fullmatch(
        r"([-+]?\d[\d.,' _]*?)\s*(?:(?:e|[x*] ?10 ?(?:\^|\*\*)) ?\+?(-?\d{1,2}))?\s*([a-z%][a-z% -]*)?",
        re.sub(r"^([-+]?)\.(?=\d)", r"\g<1>0.", found),
    )
    if match is None:
        raise AnswerError(f"{text.strip()!r} is no number; write one such as {_example(unit)}")
    digits, power, tail = match[1], 10.0 ** int(match[2] or 0), (match[3] or "").strip()
    scales = [scale * power for scale in _scales(tail, unit, text)]
    return [Reading(v * scale, half * scale) for v, half in _decimals(digits, text) for scale in scales]


def _example(unit: str) -> str:
    return {"%": "25 %", "B": "1,024 B", "": "12", "epoch": "7", "pixels": "15"}.get(unit, f"1,280 {unit}")


def _scales(tail: str, unit: str, text: str) -> list[int]:
    """The factors that the letters after the digits can mean."""
    letters = tail.replace(" ", "")
    if not unit and letters in WORDS["pixels"]:  # of a padding
        return [1]
    for scale, factor in _SCALES.items():
        if letters == scale:
            return [factor]
        words = [word.replace(" ", "") for word in WORDS.get(unit, ())]
        if letters.startswith(scale) and letters[len(scale) :] in words:
            return [factor, _BINARY[scale]] if unit == "B" and scale in _BINARY else [factor]
    for other, spellings in WORDS.items():
        if any(letters == scale + word for scale in _SCALES for word in spellings):
            asked = f"the answer is in {unit}, not in" if unit else "the answer has no unit, and is not in"
            raise AnswerError(f"{asked} {other}", understood=True)
    raise AnswerError(f"{tail!r} in {text.strip()!r} is no unit here; write a number such as {_example(unit)}")


def _decimals(digits: str, text: str) -> list[tuple[float, float]]:
    """The values that the digits can mean, each with half of its last digit."""
    groups = re.sub(r"(?<=\d)[ _'](?=\d{3}(?!\d))", "", digits)  # 200 960
    found = []
    for separator, point in ((",", "."), (".", ",")):
        whole = re.fullmatch(rf"[-+]?(\d{{1,3}}(\{separator}\d{{3}})+|\d+)(\{point}(\d+))?", groups)
        if whole is not None:
            value = groups.replace(separator, "").replace(point, ".")
            places = len(whole[4] or "")
            found.append((float(value), 0.5 * 10**-places))
    if not found:
        raise AnswerError(f"{text.strip()!r} is no number; write one such as 1,280 or 2.5")
    return list(dict.fromkeys(found))


_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}  # fmt: skip


def _calculated(text: str) -> float | None:
    """The value of a calculation such as "(5*5*3 + 1) * 10", or None if the text is none."""
    sum_ = re.sub(r"(?<=[\d)]) ?x ?(?=[\d(])", "*", text)
    if (
        len(sum_) > 200
        or not re.fullmatch(r"[\d.,+*/() -]*\d[)]*", sum_)
        or not re.search(r"[\d)] ?[-+*/] ?[\d(]", sum_)
    ):
        return None
    try:
        return _value(ast.parse(re.sub(r"(?<=\d),(?=\d{3})", "", sum_).strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    raise ValueError("no calculation")


Shape = tuple[int, ...]


def shape(text: str) -> Shape:
    """The sizes in a text such as "32x32x10", "(10, 32, 32)" or "10@32x32", in its order.

    Raises:
        AnswerError: it is no shape.
    """
    found = re.sub(r"^[a-z. ]*[(\[{]+|[)\]}]+$", "", plain(text)).replace(" by ", " x ").strip()
    parts = [part for part in re.split(r"\s*[x*,;@]\s*|\s+", found) if part]
    if not parts or not all(part.isdecimal() for part in parts):
        raise AnswerError(f"{text.strip()!r} is no shape; write height x width x depth, such as 32x32x10")
    return tuple(map(int, parts))


def same_shape(given: Shape, wanted: Shape) -> bool:
    """Whether a shape that was typed is (C, H, W), (H, W) or (F,), written channels first or last.

    A batch axis of 1 in front is left out, a depth of 1 may be, and one number is a square.
    """
    if len(wanted) == 3:
        if len(given) == 4 and given[0] == 1:
            given = given[1:]
        return given in (wanted, (*wanted[1:], wanted[0])) or (wanted[0] == 1 and given == wanted[1:])
    if len(wanted) == 2:
        return given == wanted or (len(given) == 1 and given * 2 == wanted)
    return given == wanted or tuple(n for n in given if n != 1) == tuple(n for n in wanted if n != 1) != ()


def letters(text: str, options: tuple[str, ...], several: bool) -> frozenset[int]:
    """The numbers of the options that a text names: by letters, "b", "b, d" or "bd", or by their words.

    Raises:
        AnswerError: something in it is no option, or it names several where one is asked for.
    """
    found = plain(text).replace("ization", "isation")
    names = [plain(option) for option in options]
    last = chr(ord("a") + len(options) - 1)
    if several and found in ("none", "none of them", "nothing", "-"):
        return frozenset()
    if several and found in ("all", "all of them"):
        return frozenset(range(len(options)))
    labelled = re.findall(rf"(?:^|[,;] ?)\(?([a-{last}])\) ?(?=\w)", found)  # "b) convolution, d) ReLU"
    if labelled and re.match(rf"\(?[a-{last}]\) ?\w", found) and (several or len(labelled) == 1):
        return frozenset(ord(letter) - ord("a") for letter in labelled)
    if several and found not in names and re.fullmatch(rf"[a-{last}]+", found):
        return frozenset(ord(letter) - ord("a") for letter in found)
    parts = re.split(r"\s*(?:[,;+&]|\band\b)\s*", found) if several and found not in names else [found]
    if several and len(parts) == 1 and re.fullmatch(rf"[a-{last}]( [a-{last}])+", found):
        parts = found.split()
    numbers_ = set()
    for part in filter(None, parts):
        letter = re.fullmatch(rf"\(?([a-{last}])\)?", part)
        fitting = [i for i, name in enumerate(names) if name == part] or [
            i for i, name in enumerate(names) if len(part) > 2 and part in name
        ]
        if letter is not None:
            numbers_.add(ord(letter[1]) - ord("a"))
        elif len(fitting) == 1:
            numbers_.add(fitting[0])
        else:
            meant = "names several of the options" if fitting else "is none of the options"
            raise AnswerError(f"{part!r} {meant}; give {'letters' if several else 'a letter'} from a to {last}")
    if not numbers_:
        raise AnswerError(f"give {'one or more letters' if several else 'a letter'} from a to {last}")
    return frozenset(numbers_)
