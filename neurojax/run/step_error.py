"""error_of: how far the time step puts a run from one of infinitely short steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from neurojax.engine import scan
from neurojax.engine.halves import merged
from neurojax.membrane.axes import map_cells
from neurojax.membrane.channel import Leaf
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.electrode import Electrode, is_ideal_clamp
from neurojax.membrane.network import acts
from neurojax.membrane.stochastic import Noisy
from neurojax.recording.features.detection import spikes
from neurojax.run.simulation import checked, simulate

_ORDER = 2
"""Of the step: half a step makes a quarter of the error."""


class StepError(NamedTuple):
    """Errors that a time step makes, of some cells of a population, `[sample]` each.

    Times are those of spikes' peaks. Where half the step gives another number of spikes there is no
    error to tell: it is NaN, as where a cell does not fire.
    """

    dt: float  # ms
    cells: Int[np.ndarray, " sample"]  # which of the population
    number: Int[np.ndarray, " sample"]  # of spikes
    agrees: Bool[np.ndarray, " sample"]  # half the step gives as many
    spike_ms: Float[np.ndarray, " sample"]  # mean over the spikes
    worst_ms: Float[np.ndarray, " sample"]
    peak_mV: Float[np.ndarray, " sample"]  # mean over the spikes
    v_mV: Float[np.ndarray, " sample"]  # root mean square over the run

    def __str__(self) -> str:
        n, told = len(self.cells), []
        fire = self.agrees & (self.number > 0)
        if fire.any():
            told.append(
                f"spike times are {1e3 * self.spike_ms[fire].mean():.3g} us off on average, "
                f"{1e3 * self.worst_ms[fire].max():.3g} us at most, peaks "
                f"{self.peak_mV[fire].mean():.2g} mV"
            )
        quiet = self.agrees & (self.number == 0)
        if quiet.any():
            told.append(f"potentials without spikes are {self.v_mV[quiet].max():.2g} mV off")
        if not self.agrees.all():
            told.append(
                f"{(~self.agrees).sum()} of {n} cells fire another number of spikes at half the "
                "step: take a shorter one"
            )
        return f"dt = {self.dt:g} ms, {n} cell{'s' * (n > 1)} compared: " + "; ".join(told)


def error_of(
    cell: Cell,
    electrode: Electrode,
    dt: float = 0.025,
    *,
    initial: State | Leaf | None = None,
    cells: int = 16,
    at: int = 0,
) -> StepError:
    """Estimate the error that the time step makes in `simulate(cell, electrode, dt)`.

    Up to so many `cells`, evenly chosen from the population, run once more with half the step: the
    error of a step of second order is 4/3 of the difference. In float32 rounding is some us more in
    200 ms of firing, in the run as in this estimate. Of a cell with compartments it is that of the
    one `at` this place. The other arguments are those of `simulate`.

    Raises ValueError where `simulate` does, for an ideal voltage clamp, whose potential has no
    error, and for channels that move by chance.
    """
    _, begun, pop = checked(cell, electrode, dt, 1, initial, {})
    if is_ideal_clamp(electrode):
        raise ValueError("an ideal voltage clamp imposes the potential: no step has an error in it")
    if acts(electrode):
        raise ValueError("cells that act on each other: the error of some of them is not theirs")
    for key, channel in cell.channels.items():
        if isinstance(channel, Noisy):
            raise ValueError(
                f"channel {key!r} moves by chance, at half the step by another: ask for the error "
                "of the cell without its noise"
            )
    if cells < 1:
        raise ValueError(f"cells = {cells}: expected 1 or more to compare")
    n = pop[0] if pop else 1
    chosen = np.unique(np.linspace(0, n - 1, min(cells, n)).round().astype(int))
    things = (cell, electrode, begun)
    if pop:

        def some(a: Any) -> Any:
            return a[..., chosen] if np.shape(a)[-1] == n else a

        things = map_cells(some, things)
    some_cells, whole, start = things
    constant, varying = scan.parts(whole)
    half = merged(constant, jax.tree.map(lambda f: jnp.repeat(f, 2, axis=0), varying))
    told: dict[str, Any] = {"initial": start.value, "at": [at] if cell.state_axes else None}
    runs = (
        simulate(some_cells, whole, dt, **told).v,
        simulate(some_cells, half, dt / 2, every=2, **told).v,
    )
    v, finer = (np.asarray(run, np.float64).reshape(len(run), -1) for run in runs)
    return _compared(dt, chosen, v, finer)


def _compared(dt: float, chosen: np.ndarray, v: np.ndarray, finer: np.ndarray) -> StepError:
    """The errors of v `[step, sample]`, from the same at half the step."""
    beyond = 1 / (1 - 0.5**_ORDER)
    found = [spikes(run, dt) for run in (v, finer)]
    agrees = found[0].number == found[1].number
    errors = np.full((3, len(chosen)), np.nan)
    for k in np.flatnonzero(agrees & (found[0].number > 0)):
        kept = slice(int(found[0].number[k]))
        times, peaks = (
            beyond * np.abs(getattr(found[0], name)[k, kept] - getattr(found[1], name)[k, kept])
            for name in ("times", "peaks")
        )
        errors[:, k] = times.mean(), times.max(), peaks.mean()
    off = beyond * np.sqrt(((v - finer) ** 2).mean(axis=0))
    spike_ms, worst_ms, peak_mV = errors
    return StepError(dt, chosen, found[0].number, agrees, spike_ms, worst_ms, peak_mV, off)
