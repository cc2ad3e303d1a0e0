"""Features in words: each with its unit, a line each."""

from __future__ import annotations

from typing import Any

import numpy as np

UNITS = {
    "number": "", "times": "ms", "peaks": "mV", "troughs": "mV", "widths": "ms",
    "onset_times": "ms", "onsets": "mV", "amplitudes": "mV", "half_widths": "ms",
    "upstrokes": "mV/ms", "downstrokes": "mV/ms", "ahps": "mV", "ahp_delays": "ms",
    "latency": "ms", "rate": "Hz", "mean_frequency": "Hz", "intervals": "ms",
    "mean_interval": "ms", "irregularity": "", "adaptation": "", "late_adaptation": "",
    "base": "mV", "steady": "mV", "lowest": "mV", "after": "mV", "sag": "mV", "sag_ratio": "",
    "tau": "ms", "decay_tau": "ms", "resistance_MOhm": "MOhm",
}  # fmt: skip
"""Of each feature by its name; nothing where it has none."""

MOST = 6
"""So many values of one feature are told."""


def lines(part: Any) -> str:
    """The features of a part, as `Firing`, with their units: a line each, "-" for none.

    The range of what are many, as over the cells of a population.
    """
    known = part._asdict().items()
    told = {name: _values(np.asarray(x, float), UNITS[name]) for name, x in known}
    wide = max(map(len, told))
    return "\n".join(f"{name:<{wide}}  {x}" for name, x in told.items())


def _values(x: np.ndarray, unit: str) -> str:
    known = x[np.isfinite(x)]
    if not known.size:
        return "-"
    if x.ndim > 1 or known.size > MOST:
        return f"{known.min():.4g} to {known.max():.4g} {unit}".rstrip()
    return f"{', '.join(f'{one:.4g}' for one in known)} {unit}".rstrip()
