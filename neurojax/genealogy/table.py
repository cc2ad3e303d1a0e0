"""ICGenealogy's table of published channels, as a user has it: steady states and time constants.

Source: Podlaski et al. 2017, eLife 6:e22152, doi:10.7554/eLife.22152; tables as in Chintaluri et
al. 2025, bioRxiv 2025.10.03.680368, doi:10.1101/2025.10.03.680368.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

CELSIUS = 6.3
"""degC, at which steady states and time constants are tabulated."""

V = np.concatenate([[-100, -90], np.arange(-80, 11, 2), np.arange(20, 81, 10), [100]]).astype(float)
"""mV, the potentials of the tables of a clone."""


class Curves(NamedTuple):
    """A gate's steady state and time constant (ms), each at the table's potentials (mV)."""

    v: Float[np.ndarray, " v"]
    inf: Float[np.ndarray, " v"]
    tau: Float[np.ndarray, " v"]


@dataclass(frozen=True)
class TabledChannel:
    """A published channel: its file, and what is tabulated of each gate that multiplies g."""

    file: str
    suffix: str
    powers: Mapping[str, int]
    gates: Mapping[str, Curves] = field(repr=False)
    q10_tau: float | None = None  # None: not known


@dataclass(frozen=True)
class ChannelTable:
    """The channels that are tabulated in full, and why the others are left out, by file."""

    channels: Mapping[str, TabledChannel]
    left_out: Mapping[str, str]


def read_table(path: str | Path) -> ChannelTable:
    """The table of one class of channels, such as potassium's.

    `path` is a clone of icgenealogy/icg-channels-K, -Na, -Ca, -IH or -KCa, or an `.npz` file with
    "file|state|V", "|inf" and "|tau", beside which a `.json` file tells suffix, powers and Q10s.
    Raises ValueError for a path that is neither.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        facts = dict(_of_clone(path))
    elif path.suffix == ".npz" and path.is_file():
        facts = dict(_of_arrays(path))
    else:
        raise ValueError(f"{path}: expected a clone of ICGenealogy's channels, or an .npz file")
    if not facts:
        raise ValueError(f"{path}: no channel in it; expected folders NAME.mod with omnimodel.md")
    channels: dict[str, TabledChannel] = {}
    left_out: dict[str, str] = {}
    for file, fact in sorted(facts.items()):
        made = _channel(file, fact)
        if isinstance(made, TabledChannel):
            channels[file] = made
        else:
            left_out[file] = made
    return ChannelTable(channels, left_out)


class _Fact(NamedTuple):
    suffix: str
    powers: Mapping[str, str]
    q10_tau: str
    v: np.ndarray
    inf: Mapping[str, Any]
    tau: Mapping[str, Any]


def _channel(file: str, fact: _Fact) -> TabledChannel | str:
    """The channel, or why there is none."""
    powers = {k: int(float(p)) for k, p in fact.powers.items() if _positive(p)}
    if not powers:
        return "no gate that multiplies its conductance"
    gates: dict[str, Curves] = {}
    for state in powers:
        inf, tau = (np.asarray(x.get(state, ()), dtype=float) for x in (fact.inf, fact.tau))
        if inf.shape != fact.v.shape:
            return f"no steady state of {state}"
        if tau.shape != fact.v.shape:
            return f"no time constant of {state}"
        if not (np.isfinite(inf).all() and np.isfinite(tau).all()):
            return f"a value of {state} is no number"
        gates[state] = Curves(fact.v, inf, tau)
    q10 = float(fact.q10_tau) if _positive(fact.q10_tau) else None
    return TabledChannel(file, fact.suffix, powers, gates, q10)


def _positive(text: Any) -> bool:
    try:
        return float(text) > 0
    except (TypeError, ValueError):
        return False


# -- compact: arrays, and a file of facts ----------------------------------------------------------
def _of_arrays(path: Path) -> Iterator[tuple[str, _Fact]]:
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise ValueError(f"{beside}: no such file; it has suffix, powers and Q10s of {path.name}")
    facts: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
    curves: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    with np.load(path, allow_pickle=False) as data:
        for key in data.files:
            file, state, what = key.split("|")
            curves.setdefault(file, {}).setdefault(what, {})[state] = data[key]
    for file, fact in facts.items():
        of = curves.get(file, {})
        v = next(iter(of.get("V", {}).values()), V)
        suffix, q10 = str(fact.get("suffix", "")), str(fact.get("q10_tau", ""))
        powers = fact.get("powers", {})
        yield file, _Fact(suffix, powers, q10, v, of.get("inf", {}), of.get("tau", {}))


# -- a clone: a page of text for each channel ------------------------------------------------------
def _of_clone(folder: Path) -> Iterator[tuple[str, _Fact]]:
    for page in folder.glob("*.mod/omnimodel.md"):
        said = _sections(page.read_text(encoding="utf-8", errors="replace"))
        powers = dict(re.findall(r"\*\*(\w+)\*\*:\s*(\S+)", said.get("GATES", "")))
        inf, tau = (_numbers(said.get(f"RATE VALS {k}", "")) for k in ("SS", "TAU"))
        yield (
            page.parent.name,
            _Fact(said.get("SUFFIX", ""), powers, said.get("Q10 TAU", ""), V, inf, tau),
        )


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## +(.*?)\s*$", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _numbers(body: str) -> dict[str, Any]:
    found = re.search(r"\{.*\}", body, re.DOTALL)
    try:
        return json.loads(found[0]) if found else {}
    except ValueError:
        return {}
