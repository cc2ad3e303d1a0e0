"""Neurodata Without Borders, version 2, through pynwb: patch-clamp series with their stimuli."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import h5py
import numpy as np

from neurojax.io.inside import check_inside
from neurojax.io.nwb_1 import is_version_1, read_nwb_1, with_bias
from neurojax.io.source import (
    NATIVE,
    Asked,
    convert,
    even_dt,
    needs,
    origin,
    reading,
)
from neurojax.io.sweeps import clamped, traces_from
from neurojax.recording.trace import Origin, RecordingError, Trace

# NWB writes its units as words.
_WORDS = {"volts": "V", "volt": "V", "amperes": "A", "ampere": "A", "amps": "A"}


class _Part(NamedTuple):
    """`n` samples of a time series from `start`; n < 0 means all of them."""

    series: Any
    start: int = 0
    n: int = -1


def read_nwb(path: Path, asked: Asked) -> list[Trace]:
    """Every current- or voltage-clamp series that has a stimulus, by sweep number.

    Response and stimulus are linked by the intracellular recordings table, else by sweep number,
    else by the numbers in their names, else by starting time. A series without a stimulus is left
    out and named in the other traces' warnings; RecordingError when none is left.
    """
    try:
        import pynwb
    except ImportError as error:
        raise needs("pynwb", path) from error
    with warnings.catch_warnings(), reading(path, "NWB 2"):
        warnings.simplefilter("ignore")  # pynwb's and hdmf's own, on old schemas and deprecations
        with h5py.File(path, "r") as file:
            check_inside(file)
            if is_version_1(file):
                with reading(path, "NWB 1"):
                    return read_nwb_1(path, file, asked)
        with pynwb.NWBHDF5IO(path=str(path), mode="r") as io:
            return _traces(io.read(), path, asked)


def _traces(file: Any, path: Path, asked: Asked) -> list[Trace]:
    from pynwb.icephys import VoltageClampSeries

    def clamp_of(series: Any) -> Literal["current", "voltage"]:
        return "voltage" if isinstance(series, VoltageClampSeries) else "current"

    pairs = _table_pairs(file) or _linked_pairs(file)
    if asked.clamp:
        pairs = [(r, s) for r, s in pairs if clamp_of(r.series) == asked.clamp]
    pairs, which = _of_electrode(pairs, path, asked)
    lonely = [r.series.name for r, s in pairs if s is None]
    pairs = [(r, s) for r, s in pairs if s is not None]
    if not pairs:
        what = f"{asked.clamp}-clamp series" if asked.clamp else "CurrentClampSeries"
        raise RecordingError(
            f"{path}: no {what} with a stimulus; expected patch-clamp series linked by sweep "
            f"number, name or table; acquisition: {sorted(file.acquisition)[:8] or 'nothing'}, "
            f"without stimulus {lonely[:8] or 'none'}"
        )
    left_out = (f"left out, having no stimulus: {', '.join(lonely)}",) if lonely else ()
    left_out += which
    source = origin(path, "NWB2", str(file.identifier))
    numbers = _numbers([r.series for r, _ in pairs])
    drafts = [
        _draft(response, stimulus, clamp_of(response.series), sweep, path, source, asked, left_out)
        for (response, stimulus), sweep in zip(pairs, numbers, strict=True)
    ]
    return sorted(traces_from(path, drafts), key=lambda trace: trace.sweep)


def _of_electrode(
    pairs: list[tuple[_Part, _Part | None]], path: Path, asked: Asked
) -> tuple[list[tuple[_Part, _Part | None]], tuple[str, ...]]:
    """The pairs of the electrode asked for; of several, all, and a sentence that says so."""
    names = list(dict.fromkeys(str(r.series.electrode.name) for r, _ in pairs))
    if asked.channel is None:
        told = f"recorded by {len(names)} electrodes ({', '.join(names)}): channel= chooses one"
        return pairs, (told,) if len(names) > 1 else ()
    chosen = [(r, s) for r, s in pairs if r.series.electrode.name == str(asked.channel)]
    if not chosen:
        raise RecordingError(
            f"{path}: channel={asked.channel!r}: expected an electrode, one of "
            f"{', '.join(map(repr, names)) or 'none'}"
        )
    return chosen, ()


def _draft(
    response: _Part,
    stimulus: _Part,
    clamp: Literal["current", "voltage"],
    sweep: int,
    path: Path,
    source: Origin,
    asked: Asked,
    left_out: tuple[str, ...],
) -> dict[str, Any]:
    name = response.series.name
    where = f"{path}, sweep {sweep} ({name!r})"
    command_of, measure_of = (
        ("current", "voltage") if clamp == "current" else ("voltage", "current")
    )
    measured, dt_ms = _samples(response, measure_of, asked, where)
    held = list(left_out)
    if stimulus.series is response.series:  # I = 0: nothing is injected, by definition
        command = np.zeros_like(measured)
    else:
        stimulus_name = stimulus.series.name
        command, dt_command = _samples(stimulus, command_of, asked, where)
        if not np.isclose(dt_ms, dt_command, rtol=1e-6):
            raise RecordingError(
                f"{where}: sampled every {dt_ms:g} ms, but its stimulus {stimulus_name!r} every "
                f"{dt_command:g} ms; expected equal"
            )
    bias_pA = 1e12 * float(getattr(response.series, "bias_current", None) or 0.0)
    if clamp == "current":
        command, told = with_bias(command, dt_ms, bias_pA)
        held += told
    began = getattr(response.series, "starting_time", None)
    return clamped(clamp, measured, command) | {
        "dt_ms": dt_ms,
        "name": name,
        "sweep": sweep,
        "origin": source,
        "warnings": tuple(held),
        "start_ms": None if began is None else 1e3 * float(began) + response.start * dt_ms,
    }


def _samples(part: _Part, what: str, asked: Asked, where: str) -> tuple[np.ndarray, float]:
    """Samples in mV or pA, and their interval in ms."""
    series = part.series
    where = f"{where}, series {series.name!r}"
    window = slice(part.start, None if part.n < 0 else part.start + part.n)
    raw = np.asarray(series.data[window], dtype=np.float64)
    if raw.size == 0:
        raise RecordingError(f"{where}: no samples; expected at least one")
    raw = raw * (series.conversion or 1.0) + (getattr(series, "offset", 0.0) or 0.0)
    # pynwb reports the unit that the schema wants, whatever the file says.
    attributes = getattr(series.data, "attrs", {})
    said = str(attributes.get("unit", series.unit))
    in_file = _WORDS.get(said.lower(), said)
    samples = convert(raw, asked.unit_of(what, in_file), NATIVE[what], where)
    if series.rate:
        return samples, 1e3 / float(series.rate)
    if series.timestamps is None:
        raise RecordingError(f"{where}: neither a rate nor timestamps; expected one of them")
    return samples, 1e3 * even_dt(np.asarray(series.timestamps[window], dtype=np.float64), where)


def _table_pairs(file: Any) -> list[tuple[_Part, _Part | None]]:
    """Pairs from the intracellular recordings table; empty when the file has none."""
    from pynwb.icephys import PatchClampSeries

    table = file.intracellular_recordings
    if table is None:
        return []
    pairs = []
    columns = table["responses"]["response"], table["stimuli"]["stimulus"]
    for row in range(len(table)):
        response, stimulus = (
            _Part(ref.timeseries, int(ref.idx_start), int(ref.count))
            for ref in (c[row] for c in columns)
        )
        if response.n > 0 and isinstance(response.series, PatchClampSeries):
            pairs.append((response, stimulus if stimulus.n > 0 else _nothing(response)))
    return pairs


def _linked_pairs(file: Any) -> list[tuple[_Part, _Part | None]]:
    """Pairs found by sweep number, else by the numbers in the names, else by starting time."""
    from pynwb.icephys import (
        CurrentClampSeries,
        CurrentClampStimulusSeries,
        VoltageClampSeries,
        VoltageClampStimulusSeries,
    )

    def by_sweep(s: Any):
        return None if s.sweep_number is None else (int(s.sweep_number), s.electrode.name)

    def by_name(s: Any):
        return tuple(int(n) for n in re.findall(r"\d+", s.name)) or None

    def by_start(s: Any):
        return None if s.starting_time is None else (float(s.starting_time), s.electrode.name)

    stimuli = list(file.stimulus.values())
    kinds = {
        CurrentClampSeries: [s for s in stimuli if isinstance(s, CurrentClampStimulusSeries)],
        VoltageClampSeries: [s for s in stimuli if isinstance(s, VoltageClampStimulusSeries)],
    }
    pairs = []
    for kind, candidates in kinds.items():
        responses = [s for s in file.acquisition.values() if isinstance(s, kind)]
        key = _linking_key(responses, candidates, (by_sweep, by_name, by_start))
        for response in sorted(responses, key=lambda s: (by_name(s) or (), s.name)):
            matches = [s for s in candidates if key is not None and key(s) == key(response)]
            found = _Part(matches[0]) if len(matches) == 1 else _nothing(_Part(response))
            pairs.append((_Part(response), found))
    return pairs


def _linking_key(responses: list[Any], stimuli: list[Any], keys: Iterable[Callable[[Any], Any]]):
    """The first key that tells all responses apart and finds stimuli; one key for a whole file.

    Trying the next key for what one leaves over would give a series another one's stimulus.
    """
    for key in keys:
        told = [key(s) for s in responses]
        if (
            None not in told
            and len(set(told)) == len(told)
            and set(told) & {key(s) for s in stimuli}
        ):
            return key
    return None


def _nothing(response: _Part) -> _Part | None:
    """The stimulus of a series recorded at I = 0, which is its own; None for any other series."""
    from pynwb.icephys import IZeroClampSeries

    return response if isinstance(response.series, IZeroClampSeries) else None


def _numbers(series: list[Any]) -> list[int]:
    """A sweep number for each: the file's, else the last number of its name, else its place."""
    told = [s.sweep_number for s in series]
    if None not in told:
        return [int(n) for n in told]
    named = [re.findall(r"\d+", s.name)[-1:] for s in series]
    numbers = [int(n[0]) for n in named if n]
    return numbers if len(set(numbers)) == len(series) else list(range(len(series)))
