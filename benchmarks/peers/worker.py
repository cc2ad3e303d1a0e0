"""What every contestant shares: the job, the clock, and what is checked of the answer.

A contestant gives `serve` a function that turns a job into its variants: by name, a function that
prepares and returns `run`. A run returns the records, `[record, cell]`, or a function that collects
them, which is not timed. Of several variants the fastest is named, and raced in a fresh process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

SHORT = 0.2  # seconds: below, a process that was stopped first gets up in a run that is not counted

Job = dict[str, Any]
Run = Callable[[], Any]
Variants = dict[str, Callable[[], Run]]

CURRENT, V_START = 10.0, -65.0  # uA/cm2, mV
G_NA, G_K, G_LEAK = 120.0, 36.0, 0.3  # mS/cm2
E_NA, E_K, E_LEAK = 50.0, -77.0, -54.387  # mV
CELSIUS = 6.3
WATCHED = 5  # cells of a population, at most


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def g_na(job: Job) -> np.ndarray:
    """Sodium conductance of every cell, mS/cm2: within 5 %, so that no two are alike.

    Seven spikes in 100 ms for all squid axons, the last far enough from the end to be counted
    alike. The job has the conductance of another model.
    """
    n = job["n"]
    return job.get("g_na", G_NA) * (1 + 0.05 * (np.linspace(-1, 1, n) if n > 1 else np.zeros(1)))


def g_na_watched(job: Job) -> np.ndarray:
    """The same, but those of the cells that are `watched` do not depend on how many there are."""
    g = g_na(job)
    if g.size > 1:
        g[watched(g.size)] = g_na({**job, "n": WATCHED})
    return g


def steps(job: Job) -> tuple[int, int]:
    """Number of time steps, and how many of them lie between records."""
    return round(job["ms"] / job["dt"]), round(job["record_ms"] / job["dt"])


def stride(job: Job) -> int:
    """Every how many cells one is looked at: `checked` at most, where the job says so."""
    return -(-job["n"] // job.get("checked", job["n"]))


def field(t: float, y: np.ndarray, g_na: float = G_NA) -> list[float]:
    """The squid axon under its current: derivatives of v (mV) and the gates m, h, n per ms."""

    def exp_linear(x):
        return x / -np.expm1(-x) if x else 1.0

    v, m, h, n = y
    currents = g_na * m**3 * h * (v - E_NA), G_K * n**4 * (v - E_K), G_LEAK * (v - E_LEAK)
    return [
        CURRENT - sum(currents),
        exp_linear((v + 40) / 10) * (1 - m) - 4 * np.exp(-(v + 65) / 18) * m,
        0.07 * np.exp(-(v + 65) / 20) * (1 - h) - h / (1 + np.exp(-(v + 35) / 10)),
        0.1 * exp_linear((v + 55) / 10) * (1 - n) - 0.125 * np.exp(-(v + 65) / 80) * n,
    ]


def start() -> np.ndarray:
    """v, and the gates settled at it: where their two rates balance."""
    shut, open_ = (np.array(field(0, [V_START, x, x, x])[1:]) for x in (0.0, 1.0))
    return np.array([V_START, *(shut / (shut - open_))])


# -- the gradient's models ------------------------------------------------------------------------
PAIRS = {3: 1, 8: 1, 16: 2, 64: 8}  # number of free parameters: sodium and potassium channels
SPREAD = {"g_bar": 0.05, "E_rev": 0.5, "v_shift": 0.5, "tau_scale": 0.02}  # of g_bar relative
NOMINAL = {
    "na": {"g_bar": G_NA, "E_rev": E_NA, "v_shift": 0.0, "tau_scale": 1.0},
    "k": {"g_bar": G_K, "E_rev": E_K, "v_shift": 0.0, "tau_scale": 1.0},
    "leak": {"g_bar": G_LEAK, "E_rev": E_LEAK},
}


def theta(job: Job) -> dict[str, np.ndarray]:
    """Free parameters by name ("na0.g_bar", mS/cm2, mV), one value per cell about the nominal.

    The channels of one kind share its conductance equally. v_shift moves the gating along v;
    tau_scale divides its rates.
    """
    number = job["parameters"]
    kinds = ("na", "k", "leak") if number <= 8 else ("na", "k")
    fields = {3: ("g_bar",), 8: ("g_bar", "E_rev", "v_shift")}.get(number, tuple(SPREAD))
    random = np.random.default_rng(1)
    values = {}
    for pair in range(PAIRS[number]):
        for kind in kinds:
            for name in fields:
                if name in NOMINAL[kind]:
                    nominal = NOMINAL[kind][name] / (PAIRS[number] if name == "g_bar" else 1)
                    size = SPREAD[name] * (nominal if name == "g_bar" else 1)
                    cells = nominal + size * random.uniform(-1, 1, job["n"])
                    values["leak" if kind == "leak" else f"{kind}{pair}", name] = cells
    return {".".join(key): x for key, x in values.items()}


def target(job: Job) -> np.ndarray:
    """The nominal cell's potential at the records, mV: what the loss compares all cells with."""
    total, every = steps(job)
    times = job["dt"] * every * np.arange(1, total // every + 1)
    return solve_ivp(field, (0, job["ms"]), start(), rtol=1e-8, atol=1e-8, t_eval=times).y[0]


# -- what is checked ------------------------------------------------------------------------------
def crossings(v: np.ndarray, dt: float) -> list[float]:
    """Times (ms) at which one cell crosses 0 mV upwards; v[k] is at (k + 1) dt.

    By the cubic through the four samples around, so that the reading adds no error of its own.
    """
    times = []
    for k in np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0)):
        near = np.arange(max(k - 1, 0), min(k + 3, v.size))
        roots = np.roots(np.polyfit(near - k, v[near], near.size - 1))
        inside = roots.real[(abs(roots.imag) < 1e-9) & (roots.real >= -1e-9) & (roots.real <= 1)]
        times.append(dt * (k + 1 + (inside[0] if inside.size else -v[k] / (v[k + 1] - v[k]))))
    return times


def watched(n: int) -> np.ndarray:
    """A few cells of the population, by index."""
    return np.unique(np.linspace(0, n - 1, WATCHED).astype(int))


def check_population(job: Job, v: np.ndarray) -> dict[str, Any]:
    """Number of spikes in all cells, how many left the finite numbers, where a few of them end."""
    return {
        "spikes": int(((v[:-1] < 0) & (v[1:] >= 0)).sum()),
        "not_finite": int((~np.isfinite(v[-1])).sum()),
        "v_end": [float(x) for x in v[-1, watched(v.shape[1])]],
    }


def check_accuracy(job: Job, v: np.ndarray) -> dict[str, Any]:
    """Spike times of a few cells; none of one that left the finite numbers."""
    few = np.asarray(v[:, watched(job["n"])], dtype=np.float64).T
    return {
        "spike_times": [crossings(x, job["record_ms"]) if np.isfinite(x).all() else [] for x in few]
    }


def check_cable(job: Job, v: np.ndarray) -> dict[str, Any]:
    """Both of the above."""
    return check_population(job, v) | check_accuracy(job, v)


def check_gradient(job: Job, answer: Any) -> dict[str, Any]:
    """Mean loss, and the mean size of its derivative for each parameter."""
    loss, gradient = answer
    sizes = {k: float(np.mean(np.abs(x))) for k, x in sorted(gradient.items())}
    return {"loss": float(np.mean(loss)), "gradient": sizes}


def check_count(job: Job, number: np.ndarray) -> dict[str, Any]:
    """Spikes of all cells."""
    return {"spikes": int(number.sum(dtype=np.int64))}


CHECKS = {
    "count": check_count,
    "population": check_population,
    "accuracy": check_accuracy,
    "cable": check_cable,
    "gradient": check_gradient,
    "passes": check_gradient,
    "loss": check_gradient,
    "compile": check_population,
}


# -- the conversation -----------------------------------------------------------------------------
def peak_MB(run: Run | None = None) -> float:
    """Most memory that this process ever held, or the program that it runs: `run.peak_MB`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    own = next(int(x.split()[1]) for x in lines if x.startswith("VmHWM")) / 1024
    return max(own, getattr(run, "peak_MB", 0.0))


def device_MB() -> dict[str, float]:
    """Most memory that JAX ever held on a GPU."""
    jax = sys.modules.get("jax")
    stats = jax and jax.local_devices()[0].memory_stats()
    return {"device_MB": stats["peak_bytes_in_use"] / 2**20} if stats else {}


def passes(forward: Run, gradient: Run) -> Run:
    """A gradient, timed beside the forward pass that it is measured by: `forward_seconds`."""
    seconds: list[float] = []

    def run():
        for _ in range(3):
            seconds.append(timed(forward)[0])
        run.seconds, answer = timed(gradient)
        run.also = {"forward_seconds": seconds[3:]}  # the first ones compile
        return answer

    return run


def timed(run: Run) -> tuple[float, Any]:
    """Seconds of one run, and its records. A run may have a clock of its own: `run.seconds`."""
    began = time.perf_counter()
    records = run()
    seconds = time.perf_counter() - began
    return getattr(run, "seconds", seconds), records() if callable(records) else records


def tune(variants: Variants) -> dict[str, float]:
    """Seconds of the second run of every variant; of a short one, the shortest of several."""
    tried = {}
    for name, prepare in variants.items():
        run = prepare()
        run()
        took = [timed(run)[0]]
        while sum(took) < SHORT and len(took) < 20:
            took.append(timed(run)[0])
        tried[name] = min(took)
    return tried


def serve(variants: Callable[[Job], Variants], *packages: str) -> None:
    """Read a job, answer its first run; then run once for every further line, or take its job."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers

    def say(**answer: Any) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    say(ready=True)
    again = None
    for line in sys.stdin:
        if not line.startswith("{"):
            assert again
            say(**again())
            continue
        again = None  # or the last job's arrays would be held beside this one's
        job = json.loads(line)
        mine = {k: v for k, v in variants(job).items() if k.startswith(job.get("only", ""))}
        if len(mine) > 1 and "variant" not in job and job["question"] != "compile":
            say(tried=tune(mine))
            return
        name = job.get("variant", next(iter(mine)))
        first, again = begin(job, name, mine[name])
        say(versions={p: version(p) for p in packages}, **first)


def begin(job: Job, name: str, prepare: Callable[[], Run]) -> tuple[dict, Callable[[], dict]]:
    """What the first run of a job told, and a function that runs once more."""
    check = CHECKS[job["question"]]
    imported = peak_MB()
    began = time.perf_counter()
    run = prepare()
    prepared = time.perf_counter() - began

    def told(records: Any) -> dict[str, Any]:
        seen = check(job, _checked(job, records))
        return {"peak_MB": peak_MB(run), **device_MB(), **getattr(run, "also", {}), **seen}

    seconds, records = timed(run)
    first = {
        "variant": name,
        "prepare_seconds": prepared,
        "first_seconds": seconds,
        "imported_MB": imported,
        **told(records),
    }
    records = None  # or two runs' records would be held at once

    def again() -> dict[str, Any]:
        nonlocal seconds
        if seconds < SHORT:
            timed(run)
        seconds, records = timed(run)
        return {"seconds": seconds, **told(records)}

    return first, again


def _checked(job: Job, records: Any) -> Any:
    """Records that are looked at, as an array of numpy."""
    if isinstance(records, tuple):
        return records
    if records.shape[-1] == job["n"]:
        records = records[..., :: stride(job)]
    return np.asarray(records)
