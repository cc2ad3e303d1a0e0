"""A cohort that several processes fit together: run by test_distributed in processes of its own.

python distributed.py FOLDER PROCESSES PROCESS PORT CACHE PAUSE
"""

import sys
import time

import numpy as np

import neurojax as nj
from neurojax.fit.hierarchical import standing

CELLS = 112
SPACE = {"leak.g_bar": (0.02, 2.0), "leak.E_rev": (-90.0, -40.0)}


def plate():
    """A leak, and recordings of cells with another conductance each and the same reversal."""
    cell = nj.Cell(channels={"leak": nj.channels.SquidLeak()}, area=1e-4)
    t = 0.1 * np.arange(401)
    i = np.where((t >= 5) & (t < 25), 100.0, 0.0)  # pA
    rng = np.random.default_rng(0)
    recordings = []
    for k, g in enumerate(np.geomspace(0.1, 0.5, CELLS)):
        rise = 1 - np.exp(-np.clip(t - 5, 0, 20) * g)  # C_m is 1 uF/cm2
        fall = np.exp(-np.clip(t - 25, 0, None) * g)
        v = -61.0 + 1e-6 * 100.0 / (1e-4 * g) * rise * fall + 0.05 * rng.standard_normal(t.size)
        recordings.append([nj.Trace("current", 0.1, v, i, name=f"cell {k}")])
    return cell, recordings


def fitted(checkpoint=None, **how):
    cell, recordings = plate()
    how = {"shared": ["leak.E_rev"], "dt": 0.1, "starts": 2} | how
    return nj.fit.cohort(cell, recordings, SPACE, checkpoint=checkpoint, **how)


def numbers(found):
    return {"errors": found.errors, "start errors": found.start_errors, **found.values}


def main(folder, processes, process, port, cache, pause):
    nj.configure(cpu_devices=1, compilation_cache=cache)
    standing.CHECKPOINT_S = 0.0
    with nj.distributed(f"127.0.0.1:{port}", int(processes), int(process)) as me:
        wait = None if pause == "0" else lambda *_: time.sleep(float(pause))
        found = fitted(f"{folder}/cohort.h5", progress=wait)
    np.savez(f"{folder}/{me}.npz", **numbers(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
