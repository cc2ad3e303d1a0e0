"""The equations of a channel in symbols, read off the code that computes them."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from neurojax.membrane import rates
from neurojax.membrane.channel import Channel
from neurojax.membrane.ghk import ConstantField
from neurojax.membrane.markov import Scheme

FUNCTIONS = {
    name: re.split(r"[,;]", (inspect.getdoc(getattr(rates, name)) or "").partition("\n")[0])[0]
    for name in ("exp_linear", "exprel", "sigmoid", "hill")
}
"""What the functions are that the code of rates calls by a name."""

_GATES = ("from_rates", "from_inf", "from_tau")


def open_probability(kind: type[Channel]) -> str:
    """What is open of a channel: `m^3 h`, or the states that conduct."""
    if issubclass(kind, Scheme):
        factors = kind.conducting.items()
        return " + ".join(s if f == 1 else f"{f:g} {s}" for s, f in factors)
    return " ".join(g if p == 1 else f"{g}^{p}" for g, p in kind.powers.items())


def equations(kind: type[Channel]) -> list[str]:
    """The equations of a channel, a line each, in the order of its code.

    Of a gate x with rates: `x' = alpha (1 - x) - beta x`; with a time constant:
    `x' = (inf - x) / tau`. Of a Markov scheme the rate of every transition. Units are mV, ms, mM.
    """
    lines: list[str] = []
    for name, says in (("instant", _plain), ("gating", _gate), ("transitions", _transition)):
        method = getattr(kind, name, None)
        if method is not None and method.__qualname__.split(".")[0] not in ("Channel", "Scheme"):
            lines += _Reader(kind, says).of(method)
    lines += _current(kind)
    called = " ".join(lines)
    used = {f: what for f, what in FUNCTIONS.items() if re.search(rf"\b{f}\(", called)}
    return lines + [f"{f}({'c, K, n' if f == 'hill' else 'x'}) is {w}" for f, w in used.items()]


def _current(kind: type[Channel]) -> list[str]:
    if kind.current is ConstantField.current:
        field = "P z F u (c_i - c_o exp(-u)) / (1 - exp(-u)), u = z v F/RT"
        factor = " ".join(["P_bar", open_probability(kind)]).strip()
        return [f"i = {field}, summed over its ions; P is {factor}, cm/s"]
    if kind.current is not Channel.current:
        return _Reader(kind, _plain).of(kind.current, "i")
    if kind.conductance not in (Channel.conductance, Scheme.conductance):
        return [*_Reader(kind, _plain).of(kind.conductance, "g"), "i = g (v - E_rev)"]
    return [f"i = {_conductance(kind)} (v - E_rev)"]


def _conductance(kind: type[Channel]) -> str:
    p = open_probability(kind)
    return " ".join(["g_bar", f"({p})" if "+" in p else p]).strip()


# -- how what is returned is said -----------------------------------------------------------------
def _gate(name: str, value: ast.expr, written: Callable[[ast.AST], str]) -> str:
    """A gate's differential equation."""
    faster = ""
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith(".faster"):
        faster = f"{_factor(written(value.args[0]))} "
        assert isinstance(value.func, ast.Attribute)
        value = value.func.value
    if not isinstance(value, ast.Call) or _name(value.func) not in _GATES:
        return f"{name}' = {faster}times that" if faster else f"{name} = {written(value)}"
    one, other = (written(part) for part in value.args)
    if _name(value.func) == "from_rates":
        move = f"{_factor(one)} (1 - {name}) - {_factor(other)} {name}"
        return f"{name}' = {faster}({move})" if faster else f"{name}' = {move}"
    apart = f"({_term(one)} - {name})"
    if _name(value.func) == "from_inf":
        return f"{name}' = {faster}{_factor(other)} {apart}"
    return f"{name}' = {faster}{apart} / {_factor(other)}"


def _plain(name: str, value: ast.expr, written: Callable[[ast.AST], str]) -> str:
    return f"{name} = {written(value)}"


def _transition(name: str, value: ast.expr, written: Callable[[ast.AST], str]) -> str:
    return f"{name}: {written(value)} per ms"


def _factor(text: str) -> str:
    """Text that can stand beside another in a product."""
    return text if re.fullmatch(r"[\w.]+(\([^()]*\))?", text) else f"({text})"


def _term(text: str) -> str:
    """Text from which something can be subtracted."""
    node = ast.parse(text.replace("^", "**"), mode="eval").body
    summed = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
    return f"({text})" if summed else text


class _Reader:
    """Lines of a method, and of the functions of the catalogue that it hands over to."""

    def __init__(
        self,
        kind: type[Channel],
        says: Callable[[str, ast.expr, Callable[[ast.AST], str]], str],
    ) -> None:
        self.kind = kind
        self.says = says
        self.known = vars(sys.modules[kind.__module__])

    def of(self, function: Any, result: str = "") -> list[str]:
        """The lines of a function. `result` names what it returns, where that is one expression."""
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        assert isinstance(body, ast.FunctionDef)
        self.known = self.known | vars(sys.modules[function.__module__])
        return [line for node in body.body for line in self._statement(node, result)]

    def written(self, node: ast.AST) -> str:
        """An expression as text, with ^ for powers."""
        plain = _Symbols(self.kind, self.known).visit(ast.parse(ast.unparse(node)))
        return ast.unparse(plain).replace(" ** ", "^")

    def _statement(self, node: ast.stmt, result: str) -> list[str]:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return []  # a docstring
        if isinstance(node, ast.Assign):
            return self._assigned(node.targets[0], node.value)
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            return self._assigned(node.target, node.value)
        if isinstance(node, ast.Return) and node.value is not None:
            return self._returned(node.value, result)
        return self.written(node).splitlines()  # a loop, as it is

    def _assigned(self, target: ast.expr, value: ast.expr) -> list[str]:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = zip(target.elts, value.elts, strict=True)
            return [line for one, part in pairs for line in self._assigned(one, part)]
        if isinstance(target, ast.Tuple) and self._is_near(value):
            return self._handed(value, self.written(target).strip("()"))
        if isinstance(value, ast.Call) and _name(value.func) in _GATES:
            return [self.says(self.written(target), value, self.written)]
        name, text = self.written(target), self.written(value)
        return [] if text in ("1", name) else [f"{name} = {text}"]

    def _returned(self, value: ast.expr, result: str) -> list[str]:
        if isinstance(value, ast.Dict):
            lines: list[str] = []
            for key, part in zip(value.keys, value.values, strict=True):
                if key is None or self._is_near(part):
                    lines += self._returned(part, _label(key) if key else result)
                elif not (isinstance(part, ast.Name) and self.says is _gate):  # said where assigned
                    lines.append(self.says(_label(key), part, self.written))
            return lines
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
            return self._returned(value.left, result) + self._returned(value.right, result)
        if self._is_near(value):
            return self._handed(value, result)
        if isinstance(value, ast.Tuple) and "," in result:
            names = result.split(", ")
            return [f"{n} = {self.written(v)}" for n, v in zip(names, value.elts, strict=True)]
        return [self.says(result, value, self.written)] if result else []

    def _is_near(self, value: ast.expr) -> bool:
        """Whether it calls a function that is written beside the channels."""
        called = self.known.get(_name(value.func)) if isinstance(value, ast.Call) else None
        return inspect.isfunction(called) and called.__module__.startswith("neurojax.channels.")

    def _handed(self, call: Any, result: str) -> list[str]:
        """The lines of a function that is called, and what it is given for its arguments."""
        called = self.known[_name(call.func)]
        names = inspect.signature(called).parameters
        given = [(n, self.written(a)) for n, a in zip(names, call.args, strict=False)]
        told = [f"{name} = {text}" for name, text in given if text not in (name, "self")]
        return told + self.of(called, result)


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _label(key: ast.expr) -> str:
    """The name of a gate, or `C -> O` of a transition."""
    if isinstance(key, ast.Tuple):
        return " -> ".join(_label(part) for part in key.elts)
    return str(key.value) if isinstance(key, ast.Constant) else ast.unparse(key)


class _Symbols(ast.NodeTransformer):
    """Python's names as one writes them on paper: no `self`, no module; x["m"] is m."""

    def __init__(self, kind: type[Channel], known: Any) -> None:
        self.kind = kind
        self.known = known

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self.known.get(node.id)
        is_number = type(value) in (int, float) and node.id.startswith("_")
        return ast.Constant(float(f"{value:.6g}")) if is_number else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if _name(node.value) in ("self", "jnp", "math", "np"):
            return ast.Name(node.attr)
        return self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        if ast.unparse(node) == "E_nernst if self.E_rev is None else self.E_rev":
            return ast.Name("E_rev")
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if _name(node.value) in ("x", "c") and isinstance(node.slice, ast.Constant):
            return ast.Name(str(node.slice.value))
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = ast.unparse(node.func)
        if called == "self.temperature":
            return ast.Name("temperature")
        if called == "self.conductance":
            return ast.Name(_conductance(self.kind))
        if called.endswith(("ones_like", "zeros_like")):
            return ast.Constant(int(called.endswith("ones_like")))
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        plain = self.generic_visit(node)
        assert isinstance(plain, ast.BinOp)
        if isinstance(plain.op, ast.Mult):  # an array of ones gives a number its shape
            if _is_one(plain.right):
                return plain.left
            if _is_one(plain.left):
                return plain.right
        return plain


def _is_one(node: ast.expr) -> bool:
    one = isinstance(node, ast.Constant) and node.value == 1
    return one or _name(node) in ("one", "ones")
