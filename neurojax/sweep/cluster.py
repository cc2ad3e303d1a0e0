"""Sweeps from one program on many machines: SLURM arrays by submitit, and tasks of Ray.

Both come with the extra `cluster`. Each task computes a part of the sweep of a file into one
folder that all machines see.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from neurojax.config import configure
from neurojax.sweep.document import read_sweep
from neurojax.sweep.run import Outcome, Part, run
from neurojax.sweep.storage import Folder

RETRIES = 3
"""How often Ray starts a task again whose machine is gone."""


def work(file: str, output: str, part: tuple[int, int], cpus: int | None = None) -> Outcome:
    """What a task does: its part of the sweep of a file, on so many cores, or all that it has."""
    configure(cpu_devices=cpus)
    asked = read_sweep(file, output)
    return run(asked.sweep, asked.output, part=part, source=asked.source, **asked.store)


def _needed(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ValueError(f'{package} is not installed: pip install "neurojax[cluster]"') from None


def _parts(file: str | Path, output: str | Path | None, tasks: int) -> tuple[str, str, list[Part]]:
    Part(1, tasks).check()
    asked = read_sweep(file, output)
    where = str(Path(file).expanduser().resolve()), str(asked.output.expanduser().resolve())
    return *where, [Part(k, tasks) for k in range(1, tasks + 1)]


def submit(
    file: str | Path,
    output: str | Path | None = None,
    *,
    tasks: int,
    logs: str | Path = "logs",
    cluster: str | None = None,
    **slurm: Any,
) -> list[Any]:
    """Submit the sweep of a file as an array of SLURM jobs by submitit; returns its jobs.

    `job.result()` awaits one and gives its `Outcome`. `slurm` are parameters of submitit's
    executor, as `timeout_min=240, cpus_per_task=4, slurm_partition="gpu"`; cluster="local" runs on
    this machine. A job that dies leaves its shards missing: submit again.

    Raises ValueError where submitit is not installed, and SweepError for a file with a mistake.
    """
    submitit = _needed("submitit")
    where, to, parts = _parts(file, output, tasks)
    executor = submitit.AutoExecutor(folder=str(logs), cluster=cluster)
    executor.update_parameters(**slurm)
    return executor.map_array(work, [where] * tasks, [to] * tasks, [tuple(p) for p in parts])


def on_ray(
    file: str | Path,
    output: str | Path | None = None,
    *,
    tasks: int,
    num_cpus: int = 1,
    num_gpus: float = 0,
) -> list[Outcome]:
    """Compute the sweep of a file as tasks of Ray, on the cluster to which this program belongs.

    Call `ray.init(...)` before, or it begins one on this machine. Nodes may join and leave: a task
    whose node is lost is started again elsewhere, and finds the shards that were finished.

    Raises ValueError where Ray is not installed, and SweepError for a file with a mistake.
    """
    ray = _needed("ray")
    where, to, parts = _parts(file, output, tasks)
    if not ray.is_initialized():
        ray.init()
    remote = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=RETRIES)(work)
    done: list[Outcome] = ray.get([remote.remote(where, to, tuple(p), num_cpus) for p in parts])
    room = Folder(Path(to))
    if not room.merged.exists():  # two tasks ended at once, and each left it to the other
        asked = read_sweep(where, to)
        run(asked.sweep, asked.output, source=asked.source, **asked.store)
    return done
