"""Processes that run one program together: populations are spread over the devices of all.

Each computes its part of a population, and gets the results of all from the others (SPMD, by
`jax.distributed`). Whatever follows on the host is the same in each of them.
"""

from __future__ import annotations

import signal
import threading
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from neurojax.io.results import running_versions

_TOGETHER: list[int] = []  # an entry for each `with` block that is open


@contextmanager
def distributed(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> Generator[int]:
    """Inside the `with` block this process and others of the same program compute together.

        with nj.distributed() as process:  # 0 in the first one
            found = nj.fit.cohort(cell, recordings, space, shared=[...], checkpoint="plate.h5")

    Every process runs the same lines with the same data. Simulations and gradients of populations
    are spread over the devices of all, and each process gets the results of all; only the first one
    writes checkpoints. SLURM, Open MPI and Kubernetes tell JAX who belongs together; elsewhere say
    the address of the first one as "host:port", how many there are, and which this is, from 0 on.
    Enter it before anything is computed.

    What the clock or a person would end differently in each process is not done: fits take no
    `seconds`, and Ctrl-C ends the process as a kill does. Where one dies the others end, too;
    started again, they go on from the checkpoint. Sweeps need none of this: see `sweep.run`.

    Raises ValueError where nobody tells the processes, and RuntimeError where they differ in
    processor or versions, or JAX has computed already.
    """
    if not jax.distributed.is_initialized():
        _join(coordinator, processes, process)
    handler: Any = None
    in_main = threading.current_thread() is threading.main_thread()
    if in_main:
        handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    _TOGETHER.append(jax.process_count())
    try:
        check_same("their processors or versions", _machine().encode())
        yield jax.process_index()
    finally:
        _TOGETHER.pop()
        if in_main:
            signal.signal(signal.SIGINT, handler)


def _join(coordinator: str | None, processes: int | None, process: int | None) -> None:
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except ValueError as error:
        raise ValueError(
            "no scheduler told JAX of other processes: start this program by srun or mpirun, or "
            f'give coordinator="host:port", processes and process ({error})'
        ) from None


def _machine() -> str:
    """What last digits depend on: versions, the processor, the devices."""
    told = running_versions()
    told["platform"] = ""  # kernels of the system may differ
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", errors="replace").splitlines() if info.exists() else []
    told["processor"] = next((x for x in lines if x.startswith(("model name", "CPU part"))), "")
    told["device"] = jax.local_devices()[0].device_kind
    return str(sorted(told.items()))


def several() -> bool:
    """Whether other processes compute together with this one."""
    return bool(_TOGETHER) and _TOGETHER[-1] > 1


def devices() -> list[Any]:
    """Those that share a population: of all processes that compute together, in one order."""
    return jax.devices() if several() else jax.local_devices()


def first() -> bool:
    """Whether this process is the one that writes."""
    return not several() or jax.process_index() == 0


def fetched(a: Any) -> np.ndarray:
    """An array on the host, from whichever processes have its parts."""
    if isinstance(a, jax.Array) and not (a.is_fully_addressable or a.is_fully_replicated):
        a = multihost_utils.process_allgather(a, tiled=True)
    return np.asarray(a)


def check_same(what: str, *told: Any) -> None:
    """Raise RuntimeError where processes that compute together have other bytes or numbers."""
    if not several():
        return
    digest = 0
    for one in told:
        digest = zlib.crc32(one if isinstance(one, bytes) else np.asarray(one).tobytes(), digest)
    every = np.ravel(multihost_utils.process_allgather(np.asarray(digest >> 1, np.int32)))
    if len(set(every.tolist())) > 1:
        raise RuntimeError(
            f"the processes that compute together differ in {what}: all must run the same program "
            "with the same data, on processors of one kind"
        )
