"""Fit the hERG current of a real cell to eight seconds of sine waves; predict another protocol."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import neurojax as nj
from neurojax import fit, io, loss, model, plot

HERE = Path(__file__).parent
CELL = "16713003"


def recordings() -> Path:
    """The folder with the recordings of Beattie et al. 2018."""
    beside = HERE.resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NEUROJAX_RECORDINGS", beside)) / "vc"
    if not (folder / f"herg_{CELL}.npz").exists():
        sys.exit(f"no herg_{CELL}.npz: set NEUROJAX_RECORDINGS to the folder that holds vc/")
    return folder


def rmse(model: nj.Trace, data: nj.Trace, keep: np.ndarray) -> float:
    """Root mean square error, nA."""
    return float(np.sqrt(np.mean((model.i_pA - data.i_pA)[keep] ** 2))) * 1e-3


@plot.lecture
def main(folder: Path = HERE, starts: int = 32) -> dict[str, float]:
    """Fit, predict, draw `figure.png` in `folder`; returns the key numbers."""
    data = recordings()
    sweeps = {t.name: t for t in io.read(data / f"herg_{CELL}.npz")}
    facts = json.loads((data / "herg_facts.json").read_text())[f"herg_{CELL}"]
    sine, ap = sweeps["sine_wave"], sweeps["ap"]

    herg = model.load_model("herg")
    assert herg.space is not None
    cell = nj.replace(herg.cell, {"kr.E_rev": facts["EK_mV"]})
    fitted = fit.fit(
        cell,
        [sine],
        herg.space,
        [
            fit.Draw(starts, dt=0.5),  # ms: coarse steps bring all starts near
            fit.Polish(dt=0.5, iterations=120),
            fit.Polish(starts=8, within=1.2),  # fine ones the best to the end
        ],
    )

    models = {t.name: fit.free_run(fitted.cell, t, dt=t.dt_ms) for t in (sine, ap)}
    keep = {"sine_wave": loss.capacitive_mask(sine), "ap": np.ones(ap.v_mV.size, dtype=bool)}
    errors = {t.name: rmse(models[t.name], t, keep[t.name]) for t in (sine, ap)}
    draw([sine, ap], models, keep, errors).savefig(Path(folder) / "figure.png")
    ends = fitted.stages[1].errors  # of all starts, in steps of 0.5 ms
    reached = float((ends < 1.01 * ends.min()).sum() / starts)
    return {
        "rmse_sine_nA": errors["sine_wave"],
        "rmse_ap_nA": errors["ap"],
        "share_of_starts": reached,
        **fitted.values,
    }


def draw(traces, models, keep, errors) -> Figure:
    """Command above, current below; the fitted protocol on the left, the predicted on the right."""
    figure = Figure(figsize=(13.5, 5.6))
    axes = figure.subplots(2, 2, sharex="col", height_ratios=(1, 2.2))
    titles = ("fitted: sine waves", "predicted: series of action potentials")
    for column, (trace, title) in enumerate(zip(traces, titles, strict=True)):
        t = trace.t_ms / 1e3
        command, current = axes[:, column]
        command.plot(t, trace.v_mV, color="0.35", lw=0.8)
        data = np.where(keep[trace.name], trace.i_pA * 1e-3, np.nan)
        current.plot(t, data, color="0.65", lw=0.6, label="recorded")
        course = np.where(keep[trace.name], models[trace.name].i_pA * 1e-3, np.nan)
        current.plot(t, course, color="#c1272d", lw=1.1, label="model")
        error = errors[trace.name]
        command.set_title(f"{title} (RMSE {error * 1e3:.1f} pA)")
        current.set_xlabel("time (s)")
        current.legend(loc="upper right")
    axes[0, 0].set_ylabel("command (mV)")
    axes[1, 0].set_ylabel("current (nA)")
    return figure


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name:16s} {value:.6g}")
