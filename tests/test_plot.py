"""Figures: what they show, without a screen and without touching matplotlib's settings."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from neurojax import plot, plot_sweep
from neurojax.channels import CortexCaT, CortexNa, SquidLeak
from neurojax.electrode import Trace
from neurojax.fit.result import Fit, Stage
from neurojax.model import load_model


def spiking(sweep=1, late=0.0, step=100.0):
    """A sweep with three triangles for spikes."""
    t = np.arange(0, 300, 0.1)
    v = np.full(t.size, -70.0)
    for at in (80.0, 140.0, 200.0):
        v += np.maximum(0.0, 100 * (1 - np.abs(t - at - late) / 1.5))
    i = np.where((t >= 50) & (t < 250), step, 0.0)
    return Trace(clamp="current", dt_ms=0.1, v_mV=v, i_pA=i, name="made", sweep=sweep)


def clamped():
    t = np.arange(0, 200, 0.1)
    v = np.where((t >= 50) & (t < 150), 20.0, -80.0)
    i = np.where(v > 0, 3000 * (1 - np.exp(-(t - 50) / 20)), 0.0)
    i[500] = 9e4  # a capacitive transient
    return Trace(clamp="voltage", dt_ms=0.1, v_mV=v, i_pA=i, name="ramp")


def views():
    return [
        plot_sweep.SweepView(spiking(1), spiking(1, 2.0)),
        plot_sweep.SweepView(spiking(2, step=200.0), spiking(2, -1.0), fitted=False),
    ]


def made_fit(standard_errors=True):
    space = load_model("squid").space
    values = {f.name: 0.5 * (f.low + f.high) for f in space.free}
    values["k.E_rev"] = next(f.low for f in space.free if f.name == "k.E_rev")
    errors = np.array([0.1, 0.101, 0.5])
    stages = [
        Stage("search", "1", 2.0, 100, np.array([3.0, 0.2]), errors, dropped=2),
        Stage("free run", "mV", 1.0, 30, np.array([1.0, 0.3, 0.1]), errors),
    ]
    return Fit(
        cell=space.apply(load_model("squid").cell, values),
        space=space,
        values=values,
        error=0.1,
        stages=stages,
        starts={k: np.array([v, v, v]) for k, v in values.items()},
        standard_errors={k: abs(v) / 50 for k, v in values.items()} if standard_errors else {},
    )


def texts(figure):
    return {t.get_text() for t in figure.findobj(matplotlib.text.Text)}


@pytest.mark.parametrize("channel", [CortexNa(), CortexCaT(), SquidLeak()])
def test_channel_curves_have_units_and_every_gate(channel):
    figure = plot.channel_curves(channel)
    left, right = figure.axes
    assert left.get_xlabel() == "membrane potential (mV)"
    assert right.get_ylabel() == "time constant (ms)"
    assert len(left.lines) == len(channel.powers)


def test_a_sweep_shows_data_model_residual_and_command():
    figure = plot_sweep.sweep(views()[1])
    assert {"mV", "pA", "time (ms)", "model, predicted", "first spikes"} <= texts(figure)
    assert len(figure.axes) == 5


def test_a_voltage_clamp_sweep_is_not_scaled_by_its_transients():
    data = clamped()
    model = replace(data, i_pA=np.minimum(data.i_pA, 3000.0))
    figure = plot_sweep.sweep(plot_sweep.SweepView(data, model))
    assert {"nA", "close-up"} <= texts(figure)
    assert figure.axes[0].get_ylim()[1] < 5.0


def test_sweeps_residuals_and_firing_of_several():
    assert "made sweep 2, predicted" in texts(plot_sweep.traces(views()))
    assert "made sweep 1, fitted" in texts(plot_sweep.residuals(views()))
    figure = plot_sweep.firing(views())
    rates = figure.axes[1]
    assert rates.get_xlabel() == "step of current (pA)"
    assert list(rates.lines[0].get_ydata()) == pytest.approx([15.0, 15.0])


def test_a_residual_is_model_minus_data():
    data = spiking()
    model = Trace(clamp="current", dt_ms=0.1, v_mV=data.v_mV + 2, i_pA=data.i_pA)
    _, r = plot_sweep.residual(data, model)
    assert r == pytest.approx(np.full(data.v_mV.size, 2.0))


def test_a_fit_is_drawn_with_and_without_standard_errors():
    figure = plot.convergence(made_fit().stages)
    assert {"best error", "best error (mV)", "1 search", "2 free run"} <= texts(figure)
    fit = made_fit()
    assert "na.g_bar" in texts(plot.intervals(fit, dict(fit.values)))
    assert isinstance(plot.intervals(made_fit(standard_errors=False)), Figure)


def test_observables_stand_above_the_stimulus():
    t = np.arange(100.0)
    figure = plot.observed(t, {"v": t, "na.i": t, "na.m": t}, t, "current (pA)", "x")
    assert {"na.i\n(uA/cm2)", "na.m", "current (pA)", "time (ms)"} <= texts(figure)


def test_thinning_keeps_every_extreme():
    rng = np.random.default_rng(0)
    y = rng.standard_normal(100_003)
    y[77_777] = 50.0
    t, kept = plot.thin(np.arange(y.size), y)
    assert kept.size < 4000
    assert kept.max() == 50.0 and kept.min() == y.min()
    assert t[-1] == y.size - 1 and np.all(np.diff(t) > 0)
    assert plot.thin(np.arange(10), np.arange(10))[1].size == 10


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1234.5678, "1235"),
        (0.0123456, "0.01235"),
        (-54.387, "-54.39"),
        (1e-7, "1.000e-07"),
        (0.0, "0.000"),
        (float("nan"), "-"),
    ],
)
def test_numbers_are_told_for_reading(value, told):
    assert plot.number(value) == told


def test_settings_of_matplotlib_stay_as_they_were():
    before = dict(matplotlib.rcParams)
    plot.channel_curves(CortexNa())
    assert dict(matplotlib.rcParams) == before
