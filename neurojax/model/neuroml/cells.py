"""Cells of NeuroML: the shape, channels by their densities, and pools."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from neurojax.membrane.builders import assemble
from neurojax.membrane.cable import Cable
from neurojax.membrane.channel import Channel
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.ions import Ion
from neurojax.membrane.requirements import check_ions
from neurojax.model.neuroml.document import (
    Document,
    NeuromlError,
    child,
    children,
    needed,
    place,
    tag,
)
from neurojax.model.neuroml.loading import channel_of, document_of
from neurojax.model.neuroml.pools import RestingPool, pool_of
from neurojax.model.neuroml.profiles import Profile, profile_of
from neurojax.model.neuroml.quantities import value_of
from neurojax.model.neuroml.shape import divisions, groups_of, sections_of, segments_of

_VARYING = ("channelDensityNonUniform", "channelDensityNonUniformNernst")

VALENCES = {"ca": 2, "na": 1, "k": 1, "cl": -1}


NO_POOL = 1e4
"""um: how deep a pool is where the file has none, so that its concentration stays."""


@dataclass(frozen=True)
class NeuromlCell:
    """A cell of a NeuroML file, where it begins (mV), and what was guessed."""

    cell: Cell
    initial: float
    remarks: tuple[str, ...]


def load_neuroml(
    path: str | Path,
    cell: str | None = None,
    *,
    celsius: float | None = None,
    part: float | None = None,
) -> NeuromlCell:
    """A cell of a NeuroML 2 file: with one segment a `Cell`, with several a `Cable`.

    `cell` is its id, where a file has several. Each channelDensity is a channel of its id; where
    channels and pools differ is a region. NeuroML leaves the temperature to the network: that of
    one in the file that has the cell, or `celsius`; without, each channel is at the temperature of
    its own. `part` is that of `assemble`; without, a section has as many compartments as the file's
    numberInternalDivisions, if any. Nothing in the file is executed. Raises NeuromlError for what
    cannot be done.
    """
    document = document_of(path)
    try:
        found = [e for e in document.components.values() if tag(e) == "cell"]
        if cell is None and len(found) != 1:
            have = ", ".join(needed(e, "id") for e in found) or "none"
            raise ValueError(f"{len(found)} cells, expected the id of one (have: {have})")
        element = found[0] if cell is None else document.find(cell, "cell")
        warm = _of_network(document, element) if celsius is None else celsius
        return _Cell(document, element, warm, part).result()
    except NeuromlError:
        raise
    except ValueError as error:
        raise NeuromlError(f"{document.path}: {error}") from None
    except RecursionError:
        raise NeuromlError(f"{document.path}: groups or formulas are nested too deep") from None


def _of_network(document: Document, cell: Element) -> float | None:
    """The temperature (degC) of a network of the file in which the cell is, if any."""
    for network in document.components.values():
        text = network.get("temperature") if tag(network) == "network" else None
        used = {one.get("component") for one in children(network, "population")}
        if text is not None and cell.get("id") in used:
            return value_of(text, f"{place(network)} temperature") - 273.15
    return None


@dataclass
class _Cell:
    document: Document
    element: Element
    celsius: float | None
    part: float | None
    remarks: list[str] = field(default_factory=list)
    profiles: dict[str, Profile] = field(default_factory=dict)  # of what varies in its group

    def result(self) -> NeuromlCell:
        self.morphology, properties = self._parts()
        self.segments = segments_of(self.morphology)
        self.groups = groups_of(self.morphology, self.segments)
        membrane = child(properties, "membraneProperties")
        inside = child(properties, "intracellularProperties")
        if membrane is None:
            raise ValueError(f"{place(properties)}: <membraneProperties> is missing")
        channels, where = self._channels(membrane)
        pools = [] if inside is None else children(inside, "species")
        C_m = self._by_group(children(membrane, "specificCapacitance"), {"all": 1.0})
        R_i = self._by_group(
            [] if inside is None else children(inside, "resistivity"), {"all": 100.0}
        )
        start = self._by_group(children(membrane, "initMembPotential"), {"all": -65.0})
        if self.celsius is None and any("temperature" in c.reads for c in channels.values()):
            self.remarks.append("no temperature: each channel is at that of its own rates")
        if len(self.segments) == 1:
            if self.profiles:
                raise ValueError(f"{next(iter(self.profiles))!r} varies along one segment")
            cell = self._point(channels, C_m)
        else:
            cell = self._cable(channels, where, C_m, R_i, pools)
        cell = self._with_ions(cell, pools)
        cell.check()
        check_ions(cell, Electrode(0.0, 0.0, 0.0))
        return NeuromlCell(cell, next(iter(start.values())), tuple(self.remarks))

    def _parts(self) -> tuple[Element, Element]:
        """The morphology and the properties, in the cell or named by it."""
        found: list[Element] = []
        for kind in ("morphology", "biophysicalProperties"):
            part = child(self.element, kind)
            if part is None and (name := self.element.get(kind)) is not None:
                part = self.document.find(name, kind)
            if part is None:
                raise ValueError(f"{place(self.element)}: <{kind}> is missing")
            found.append(part)
        return found[0], found[1]

    def _group(self, element: Element) -> str:
        """The group that an element tells of; one of a segment is made for it."""
        one = element.get("segment")
        name = element.get("segmentGroup", "all") if one is None else f"segment {one}"
        if one is not None and one in self.segments:
            self.groups[name] = {one}
        if name not in self.groups:
            raise ValueError(f"{place(element)}: no segmentGroup {name!r}")
        return name

    def _by_group(self, elements: list[Element], default: dict[str, float]) -> dict[str, float]:
        found = {
            self._group(e): value_of(needed(e, "value"), f"{place(e)} value") for e in elements
        }
        return found or default

    # -- channels ---------------------------------------------------------------------------------
    def _channels(self, membrane: Element) -> tuple[dict[str, Channel], dict[str, str]]:
        """The channels by the ids of their densities, and the group of each."""
        channels: dict[str, Channel] = {}
        where: dict[str, str] = {}
        for element in membrane:
            kind = tag(element)
            if not kind.startswith("channel"):
                continue
            if kind not in (
                "channelDensity",
                "channelDensityNernst",
                "channelDensityVShift",
                "channelPopulation",
                *_VARYING,
            ):
                raise ValueError(f"{place(element)}: a {kind} cannot be done")
            key, of_group = needed(element, "id").replace(".", "_"), element
            if (varies := child(element, "variableParameter")) is not None:
                self.profiles[key] = profile_of(self.morphology, varies)
                of_group = varies
            channels[key], where[key] = self._channel(element, kind), self._group(of_group)
        if not channels:
            raise ValueError(f"{place(membrane)}: has no channel")
        return channels, where

    def _channel(self, element: Element, kind: str) -> Channel:
        of = self.document.find(needed(element, "ionChannel"), "channel")
        ion = (element.get("ion") or "").lower()
        cls: Any = channel_of(self.document, of, ion if ion in VALENCES else "")
        g = self._conductance(element, of, kind)
        given: dict[str, Any] = {"g_bar": g}
        given["E_rev"] = None
        if not kind.endswith("Nernst"):
            given["E_rev"] = value_of(needed(element, "erev"), f"{place(element)} erev")
        if kind == "channelDensityVShift":
            shift = value_of(needed(element, "vShift"), f"{place(element)} vShift")
            if "vShift" in cls.__dataclass_fields__:
                given["vShift"] = shift
            elif shift:
                self.remarks.append(f"{element.get('id')}: no rate of {of.get('id')} has a vShift")
        return cls(**given)

    def _conductance(self, element: Element, of: Element, kind: str) -> float:
        """mS/cm2; 1 where it varies."""
        if child(element, "variableParameter") is not None:
            return 1.0
        if kind != "channelPopulation":
            return value_of(needed(element, "condDensity"), f"{place(element)} condDensity")
        area = sum(self.segments[k].area for k in self.groups[self._group(element)])
        one = value_of(needed(of, "conductance"), f"{place(of)} conductance")
        number = value_of(needed(element, "number"), f"{place(element)} number")
        return number * one / (area * 1e-8)

    # -- shapes -----------------------------------------------------------------------------------
    def _point(self, channels: dict[str, Channel], C_m: dict[str, float]) -> Cell:
        (segment,) = self.segments.values()
        return Cell(
            channels=channels,
            C_m=next(iter(C_m.values())),
            area=segment.area * 1e-8,
            celsius=self.celsius,
        )

    def _cable(
        self, channels: dict[str, Channel], where: dict[str, str], C_m: dict[str, float],
        R_i: dict[str, float], pools: list[Element],
    ) -> Cable:  # fmt: skip
        used = {*where.values(), *C_m, *R_i, *(self._group(pool) for pool in pools)} - {"all"}
        region: dict[str, str] = {}
        for identity in self.segments:
            names = sorted(name for name in used if identity in self.groups[name])
            region[identity] = "+".join(names).replace(".", "_") or "rest"
        self.of_region: dict[str, set[str]] = {}
        for identity, name in region.items():
            self.of_region.setdefault(name, set()).update(
                {"all", *(g for g in used if identity in self.groups[g])}
            )
        divided = {} if self.part is not None else divisions(self.morphology, self.groups)
        sections = sections_of(self.segments, region, divided)
        density = {
            key: {name: 1.0 for name, groups in self.of_region.items() if group in groups}
            for key, group in where.items()
        }
        made = {"C_m": self._of_regions(C_m), "R_i": self._of_regions(R_i)}
        part = 0.1 if self.part is None else self.part
        cable = assemble(sections, channels, density, part=part, celsius=self.celsius, **made)
        varying = {
            key: profile.density(cable, np.asarray(cable.density[key]) > 0)
            for key, profile in self.profiles.items()
        }
        return dataclasses.replace(cable, density=cable.density | varying)

    def _of_regions(self, by_group: dict[str, float]) -> Any:
        """A value for each region: of the last group that it is part of."""
        if set(by_group) == {"all"}:
            return by_group["all"]
        found: dict[str, float] = {}
        for name, groups in self.of_region.items():
            values = [x for group, x in by_group.items() if group in groups]
            if not values:
                raise ValueError(f"the region {name!r} has no capacitance or resistivity")
            found[name] = values[-1]
        return found

    # -- ions -------------------------------------------------------------------------------------
    def _with_ions(self, cell: Cell, pools: list[Element]) -> Cell:
        ions: dict[str, Ion] = {}
        for name in dict.fromkeys((p.get("ion") or needed(p, "id")).lower() for p in pools):
            some = [p for p in pools if (p.get("ion") or p.get("id") or "").lower() == name]
            if name not in VALENCES:
                raise ValueError(f"{place(some[0])}: no ion {name!r} is known")
            ions[name] = self._ion(cell, name, some)
        return dataclasses.replace(cell, ions=ions)

    def _ion(self, cell: Cell, name: str, some: list[Element]) -> Ion:
        models = [(self._group(p), pool_of(self.document, p)) for p in some]
        outside = value_of(needed(some[0], "initialExtConcentration"), place(some[0]))
        given: dict[str, Any] = {"valence": VALENCES[name], "outside": outside}
        if not isinstance(cell, Cable):
            _, pool = models[0]
            given["depth"] = float(pool.of_area(np.asarray(cell.area) / 1e-8))
            return RestingPool(inside=pool.start, rest=pool.rest, tau=pool.tau, **given)
        area = np.asarray(cell.area) / 1e-8
        whole = {
            key: np.full(len(area), getattr(models[0][1], key)) for key in ("start", "rest", "tau")
        }
        depth = np.full(len(area), NO_POOL)
        for group, pool in models:
            there = np.array([group in self.of_region[r] for r in cell.regions])
            for key, values in whole.items():
                values[there] = getattr(pool, key)
            depth[there] = pool.of_area(area)[there]
        inside = whole.pop("start")
        return RestingPool(inside=inside, depth=depth, **whole, **given)
