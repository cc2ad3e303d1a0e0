"""All of ICGenealogy's potassium, sodium and calcium channels, read as NMODL and compared.

Of each original file: whether it loads, or why not; of each state that is tabulated, whether the
steady state is within 1 % of its range and the time constant, where above 0.05 ms, within 2 %; to
that comes the tables' resolution, 0.005 and 0.01 ms (their time constants are rounded up). At a
step of a formula (IF v < -40) either side counts. The tables were measured in NEURON, at 6.3 degC,
by steps of voltage, with what belongs to such a measurement; each is counted by its name:

- With METHOD derivimplicit a gate follows an implicit step of 0.025 ms, and its measured time
  constant is dt / ln(1 + dt / tau), longer by half a step. It agrees where that agrees.
- The measurement stopped where a gate rose by less than a millionth of itself in a ms. One with a
  time constant of 10 s is then at inf / (1 + 1e-6 tau), 1 % below. It agrees where that agrees.
- A gate is "not settled" where its time constants agree, and the steady state ends below that.
- "At few potentials" a time constant is off at no more than 4 of 56 potentials, and right at all
  the others: where the gate, or the current, hardly moves.

    python benchmarks/icg.py FOLDER

FOLDER has clones of icgenealogy/icg-channels-K, -Na and -Ca as K/, Na/ and Ca/. No file of them is
part of this project.

Source: Podlaski et al. 2017, eLife 6:e22152, doi:10.7554/eLife.22152; tables as in Chintaluri et
al. 2025.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import common
import numpy as np

from neurojax.model.formulas.arrays import NUMPY
from neurojax.model.formulas.graph import evaluate
from neurojax.model.formulas.mechanism import Mechanism
from neurojax.model.nmodl import NmodlError, read_mechanism
from neurojax.model.nmodl.reading import text_of

CLASSES = ("K", "Na", "Ca")
CELSIUS = 6.3
SECONDS = 5
"""A file's time."""

ONE_PERCENT, TWO_PERCENT, RESOLUTION = 0.01, 0.02, 0.0101
FASTEST = 0.05
"""ms"""

DT = 0.025
"""ms, the step with which the tables were measured."""

STOPPED = 1e-6
"""1/ms: the relative rise of a gate at which its measurement stopped."""

FEW = 4
"""Potentials at which a fit to a current may have failed."""

REASONS = {
    "INCLUDE": "INCLUDE of a file that is elsewhere",
    "FUNCTION_TABLE": "FUNCTION_TABLE, whose data are elsewhere",
    "step is not": "a step written out that is none of a gate",
    "keeps its value": "a variable that keeps its value from step to step",
    "VERBATIM": "C code",
    "keeps what INITIAL": "a variable that keeps what INITIAL sets, of what changes",
    "net_send": "a synapse that sends itself events",
    "formula of t ": "a formula of the time",
    "formula of dt": "a formula of the time step",
    "normrand": "random numbers",
    "scop_random": "random numbers",
    "set_seed": "random numbers",
    "BnlDev_RNG": "a function in C",
    "no known function": "a function that is defined nowhere",
    "takes": "a call with too few arguments",
    "split it": "writes currents and a concentration",
    "unexpected": "not in the grammar",
    "seconds": "took too long",
}


def originals(folder: Path) -> list[Path]:
    """The files that authors wrote: FOLDER/name.mod/name.mod, not the fits beside them."""
    return sorted(p for p in folder.glob("*.mod/*.mod") if p.name == p.parent.name)


def curves(m: Mechanism, state: str, v: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Steady state and time constant at v, and on both sides of it."""
    gate = next(gate for gate in m.gates if gate.name == state)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for aside in (0.0, -1e-3, 1e-3):
        known: dict[str, Any] = m.defaults | {"v": v + aside, "celsius": CELSIUS}
        with np.errstate(all="ignore"):
            opening, rate = evaluate([gate.opening, gate.rate], known, NUMPY)
            inf, tau = opening / rate, 1 / rate
        found.append((np.broadcast_to(inf, v.shape), np.broadcast_to(tau, v.shape)))
    return found


def compared(m: Mechanism, state: str, table: dict[str, np.ndarray], implicit: bool) -> str:
    """What is to be said of a state: that it agrees, or how it does not."""
    if state not in {gate.name for gate in m.gates}:
        return NOT_COMPARED
    sides = curves(m, state, table["V"])
    off = times_off(sides, table["tau"]) if "tau" in table else 0
    said = AGREES
    if off and implicit:
        measured = [(inf, DT / np.log1p(DT / tau)) for inf, tau in sides]
        if not (off := times_off(measured, table["tau"])):
            said = IMPLICIT
    if "inf" in table and steady_off(sides, table["inf"]):
        t = table["inf"]
        stopped = [(inf / (1 + STOPPED * tau), tau) for inf, tau in sides]
        if not off and not steady_off(stopped, t):
            return SLOW
        below = (t <= np.max([inf for inf, _ in sides], axis=0) + tolerance(t)).all()
        unsettled = below and not off and "tau" in table
        return NOT_SETTLED if unsettled else "steady state differs"
    if off:
        return AT_FEW if off <= FEW else "time constant differs"
    return said


NOT_COMPARED = "no gate: not compared"
AGREES, IMPLICIT = "agrees", "agrees, with the implicit step that the file asks for"
SLOW = "agrees, with where the measurement stops"
NOT_SETTLED = "table not settled, time constants agree"
AT_FEW = "steady state agrees, time constant differs at few potentials"


def tolerance(t: np.ndarray) -> float:
    """How far a steady state may be from its table."""
    return ONE_PERCENT * max(np.ptp(t), np.abs(t).max()) + 0.005


def steady_off(sides: list[tuple[np.ndarray, np.ndarray]], t: np.ndarray) -> int:
    """At how many potentials the steady state is off."""
    wrong = np.min([np.abs(inf - t) for inf, _ in sides], axis=0)
    return int((~(wrong <= tolerance(t))).sum())


def times_off(sides: list[tuple[np.ndarray, np.ndarray]], t: np.ndarray) -> int:
    """At how many potentials the time constant is off."""
    wrong = np.min([np.abs(tau - t) for _, tau in sides], axis=0)
    # Where the gate is faster the tables have what the clamp takes.
    slower = (t > FASTEST) & (sides[0][1] > FASTEST)
    return int((~(wrong <= TWO_PERCENT * t + RESOLUTION))[slower].sum())


def judged(job: tuple[Path, dict[str, dict[str, np.ndarray]]]) -> dict[str, Any]:
    """What is to be said of one file, within its time."""

    def late(*_: Any) -> None:
        raise NmodlError(f"took more than {SECONDS} seconds")

    path, tables = job
    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    begin = time.perf_counter()
    try:
        m = read_mechanism(path)
    except NmodlError as error:
        said = error.message
        why = next((why for key, why in REASONS.items() if key in said), said)
        return {"refused": why, "seconds": time.perf_counter() - begin}
    except Exception as error:
        return {"broken": f"{type(error).__name__}: {error}", "seconds": 0.0}
    finally:
        signal.alarm(0)
    implicit = bool(re.search(r"\bMETHOD\s+derivimplicit\b", text_of(path)))
    states = {state: compared(m, state, table, implicit) for state, table in tables.items()}
    return {"states": states, "seconds": time.perf_counter() - begin}


def tables_of(name: str) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """The tables of a class: by file, state and V, inf or tau."""
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    with np.load(common.recordings() / "icg" / f"icg_{name}.npz") as data:
        for key in data.files:
            file, state, what = key.split("|")
            found.setdefault(file, {}).setdefault(state, {})[what] = data[key]
    return found


def summary(judgements: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Counts of files and states."""
    refused = Counter(j["refused"] for j in judgements if "refused" in j)
    loaded = [j for j in judgements if "states" in j]
    known = [j["states"] for j in loaded]
    tabled = [t for s in known if (t := {k: x for k, x in s.items() if x != NOT_COMPARED})]
    others = len(judgements) - refused[REASONS["INCLUDE"]]
    right = (AGREES, IMPLICIT, SLOW)
    agreeing = sum(all(said in right for said in s.values()) for s in tabled)
    settled = [s for s in tabled if NOT_SETTLED not in s.values()]
    return {
        "files": len(judgements),
        "loaded": len(loaded),
        "loaded_percent_without_include": round(100 * len(loaded) / others, 2),
        "refused": dict(refused.most_common()),
        "broken": Counter(j["broken"] for j in judgements if "broken" in j),
        "files_with_table": len(tabled),
        "files_that_agree": agreeing,
        "agree_percent": round(100 * agreeing / max(len(tabled), 1), 2),
        "agree_percent_of_settled": round(100 * agreeing / max(len(settled), 1), 2),
        "states": dict(Counter(said for s in known for said in s.values()).most_common()),
        "seconds": round(seconds, 1),
        "slowest_file_seconds": round(max(j["seconds"] for j in judgements), 2),
    }


def main() -> None:
    """Read, compare, and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with K/, Na/ and Ca/")
    folder = parser.parse_args().folder
    result: dict[str, Any] = {}
    everything: list[dict[str, Any]] = []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for name in CLASSES:
            known = tables_of(name)
            jobs = [(path, known.get(path.name, {})) for path in originals(folder / name)]
            begin = time.perf_counter()
            judgements = pool.map(judged, jobs, chunksize=20)
            result[name] = summary(judgements, time.perf_counter() - begin)
            everything += judgements
            print(name, re.sub(r"[{}']", "", str(result[name])))
    result["all"] = summary(everything, sum(result[name]["seconds"] for name in CLASSES))
    common.write("icg", result)


if __name__ == "__main__":
    main()
