"""neurojax: a population of Hay et al.'s cell, from its .mod files, read at the soma."""

from __future__ import annotations

import hay_shape
import jax
import numpy as np
import worker

import neurojax as nj
from neurojax.model import load_model


def population(job: worker.Job) -> worker.Run:
    """Cells with a sodium conductance each."""
    steps, every = worker.steps(job)
    cell = load_model(hay_shape.folder(job["mods"]) / hay_shape.MODEL.name).cell
    g_bar = np.asarray(cell.channels["nats"].g_bar)[:, None] * hay_shape.sodium(job)
    cell = nj.replace(cell, {"nats.g_bar": g_bar})
    electrode = nj.current_clamp(np.full(steps, 1e-3 * hay_shape.CURRENT))
    start = {"initial": hay_shape.V_START, "every": every, "at": [0]}

    def run():
        return jax.block_until_ready(nj.simulate(cell, electrode, job["dt"], **start).v)[:, 0]

    return run


def variants(job: worker.Job) -> worker.Variants:
    nj.configure(compilation_cache=False, x64=job["dtype"] == "float64")
    return {"neurojax": lambda: population(job)}


if __name__ == "__main__":
    worker.serve(variants, "neurojax", "jax", "jaxlib")
