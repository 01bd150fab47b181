"""`recorded`: the graph that the tape holds of a loss, and the gradients on it, without a trace left behind.

The forward pass is followed by an observer if the function that computes the loss is given: then the value of every
tensor, the calls of modules and the constants are known. Of a loss that is there already, the tape knows the
operations, the leaves, and the arrays that operations saved; `recovered.py` makes the most of it.

The backward pass is the engine's own, `autograd.grad`, followed by another observer. So the order, the sums and the
effects of hooks are those of `backward()`, by construction.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from minicnn_kernels.geometry import shown

from ..analysis.restoring import values_as_they_were
from ..autograd import grad as gradients_of
from ..autograd.backpropagation import upstream
from ..autograd.engine import Node
from ..autograd.observe import Observer
from ..autograd.subgraph import reachable
from ..nn import Module
from ..nn.module import check_module
from ..nn.parameter import Parameter
from ..random import fork_rng
from ..tensor import Tensor
from .frames import enclose
from .recovered import recover
from .tape import Contribution, Frame, Input, Leaf, Numbers, Operation, Tape, Value


def recorded(
    loss: Tensor | Callable[[], Tensor],
    model: Module | None = None,
    *,
    names: Mapping[str, Tensor] | None = None,
    gradients: bool = True,
    grad: Tensor | None = None,
    op: str = "recorded",
) -> Tape:
    """Return what the tape holds of a loss, and follow a backward pass through it.

        recorded(loss)                                        the operations and leaves of a loss
        recorded(lambda: loss_fn(net(x), y), net)             all values too, and the modules around the operations

    Nothing is left behind: every `.grad` stays as it is, retained ones too, the graph is kept, and a later
    `loss.backward()` does what it would have done. The backward pass calls the hooks of tensors, as every one does.

    Args:
        loss: a tensor; or a function of no arguments that computes it. The function is called once. Its variables give
            their names to leaves. If `model` is given, it is left as it was, with the statistics of its batch norms and
            the stream of random numbers; but lazy layers get their parameters, as in any first run.
        model: gives the names of the parameters, and of the modules. For a tensor, the module of an operation is told
            from the parameters before and after it (`frames.py`).
        names: more names, such as `{"d": d}` or `locals()`: of leaves, and of results that are variables. The first
            name of a tensor counts; what is no tensor is passed over.
        gradients: follow a backward pass.
        grad: the gradient that it starts from, of the shape of the loss; 1 for a scalar.
        op: the name of the function in messages.

    Returns:
        A `Tape`. If the backward pass fails, for example because an earlier one has freed the saved arrays, it goes up
        to there, and says why.

    Raises:
        TypeError: `loss` is neither a tensor nor a function that returns one, or an argument has the wrong type.
        RuntimeError: the loss does not require a gradient; or it is no scalar, and there is no `grad`.

    >>> from minicnn.explain import recorded
    >>> w, x = minicnn.tensor(3., requires_grad=True), minicnn.tensor(2.)
    >>> tape = recorded((w * x - 1) ** 2)
    >>> for operation in tape.operations:
    ...     print(operation.name, "gets the gradient", operation.outputs[0].gradient.values)
    Mul gets the gradient 10.0
    Sub gets the gradient 10.0
    Pow gets the gradient 1.0
    """
    if model is not None:
        check_module(op, model)
    given = {} if names is None else _tensors(op, names)
    forward: _Forward | None = None
    with ExitStack() as left_as_it_was:  # only in the end: the backward pass needs what a run has written
        if not isinstance(loss, Tensor):
            if not callable(loss):
                raise TypeError(f"{op}: the loss must be a tensor, or a function that computes one, got {shown(loss)}")
            given |= {name: t for name, t in _variables(loss).items() if name not in given}
            if model is not None:
                left_as_it_was.enter_context(values_as_they_were(model))
                left_as_it_was.enter_context(fork_rng())
            forward, loss = _run(op, loss, model)
        _check(op, loss, gradients, grad)
        walk = _Walk(loss, _parameter_names(model) if forward is None else forward.parameters, given, forward)
        if forward is None and model is not None:
            enclose(walk.tape.operations, model)
        if gradients:
            _follow(loss, grad, walk)
    return walk.tape


def _tensors(op: str, names: Any) -> dict[str, Tensor]:
    if not isinstance(names, Mapping):
        raise TypeError(f"{op}: names must be a dictionary of tensors, such as {{'d': d}}, got {shown(names)}")
    return {str(name): value for name, value in names.items() if isinstance(value, Tensor)}


def _variables(function: Any) -> dict[str, Tensor]:
    """The tensors among the variables that a function takes from outside."""
    try:
        found = inspect.getclosurevars(function)
    except (TypeError, ValueError):  # no function of Python, or a variable that has no value yet
        return {}
    return {n: v for n, v in {**found.globals, **found.nonlocals}.items() if isinstance(v, Tensor)}


def _check(op: str, loss: Tensor, gradients: bool, grad: Any) -> None:
    if not loss.requires_grad:
        raise RuntimeError(
            f"{op}: the tensor does not require a gradient, so nothing was recorded; set requires_grad=True on an "
            "input, and do not compute it inside no_grad()"
        )
    if grad is not None and not isinstance(grad, Tensor):
        raise TypeError(f"{op}: grad must be a tensor of the shape {tuple(loss.shape)}, got {shown(grad)}")
    if grad is not None and grad.shape != loss.shape:
        raise RuntimeError(f"{op}: grad has the shape {tuple(grad.shape)}, but the result {tuple(loss.shape)}")
    if gradients and grad is None and loss.numel() != 1:
        raise RuntimeError(
            f"{op}: the result has the shape {tuple(loss.shape)}; only a scalar has an implicit gradient of 1. Pass "
            "grad=, a gradient of this shape, or gradients=False"
        )


def _parameter_names(model: Module | None, prefix: str = "") -> dict[int, str]:
    """The names of parameters and buffers, by id."""
    if model is None:
        return {}
    return {id(t): prefix + name for name, t in [*model.named_parameters(), *model.named_buffers()]}


# ----------------------------------------------------------------------------------------------------- the forward pass


def _run(op: str, function: Callable[[], Any], model: Module | None) -> tuple[_Forward, Tensor]:
    """Call the function, and follow what it does."""
    forward = _Forward(model)
    with forward:
        loss = function()
    forward.parameters |= _parameter_names(model)  # a lazy layer has its parameters only now
    if not isinstance(loss, Tensor):
        raise TypeError(f"{op}: the function must return a tensor, got {shown(loss)}")
    return forward, loss


class _Forward(Observer):
    """What the forward pass told, by node: the modules around it, its results' numbers, its constants.

    Modules outside of `model` have their class as a name, and those in them a name that begins with it.
    """

    def __init__(self, model: Module | None) -> None:
        self.names = {} if model is None else {id(module): name for name, module in model.named_modules()}
        self.parameters = _parameter_names(model)
        self.calls: Counter[str] = Counter()
        self.stack: list[Frame] = []
        self.frames: dict[Node, tuple[Frame, ...]] = {}
        self.results: dict[tuple[Node, int], Numbers | None] = {}
        self.constants: dict[Node, list[tuple[int, Tensor, Numbers | None]]] = {}
        self.sources: dict[int, str] = {}  # id of a tensor that was computed without recording -> the operation
        self.alive: list[Any] = []  # so that no id is used twice

    def enter(self, module: Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Open a frame."""
        if id(module) not in self.names:
            outer = self.stack[-1].name + "." if self.stack and self.stack[-1].name else ""
            top = outer + type(module).__name__
            for name, inner in module.named_modules():
                self.names.setdefault(id(inner), f"{top}.{name}" if name else top)
            for key, name in _parameter_names(module, top + ".").items():
                self.parameters.setdefault(key, name)
            self.alive.append(module)
        name = self.names[id(module)]
        self.stack.append(Frame(name, type(module).__name__, self.calls[name]))
        self.calls[name] += 1

    def leave(self, module: Module, result: Any) -> Any:
        """Close it."""
        self.stack.pop()
        return result

    def fail(self, module: Module, error: BaseException) -> None:
        """Close it."""
        self.stack.pop()

    def operation(self, function: Any, name: str, args: Sequence[Any], options: dict[str, Any], outputs: Any) -> None:
        """Note an operation; one that was not recorded makes constants."""
        node = next((y._edge[0] for y in outputs if y._edge is not None), None)
        if node is None:
            self.alive += outputs
            self.sources |= {id(y): name.lstrip("_") for y in outputs}
            return
        if node in self.frames:  # x.grad_fn of a tensor that a function only passed on
            return
        self.frames[node] = tuple(self.stack)
        self.results |= {(node, i): Numbers.of(y._array) for i, y in enumerate(outputs)}
        self.constants[node] = [
            (i, a, Numbers.of(a._array))
            for i, a in enumerate(args)
            if isinstance(a, Tensor) and not node.needs_input_grad[i]
        ]


# ------------------------------------------------------------------------------------------------------------- the walk


class _Walk:
    """From a loss to its `Tape`, without gradients; `nodes` and `tensors` lead back from there to the engine."""

    def __init__(
        self, loss: Tensor, parameters: Mapping[int, str], names: Mapping[str, Tensor], forward: _Forward | None
    ) -> None:
        self.parameters, self.forward = parameters, forward
        self.by_id = {id(t): name for name, t in reversed([*names.items()]) if t._edge is None}
        self.named = {t._edge: (name, t) for name, t in reversed([*names.items()]) if t._edge is not None}
        self.leaves: dict[int, Leaf] = {}  # by the id of the tensor
        self.tensors: list[Tensor] = []  # those leaves that get a gradient
        nodes = reachable([loss._edge[0]] if loss._edge else [], 0)
        self.nodes: dict[Node, Operation] = {}
        for node in sorted(nodes, key=lambda node: node.number):
            self.nodes[node] = self.operation(node)
        for i, operation in enumerate(reversed(self.nodes.values())):
            operation.step = i + 1  # the largest number first, as in the engine
        result = self.value(loss._edge or loss)
        result.numbers = result.numbers or Numbers.of(loss._array)
        if forward is None:
            known = [(self.leaves[id(t)].value, t) for t in self.tensors]
            known += [(self.value(edge), t) for edge, (_, t) in self.named.items() if edge[0] in self.nodes]
            recover(self.nodes, {value for value, t in known if t._counter[0]})
        self.tape = Tape(list(self.nodes.values()), list(self.leaves.values()), result)

    def operation(self, node: Node) -> Operation:
        """A node, whose inputs have been made."""
        found = Operation(len(self.nodes), node.title.lstrip("_"))
        known = [] if self.forward is None else self.forward.constants.get(node, [])
        constants = {i: self.constant(tensor, numbers) for i, tensor, numbers in known}
        for i, edge in enumerate(node.inputs):
            if edge is not None:
                found.inputs.append(Input(i, self.value(edge)))
            elif i in constants:
                found.inputs.append(Input(i, constants[i]))
        for i, (shape, dtype) in enumerate(node.outputs):
            value = Value(tuple(shape), dtype, found, i, hooked=bool(node.hooks and node.hooks.get(i)))
            if self.forward is not None:
                value.numbers = self.forward.results.get((node, i))
            if (node, i) in self.named:
                value.name, tensor = self.named[node, i]
                value.numbers = value.numbers or Numbers.of(tensor._array)
            found.outputs.append(value)
        if self.forward is not None:
            found.frames = self.forward.frames.get(node, ())
        found.freed = node._saved is None
        titles = getattr(node, "names", None) or [""] * len(node._saved or ())
        for title, array in zip(titles, node._saved or (), strict=False):
            if (numbers := Numbers.of(array)) is not None:
                found.saved.append((str(title), numbers))
        return found

    def value(self, edge: Any) -> Value:
        """The tensor that an edge of the engine leads to."""
        if isinstance(edge, tuple):
            return self.nodes[edge[0]].outputs[edge[1]]
        if id(edge) not in self.leaves:
            self.tensors.append(edge)
            kind = "parameter" if id(edge) in self.parameters else "input"
            leaf = self.leaf(edge, kind, Numbers.of(edge._array))
            leaf.value.hooked = bool(edge._hooks)
        return self.leaves[id(edge)].value

    def constant(self, tensor: Tensor, numbers: Numbers | None) -> Value:
        """A tensor that gets no gradient."""
        if id(tensor) not in self.leaves:
            of_net = "frozen" if isinstance(tensor, Parameter) else "buffer"
            kind = of_net if id(tensor) in self.parameters else "constant"
            leaf = self.leaf(tensor, kind, numbers)
            leaf.source = "" if self.forward is None else self.forward.sources.get(id(tensor), "")
        return self.leaves[id(tensor)].value

    def leaf(self, tensor: Tensor, kind: str, numbers: Numbers | None) -> Leaf:
        leaf = Leaf(kind, self.parameters.get(id(tensor)) or self.by_id.get(id(tensor), ""))
        leaf.value = Value(tuple(tensor.shape), tensor.dtype, leaf, name=leaf.name, numbers=numbers)
        self.leaves[id(tensor)] = leaf
        return leaf


# ---------------------------------------------------------------------------------------------------- the backward pass


def _follow(loss: Tensor, grad: Tensor | None, walk: _Walk) -> None:
    """Run a backward pass that leaves nothing behind, and note the gradients in the tape."""
    tape = walk.tape
    tape.result.contributions.append(Contribution(0, None, 0, Numbers.of(upstream(loss, grad))))
    for operation in tape.operations:
        operation.step = None
    watched = _Backward(walk)
    with _undisturbed(walk), watched:
        try:
            totals = gradients_of([loss], walk.tensors, [grad], retain_graph=True, allow_unused=True)
        except Exception as error:  # it belongs to the user's graph, and the tape says so
            tape.error, totals = error, ()
            if watched.running is not None:
                watched.running.error = str(error)
    for tensor, total in zip(walk.tensors, totals, strict=False):
        if total is not None and tensor._requires_grad:  # not one that was frozen after the run
            walk.value(tensor).gradient = Numbers.of(total._array)
    tape.backward = True
    if watched.inner:
        tape.notes.append(
            "An operation ran a backward pass of its own; the parameters that only it uses are not on this tape."
        )


class _Backward(Observer):
    """What the engine told of its backward pass, written into the operations and values of the tape."""

    def __init__(self, walk: _Walk) -> None:
        self.walk, self.step, self.inner = walk, 0, False
        self.running: Operation | None = None
        self.grads: dict[int, tuple[Tensor, Tensor | None, Any]] = {}  # of leaves of a backward pass inside of this one
        self.modules: set[int] = set()  # that have run in it
        self.left_as_it_was = ExitStack()

    def enter(self, module: Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """A checkpoint runs a module again, which may write its statistics: these are put back in the end."""
        if id(module) not in self.modules:
            self.modules |= {id(one) for one in module.modules()}
            self.left_as_it_was.enter_context(values_as_they_were(module))

    def arrived(self, node: Node, gradients: Sequence[Any]) -> None:
        """A step begins."""
        operation = self.walk.nodes.get(node)
        if operation is None or self.running is not None:  # a step of a pass inside of this one, also on this tape
            self.keep_grads(node)
            return
        self.step += 1
        operation.step, self.running = self.step, operation
        for value, gradient in zip(operation.outputs, gradients, strict=True):
            value.gradient = Numbers.of(gradient)

    def returned(self, node: Node, gradients: Sequence[Any]) -> None:
        """A step ends: its gradients go to the inputs. They are noted now, since sums may be written into them."""
        operation = self.walk.nodes.get(node)
        if operation is None or operation is not self.running:
            return
        self.running = None
        for edge, argument, gradient in zip(node.inputs, range(len(gradients)), gradients, strict=True):
            if edge is not None and gradient is not None:
                found = Contribution(self.step, operation, argument, Numbers.of(gradient))
                self.walk.value(edge).contributions.append(found)

    def keep_grads(self, node: Node) -> None:
        """A pass inside of this one would add to the `.grad` of leaves, and tell hooks: put back in the end."""
        self.inner = True
        for edge in node.inputs:
            if isinstance(edge, Tensor) and id(edge) not in self.grads:
                self.grads[id(edge)] = edge, edge._grad, edge._leaf_hooks
                edge._grad = edge._leaf_hooks = None

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for tensor, gradient, hooks in self.grads.values():
            tensor._grad, tensor._leaf_hooks = gradient, hooks
        self.left_as_it_was.close()


@contextmanager
def _undisturbed(walk: _Walk) -> Iterator[None]:
    """Let no result retain its gradient in a backward pass; leaves that were frozen after the run disturb none."""
    retained = {node: node.retained for node in walk.nodes if node.retained}
    frozen = [tensor for tensor in walk.tensors if not tensor._requires_grad]
    for node in retained:
        node.retained = None
    for tensor in frozen:
        tensor._requires_grad = True
    try:
        yield
    finally:
        for node, keepers in retained.items():
            node.retained = keepers
        for tensor in frozen:
            tensor._requires_grad = False
