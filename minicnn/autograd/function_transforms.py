"""Functions made from functions: gradients, products with Jacobians, and Jacobians.

    grad(f)         the gradient of f, a function with the arguments of f
    vjp, jvp        v^T J, and J v
    jacrev, jacfwd  the Jacobian
    hessian         the Jacobian of the gradient

They may be nested, also with `vmap`: `vmap(grad(loss))` gives the gradient of each sample, `grad(grad(f))` a second
derivative. Arguments may be lists, tuples and dictionaries of tensors, such as the parameters of a net for
`functional_call`.

A result is part of the graph only if something outside the function asks for gradients: an argument, or a tensor that
the function uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

from . import engine, functional
from .backpropagation import grad as _gradients
from .modes import enable_grad, is_grad_enabled
from .subgraph import reachable
from .trees import leaves, mapped, rebuilt

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp"]

Argnums = int | tuple[int, ...]


# --------------------------------------------------------------------------------------------------------------- calls


class _Call:
    """One call of a function, some of whose arguments have places of their own in the graph."""

    def __init__(
        self, name: str, func: Callable[..., Any], args: Sequence[Any], argnums: Argnums, options: Any
    ) -> None:
        self.name = name
        self.single = not isinstance(argnums, tuple)
        chosen = [self._argument(name, one, args) for one in (argnums if isinstance(argnums, tuple) else (argnums,))]
        if len(set(chosen)) != len(chosen) or not chosen:
            raise ValueError(f"{name}: argnums should be different positions of arguments, got {argnums!r}")
        given = [args[one] for one in chosen]
        for entry in leaves(given):
            if not isinstance(entry, engine._tensor) or entry.array.dtype.kind not in "fc":
                what = f"a tensor of {entry.dtype}" if isinstance(entry, engine._tensor) else type(entry).__name__
                raise ValueError(f"{name}: derivatives are taken by floating-point tensors only, got {what}")
        arguments = list(args)
        with enable_grad():
            self.own = list(mapped(self._placed, given))
            for position, own in zip(chosen, self.own, strict=True):
                arguments[position] = own
            self.result = func(*arguments, **options)

    @staticmethod
    def _argument(name: str, position: int, args: Sequence[Any]) -> int:
        if not isinstance(position, int) or isinstance(position, bool) or not -len(args) <= position < len(args):
            raise RuntimeError(f"{name}: argnums has {position!r}, but there are {len(args)} positional arguments")
        return position % len(args)

    @staticmethod
    def _placed(x: Any) -> Any:
        """A new place in the graph; if the argument has one already, gradients go on from here to there."""
        return x.view(x.shape) if x.requires_grad else x.detach().requires_grad_()

    def split(self, has_aux: bool) -> tuple[Any, Any]:
        """The outputs, and what the function returns beside them."""
        if not has_aux:
            return self.result, None
        if not isinstance(self.result, tuple) or len(self.result) != 2:
            raise RuntimeError(f"{self.name}: with has_aux=True the function should return (output, aux)")
        return self.result

    def gradients(self, outputs: Sequence[Any], ups: Sequence[Any]) -> list[Any]:
        """up^T J, for every entry of the chosen arguments, in the graph."""
        entries = list(leaves(self.own))
        used = [(y, up) for y, up in zip(outputs, ups, strict=True) if y.requires_grad]
        found: Sequence[Any] = [None] * len(entries)
        if used:
            found = _gradients([y for y, _ in used], entries, [up for _, up in used], True, True, allow_unused=True)
        return [functional._zeros(x) if gx is None else gx for gx, x in zip(found, entries, strict=True)]

    def given(self, entries: Iterable[Any]) -> Any:
        """Entries in the form of the chosen arguments."""
        found = rebuilt(self.own, iter(entries))
        return found[0] if self.single else tuple(found)

    def free(self, tree: Any) -> Any:
        """Results, without their place in the graph where only this call needed it."""
        return _free(tree, self.own)


def _free(tree: Any, own: Any) -> Any:
    """Results, detached unless a gradient goes from them to something else than the places `own`."""
    inside = {id(x) for x in leaves(own) if x._edge is None}

    def freed(y: Any) -> Any:
        if not isinstance(y, engine._tensor) or (is_grad_enabled() and _leaves_of(y) - inside):
            return y
        return y.detach()

    return mapped(freed, tree)


def _leaves_of(y: Any) -> set[int]:
    """The ids of the leaves that a backward pass from y would reach."""
    if not isinstance(y, engine._tensor) or not y.requires_grad:
        return set()
    if y._edge is None:
        return {id(y)}
    nodes = reachable([y._edge[0]], 0)
    return {id(edge) for node in nodes for edge in node.inputs if edge is not None and type(edge) is not tuple}


def _tensors(name: str, tree: Any, what: str) -> list[Any]:
    found = list(leaves(tree))
    for entry in found:
        if not isinstance(entry, engine._tensor):
            raise RuntimeError(
                f"{name}: {what} should be tensors or lists and tuples of them, got {type(entry).__name__}"
            )
    return found


def _scalar(name: str, output: Any) -> Any:
    if not isinstance(output, engine._tensor):
        raise RuntimeError(f"{name}: the function should return a tensor, got {type(output).__name__}")
    if output.array.ndim or output.array.dtype.kind not in "fc":
        raise RuntimeError(
            f"{name}: the function should return one number, a tensor of shape (), got {tuple(output.shape)} of "
            f"{output.dtype}; use its sum or mean, or jacrev"
        )
    return output


# ----------------------------------------------------------------------------------------------------------- gradients


def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the gradient of `func` and its value.

    Args:
        func: returns one number; with `has_aux`, a pair of it and something else.
        argnums: the position of the argument by which it is differentiated, or a tuple of positions.
        has_aux: whether it returns a pair.

    Returns:
        A function with the arguments of `func`. It returns (gradient, value), or with `has_aux` (gradient, (value,
        aux)). The gradient has the form of the argument, and is a tuple for a tuple of positions.

    Raises:
        RuntimeError: (when called) the function does not return one number, or has no such argument.
        ValueError: (when called) an argument holds something else than floating-point tensors.

    >>> minicnn.func.grad_and_value(lambda x: (x**2).sum())(minicnn.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """

    @wraps(func)
    def gradient_and_value(*args: Any, **options: Any) -> Any:
        call = _Call("grad", func, args, argnums, options)
        output, aux = call.split(has_aux)
        _scalar("grad", output)
        found = call.free(call.given(call.gradients([output], [None])))
        return found, (call.free(output), call.free(aux)) if has_aux else call.free(output)

    return gradient_and_value


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the gradient of `func`; with `has_aux` (gradient, aux). See `grad_and_value`.

    >>> minicnn.func.grad(minicnn.func.grad(lambda x: x**3))(minicnn.tensor(2.0))  # 6 x
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def gradient(*args: Any, **options: Any) -> Any:
        found, value = both(*args, **options)
        return (found, value[1]) if has_aux else found

    return gradient


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(func(*primals), a function that gives v^T J for a v like the output); with `has_aux`, aux comes third.

    Raises:
        RuntimeError: the function returns something else than tensors; later, v does not have the form of the output.

    >>> y, product = minicnn.func.vjp(lambda x: x**2, minicnn.tensor([1.0, 2.0]))
    >>> product(minicnn.tensor([1.0, 10.0]))
    (tensor([ 2., 40.]),)
    """
    call = _Call("vjp", func, primals, tuple(range(len(primals))), {})
    output, aux = call.split(has_aux)
    outputs = _tensors("vjp", output, "the results of the function")

    def product(cotangents: Any) -> Any:
        ups = _tensors("vjp", cotangents, "cotangents")
        if [tuple(up.shape) for up in ups] != [tuple(y.shape) for y in outputs]:
            raise RuntimeError(
                f"vjp: the cotangents should have the shapes of the results, {[tuple(y.shape) for y in outputs]}, got "
                f"{[tuple(up.shape) for up in ups]}"
            )
        return call.free(call.given(call.gradients(outputs, ups)))

    found = (call.free(output), product)
    return (*found, call.free(aux)) if has_aux else found


def jvp(
    func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...], *, strict: bool = False,
    has_aux: bool = False,
) -> Any:  # fmt: skip
    """(func(*primals), J v): the derivative of a function along v, the tangents; with `has_aux`, aux comes third.

    w^T J is linear in w, so its own derivative by w gives J v. `strict` has no effect.

    Raises:
        RuntimeError: the tangents do not have the form of the primals.

    >>> minicnn.func.jvp(lambda x: (x**2).sum(), (minicnn.tensor([1.0, 2.0]),), (minicnn.tensor([1.0, 10.0]),))
    (tensor(5.), tensor(42.))
    """
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list) or not primals:
        raise RuntimeError("jvp: primals and tangents should be tuples, not empty, of the same form")
    call = _Call("jvp", func, primals, tuple(range(len(primals))), {})
    output, aux = call.split(has_aux)
    outputs = _tensors("jvp", output, "the results of the function")
    along = _tensors("jvp", tangents, "tangents")
    shapes = [tuple(x.shape) for x in leaves(primals)]
    if [tuple(v.shape) for v in along] != shapes:
        raise RuntimeError(f"jvp: the tangents should have the shapes {shapes}, got {[tuple(v.shape) for v in along]}")
    with enable_grad():
        w = [functional._zeros(y).requires_grad_() for y in outputs]
        rows = call.gradients(outputs, w)  # w^T J, as a function of w
        used = [(row, v) for row, v in zip(rows, along, strict=True) if row.requires_grad]
        found: Sequence[Any] = [None] * len(w)
        if used:
            found = _gradients([r for r, _ in used], w, [v for _, v in used], True, True, allow_unused=True)
        result = [functional._zeros(y) if one is None else one for one, y in zip(found, outputs, strict=True)]
    pair = call.free(output), _free(rebuilt(output, iter(result)), [call.own, w])
    return (*pair, call.free(aux)) if has_aux else pair


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """(func(*primals), the function of the tangents that gives J v at this point).

    >>> y, along = minicnn.func.linearize(lambda x: x**2, minicnn.tensor([1.0, 2.0]))
    >>> along(minicnn.tensor([1.0, 10.0]))
    tensor([ 2., 40.])
    """
    return func(*primals), lambda *tangents: jvp(func, primals, tangents)[1]


# ----------------------------------------------------------------------------------------------------------- Jacobians


def jacrev(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """A function that gives the Jacobian: for an output of shape (a, b) and an argument of shape (c,), (a, b, c).

    Args:
        func, argnums, has_aux: as in `grad_and_value`; the function may return any tensors.
        chunk_size: has no effect: the rows are computed one after the other, by backward passes.

    Returns:
        A function with the arguments of `func`. It returns the Jacobian, in the form of the output, each entry of which
        has the form of the argument; with `has_aux` (Jacobian, aux).

    >>> minicnn.func.jacrev(lambda x: x**2)(minicnn.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @wraps(func)
    def jacobian(*args: Any, **options: Any) -> Any:
        call = _Call("jacrev", func, args, argnums, options)
        output, aux = call.split(has_aux)
        blocks = []
        for y in _tensors("jacrev", output, "the results of the function"):
            rows = [call.gradients([y], [functional._unit(y, k)]) for k in range(y.array.size)]
            columns = [[row[n] for row in rows] for n in range(len(list(leaves(call.own))))]
            stacked = [functional._stacked(c, y, x) for c, x in zip(columns, leaves(call.own), strict=True)]
            blocks.append(call.free(call.given(stacked)))
        found = rebuilt(output, iter(blocks))
        return (found, call.free(aux)) if has_aux else found

    return jacobian


def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """As `jacrev`, with the same result: there is no forward mode, so the rows come from backward passes.

    >>> minicnn.func.jacfwd(lambda x: x.sum())(minicnn.tensor([1.0, 2.0]))
    tensor([1., 1.])
    """
    return jacrev(func, argnums, has_aux)


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that gives the second derivatives: the Jacobian of the Jacobian.

    >>> minicnn.func.hessian(lambda x: x[0] ** 2 * x[1])(minicnn.tensor([1.0, 2.0]))
    tensor([[4., 2.],
            [2., 0.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
