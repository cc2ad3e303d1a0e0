"""neurojax."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import worker

import neurojax as nj
from neurojax.engine import runner, scan
from neurojax.engine.gpu import kernel
from neurojax.run import gradients

PLACE_OF = runner.place_of
KINDS = {"na": nj.channels.SquidNa, "k": nj.channels.SquidK, "leak": nj.channels.SquidLeak}


def clamp(job: worker.Job) -> nj.Electrode:
    """The constant current, sample by sample."""
    return nj.current_clamp(np.full(worker.steps(job)[0], job.get("i", worker.CURRENT)))


def squid(number: dict[str, int]) -> nj.Cell:
    """So many channels of every kind, which share its conductance."""
    channels = {
        f"{kind}{k}": KINDS[kind](g_bar=worker.NOMINAL[kind]["g_bar"] / n)
        for kind, n in number.items()
        for k in range(n)
    }
    return nj.Cell(channels=channels)


def population(job: worker.Job) -> worker.Run:
    """Cells with a conductance each; for "compile" with any number of channels."""
    _, every = worker.steps(job)
    kinds = [list(KINDS)[k % 3] for k in range(job.get("channels", 3))]
    cell = squid({kind: kinds.count(kind) for kind in kinds})
    cells = nj.replace(cell, {"na0.g_bar": jnp.asarray(worker.g_na(job) / kinds.count("na"))})
    electrode = clamp(job)

    def run():
        recording = nj.simulate(
            cells, electrode, job["dt"], every=every, initial=worker.V_START, **quick(job)
        )
        return jax.block_until_ready(recording.v)

    return run


def packaged(job: worker.Job) -> worker.Run:
    """Cells of a packaged model, currents as densities, with a sodium conductance each."""
    _, every = worker.steps(job)
    cell = nj.model.load_model(job["model"]).cell
    cells = nj.replace(cell, {"area": 1.0, "na.g_bar": worker.g_na(job)})
    electrode = clamp(job)

    def run():
        recording = nj.simulate(cells, electrode, job["dt"], every=every, initial=job["v"])
        return jax.block_until_ready(recording.v)

    return run


def count(job: worker.Job) -> worker.Run:
    """The spikes of every cell, and no trace."""
    _, every = worker.steps(job)
    g_na = jnp.asarray(worker.g_na(job), jnp.float32)
    cells = nj.replace(squid({"na": 1, "k": 1, "leak": 1}), {"na0.g_bar": g_na})
    told = {"record": (), "every": every, "initial": worker.V_START, **quick(job)}

    def run():
        recording = nj.simulate(
            cells, clamp(job), job["dt"], folds={"spikes": nj.SpikeCount()}, **told
        )
        return jax.block_until_ready(recording.folds["spikes"])

    return run


def fitted(job: worker.Job) -> dict[str, Any]:
    """What `simulate` and `gradient` are told alike: cells with their free parameters, the rig."""
    pairs = worker.PAIRS[job["parameters"]]
    theta = {_named(k): jnp.asarray(x) for k, x in worker.theta(job).items()}
    return {
        "cell": nj.replace(squid({"na": pairs, "k": pairs, "leak": 1}), theta),
        "electrode": clamp(job),
        "dt": job["dt"],
        "every": worker.steps(job)[1],
        "initial": worker.V_START,
        **quick(job),
    }


def loss(job: worker.Job) -> nj.VoltageError:
    """Mean square distance of every cell's records from the target."""
    aim = worker.target(job)
    return nj.VoltageError(data=nj.Target(aim, np.full(aim.size, aim.size**-0.5)))


def forward(job: worker.Job) -> worker.Run:
    """The loss alone."""
    told, error = fitted(job), loss(job)

    def run():
        recording = nj.simulate(**told, record=(), folds={"loss": error})
        return jax.block_until_ready(recording.folds["loss"]), {}

    return run


def gradient(job: worker.Job) -> worker.Run:
    """The loss of every cell and its derivative in all parameters."""
    told, error = fitted(job), loss(job)
    chosen = {"tangents": 10**6, "adjoint": 0}
    if "way" in job:
        gradients.CROSSOVER = chosen[job["way"]]
    names = list(worker.theta(job))
    wrt = [_named(name) for name in names]
    told |= {k: job[k] for k in ("memory_MB",) if k in job}

    def run():
        answer = jax.block_until_ready(nj.gradient(**told, of=error, wrt=wrt))
        return answer.value, dict(zip(names, answer.gradient, strict=True))

    return run


def _named(name: str) -> str:
    return name.replace("leak.", "leak0.")


def passes(job: worker.Job) -> worker.Run:
    """Both, one beside the other."""
    return worker.passes(forward(job), gradient(job))


def quick(job: worker.Job) -> dict[str, bool]:
    """Whether kernels may be less precise, where the job says so."""
    return {"fast_math": True} if job.get("fast_math") else {}


def settle(job: worker.Job) -> None:
    """Run by kernels or by the scan, as the job says; without a GPU kernels are interpreted."""
    silent = job["engine"] == "scan"  # which must not pass for kernels
    warnings.filterwarnings("ignore" if silent else "error", "no GPU kernels")
    scan.UNROLL = job.get("unroll", scan.UNROLL)

    def place_of(*args, fast_math=False):
        if job["engine"] == "kernel" and job["on"] == "cpu":
            return runner.Place(None, "cpu", kernel.Kernel(fast_math, interpret=True))
        place = PLACE_OF(*args, fast_math=fast_math)
        return place if job["engine"] == "kernel" else place._replace(kernel=None)

    runner.place_of = place_of


RUNS = {"loss": forward, "gradient": gradient, "passes": passes, "count": count}


def variants(job: worker.Job) -> worker.Variants:
    nj.configure(
        cpu_devices=job.get("devices"),
        compilation_cache=job.get("cache", False),
        x64=job["dtype"] == "float64",
    )
    if "engine" in job:
        settle(job)
    run = packaged if "model" in job else RUNS.get(job["question"], population)
    return {"neurojax": lambda: run(job)}


if __name__ == "__main__":
    worker.serve(variants, "neurojax", "jax", "jaxlib")
