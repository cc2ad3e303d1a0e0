"""A sweep as users of Jaxley or NEURON write it by hand: cells in blocks, spikes counted, a file.

python sweep_by_hand.py JOB, the job as JSON: library, cells, ms, dt, cores and folder. The grid of
conductances, the current and the results are those of `asked` in `../sweep.py`; one line of JSON
tells cells, seconds and spikes.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

START_MS, END_MS = 10.0, 10.0  # of a run, without current
DENSITY = 10.0  # uA/cm2: 100 pA on 1000 um2
AREA_UM2 = 1000.0
E_NA, E_K, E_LEAK = 50.0, -77.0, -54.387  # mV
CELSIUS, V_START = 6.3, -65.0
BLOCK = 500  # cells that Jaxley computes at a time: their potentials at all steps fit into memory
GROUP = 100  # cells of a model in NEURON


def grid(cells: int) -> np.ndarray:
    """Conductances of sodium, potassium and leak, mS/cm2, `[cell, 3]`."""
    side = round(cells ** (1 / 3))
    axes = (
        np.linspace(60.0, 180.0, side),
        np.linspace(15.0, 60.0, side),
        np.linspace(0.1, 0.6, cells // side**2),
    )
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def told(times: list[np.ndarray], window_ms: float) -> dict[str, np.ndarray]:
    """Spikes, rate, latency, mean and variation of intervals, and adaptation of each train."""
    found = np.full((6, len(times)), np.nan)
    for k, train in enumerate(times):
        gaps = np.diff(train)
        found[:2, k] = train.size, 1e3 * train.size / window_ms
        if train.size:
            found[2, k] = train[0] - START_MS
        if gaps.size:
            found[3, k] = gaps.mean()
        if gaps.size > 1:
            found[4, k] = gaps.std() / gaps.mean()
            found[5, k] = np.mean(np.diff(gaps) / (gaps[1:] + gaps[:-1]))
    names = ("spikes", "rate", "latency", "isi_mean", "isi_cv", "adaptation")
    return dict(zip(names, found.astype(np.float32), strict=True))


def in_jaxley(job: dict[str, Any], conductances: np.ndarray) -> list[np.ndarray]:
    """Times of spikes of each cell: `jx.integrate` mapped over a block, sharded over the cores."""
    import jax
    import jax.numpy as jnp
    import jaxley as jx
    from jax.sharding import NamedSharding
    from jax.sharding import PartitionSpec as P
    from jaxley.channels import HH

    cell = jx.Compartment()
    cell.insert(HH())
    radius = math.sqrt(AREA_UM2 / (2 * math.pi))
    for name, value in (
        ("radius", radius), ("length", radius), ("v", V_START), ("HH_eLeak", E_LEAK),
    ):  # fmt: skip
        cell.set(name, value)
    cell.init_states()
    t = np.arange(round(job["ms"] / job["dt"])) * job["dt"]
    on = (t >= START_MS) & (t < job["ms"] - END_MS)
    nA = DENSITY * AREA_UM2 * 1e-8 * 1e3
    cell.stimulate(jnp.asarray(np.where(on, nA, 0.0)), verbose=False)
    cell.record("v", verbose=False)

    def one(g):
        state = None
        for k, name in enumerate(("HH_gNa", "HH_gK", "HH_gLeak")):
            state = cell.data_set(name, 1e-3 * g[k], state)
        return jx.integrate(cell, param_state=state, delta_t=job["dt"])[0]

    mesh = jax.make_mesh((jax.local_device_count(),), ("cell",))
    over_cores = NamedSharding(mesh, P("cell"))
    block = jax.jit(jax.vmap(one), in_shardings=over_cores, out_shardings=over_cores)
    times = []
    for first in range(0, len(conductances), BLOCK):
        some = conductances[first : first + BLOCK]
        filled = np.concatenate([some, np.repeat(some[-1:], BLOCK - len(some), axis=0)])
        v = np.asarray(block(jnp.asarray(filled)))[: len(some)]
        times += [job["dt"] * np.flatnonzero((row[:-1] < 0) & (row[1:] >= 0)) for row in v]
    return times


def in_neuron(job: dict[str, Any], conductances: np.ndarray) -> list[np.ndarray]:
    """Times of spikes of each cell: groups of sections, by a pool of processes."""
    import multiprocessing

    groups = [(job, conductances[k : k + GROUP]) for k in range(0, len(conductances), GROUP)]
    with multiprocessing.get_context("spawn").Pool(job["cores"]) as pool:
        return [train for trains in pool.map(_group, groups, chunksize=1) for train in trains]


def _group(asked: tuple[dict[str, Any], np.ndarray]) -> list[np.ndarray]:
    from neuron import h

    job, conductances = asked
    h.celsius, h.dt = CELSIUS, job["dt"]
    held: list[Any] = []
    spikes = []
    for na, k, leak in conductances:
        section = h.Section()
        section.L = section.diam = math.sqrt(AREA_UM2 / math.pi)
        section.insert("hh")
        section.ena, section.ek = E_NA, E_K
        hh = section(0.5).hh
        hh.gnabar, hh.gkbar, hh.gl, hh.el = 1e-3 * na, 1e-3 * k, 1e-3 * leak, E_LEAK
        clamp = h.IClamp(section(0.5))
        clamp.delay, clamp.dur = START_MS, job["ms"] - START_MS - END_MS
        clamp.amp = DENSITY * AREA_UM2 * 1e-8 * 1e3  # nA
        detector = h.NetCon(section(0.5)._ref_v, None, sec=section)
        detector.threshold = 0.0
        train = h.Vector()
        detector.record(train)
        spikes.append(train)
        held += [section, clamp, detector]
    h.finitialize(V_START)
    h.ParallelContext().set_maxstep(10)
    h.ParallelContext().psolve(job["ms"])
    return [np.array(train.to_python()) for train in spikes]


def main(job: dict[str, Any]) -> None:
    conductances = grid(job["cells"])
    library = in_jaxley if job["library"] == "jaxley" else in_neuron
    if job["library"] == "jaxley":
        import neurojax as nj

        nj.configure(cpu_devices=job["cores"], compilation_cache=False)  # all cores, as JAX can
    began = time.perf_counter()
    found = told(library(job, conductances), job["ms"] - START_MS - END_MS)
    with h5py.File(Path(job["folder"]) / f"{job['library']}.h5", "w") as file:
        for name, values in found.items():
            file[name] = values
    seconds = time.perf_counter() - began
    row = {"cells": len(conductances), "seconds": seconds, "spikes": float(found["spikes"].sum())}
    print(json.dumps(row))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
