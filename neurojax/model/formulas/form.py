"""The form that a mechanism takes as a channel: its fields with units and bounds, its exponents."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field, replace

import numpy as np

from neurojax.membrane.channel import Channel
from neurojax.model.formulas.arrays import NUMPY
from neurojax.model.formulas.graph import Node, evaluate, factors, ordered, symbols
from neurojax.model.formulas.mechanism import Declared, Mechanism
from neurojax.units import UNITS

TAKEN = frozenset(dir(Channel)) | {"v", "x", "c", "dt", "celsius", "temperature", "area"}
TAKEN |= {"diameter", "self"}
"""Names that no field may have."""

OF_CELL = {"area": "area", "diam": "diameter"}
"""What a file reads of a compartment, and how a channel calls it."""

FASTEST = 20.0
"""1/ms: a scheme with larger rates takes the exponential of its matrix, not a step of the pairs."""

MICROMOLAR = 1e-3
"""mM: of what a scheme reads, while its largest rate is asked for."""

WEIGHT = "#weight"
"""The conductance that an event of weight 1 opens, uS."""


@dataclass(frozen=True)
class Field:
    """A parameter of a channel: how the file calls it, how many of its units one of ours is."""

    name: str
    symbol: str
    factor: float  # the file's value = factor * ours
    default: float  # ours
    unit: str
    low: float
    high: float
    comment: str = ""


@dataclass
class Form:
    """A mechanism as a channel: i = g_bar (gates) (v - E_rev), or another formula."""

    fields: list[Field] = field(default_factory=list)
    powers: dict[str, int] = field(default_factory=dict)
    conducting: dict[str, float] = field(default_factory=dict)  # states of a scheme, and factors
    standard: bool = False
    stiff: bool = False  # whether rates of a scheme are tens in a ms
    reads: tuple[str, ...] = ()
    carries: dict[str, float] = field(default_factory=dict)


def form_of(m: Mechanism) -> Form:
    """The form of a mechanism, see `Form`."""
    form = Form()
    states = [] if m.transitions else [g.name for g in m.gates] + list(m.derivatives)
    form.powers = dict.fromkeys(states, 1)
    used = symbols(m.currents.values())
    form.conducting = {k: 1.0 for k in m.scheme_states() if k in used}
    form.carries = {ion: 1.0 for ion in m.currents if ion}
    form.stiff = len(m.scheme_states()) > 2 and fastest(m) > FASTEST
    names: dict[str, tuple[str, float]] = {}  # name and factor by symbol
    found = _standard(m, states) if len(m.currents) == 1 else None
    if found is not None:
        g, coefficient, reversal, form.powers, conducting = found
        form.standard, form.conducting = True, conducting
        names = {g: ("g_bar", 1 / (1e3 * coefficient)), reversal: ("E_rev", 1.0)}
    elif len(m.reversals) == 1:
        names = {symbol: ("E_rev", 1.0) for symbol in m.reversals}
    taken: set[str] = set()
    below = divisors(m)
    for symbol in sorted([*m.parameters, *m.reversals], key=lambda symbol: symbol not in names):
        f = field_of(m, symbol, below, names.get(symbol))
        while f.name in taken:  # a[0] and a_0 are two
            f = replace(f, name=f.name + "_")
        taken.add(f.name)
        form.fields.append(f)
    order = {"g_bar": 0, "E_rev": 1}
    form.fields.sort(key=lambda f: order.get(f.name, 2))
    reads = list(m.concentrations.values())
    used = symbols(m.roots())
    reads += ["temperature"] if "celsius" in used else []
    reads += [of for name, of in OF_CELL.items() if name in used and name not in m.parameters]
    form.reads = tuple(dict.fromkeys(reads))
    return form


def fastest(m: Mechanism) -> float:
    """The largest rate of a scheme, 1/ms, where potentials lie, at its own parameters."""
    read = dict.fromkeys(m.concentrations, MICROMOLAR)
    known = {**read, **m.defaults, "v": np.linspace(-90.0, 40.0, 27), "celsius": 25.0}
    with np.errstate(all="ignore"):
        rates = evaluate(m.transitions.values(), known, NUMPY)
    return max(float(np.max(rate, where=np.isfinite(rate), initial=0.0)) for rate in rates)


_Standard = tuple[str, float, str, dict[str, int], dict[str, float]]


def _standard(m: Mechanism, states: list[str]) -> _Standard | None:
    """(conductance, its factor, reversal potential, powers, conducting states).

    Of coefficient g x^p (v - E), or of coefficient g (a o1 + b o2) (v - E) of a scheme.
    """
    coefficient, g, reversal, powers = 1.0, "", "", dict[str, int]()
    conducting: dict[str, float] = {}
    for node, power in _product(m.total):
        if node.op == "number":
            coefficient *= node.value**power
        elif node.op == "symbol" and node.value in states and power > 0:
            powers[node.value] = powers.get(node.value, 0) + power
        elif node.op == "symbol" and node.value in m.parameters and power == 1 and not g:
            g = node.value
        elif (driven := _driving(node)) and power == 1 and not reversal:
            reversal = driven
        elif (weights := _weights(m, node)) and power == 1 and not conducting:
            conducting = weights
        else:
            return None
    alone = symbols([n for n in m.roots() if n not in m.currents.values()])
    fits = g and reversal and coefficient > 0 and m.parameters[g] >= 0 and g not in alone
    carried = reversal in m.reversals or reversal in m.parameters
    opens = set(powers) == set(states) and bool(conducting) == bool(m.transitions)
    if not (fits and carried and opens) or reversal in alone:
        return None
    return g, coefficient, reversal, powers, conducting


def _weights(m: Mechanism, node: Node) -> dict[str, float]:
    """The states of a scheme in a sum, and the number before each; none for another formula."""
    weights: dict[str, float] = {}
    stack = [node]
    while stack:
        node = stack.pop()
        if node.op == "+":
            stack += node.args[::-1]
            continue
        times, of = 1.0, node
        if node.op == "*" and node.args[0].op == "number":
            times, of = node.args[0].value, node.args[1]
        if of.op != "symbol" or of.value not in m.scheme_states() or times <= 0:
            return {}
        weights[of.value] = weights.get(of.value, 0.0) + times
    return weights


def _driving(node: Node) -> str | None:
    """E of v - E."""
    if node.op == "-" and all(a.op == "symbol" for a in node.args) and node.args[0].value == "v":
        return node.args[1].value
    return None


def _product(node: Node) -> list[tuple[Node, int]]:
    found, stack = list[tuple[Node, int]](), [(node, 1)]
    while stack:
        node, power = stack.pop()
        if node.op in "*/":
            stack += [(node.args[0], power), (node.args[1], power if node.op == "*" else -power)]
        elif node.op == "pow" and node.args[1].op == "number":
            stack.append((node.args[0], power * int(node.args[1].value)))
        else:
            found.append((node, power))
    return found


def field_of(
    m: Mechanism, symbol: str, below: set[str], known: tuple[str, float] | None = None
) -> Field:
    """A parameter as a field; `below` are symbols that divide, see `divisors`.

    `known` are its name and factor, where its meaning is known.
    """
    declared = m.declared.get(symbol.partition("[")[0], Declared())
    value, said, comment = m.defaults[symbol], declared.unit, declared.comment
    if known is not None and known[0] == "g_bar":
        ours = value / known[1]
        return Field("g_bar", symbol, known[1], ours, "mS/cm2", *wide(ours, "mS/cm2"), comment)
    if symbol in m.reversals or (known is not None and known[0] == "E_rev"):
        name = known[0] if known else field_name(symbol)
        low, high = min(-200.0, value), max(200.0, value)
        return Field(name, symbol, 1.0, value, "mV", low, high, comment)
    if symbol == WEIGHT:
        return Field("g_max", symbol, 1e-3, 1e3 * value, "nS", 0.0, 1e6, comment)
    unit = coherent(said) if said else "1"
    factor = 1 / UNITS[said][1] if said else 1.0
    ours = value / factor
    low, high = wide(ours, "1" if symbol in below else unit)
    if declared.limits and (limits := _bounding(declared.limits, ours, factor)):
        low, high = limits
    return Field(field_name(symbol), symbol, factor, ours, unit, low, high, comment)


def coherent(unit: str) -> str:
    """The unit of the same quantity that formulas have inside this project."""
    quantity = UNITS[unit][0]
    return next(name for name, (q, factor) in UNITS.items() if q == quantity and factor == 1)


def _bounding(
    limits: tuple[float, float], value: float, factor: float
) -> tuple[float, float] | None:
    """The bounds of the file, in this project's unit, where they bound anything."""
    low, high = (limit / factor for limit in limits)
    return (low, high) if low <= value <= high and 0 < high - low < 1e5 else None


_USUAL = {"mV": (-200.0, 200.0), "degC": (-10.0, 60.0)}
"""Where potentials and temperatures lie."""


def wide(value: float, unit: str) -> tuple[float, float]:
    """Bounds so wide that no user meets them; the sign stays where only it is known."""
    if unit == "mS/cm2":
        return min(0.0, value), max(1e5, 1e3 * value)
    if unit in _USUAL:
        low, high = _USUAL[unit]
        return min(low, value), max(high, value)
    if value == 0:
        return -1e3, 1e3
    small, large = (float(f"{value * times:.12g}") for times in (1e-3, 1e3))
    return (small, large) if value > 0 else (large, small)


def divisors(m: Mechanism) -> set[str]:
    """Symbols by which a formula is divided, which so must not pass through 0: slopes."""
    below = (f for n in ordered(m.roots()) if n.op == "/" for f in factors(n.args[1]))
    return {node.value for node, power in below if node.op == "symbol" and power > 0}


def field_name(symbol: str) -> str:
    """A symbol as a name in Python that no channel has taken."""
    name = re.sub(r"\W+", "_", symbol).strip("_") or "p"
    if name in TAKEN or keyword.iskeyword(name) or name.startswith("_"):
        name += "_"
    return name
