"""`neurojax demo`: a recording fitted as `neurojax fit` does, and a report of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from neurojax.cli.deliver import Outputs, deliver
from neurojax.cli.fit import Work, exit_code, fit_and_certify
from neurojax.cli.sweeps import divide, prepared
from neurojax.fit import Certify, Nudge, free_run
from neurojax.io import example_recording
from neurojax.membrane.electrode import steps
from neurojax.model import Model, load_model
from neurojax.recording.trace import Trace

TRUTH = {
    "na.g_bar": 95.0,
    "k.g_bar": 28.0,
    "leak.g_bar": 0.22,
    "na.E_rev": 53.0,
    "k.E_rev": -79.0,
    "leak.E_rev": -56.0,
    "k.tau_scale": 0.85,
    "C_m": 0.9,
}
"""The neuron of --synthetic: another set of numbers than the model file's."""

NOISE_MV = 0.3


def run_demo(
    out: Console, err: Console, *, synthetic: bool, seconds: float, folder: Path, seed: int
) -> int:
    """Fetch or make the recording, fit, report; returns the exit code."""
    if not seconds > 0:
        raise ValueError("--seconds must be positive")
    folder = folder.expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    outputs = Outputs(folder / "fit.h5", folder / "report.html", folder / "fitted.toml")
    outputs.check()
    model = load_model("squid" if synthetic else "cortex")
    if synthetic:
        out.print("making a recording of a squid axon with known parameters and noise")
        traces, truth = synthetic_recording(model, seed), TRUTH
        title = "A synthetic squid axon, fitted and compared with the truth"
    else:
        out.print("example recording: a mouse cortical neuron, five steps of current, 2 s each")
        traces, truth = example_recording(), {}
        title = "A mouse cortical neuron: some steps fitted, the others predicted"
    models, traces, notes = prepared({model.name: model}, traces, out)
    model = models[model.name]
    fitted, _ = divide(traces, "", "")
    settings = {"model": model.name, "seconds allowed": seconds, "seed": seed}
    if notes:
        settings["prepared"] = "; ".join(notes)
    # With the right model the plain error leads to the truth; a real cell has no right model.
    stages = [Nudge(every=2), Certify()] if synthetic else None
    if synthetic:
        settings["noise added"] = f"{NOISE_MV} mV"
    work = Work(model, traces, fitted, title, settings, seconds, seed, truth=truth)
    done = fit_and_certify(work, out, stages)
    deliver(done, model, outputs, out)
    return exit_code(done)


def synthetic_recording(model: Model, seed: int, noise_mV: float = NOISE_MV) -> list[Trace]:
    """Five 100-ms sweeps of the squid model at TRUTH, steps of 60 to 220 pA, with white noise."""
    rng, cell = np.random.default_rng(seed), model.at(TRUTH)
    traces = []
    for k, amplitude in enumerate((60.0, 100.0, 140.0, 180.0, 220.0)):
        i = steps(amplitude, start=15.0, stop=85.0, duration=100.0, dt=0.05)
        asked = Trace(
            clamp="current",
            dt_ms=0.05,
            v_mV=np.zeros(i.size),
            i_pA=i,
            name="synthetic",
            sweep=k + 1,
        )
        clean = free_run(cell, asked, 0.025, held=False)
        noisy = clean.v_mV + noise_mV * rng.standard_normal(i.size)
        traces.append(replace(asked, v_mV=noisy))
    return traces
