"""A cell as a NeuroML file: its shape, channels by their densities, the pool of calcium."""

from __future__ import annotations

import dataclasses
import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from neurojax.membrane.cable import Cable
from neurojax.membrane.channel import Channel, params
from neurojax.membrane.compartment import Cell, ion_temperature, nernst_of, warmed
from neurojax.membrane.ions import Ion, change_of_pool
from neurojax.membrane.profiles import density_of
from neurojax.model.neuroml.export.channels import channel_element, check_conducts, one_number
from neurojax.model.neuroml.export.morphology import Groups, morphology
from neurojax.model.neuroml.export.rates import quantity
from neurojax.model.neuroml.pools import RestingPool

NAMESPACE = "http://www.neuroml.org/schema/neuroml2"
SCHEMA = "https://raw.github.com/NeuroML/NeuroML2/development/Schemas/NeuroML2/NeuroML_v2.3.1.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"

MOST_DENSITIES = 50
"""In how many groups a channel may differ: NeuroML has a density for each."""


def to_neuroml(cell: Cell, *, name: str = "cell", initial: float = -65.0) -> str:
    """A cell as the text of a NeuroML 2 file, with a network of this one cell at its temperature.

    Gates of Hodgkin and Huxley's forms are NeuroML's own, other formulas ComponentTypes in LEMS;
    each compartment is a segment, a cylinder. `initial` (mV) is where its potential begins. What
    `load_neuroml` makes of the file runs as the cell does.

    Raises ValueError naming what NeuroML has not: a population, a channel that carries another
    current than g_bar times gates times (v - E_rev), reads what no channel of NeuroML sees or opens
    by chance, a pool that is not calcium's.
    """
    cell.check()
    return _Writer(cell, _identity(name), initial).text()


class _Writer:
    def __init__(self, cell: Cell, name: str, initial: float) -> None:
        self.cell, self.name, self.initial = cell, name, initial
        self.n = len(cell.parents) if isinstance(cell, Cable) else 1
        self.groups = Groups(cell.regions if isinstance(cell, Cable) else (), self.n)
        self.types: dict[str, Element] = {}
        self.elements: dict[str, list[Element]] = {"ionChannelHH": [], "ionChannelKS": []}
        self.celsius = None if cell.celsius is None else one_number("celsius", cell.celsius)
        self.warm = self.celsius  # of the network: that of the Nernst potentials, if nothing else

    def text(self) -> str:
        root = Element("neuroml", {
            "xmlns": NAMESPACE, "xmlns:xsi": _XSI, "xsi:schemaLocation": f"{NAMESPACE} {SCHEMA}",
            "id": f"{self.name}_file",
        })  # fmt: skip
        SubElement(root, "notes").text = "Written by neurojax."
        held, models, species = self._ions()
        densities = self._densities(held)
        for kind in ("ionChannelHH", "ionChannelKS"):
            root.extend(self.elements[kind])
        root.extend(models)
        cell = SubElement(root, "cell", {"id": self.name})
        properties = Element("biophysicalProperties", {"id": f"{self.name}_properties"})
        membrane = SubElement(properties, "membraneProperties")
        membrane.extend(densities)
        SubElement(membrane, "spikeThresh", {"value": "0 mV"})
        self._by_group(membrane, "specificCapacitance", self.cell.C_m, "uF_per_cm2")
        SubElement(membrane, "initMembPotential", {"value": quantity(self.initial, "mV")})
        inside = SubElement(properties, "intracellularProperties")
        inside.extend(species)
        R_i: Any = self.cell.R_i if isinstance(self.cell, Cable) else 100.0
        self._by_group(inside, "resistivity", R_i, "ohm_cm")
        cell.append(morphology(self.cell, self.name, self.groups))
        cell.append(properties)
        self._network(root)
        root.extend(self.types.values())
        indent(root)
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, "unicode") + "\n"

    def _network(self, root: Element) -> None:
        network = SubElement(root, "network", {"id": f"{self.name}_network"})
        if self.warm is not None:
            network.set("type", "networkWithTemperature")
            network.set("temperature", quantity(self.warm, "degC"))
        one = {"id": "one", "component": self.name, "size": "1"}
        SubElement(network, "population", one)

    def _values(self, name: str, value: Any) -> np.ndarray:
        """A leaf in each compartment. Raises ValueError for a population."""
        array = np.asarray(value)
        if array.shape not in ((), (self.n,)) and array.size != 1:
            raise ValueError(f"{name} has shape {array.shape}: a NeuroML file holds one cell")
        if array.dtype == np.float32:
            array = np.array([float(str(x)) for x in array.flat])
        flat = array.astype(float).reshape(-1)
        return np.full(self.n, flat[0]) if flat.size == 1 else flat

    def _by_group(self, within: Element, tag: str, value: Any, unit: str) -> None:
        values = self._values(tag, value)
        for one in dict.fromkeys(values.tolist()):
            attributes = {"value": quantity(one, unit)}
            SubElement(within, tag, attributes | self.groups.attribute(values == one))

    # -- channels ---------------------------------------------------------------------------------
    def _densities(self, held: dict[str, float]) -> list[Element]:
        made: list[Element] = []
        keys = {_identity(key): key for key in self.cell.channels}
        for key in self.cell.channels:
            if (other := keys[_identity(key)]) != key:
                raise ValueError(f"channels {key!r} and {other!r} have the same id in NeuroML")
            channel = warmed(self.cell, key)
            check_conducts(key, channel)
            made += self._of_channel(key, channel, held)
        return sorted(made, key=lambda element: element.tag)  # as the schema has them

    def _of_channel(self, key: str, channel: Channel, held: dict[str, float]) -> list[Element]:
        """Its densities, one for each group of compartments in which it is the same."""
        given = {k: getattr(channel, k) for k in params(channel)}
        known = {k: self._values(f"{key}.{k}", x) for k, x in given.items() if x is not None}
        painted = self.cell.densities.get(key)
        if painted is not None:
            density = self._values(f"density of {key!r}", density_of(painted))
            known["g_bar"] = known["g_bar"] * density
        kinds = list(zip(*(x.tolist() for x in known.values()), strict=True))
        there = np.array(known["g_bar"]) != 0
        different = dict.fromkeys(kind for kind, some in zip(kinds, there, strict=True) if some)
        if len(different) > MOST_DENSITIES:
            raise ValueError(
                f"channel {key!r} differs in {len(different)} groups of compartments: more than "
                f"{MOST_DENSITIES} densities are not written"
            )
        made: list[Element] = []
        written: dict[tuple[float, ...], str] = {}
        for kind in different or dict.fromkeys(kinds[:1]):
            alike = np.array([other == kind for other in kinds])
            where = alike & (there | (not different))
            one = dict(zip(known, kind, strict=True))
            g_bar, E_rev = one.pop("g_bar"), one.pop("E_rev", None)
            group = self.groups.of(where)
            identity = _identity(key) if len(different) < 2 else f"{_identity(key)}_{group}"
            formulas = tuple(one.values())
            if formulas not in written:
                written[formulas] = f"{identity}_channel"
                alone = dataclasses.replace(channel, g_bar=g_bar, E_rev=E_rev, **one)  # type: ignore[call-arg]
                self._channel(key, alone, written[formulas], held)
            density = Element("channelDensity", {"id": identity, "ionChannel": written[formulas]})
            density.set("condDensity", quantity(g_bar, "mS_per_cm2"))
            self._reversal(density, key, channel, E_rev)
            density.attrib |= self.groups.attribute(where)
            made.append(density)
        return made

    def _channel(self, key: str, channel: Channel, name: str, held: dict[str, float]) -> None:
        try:
            element, types = channel_element(channel, name, held, self.celsius)
        except ValueError as error:
            raise ValueError(f"channel {key!r}: a {type(channel).__name__}: {error}") from None
        self.elements[element.tag].append(element)
        self.types |= types

    def _reversal(self, density: Element, key: str, channel: Channel, E_rev: float | None) -> None:
        ion = next(iter(channel.carries), "non_specific")
        if E_rev is None:
            pool, at = self.cell.ions[ion], ion_temperature(self.cell, ion)
            if pool.pools(ion):
                density.tag = "channelDensityNernst"
                self.warm = one_number("celsius", at)
            else:
                known = {f"{ion}_i": pool.inside, f"{ion}_o": pool.outside}
                E_rev = one_number(f"{key}.E_rev", nernst_of(self.cell, ion, known, at))
        if E_rev is not None:
            density.set("erev", quantity(E_rev, "mV"))
        density.set("ion", ion)

    # -- ions -------------------------------------------------------------------------------------
    def _ions(self) -> tuple[dict[str, float], list[Element], list[Element]]:
        """Concentrations that are held, models of those that move, and their species."""
        held: dict[str, float] = {}
        models: list[Element] = []
        species: list[Element] = []
        for name, ion in self.cell.ions.items():
            moving = ion.pools(name)
            for side, value in (("i", ion.inside), ("o", ion.outside)):
                if f"{name}_{side}" not in moving:
                    values = self._values(f"{name}_{side}", value)
                    if (values != values[0]).any():
                        raise ValueError(f"ion {name!r}: its concentration differs along the cell")
                    held[f"{name}_{side}"] = float(values[0])
            if moving:
                self._check_pool(name, ion)
                self._pool(ion, models, species)
        return held, models, species

    def _check_pool(self, name: str, ion: Ion) -> None:
        what = f"ion {name!r}: "
        if name != "ca":
            raise ValueError(f"{what}its concentration moves, which in NeuroML is calcium's alone")
        if type(ion) not in (Ion, RestingPool):
            raise ValueError(f"{what}a {type(ion).__name__} has pools that NeuroML has not")
        if ion.depth_o is not None or ion.depth is None:
            raise ValueError(f"{what}its concentration outside moves, which NeuroML has not")
        if ion.pump_max is not None:
            raise ValueError(f"{what}a saturable pump removes it, which no pool of NeuroML has")
        if ion.tau is None:
            raise ValueError(f"{what}nothing brings it back (tau), which pools of NeuroML need")
        if self.cell.electrode_ion == name:
            raise ValueError(f"{what}the electrode carries it in, which NeuroML has not")

    def _pool(self, ion: Ion, models: list[Element], species: list[Element]) -> None:
        bound = 1 + self._values("ions.ca.buffer", ion.buffer)
        rho = change_of_pool(1.0, ion.valence, self._values("ions.ca.depth", ion.depth)) / bound
        tau = self._values("ions.ca.tau", ion.tau) * bound
        inside = self._values("ions.ca.inside", ion.inside)
        rest = inside
        if isinstance(ion, RestingPool):
            rest = self._values("ions.ca.rest", ion.rest)
        outside = self._values("ions.ca.outside", ion.outside)
        kinds = list(zip(rho.tolist(), tau.tolist(), rest.tolist(), inside.tolist(),
                         outside.tolist(), strict=True))  # fmt: skip
        for kind in dict.fromkeys(kinds):
            where = np.array([one == kind for one in kinds])
            group = self.groups.of(where)
            model = f"ca_pool_{group}" if len(set(kinds)) > 1 else "ca_pool"
            models.append(Element("fixedFactorConcentrationModel", {
                "id": model, "ion": "ca", "restingConc": quantity(kind[2], "mM"),
                "decayConstant": quantity(kind[1], "ms"),
                "rho": quantity(1e-6 * kind[0], "mol_per_cm_per_uA_per_ms"),
            }))  # fmt: skip
            species.append(Element("species", {
                "id": "ca", "ion": "ca", "concentrationModel": model,
                "initialConcentration": quantity(kind[3], "mM"),
                "initialExtConcentration": quantity(kind[4], "mM"),
                **self.groups.attribute(where),
            }))  # fmt: skip


def _identity(name: str) -> str:
    """A name as NeuroML has ids: letters, digits and underscores."""
    made = re.sub(r"\W", "_", name, flags=re.ASCII) or "cell"
    return made if not made[0].isdigit() else f"_{made}"
