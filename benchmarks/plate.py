"""How long does a plate take, and how long thousands of fits of one drug?

Plate: 100 synthetic hERG cells under the sine-wave protocol, 95,000 samples each with 20 pA of
noise, that share their kinetics and have conductances of their own. Drug: synthetic fractional
currents of Milnes' protocol, four concentrations with six cells each, which see a little more or
less of the drug, resampled and fitted 2,000 times. All is known, so what comes back is compared
with what was put in. One JSON with all figures goes to results/.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

import common
import jax
import numpy as np
from rich.table import Table

import neurojax as nj
from neurojax.channels import HergBlock
from neurojax.fit import Block, cohort, drug_binding, free_run
from neurojax.fit.hierarchical.drug_block import course_of
from neurojax.fit.hierarchical.drug_problem import open_at_samples
from neurojax.model import load_model

KINETICS = [f"kr.p{k}" for k in range(1, 9)]
NOISE_PA, SPREAD = 20.0, 0.3
LEVELS_NM, CELLS_OF_LEVEL = (1.0, 3.0, 10.0, 30.0), 6
NOISE_OF_FRACTION, SPREAD_OF_DRUG = 0.02, 0.05


def recordings(cells: int, dt: float, seed: int) -> tuple[list, np.ndarray]:
    """The sine-wave protocol, held for 0.75 s before it and after it, and conductances, mS/cm2."""
    rng, cell = np.random.default_rng(seed), load_model("herg").cell
    quiet = np.full(round(750 / dt), -80.0)
    v = np.concatenate([quiet, nj.protocols.sine(dt).v[:, 0], quiet])
    unit = free_run(nj.replace(cell, {"kr.g_bar": 1.0}), nj.Trace("voltage", dt, v, 0.0 * v), dt)
    g = 7.62 * np.exp(SPREAD * rng.normal(size=cells))

    def sweep(k: int, x: float) -> nj.Trace:
        i = x * unit.i_pA + NOISE_PA * rng.normal(size=v.size)
        return nj.Trace("voltage", dt, v, i, name=f"cell {k}")

    return [[sweep(k, x)] for k, x in enumerate(g)], g


def plate(cells: int, dt: float, seed: int) -> dict:
    data, g = recordings(cells, dt, seed)
    herg = load_model("herg")
    began = time.monotonic()
    found = cohort(
        herg.cell, data, herg.space, shared=KINETICS, pooled=["kr.g_bar"], seconds=240, seed=seed
    )
    seconds = time.monotonic() - began
    truth = {k: nj.parameters(herg.cell)[k][0] for k in KINETICS}
    pool = found.pools["kr.g_bar"]
    return {
        "seed": seed,
        "cells": cells,
        "samples": data[0][0].v_mV.size,
        "seconds": seconds,
        "compiling_s": sum(s.compiling for s in found.stages),
        "stages": {s.name: s.seconds for s in found.stages},
        "ended": found.ended,
        "error_over_noise": [float(x) for x in np.quantile(found.errors, (0, 0.5, 1)) / NOISE_PA],
        "shared_off_in_standard_errors": {
            k: (found.shared[k] - truth[k]) / found.standard_errors[k][0] for k in KINETICS
        },
        "largest_relative_difference_of_g": float(np.abs(found.values["kr.g_bar"] / g - 1).max()),
        "spread_of_g": [pool.spread, pool.spread_error, SPREAD],
    }


def measured_block(seed: int, samples: int) -> tuple[Block, HergBlock, nj.protocols.Protocol]:
    """Fractional currents of cells under a drug, the drug, and the protocol."""
    protocol, rng = nj.protocols.milnes(dt=20.0), np.random.default_rng(seed)
    # The largest fills more than half of the sites: else only Kmax / halfmax is determined.
    truth = HergBlock(Kmax=5.0, Ku=1e-4, n=1.05, halfmax=20.0, Vhalf=-60.0)
    start, stop = protocol.windows["test"]
    times = start + (stop - start) / samples * np.arange(1, samples + 1)
    drug = np.repeat(LEVELS_NM, CELLS_OF_LEVEL)
    own = drug * np.exp(SPREAD_OF_DRUG * rng.normal(size=drug.size))
    empty = Block(drug, np.zeros((drug.size, 10, samples)), times)
    course = course_of(empty, protocol.v[:, 0], protocol.dt, 180e3)
    with jax.enable_x64(True):
        binding = np.r_[0.0, truth.Kmax * np.asarray(truth.occupied(own))]
        at = dataclasses.replace(truth, Kmax=binding)
        open_ = np.asarray(open_at_samples(at, course, binding.shape))
    left = (open_[:, 1:] / open_[:, :1]).T.reshape(empty.fraction.shape)
    left = left + NOISE_OF_FRACTION * rng.normal(size=left.shape)
    return Block(drug, left, times), truth, protocol


def drug(boots: int, samples: int, seed: int) -> dict:
    block, truth, protocol = measured_block(seed, samples)
    began = time.monotonic()
    found = drug_binding(block, protocol.v[:, 0], protocol.dt, boots=boots, seed=seed)
    seconds = time.monotonic() - began
    intervals = {k: found.interval(k) for k in found.values}
    return {
        "seed": seed,
        "fits": boots,
        "cells": block.drug.size,
        "samples_of_a_fit": len(LEVELS_NM) * 10 * samples,
        "seconds": seconds,
        "compiling_s": sum(s.compiling for s in found.stages),
        "stages": {s.name: s.seconds for s in found.stages},
        "at_minimum": float(found.at_minimum.mean()),
        "error": found.error,
        "values": found.values,
        "truth": {k: float(getattr(truth, k)) for k in found.values},
        "intervals": intervals,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small ones, nothing written")
    parser.add_argument("--seeds", type=int, default=2)
    told = parser.parse_args()
    nj.configure(compilation_cache=False)
    console, seeds = common.console(), range(1 if told.quick else told.seeds)
    plates = [plate(10, 0.5, seed) if told.quick else plate(100, 0.1, seed) for seed in seeds]
    found = [drug(100, 20, seed) if told.quick else drug(2000, 100, seed) for seed in seeds]
    table = Table("what", "seconds", "of them compiling", "how well")
    for r in plates:
        low, middle, high = r["error_over_noise"]
        told_of = f"error over noise {low:.3f}, {middle:.3f}, {high:.3f}"
        table.add_row(f"plate of {r['cells']} cells", *_times(r), told_of)
    for r in found:
        held = sum(low <= r["truth"][k] <= high for k, (low, high) in r["intervals"].items())
        told_of = f"{100 * r['at_minimum']:.0f} % at their minimum, {held} of 5 intervals hold"
        table.add_row(f"{r['fits']} fits of a drug", *_times(r), told_of)
    console.print(table)
    if not told.quick:
        console.print(common.write("plate", {"plates": plates, "drugs": found}))


def _times(r: dict) -> tuple[str, str]:
    return f"{r['seconds']:.1f}", f"{r['compiling_s']:.1f}"


if __name__ == "__main__":
    main()
