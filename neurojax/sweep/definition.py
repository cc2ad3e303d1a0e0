"""A sweep: a cell, what of it varies, what is done to it and what is asked of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from neurojax.engine.folds import At, Fold
from neurojax.membrane.axes import batch_shape
from neurojax.membrane.cable import Cable
from neurojax.membrane.channel import ParamInfo, check_range
from neurojax.membrane.compartment import Cell
from neurojax.membrane.path_names import check_one_number, settable, substitute
from neurojax.membrane.stochastic import numbered
from neurojax.sweep import currents, firing
from neurojax.sweep.axes import Dimension, Grid, Samples, Table, Trials, Values
from neurojax.sweep.currents import Currents
from neurojax.sweep.fingerprint import digest, digest_of
from neurojax.sweep.firing import Firing
from neurojax.sweep.protocols import Protocol
from neurojax.units import check_known

ELECTRODE_AT = "electrode_at"

OK = "ok"
"""The name under which each protocol tells which cells stayed finite."""

MOST_CELLS = 2**32
"""Cells that random numbers tell apart."""

UNITS = firing.UNITS | currents.UNITS
"""What may be asked by name: of firing, and of the currents of a voltage clamp; their units."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """Every cell of a product of axes, each under every protocol.

    cell: one cell. protocols: by name, see `step`. axes: values by path name ("na.g_bar"), or of a
    protocol's step ("step.amplitude", pA), or of the "electrode_at" of a cable; each `[value]`, in
    the unit that is declared. samples: `Samples` or a `Table` of parameters that vary together.
    trials: how often each cell runs, with noise of its own. observables: names of results of
    `Firing`, and of `Currents` for protocols that are a voltage clamp, or folds by name; by default
    those that these classes tell. `at` is the compartment of a cable that observables look at.
    also: by the name of an axis other parameters that have its value, as the free ones of a model.

    Cells are numbered in C order of the dimensions: samples, then axes as given, then trials.
    Raises ValueError for what is unknown, empty, out of bounds, or said twice.
    """

    cell: Cell
    protocols: Mapping[str, Protocol]
    axes: Mapping[str, Any] = field(default_factory=dict)
    samples: Samples | Table | None = None
    trials: int = 1
    observables: Sequence[str] | Mapping[str, Fold] | None = None
    at: int = 0
    also: Mapping[str, Sequence[str]] = field(default_factory=dict)
    name: str = "sweep"

    def __post_init__(self):
        if batch_shape(self.cell):
            raise ValueError(
                f"the cell of a sweep is one, not a population of {batch_shape(self.cell)}: what "
                "differs from cell to cell is an axis, or a table of samples"
            )
        if not self.protocols:
            raise ValueError("a sweep without a protocol: give at least one")
        for name in self.protocols:
            check_word("protocol", name)
        known, seen = self.variable(), set[str]()
        for dimension in self.dimensions:
            for name in dimension.names:
                check_known(name, known, "parameter", "axis: ")
                if name in seen:
                    raise ValueError(f"axis {name!r} is there twice: in the axes and the samples")
                seen.add(name)
        if self.cells > MOST_CELLS:
            raise ValueError(f"{self.cells} cells: expected at most 2^32")
        inside = settable(self.cell)
        for name, limits in self.limits().items():
            check_values(name, limits, known[name])
            if name in inside:
                check_one_number(name, inside[name][0])
        if isinstance(self.observables, Mapping):
            for name in self.observables:
                check_word("observable", name)
                if name == OK:
                    raise ValueError(
                        f"observable {OK!r}: the name of what tells which cells failed"
                    )
        else:
            for name in self.observables or ():
                check_known(name, UNITS, "observable")
            for key in self.protocols:
                self._check_told(key)
        if self.observables is not None and not self.observables:
            raise ValueError("a sweep that observes nothing: name an observable")

    def _check_told(self, key: str) -> None:
        """Raise ValueError for a protocol of which nothing that is asked can be told."""
        of_voltage = self.protocols[key].of_voltage
        if of_voltage and self.cell.state_axes:
            raise ValueError(
                f"protocol {key!r} clamps the potential of a cell with compartments: axial "
                "currents are part of what it measures, and unknown. Ask for folds of your own"
            )
        if self.observables and not self.told(key):
            kind, known = ("voltage", currents) if of_voltage else ("current", firing)
            raise ValueError(
                f"protocol {key!r} is a {kind} clamp, and none of the observables is of one: "
                f"expected some of {', '.join(known.UNITS)}"
            )

    # -- what varies ------------------------------------------------------------------------------
    def variable(self) -> dict[str, ParamInfo]:
        """All that may be an axis: its unit and bounds, by name."""
        known = {name: info for name, (_, info) in settable(self.cell).items()}
        if isinstance(self.cell, Cable):
            most = math.prod(self.cell.state_shape) - 1
            known[ELECTRODE_AT] = ParamInfo(0.0, "1", 0.0, float(most), "linear")
        for key, protocol in self.protocols.items():
            known |= {f"{key}.{name}": info for name, info in protocol.axes().items()}
        return known

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions of the results, the slowest first."""
        found: list[Dimension] = [] if self.samples is None else [self.samples]
        if found and not len(found[0]):
            raise ValueError("the table of samples has no rows: expected one for each cell")
        for name, values in self.axes.items():
            array = np.atleast_1d(np.asarray(values))
            if array.ndim != 1 or not array.size or array.dtype.kind not in "iuf":
                raise ValueError(f"axis {name!r}: shape {array.shape}, expected numbers [value]")
            if len(np.unique(array)) < len(array):
                raise ValueError(f"axis {name!r}: a value is there twice: expected different ones")
            found.append(Grid(name, array))
        if self.trials < 1:
            raise ValueError(f"trials = {self.trials}: expected 1 or more")
        return (*found, *([Trials(self.trials)] if self.trials > 1 else []))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a result of one number a cell; of a sweep without axes (1,)."""
        return tuple(len(d) for d in self.dimensions) or (1,)

    @property
    def cells(self) -> int:
        """How many there are."""
        return math.prod(self.shape)

    def limits(self) -> dict[str, np.ndarray]:
        """What is known of the values of each axis: all of them, or its range."""
        found: dict[str, np.ndarray] = {}
        for dimension in self.dimensions:
            if isinstance(dimension, Samples):
                found |= {k: np.array([r.low, r.high]) for k, r in dimension.of.items()}
            else:
                found |= dimension.at(np.arange(len(dimension)))
        return found

    def values(self, numbers: np.ndarray) -> Values:
        """The values of all axes in the cells of these numbers, `[cell]` each."""
        found: Values = {}
        rows = np.unravel_index(np.asarray(numbers, np.int64), self.shape)
        for dimension, row in zip(self.dimensions, rows, strict=False):
            found |= dimension.at(row)
        return found

    # -- what is run ------------------------------------------------------------------------------
    def cells_of(self, numbers: np.ndarray, values: Values) -> Cell:
        """The population of these numbers; its noise is that of the numbers."""
        known = settable(self.cell)
        own = {k: self._shaped(k, v) for k, v in values.items() if k in known}
        led = {other: own[k] for k in own for other in self.also.get(k, ())}
        own = led | own
        cell = substitute(self.cell, own)
        if ELECTRODE_AT in values:
            cell = dataclasses.replace(
                cell, **{ELECTRODE_AT: values[ELECTRODE_AT].astype(np.int32)}
            )
        return numbered(cell, np.asarray(numbers, np.uint32))

    def _shaped(self, name: str, values: np.ndarray) -> np.ndarray:
        values = values.astype(float)
        return values[None] if self.cell.state_axes and name != "celsius" else values

    def of_protocol(self, key: str, values: Values) -> Values:
        """The values of a protocol's own axes, by their names in it."""
        begin = f"{key}."
        own = self.protocols[key].axes()
        found = {k.removeprefix(begin): v for k, v in values.items() if k.startswith(begin)}
        return {k: v for k, v in found.items() if k in own}

    def folds(self, key: str) -> dict[str, Fold]:
        """What is asked of each cell under a protocol, by name."""
        if isinstance(self.observables, Mapping):
            return dict(self.observables)
        protocol = self.protocols[key]
        start, stop = protocol.judged
        how = {"record_ms": protocol.record_ms, "start_ms": start, "stop_ms": stop}
        if protocol.of_voltage:
            return {"": Currents(told=self.told(key), **how)}
        fires = Firing(told=self.told(key), **how)
        return {"": At(fold=fires, place=self.at) if self.cell.state_axes else fires}

    def told(self, key: str) -> tuple[str, ...]:
        """Which of the observables a protocol tells, where they are names."""
        own = currents if self.protocols[key].of_voltage else firing
        if self.observables is None:
            return own.TOLD
        return tuple(name for name in self.observables if name in own.UNITS)

    # -- what it is -------------------------------------------------------------------------------
    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that its numbers depend on, but for neurojax itself and the machine."""
        told = {
            "cell": digest(self.cell),
            "protocols": {
                key: [digest(p.electrode), p.settings()] for key, p in self.protocols.items()
            },
            "axes": [[d.name, len(d), *_axis(d)] for d in self.dimensions],
            "observables": {key: digest(self.folds(key)) for key in self.protocols},
            "also": {k: list(v) for k, v in self.also.items()},
            "float": str(jax.dtypes.canonicalize_dtype(float)),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def check_word(what: str, name: str) -> None:
    """Raise ValueError for a name that cannot be part of a path name or of a file's name."""
    if not name or not name.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"{what} {name!r}: a name has letters, digits, - and _ only")


def check_values(name: str, values: np.ndarray, info: ParamInfo) -> None:
    """Raise ValueError for values of an axis that its parameter may not have."""
    check_range(f"axis {name!r}", values, info)
    if name == ELECTRODE_AT and (values != np.round(values)).any():
        raise ValueError(f"axis {name!r}: expected whole numbers of compartments")


def _axis(dimension: Dimension) -> list[Any]:
    if isinstance(dimension, Samples):
        ranges = {k: list(r) for k, r in dimension.of.items()}
        return [dimension.method, dimension.seed, ranges]
    values = dimension.at(np.arange(len(dimension)))
    return [{k: digest_of(np.asarray(v, float)) for k, v in values.items()}]
