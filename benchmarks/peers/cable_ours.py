"""neurojax: a population of cables, read at their far end."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import ours
import shapes
import worker

import neurojax as nj

UA_PER_NA = 1e-3


def cable(shape: shapes.Shape) -> nj.Cable:
    """The cell, section by section."""
    sections = {
        str(k): nj.Section(s.length, s.diameter, s.compartments, on=str(s.parent) if k else None)
        for k, s in enumerate(shape.sections)
    }
    return nj.assemble(sections, {k: make() for k, make in ours.KINDS.items()}, R_i=shapes.R_I)


def told(job: worker.Job) -> dict[str, Any]:
    """What `simulate` and `gradient` are told alike."""
    shape = shapes.SHAPES[job["shape"]]
    current = np.full(worker.steps(job)[0], shape.current * UA_PER_NA)
    return {
        "cell": cable(shape),
        "electrode": nj.current_clamp(current),
        "dt": job["dt"],
        "every": worker.steps(job)[1],
        "initial": worker.V_START,
    }


def population(job: worker.Job) -> worker.Run:
    """Cells with a conductance each."""
    what = told(job)
    far = len(what["cell"].parents) - 1
    what["cell"] = nj.replace(what["cell"], {"na.g_bar": worker.g_na_watched(job)[None]})

    def run():
        return jax.block_until_ready(nj.simulate(**what, at=[far]).v)[:, 0]

    return run


def gradient(job: worker.Job) -> worker.Run:
    """The loss of every cell at its far end, and its derivative in all parameters.

    All start from the gates of the nominal cell, as Jaxley's do, whatever their parameters.
    """
    theta, what, aim = worker.theta(job), told(job), worker.target(job)
    wrt = {name: name.replace("0.", ".") for name in theta}
    far = len(what["cell"].parents) - 1
    what["initial"] = nj.steady_state(what["cell"], worker.V_START)
    what["cell"] = nj.replace(what["cell"], {wrt[k]: x[None] for k, x in theta.items()})
    error = nj.VoltageError(data=nj.Target(aim, np.full(aim.size, aim.size**-0.5)))

    def run():
        fold = nj.At(fold=error, place=far)
        answer = jax.block_until_ready(nj.gradient(**what, of=fold, wrt=list(wrt.values())))
        return answer.value, dict(zip(wrt, answer.gradient, strict=True))

    return run


def variants(job: worker.Job) -> worker.Variants:
    nj.configure(compilation_cache=False, x64=job["dtype"] == "float64")
    run = gradient if job["question"] == "gradient" else population
    return {"neurojax": lambda: run(job)}


if __name__ == "__main__":
    worker.serve(variants, "neurojax", "jax", "jaxlib")
