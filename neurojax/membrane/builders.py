"""Cells made of sections: from a morphology, and the shapes that textbooks use."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.membrane.cable import ByRegion, Cable, length_constant
from neurojax.membrane.channel import Channel, Leaf
from neurojax.morphology import CENTRE, END, START, Section
from neurojax.morphology.section import cut, places
from neurojax.units import check_known


def assemble(
    sections: Mapping[str, Section],
    channels: Mapping[str, Channel],
    density: Mapping[str, ByRegion] | None = None,
    *,
    part: float = 0.1,
    **more: Any,
) -> Cable:
    """A cell of sections, as those of `io.read_morphology`.

    A section comes after the one on which it hangs; the first hangs on none. One that does not say
    into how many compartments it is cut has `enough` of them, each at most a `part` of the length
    constant at 100 Hz. A section that names no region is one by itself.

    `density` tells by channel and region how dense the channel is; of which it tells, a channel is
    in no other region. `more` is what else a `Cable` has, as C_m or R_i, which may be by region,
    too. Each of these may be a function of the path distance from the soma: `f(path)`, um, gives a
    value for each compartment. A density's function with parameters of its own, as `Exponential`,
    stays one: they have path names, "density.na.apical.distance".

    Raises ValueError for sections that do not hang together.
    """
    varying = {k: x for k, x in more.items() if k in _COUNTED and _varies(x)}
    fixed = {k: x for k, x in more.items() if k not in varying}
    counted = {k: x for k, x in fixed.items() if k in _COUNTED} | {"part": part}
    joined = _joined(sections, dict.fromkeys(sections, counted))
    if varying:
        # How long a compartment may be follows from the largest R_i and C_m along its section.
        about = {k: Cable(channels={}, **joined.fields).by_region(x) for k, x in varying.items()}
        largest = {
            name: counted | {k: float(x[rows].max()) for k, x in about.items()}
            for name, rows in joined.rows.items()
        }
        joined = _joined(sections, largest)
    cell = Cable(channels=dict(channels), **joined.fields, **fixed)
    painted = {key: cell.painted_by(values) for key, values in (density or {}).items()}
    found = {key: cell.by_region(x) for key, x in varying.items()}
    return dataclasses.replace(cell, density=painted, **found)


_COUNTED = "R_i", "C_m"
"""What the length of compartments depends on."""


def _varies(x: Any) -> bool:
    return callable(x) or isinstance(x, Mapping)


class _Joined(NamedTuple):
    """Sections cut into compartments."""

    fields: dict[str, Any]  # of a Cable
    rows: dict[str, list[int]]  # the compartments of each


def _joined(sections: Mapping[str, Section], membranes: Mapping[str, Any]) -> _Joined:
    """The sections, each cut as its membrane's R_i and C_m ask for, and hung together."""
    parents: list[int] = []
    attached: list[float] = []
    regions: list[str] = []
    rows: dict[str, list[int]] = {}
    for name, section in sections.items():
        n, first = _count(name, section, membranes[name]), len(parents)
        parent, at = _place(name, section, rows)
        rows[name] = list(range(first, first + n))
        parents += [parent, *rows[name][:-1]]
        attached += [at, *[END] * (n - 1)]
        regions += [section.region or name] * n
    cuts = [cut(section, len(rows[name])) for name, section in sections.items()]
    fields: dict[str, Any]
    fields = {k: np.concatenate([getattr(c, k) for c in cuts]) for k in cuts[0]._fields}
    fields |= {"parents": tuple(parents), "attached": tuple(attached), "regions": tuple(regions)}
    if all(section.points is not None for section in sections.values()):
        fields["points"] = np.concatenate([places(s, len(rows[k])) for k, s in sections.items()])
    return _Joined(fields, rows)


def _count(name: str, section: Section, membrane: Mapping[str, Any]) -> int:
    """The number of compartments of a section of a cell with such R_i, C_m and `part`."""
    given = section.compartments is not None or np.ndim(section.diameter)
    if not given and any(np.ndim(x) for x in membrane.values()):
        raise ValueError(f"section {name!r}: compartments: R_i and C_m are no numbers: give it")
    try:
        return section.n_compartments(**({} if given else membrane))
    except ValueError as error:
        raise ValueError(f"section {name!r}: {error}") from None


def _place(name: str, section: Section, rows: Mapping[str, Sequence[int]]) -> tuple[int, float]:
    """The compartment on which a section hangs, and where on it."""
    if section.on is None:
        if rows:
            raise ValueError(f"section {name!r} hangs on none, as the first does: give it `on`")
        return -1, END
    check_known(section.on, rows, "section")
    there = rows[section.on]
    if section.at == CENTRE and len(there) % 2 == 0:
        raise ValueError(
            f"section {name!r}: {section.on!r} has {len(there)} compartments, and so none in its "
            "centre"
        )
    ends = {START: there[0], CENTRE: there[len(there) // 2], END: there[-1]}
    if section.at in ends:
        return ends[section.at], section.at
    if not 0 < section.at < 1:
        raise ValueError(f"section {name!r}: at = {section.at}: expected 0 to 1")
    return there[int(section.at * len(there))], CENTRE


# -- shapes of textbooks ---------------------------------------------------------------------------
def cylinder(
    length: float,
    diameter: float,
    compartments: int | None,
    channels: Mapping[str, Channel],
    **more: Any,
) -> Cable:
    """A straight cable or axon of equal compartments, lengths in um, region "axon".

    `compartments` None are `enough`; `more` is as in `assemble`.
    """
    return assemble({"axon": Section(length, diameter, compartments)}, channels, **more)


def ball_and_stick(
    channels: Mapping[str, Channel],
    *,
    soma: float = 20.0,
    length: float = 500.0,
    diameter: float = 2.0,
    compartments: int | None = None,
    **more: Any,
) -> Cable:
    """A soma as long as wide (um), and on its end a dendrite; regions "soma" and "dendrite".

    `compartments` are those of the dendrite; `more` is as in `assemble`.
    """
    sections = {
        "soma": Section(soma, soma),
        "dendrite": Section(length, diameter, compartments, on="soma"),
    }
    return assemble(sections, channels, **more)


def soma_and_dendrite(
    channels: Mapping[str, Channel],
    *,
    soma: float = 20.0,
    ratio: float = 10.0,
    coupling_MOhm: float = 50.0,
    R_i: float = 100.0,
    **more: Any,
) -> Cable:
    """A soma as long as wide (um), and all dendrites as one compartment; regions of these names.

    The dendrite has `ratio` times the area of the soma, and is joined to its centre through the
    resistance `coupling_MOhm`: it is the cylinder of this area and half resistance, as wide as
    `equivalent_diameter` says. `more` is as in `assemble`.
    """
    area = ratio * soma**2  # um2 / pi
    diameter = equivalent_diameter(np.pi * area, coupling_MOhm, R_i)
    sections = {
        "soma": Section(soma, soma, 1),
        "dendrite": Section(area / diameter, diameter, 1, on="soma", at=CENTRE),
    }
    return assemble(sections, channels, R_i=R_i, **more)


def equivalent_diameter(area_um2: Leaf, half_MOhm: Leaf, R_i: Leaf) -> Leaf:
    """Diameter, um, of the cylinder of this side area whose axial resistance from centre to end is
    `half_MOhm`: (2 R_i area / (pi^2 half))^(1/3); R_i in Ohm cm."""
    return np.cbrt(2 * (R_i * 1e4) * area_um2 / (np.pi**2 * half_MOhm * 1e6))


def tapered(
    length: float,
    diameters: tuple[float, float],
    compartments: int | None,
    channels: Mapping[str, Channel],
    **more: Any,
) -> Cable:
    """A straight dendrite or axon that tapers from one diameter to another, region "axon", um.

    `compartments` None are `enough`; `more` is as in `assemble`.
    """
    first, last = diameters
    axon = Section.along([[0.0, 0.0, 0.0, first], [length, 0.0, 0.0, last]], compartments)
    return assemble({"axon": axon}, channels, **more)


def rall_tree(
    channels: Mapping[str, Channel],
    *,
    diameter: float = 4.0,
    lengths: Sequence[float] = (0.25, 0.25, 0.25, 0.25),
    R_m: float = 20_000.0,
    R_i: float = 100.0,
    compartments: int | None = None,
    **more: Any,
) -> Cable:
    """A dendrite that branches in two, symmetrically: to a passive membrane an equivalent cylinder.

    At each branch point diameters obey Rall's law, d^(3/2) of the parent = the sum of d^(3/2) of
    its daughters. `lengths` are those of each generation in length constants of a membrane of R_m
    (Ohm cm2), `diameter` that of the trunk (um). Regions "order 0" (the trunk), "order 1", ...;
    `more` is as in `assemble`.

    Source: Rall 1959, Exp Neurol 1:491, doi:10.1016/0014-4886(59)90046-9.
    """
    sections: dict[str, Section] = {}
    generation = [""]
    for order, electrotonic in enumerate(lengths):
        d = diameter * 2 ** (-2 / 3 * order)
        length = electrotonic * length_constant(d, 1e3 / R_m, R_i)
        for name in generation:
            # "1.2.1" is the first daughter of the second daughter of the trunk's first.
            above = name.rpartition(".")[0] or "trunk"
            sections[name or "trunk"] = Section(
                length, d, compartments, on=above if name else None, region=f"order {order}"
            )
        generation = [f"{name}.{k}".lstrip(".") for name in generation for k in (1, 2)]
    return assemble(sections, channels, R_i=R_i, **more)


def myelinated_axon(
    channels: Mapping[str, Channel],
    *,
    leak: str = "leak",
    nodes: int = 21,
    internode: float = 1150.0,
    diameter: float = 6.9,
    node_length: float = 1.0,
    node_diameter: float = 3.3,
    lamellae: int = 120,
    compartments: int = 9,
    C_m: float = 2.0,
    **more: Any,
) -> Cable:
    """An axon of nodes and internodes, which begins and ends with a node; regions of these names.

    All channels are in the nodes. An internode has the membrane of a node under `lamellae` of
    myelin, of two membranes each, whose capacitances (0.1 uF/cm2) and conductances (1 mS/cm2) are
    in series with the axon's: C_m, and that of the channel `leak`, whose reversal potential it has.
    Lengths in um; `compartments` are those of an internode; `more` is as in `assemble`. The
    defaults are a fibre of 10 um.

    Source: McIntyre, Richardson & Grill 2002, J Neurophysiol 87:995, doi:10.1152/jn.00353.2001.
    Deviates: one cable. Nothing flows along the space under the myelin, and there are no paranodes.
    """
    check_known(leak, channels, "channel", "leak: ")
    sections: dict[str, Section] = {}
    for k in range(nodes):
        before = f"internode {k}" if k else None
        sections[f"node {k}"] = Section(node_length, node_diameter, 1, on=before, region="node")
        if k < nodes - 1:
            sections[f"internode {k + 1}"] = Section(
                internode, diameter, compartments, on=f"node {k}", region="internode"
            )
    g = float(np.asarray(channels[leak].g_bar))  # type: ignore[attr-defined]
    membranes = 2 * lamellae
    under_myelin = 1 / (1 + membranes * g / MYELIN_G)
    density: dict[str, ByRegion] = {k: {"node": 1.0} for k in channels}
    density[leak] = {"node": 1.0, "internode": under_myelin}
    capacitance = {"node": C_m, "internode": 1 / (1 / C_m + membranes / MYELIN_C)}
    return assemble(sections, channels, density, C_m=capacitance, **more)


MYELIN_C, MYELIN_G = 0.1, 1.0
"""Of one membrane of myelin, uF/cm2 and mS/cm2."""
