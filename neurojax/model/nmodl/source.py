"""A mechanism as a Python file: a channel as one writes it by hand, see `convert`.

What a file names and uses twice becomes a variable of its name; the rest is one formula.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from neurojax.model.formulas.form import OF_CELL, Form, form_of
from neurojax.model.formulas.graph import Graph, Node, ordered, symbols
from neurojax.model.formulas.mechanism import Gate, Mechanism
from neurojax.model.nmodl.loading import read_mechanism
from neurojax.model.nmodl.python_text import (
    INFIX,
    WIDTH,
    base_of,
    declared,
    dict_of,
    free_name,
    infix,
    number,
    tuple_of,
    within,
)
from neurojax.model.nmodl.syntax import NmodlError

_CALLED = {
    "exp": "jnp.exp", "log": "jnp.log", "log10": "jnp.log10", "sqrt": "jnp.sqrt", "abs": "jnp.abs",
    "sin": "jnp.sin", "cos": "jnp.cos", "tan": "jnp.tan", "tanh": "jnp.tanh", "sinh": "jnp.sinh",
    "cosh": "jnp.cosh", "atan": "jnp.arctan", "asin": "jnp.arcsin", "acos": "jnp.arccos",
    "floor": "jnp.floor", "ceil": "jnp.ceil", "fmod": "jnp.fmod", "min": "jnp.minimum",
    "max": "jnp.maximum", "select": "jnp.where", "and": "jnp.logical_and", "or": "jnp.logical_or",
    "not": "jnp.logical_not", "clip": "jnp.clip", "exp_linear": "exp_linear",
    "sigmoid": "sigmoid",
}  # fmt: skip
_PARTS = {
    "from_rates": ("opening", "closing"),
    "from_tau": ("inf", "tau"),
    "from_inf": ("inf", "rate"),
    "Gating": ("opening", "rate"),
}
_SHAPED = {"from_rates": (0,), "from_tau": (1,), "from_inf": (1,), "Gating": (0, 1)}
"""Which arguments must have the shape of v, so that opening and rate have it."""
_SWAPPED = {"<": ">", "<=": ">=", "==": "=="}
_NOT_FREE = {"v", "x", "self", "jnp", "math", "exp_linear", "sigmoid", *_PARTS}
"""Names that no variable of a method may have."""


def converted(path: str | Path, name: str = "") -> str:
    """The Python source of the channel of an NMODL file; `name` is that of its class.

    Raises NmodlError for what `load_nmodl` refuses, and for pools and states that act on each
    other, which stay a .mod file; ValueError for a name that no class can have.
    """
    m, file = read_mechanism(path), str(path)
    if name and (keyword.iskeyword(name) or not name.isidentifier()):
        raise ValueError(f"{name!r}: expected a name that a class can have, such as CaHva")
    as_it_is = "it stays a .mod file, which a model takes: type ="
    if m.pools:
        ion = next(iter(m.pools)).partition("_")[0]
        said = f'changes a concentration: {as_it_is} "{Path(path).name}" in [ions.{ion}]'
        raise NmodlError(said, file=file)
    if m.derivatives and not m.transitions:
        said = f'its states act on each other, or are not linear: {as_it_is} "{Path(path).name}"'
        raise NmodlError(said, file=file)
    return _Writer(m, name or _class_name(m.name), Path(path).name).text()


def _class_name(suffix: str) -> str:
    name = "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", suffix))
    return name if name[:1].isalpha() else "Channel" + name


class _Writer:
    def __init__(self, m: Mechanism, name: str, file: str) -> None:
        self.m, self.name, self.file = m, name, file
        self.form: Form = form_of(m)
        self.converted: set[str] = set()  # symbols whose unit formulas have converted
        self.nernst = ""  # the variable that the reversal potential is then
        self.rates: set[str] = set()  # names of membrane.rates that are used

    def text(self) -> str:
        scheme = bool(self.m.transitions)
        methods = self._scheme() if scheme else self._gating() if self.m.gates else []
        if not self.form.standard:
            methods += self._current()
        fields = list(map(declared, self.form.fields))
        body = [*self._docstring(), "", *fields, *self._facts(), *methods]
        base = "Scheme" if scheme else "Channel"
        first = f'"""{self.name}: a channel made of the NMODL file {self.file}."""'
        lines = [first, "", *self._imports(methods), "", "", "@pytree"]
        lines += [f"class {self.name}({base}):"]
        lines += [textwrap.indent(line, "    ") if line else "" for line in body]
        return "\n".join(lines) + "\n"

    def _imports(self, methods: list[str]) -> list[str]:
        scheme, code = bool(self.m.transitions), "\n".join(methods)
        lines = ["import math", ""] if "math." in code else []
        lines += ["import jax.numpy as jnp", ""] if "jnp." in code else []
        base = [] if scheme else ["Channel"]
        has_fields = ["param"] if self.form.fields else []
        names = ", ".join([*base, *has_fields, "pytree"])
        lines.append(f"from neurojax.membrane.channel import {names}")
        if scheme:
            lines.append("from neurojax.membrane.markov import Scheme")
        leaf = {"Leaf"} if self.form.fields else set[str]()
        rates = sorted(self.rates | leaf, key=lambda name: (name[0].islower(), name))
        return [*lines, f"from neurojax.membrane.rates import {', '.join(rates)}"]

    # -- what it is -------------------------------------------------------------------------------
    def _docstring(self) -> list[str]:
        title = " ".join(self.m.title.split()) or f"The channel {self.m.name}"
        title = re.sub(r'["\\]', "", title).rstrip(".:")
        first = f"{title}: i = {self._equation()}."
        comments = [c for c in self.m.comments if _cites(c)]
        said = " ".join(" ".join(map(_without_label, comments)).split())
        said = re.sub(r'["\\]', "", said)[:600].strip()
        source = f"Source: {said.rstrip('.') + '. ' if said else ''}NMODL file {self.file}."
        text = [*textwrap.wrap(first, 92), "", *textwrap.wrap(source, 92)]
        return ['"""' + text[0], *text[1:], '"""']

    def _equation(self) -> str:
        if not self.form.standard and len(self.m.currents) == 1:
            return "a formula of its own, see current"
        if not self.form.standard:
            return " + ".join(_current_names(self.m.currents)) + ", see _currents"
        opens = [k if f == 1 else f"{number(f)} {k}" for k, f in self.form.conducting.items()]
        if opens:
            opened = " + ".join(opens)
            return f"g_bar {f'({opened})' if len(opens) > 1 else opened} (v - E_rev)"
        gates = " ".join(k if p == 1 else f"{k}^{p}" for k, p in self.form.powers.items())
        return " ".join(["g_bar", *([gates] if gates else []), "(v - E_rev)"])

    def _facts(self) -> list[str]:
        form, lines = self.form, list[str]()
        if self.m.transitions:
            lines.append(f"states = {tuple_of(self.m.scheme_states())}")
            lines.append(f"conducting = {dict_of(form.conducting)}")
            lines += ["stiff = True"] if form.stiff else []
        elif form.powers:
            lines.append(f"powers = {dict_of(form.powers)}")
        if form.reads:
            lines.append(f"reads = {tuple_of(form.reads)}")
        if form.carries:
            lines.append(f"carries = {dict_of(form.carries)}")
        if self.m.receives:
            lines.append("receives = True")
        if "temperature" in form.reads:
            return [*lines, f"celsius_ref = {number(self.m.celsius)}"]
        gates = {"all": 1} if self.m.transitions else dict.fromkeys(form.powers, 1)
        same = "# The file has the same rates at every temperature."
        return [*lines, *([same, f"q10 = {dict_of(gates)}"] if gates else [])]

    # -- what it does -----------------------------------------------------------------------------
    def _gating(self) -> list[str]:
        gates = self.m.gates
        nodes = [node for gate in gates for node in _told(self.m.graph, gate)[1]]
        lines, texts = self._formulas(nodes)
        names = self._names(line.split(" ")[0] for line in lines)
        rest = iter(texts)
        entries: list[str] = []
        for gate in gates:
            how, parts = _told(self.m.graph, gate)
            self.rates.add(how)
            arguments = [
                _of_shape(next(rest), part) if k in _SHAPED[how] else next(rest)
                for k, part in enumerate(parts)
            ]
            if len(", ".join(arguments)) > WIDTH - 24:
                named = [free_name(f"{gate.name}_{k}", names) for k in _PARTS[how]]
                lines += [f"{n} = {a}" for n, a in zip(named, arguments, strict=True)]
                arguments = named
            entries.append(f'"{gate.name}": {how}({", ".join(arguments)})')
        returned = "return {" + ", ".join(entries) + "}"
        if len(returned) > WIDTH + 16:
            returned = "return {\n    " + ",\n    ".join(entries) + ",\n}"
        return self._method("gating", ["v"], [*lines, returned])

    def _scheme(self) -> list[str]:
        rates = self.m.transitions
        lines, texts = self._formulas(list(rates.values()))
        shaped = map(_of_shape, texts, rates.values())
        pairs = [f'("{a}", "{b}"): {t},' for (a, b), t in zip(rates, shaped, strict=True)]
        body = [*lines, "return {", *(f"    {pair}" for pair in pairs), "}"]
        return self._method("transitions", ["v"], body)

    def _current(self) -> list[str]:
        currents = self.m.currents
        graph = self.m.graph
        factors = {
            f.symbol: graph.make("*", graph.number(f.factor), graph.symbol(f.symbol))
            for f in self.form.fields
            if f.factor != 1
        }
        scaled = graph.replaced(currents.values(), factors)
        scaled = [graph.make("*", graph.number(1e3), i) for i in scaled]
        self.converted = set(factors)
        if self._reverses_at_nernst():
            self.nernst = "E_rev"
        lines, texts = self._formulas(scaled)
        texts = list(map(_of_shape, texts, scaled))
        if len(currents) == 1:
            return self._one_current([*lines, f"return {texts[0]}"])
        names = _current_names(currents)
        lines += [f"{name} = {text}" for name, text in zip(names, texts, strict=True)]
        entries = ", ".join(f'"{ion}": i_{ion}' for ion in currents if ion)
        total = " + ".join(names)
        reads = ", ".join(
            ["v", "x", "celsius=None", *(["*"] if self.form.reads else []), *self.form.reads]
        )
        flux = ", ".join(["i", reads])
        body = [*lines, f"return {total}, {{{entries}}}"]
        inner = ", ".join(["v", "x", *self.form.reads])
        return [
            "",
            f"def _currents(self, {inner}):",
            *(textwrap.indent(line, "    ") for line in body),
            "",
            f"def current(self, {reads}):",
            f"    return self._currents({inner})[0]",
            "",
            f"def ion_fluxes(self, {flux}):",
            f"    return self._currents({inner})[1]",
        ]

    def _reverses_at_nernst(self) -> bool:
        """Whether a cell may give the reversal potential of the one ion that it carries."""
        reversals = {f.symbol for f in self.form.fields if f.name == "E_rev"}
        used = symbols(self.m.currents.values()) & reversals
        return len(self.form.carries) == len(self.m.currents) == 1 and bool(
            used & self.m.reversals.keys()
        )

    def _one_current(self, body: list[str]) -> list[str]:
        reads = ["v", "x", "celsius=None"]
        given = ["E_nernst=None"] if self.nernst else []
        keywords = [*given, *self.form.reads]
        reads += ["*", *keywords] if keywords else []
        if self.nernst:
            body = ["E_rev = E_nernst if self.E_rev is None else self.E_rev", *body]
        head = f"def current(self, {', '.join(reads)}):"
        return ["", head, *(textwrap.indent(line, "    ") for line in body)]

    def _method(self, name: str, arguments: list[str], body: list[str]) -> list[str]:
        head = f"def {name}(self, {', '.join([*arguments, *self.form.reads])}):"
        return ["", head, *(textwrap.indent(line, "    ") for line in body)]

    # -- formulas ---------------------------------------------------------------------------------
    def _formulas(self, roots: Sequence[Node]) -> tuple[list[str], list[str]]:
        """Lines that set variables, and the text of each root."""
        nodes = ordered(roots)
        uses = Counter(a for node in nodes for a in node.args)
        uses.update(roots)
        text: dict[Node, tuple[str, int]] = {}
        lines: list[str] = []
        names = self._names()

        def named(node: Node) -> None:
            hint = self.m.graph.hints.get(node)
            name = free_name(re.sub(r"\W+", "_", hint).strip("_") if hint else "u", names)
            lines.append(f"{name} = {text[node][0]}")
            text[node] = name, 9

        for node in nodes:
            text[node] = self._text(node, text)
            while len(text[node][0]) > WIDTH:  # the longest part becomes a variable
                longest = max(node.args, key=lambda part: len(text[part][0]), default=node)
                if len(text[longest][0]) < 20:
                    break
                named(longest)
                text[node] = self._text(node, text)
            twice = uses[node] > 1 and node.args and len(text[node][0]) > 12
            if twice and (node not in roots or node in self.m.graph.hints):
                named(node)
        return lines, [text[root][0] for root in roots]

    def _names(self, more: Iterable[str] = ()) -> set[str]:
        """Names that a new variable of a method cannot have."""
        return {"E_rev", *_NOT_FREE, *self.form.reads, *more}

    def _text(self, node: Node, text: dict[Node, tuple[str, int]]) -> tuple[str, int]:
        """A node as Python, and how tightly it binds."""
        parts = [text[a] for a in node.args]
        if node.op == "number":
            return number(node.value), 9 if node.value >= 0 else 3
        if node.op == "symbol":
            return self._symbol(node.value)
        if node.op in INFIX:
            return infix(node, parts)
        if node.op == "neg" and parts[0][0].startswith("-") and parts[0][1] == 2:
            return parts[0][0][1:], 2
        if node.op == "neg":
            power = node.args[0].op == "pow" and parts[0][1] == 4
            return f"-{within(parts[0], 5 if power else 2)}", 2
        if node.op == "pow":
            of, times = within(parts[0], 5), number(node.args[1].value)
            simple = re.fullmatch(r"[\w.]+", of)  # written as formatters do
            return (f"{of}**{times}" if simple else f"{of} ** {times}"), 4
        if node.op in _SWAPPED:
            left, right = (within(part, 1) for part in parts)
            if node.args[0].op == "number":
                return f"{right} {_SWAPPED[node.op]} {left}", 0
            return f"{left} {node.op} {right}", 0
        if node.op == "exp" and (base := base_of(node.args[0])):
            return f"jnp.exp(math.log({base}) * {within(text[node.args[0].args[1]], 3)})", 9
        if node.op == "bounded_exp":
            return f"jnp.exp(jnp.clip({parts[0][0]}, -80.0, 80.0))", 9
        called = _CALLED[node.op]
        if node.op in ("exp_linear", "sigmoid"):
            self.rates.add(node.op)
        return f"{called}({', '.join(part for part, _ in parts)})", 9

    def _symbol(self, symbol: str) -> tuple[str, int]:
        if symbol == "v":
            return "v", 9
        if symbol == "celsius":
            return "temperature", 9
        if symbol in OF_CELL and symbol not in self.m.parameters:
            return ("1e8 * area", 2) if symbol == "area" else (OF_CELL[symbol], 9)
        if symbol in self.m.concentrations:
            return self.m.concentrations[symbol], 9
        f = next((f for f in self.form.fields if f.symbol == symbol), None)
        if f is None:  # a state
            return f'x["{symbol}"]', 9
        if self.nernst and f.name == "E_rev":
            return self.nernst, 9
        if f.factor == 1 or symbol in self.converted:
            return f"self.{f.name}", 9
        return f"{number(f.factor)} * self.{f.name}", 2


def _told(graph: Graph, gate: Gate) -> tuple[str, list[Node]]:
    """How a gate is said best: by time constant, by steady state, or by rates."""
    opening, rate = gate.opening, gate.rate
    if opening.is_number(0):
        return "from_rates", [opening, rate]
    one_over = rate.op == "/" and rate.args[0].is_number(1)
    if one_over and opening.op == "/" and opening.args[1] is rate.args[1]:
        return "from_tau", [opening.args[0], rate.args[1]]
    for closing in _closing(graph, opening, rate):
        return "from_rates", [opening, closing]
    if opening.op == "*" and rate in opening.args:
        inf = opening.args[1] if opening.args[0] is rate else opening.args[0]
        return "from_inf", [inf, rate]
    return "Gating", [opening, rate]


def _of_shape(text: str, node: Node) -> str:
    """A formula as an array of the shape of v, if it does not depend on v."""
    if "v" in symbols([node]):
        return text
    if node.is_number(0):
        return "jnp.zeros_like(v)"
    return f"jnp.full_like(v, {text})" if node.op == "number" else f"{text} * jnp.ones_like(v)"


def _closing(graph: Graph, opening: Node, rate: Node) -> Iterator[Node]:
    """What is left of a rate without an opening that is a part of it: q (a + b) without q a."""
    if rate.op == "+" and opening in rate.args:
        yield rate.args[1] if rate.args[0] is opening else rate.args[0]
    if rate.op == "*":
        for q, total in (rate.args, rate.args[::-1]):
            if total.op == "+":
                for a, b in (total.args, total.args[::-1]):
                    if opening in (graph.make("*", q, a), graph.make("*", a, q)):
                        yield graph.make("*", q, b)


def _current_names(currents: Iterable[str]) -> list[str]:
    return [f"i_{ion}" if ion else "i_other" for ion in currents]


def _without_label(comment: str) -> str:
    return re.sub(r"^(Comment|Reference|Ref)?[\s:]*", "", comment)


def _cites(comment: str) -> bool:
    return bool(re.search(r"\b(19|20)\d\d\b", comment)) and len(comment) < 800
