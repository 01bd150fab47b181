"""Python functions of numbers, translated to C++: a formula is written once for Python, Numba and CUDA.

    @scalar                                          template <typename T>
    def silu(x: float) -> float:                     __device__ inline T silu(T x) {
        e = math.exp(-abs(x))                          T e = exp((-fabs(x)));
        s = e if x < 0 else 1.0                        T s = ((x < T(0)) ? e : T(1.0));
        return x * s / (1.0 + e)                       return ((x * s) / (T(1.0) + e));
                                                     }

A `float` of Python is a T, which is float or double; an `int` is an int. `functions(module)` translates the functions
of a module that have a decorator. A kernel calls them as `scalars::silu<T>(x)`, by the module's last name. They may
contain

    statements    assignments to new names, one or several at once (`s, t = ...`); if, elif, else; return; a docstring
    numbers       the parameters and the assigned names; literals, and the numbers of the module; math.nan, math.inf
    arithmetic    + - * /, and - of one number; `a if condition else b`
    calls         abs, max and min of two; the functions of `math` in `_MATH`; functions further up in the module
    conditions    < <= > >= == !=, also chained; `in` a tuple; and, or, not
    ints          as arguments for parameters that are int, and compared with them

and anything else raises `TranslationError`, which names its line. Every path ends in a return. Names may not be words
of C++, such as `double`, or `T`.
"""

from __future__ import annotations

import ast
import inspect
import math
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_MATH = ("erfc", "exp", "expm1", "log", "log1p", "sqrt", "tanh")  # C++ has them under the same names, for T too
_CONSTANTS = {"nan": "NAN", "inf": "INFINITY"}
_KINDS = {"float": "T", "int": "int"}
_INTS = range(-(2**31) + 1, 2**31)  # those that are literals of C++
_KEYWORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const
const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern false
float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private
protected public register reinterpret_cast return short signed sizeof static static_assert static_cast struct switch
template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t
while xor xor_eq
"""
_WORDS = {*_KEYWORDS.split(), *_MATH, *_CONSTANTS.values(), "T", "fabs"}  # not names of a translated function


class TranslationError(TypeError):
    """A function contains something that cannot be translated."""


def functions(module: ModuleType) -> str:
    """The C++ text of the functions of a module that have a decorator.

    Raises:
        TranslationError: one of them contains something that is not in the list above.
    """
    file, name = Path(module.__file__ or ""), module.__name__.rpartition(".")[2]
    tree = ast.parse(inspect.getsource(module))
    found: dict[str, ast.FunctionDef] = {}
    texts = []
    for f in tree.body:
        if isinstance(f, ast.FunctionDef) and f.decorator_list:
            texts.append(_Function(f, module, found, file.name).text())
            found[f.name] = f
    return "\n".join(['#include "threads.cuh"', f"namespace {name} {{", *texts, f"}}  // namespace {name}", ""])


class _Function:
    """The translation of one function."""

    def __init__(self, node: ast.FunctionDef, module: ModuleType, above: dict[str, ast.FunctionDef], file: str):
        self.node, self.module, self.above, self.file = node, module, above, file
        self.kinds = {p.arg: self.kind(p.annotation, p) for p in node.args.args}  # "T" or "int", of each name
        for name in (node.name, *self.kinds):
            self.check_name(node, name)

    def text(self) -> str:
        """The whole function, with the line at which it begins in the Python file."""
        a = self.node.args
        if a.posonlyargs or a.kwonlyargs or a.vararg or a.kwarg or a.defaults:
            self.fail(self.node, "parameters that are not plain names")
        parameters = ", ".join(f"{kind} {name}" for name, kind in self.kinds.items())
        if self.kind(self.node.returns, self.node) != "T":
            self.fail(self.node, "a result that is not a float")
        if not _returns(self.node.body):
            self.fail(self.node, "a path without a return")
        head = f"template <typename T>\n__device__ inline T {self.node.name}"
        body = self.statements(self.node.body, "  ")
        return f'#line {self.node.lineno} "{self.file}"\n{head}({parameters}) {{\n{body}}}'

    def kind(self, annotation: ast.expr | None, where: ast.AST) -> str:
        """The C++ type of an annotation."""
        if isinstance(annotation, ast.Name) and annotation.id in _KINDS:
            return _KINDS[annotation.id]
        self.fail(where, "a parameter or result that is not annotated as float or int")

    def check_name(self, node: ast.AST, name: str) -> None:
        """Raise an error if a name means something else in C++."""
        if name in _WORDS or name.startswith("__") or not name.isascii():
            self.fail(node, f"the name {name!r}, which is taken in C++ or cannot be one,")
        if name in self.above:
            self.fail(node, f"the name {name!r}, which is that of a function above,")

    def fail(self, node: Any, what: str) -> NoReturn:
        """Raise the error."""
        line = getattr(node, "lineno", self.node.lineno)
        where = f"{self.file}, line {line}: {self.node.name}()"
        raise TranslationError(f"{where} has {what}, which is not translated to C++")

    # -------------------------------------------------------------------------------------------------- statements

    def statements(self, nodes: list[ast.stmt], indent: str) -> str:
        """Statements, each on its line."""
        return "".join(self.statement(node, indent) for node in nodes)

    def statement(self, node: ast.stmt, indent: str) -> str:
        """One statement."""
        match node:
            case ast.Expr(ast.Constant(str(text))):
                first = "".join(text.splitlines()[:1]).rstrip("\\ \t")  # after a backslash the comment would go on
                return f"{indent}// {first}\n"
            case ast.Return(value) if value is not None:
                return f"{indent}return {self.number(value)};\n"
            case ast.Assign([ast.Name(name)], value):
                return f"{indent}{self.assignment(node, [name], [value])}"
            case ast.Assign([ast.Tuple(names)], ast.Tuple(values)) if len(names) == len(values):
                return f"{indent}{self.assignment(node, [getattr(n, 'id', '') for n in names], values)}"
            case ast.If(test, body, other):
                text = f"{indent}if ({self.condition(test)}) {{\n{self.block(body, indent)}{indent}}}"
                return text + (f" else {{\n{self.block(other, indent)}{indent}}}\n" if other else "\n")
        self.fail(node, f"the statement {ast.unparse(node).partition(chr(10))[0]!r}")

    def block(self, nodes: list[ast.stmt], indent: str) -> str:
        """The statements of a branch, after which its names are gone, as they are in C++."""
        before = dict(self.kinds)
        text = self.statements(nodes, f"{indent}  ")
        self.kinds = before
        return text

    def assignment(self, node: ast.stmt, names: list[str], values: list[ast.expr]) -> str:
        """New names, all of which get their values before the first can be used."""
        texts = [self.number(value) for value in values]
        for name in names:
            if not name or name in self.kinds:
                self.fail(node, f"the assignment {ast.unparse(node)!r}, not to new names")
            self.check_name(node, name)
            self.kinds[name] = "T"
        return f"T {', '.join(f'{name} = {text}' for name, text in zip(names, texts, strict=True))};\n"

    # ----------------------------------------------------------------------------------------------------- numbers

    def number(self, node: ast.expr) -> str:
        """An expression whose value is a T."""
        match node:
            case ast.Constant() | ast.Name() if self.of_module(node) is not None:
                return self.literal(node, self.of_module(node) or 0)
            case ast.Name(name) if self.kinds.get(name) == "T":
                return name
            case ast.Attribute(ast.Name("math"), name) if name in _CONSTANTS:
                return f"T({_CONSTANTS[name]})"
            case ast.UnaryOp(ast.USub(), operand):
                return f"(-{self.number(operand)})"
            case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
                return f"({self.number(left)} {_ARITHMETIC[type(op)]} {self.number(right)})"
            case ast.IfExp(test, body, other):
                return f"({self.condition(test)} ? {self.number(body)} : {self.number(other)})"
            case ast.Call(function, args, []):
                return self.call(node, ast.unparse(function), args)
        self.fail(node, f"{ast.unparse(node)!r}")

    def literal(self, node: ast.expr, value: int | float) -> str:
        """A number as a T."""
        if type(value) is int and value in _INTS:
            return f"T({value})"
        try:
            value = float(value)
        except OverflowError:
            self.fail(node, f"{ast.unparse(node)!r}, an int that is too large for a float,")
        if math.isfinite(value):
            return f"T({value!r})"
        return "T(NAN)" if value != value else f"T({'-' if value < 0 else ''}INFINITY)"

    def of_module(self, node: ast.expr) -> int | float | None:
        """The value of a literal, or of a name of the module that is a number."""
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(node, ast.Name) and node.id not in self.kinds:
            value = getattr(self.module, node.id, None)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def call(self, node: ast.Call, name: str, args: list[ast.expr]) -> str:
        """A call of a function."""
        if name in self.above:
            kinds = [self.kind(p.annotation, p) for p in self.above[name].args.args]
            if len(kinds) == len(args):
                texts = [self.number(a) if kind == "T" else self.int(a) for kind, a in zip(kinds, args, strict=True)]
                return f"{name}<T>({', '.join(texts)})"
        elif callable(getattr(self.module, name, None)):
            self.fail(node, f"the call {ast.unparse(node)!r}, but no function of that name further up,")
        texts = [self.number(a) for a in args]
        match name.partition("math."), texts:
            case ("", "math.", called), [_] if called in _MATH:
                return f"{called}({texts[0]})"
            case ("abs", "", ""), [_]:
                return f"fabs({texts[0]})"
            case ("max", "", ""), [a, b]:  # as in Python, where max(nan, 0) is nan and max(0, nan) is 0
                return f"({b} > {a} ? {b} : {a})"
            case ("min", "", ""), [a, b]:
                return f"({b} < {a} ? {b} : {a})"
        self.fail(node, f"the call {ast.unparse(node)!r}")

    def int(self, node: ast.expr) -> str:
        """An expression whose value is an int: a parameter, a literal, or a number of the module."""
        value = self.of_module(node)
        if type(value) is int and value in _INTS:
            return str(value)
        if isinstance(node, ast.Name) and self.kinds.get(node.id) == "int":
            return node.id
        self.fail(node, f"{ast.unparse(node)!r} where an int is needed")

    # -------------------------------------------------------------------------------------------------- conditions

    def condition(self, node: ast.expr) -> str:
        """An expression that is true or false."""
        match node:
            case ast.BoolOp(op, values):
                return f"({(' && ' if isinstance(op, ast.And) else ' || ').join(map(self.condition, values))})"
            case ast.UnaryOp(ast.Not(), operand):
                return f"!{self.condition(operand)}"
            case ast.Compare(left, [ast.In()], [ast.Tuple([_, *_] as values)]):
                return f"({' || '.join(self.comparison(node, left, ast.Eq(), value) for value in values)})"
            case ast.Compare(left, ops, rights):
                pairs = zip([left, *rights], ops, rights, strict=False)
                return f"({' && '.join(self.comparison(node, a, op, b) for a, op, b in pairs)})"
        self.fail(node, f"the condition {ast.unparse(node)!r}")

    def comparison(self, node: ast.expr, left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
        """Two numbers or two ints."""
        if type(op) not in _COMPARISONS:
            self.fail(node, f"the condition {ast.unparse(node)!r}")
        ints = any(isinstance(side, ast.Name) and self.kinds.get(side.id) == "int" for side in (left, right))
        translated = self.int if ints else self.number
        return f"{translated(left)} {_COMPARISONS[type(op)]} {translated(right)}"


def _returns(nodes: list[ast.stmt]) -> bool:
    """Whether all paths through statements end in a return."""
    return any(
        isinstance(node, ast.Return) or (isinstance(node, ast.If) and _returns(node.body) and _returns(node.orelse))
        for node in nodes
    )
