"""Figures: what they show, without a screen and without touching matplotlib's settings."""

from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from neurojax import plot
from neurojax.channels import CortexCaT, CortexNa, SquidLeak
from neurojax.fit import Certificate, Fit, StageRecord
from neurojax.fit.uncertainty.certificate import Interval, Profile
from neurojax.model import load_model
from neurojax.plot.firing import firing_rates
from neurojax.plot.look import DATA, FITTED, INK, PREDICTED, between, short
from neurojax.plot.panels import Line, Panel, Picture, figure_of, svg_of, ticks_of
from neurojax.plot.phase import phase_course
from neurojax.plot.sweep import (
    glance_picture,
    overview_picture,
    residual,
    step_of,
    sweep_picture,
    together,
)
from neurojax.recording.family import steps_of
from neurojax.recording.trace import Trace

pytestmark = pytest.mark.smoke

SVG = "{http://www.w3.org/2000/svg}"


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
        plot.SweepView(spiking(1), spiking(1, 2.0)),
        plot.SweepView(spiking(2, step=200.0), spiking(2, -1.0), fitted=False),
    ]


def made_fit(standard_errors=True):
    space = load_model("squid").space
    values = {f.name: 0.5 * (f.low + f.high) for f in space.free}
    values["k.E_rev"] = next(f.low for f in space.free if f.name == "k.E_rev")
    errors = np.array([0.1, 0.101, 0.5])
    stages = [
        StageRecord("search", "tolerances", 2.0, 100, np.array([3.0, 0.2]), errors, dropped=2),
        StageRecord(
            "free run", "mV", 1.0, 30, np.array([1.0, 0.3, 0.1]), errors, rejected=7, clipped=3
        ),
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
    left, middle, right = figure.axes
    assert left.get_xlabel() == "membrane potential (mV)"
    assert middle.get_ylabel() == "time constant (ms)"
    assert right.get_ylabel() == "current (uA/cm2)" and len(right.lines) == 3
    assert len(left.lines) == len(channel.powers)


def test_a_sweep_shows_data_model_residual_and_command():
    figure = plot.sweep(views()[1])
    assert {"mV", "pA", "time (ms)", "model, predicted", "first spikes"} <= texts(figure)
    assert len(figure.axes) == 5


def test_a_voltage_clamp_sweep_is_not_scaled_by_its_transients():
    data = clamped()
    model = replace(data, i_pA=np.minimum(data.i_pA, 3000.0))
    figure = plot.sweep(plot.SweepView(data, model))
    assert {"nA", "time (ms)"} <= texts(figure)
    assert figure.axes[0].get_ylim()[1] < 5.0


def test_a_glance_and_an_overview_say_sweep_and_step():
    assert "made sweep 2, +200 pA" in texts(plot.glance(views()[1]))
    assert {"1: +100 pA, fitted", "2: +200 pA, predicted"} <= texts(plot.overview(views()))
    assert step_of(plot.SweepView(clamped(), clamped())) == "-80 to 20 mV"


def test_firing_shows_spikes_and_the_f_i_curve():
    figure = plot.firing(views())
    raster, rates = figure.axes
    assert {"200 pA, 2", "100 pA, 1"} <= texts(figure)
    assert len(raster.collections) == 4
    assert rates.get_xlabel() == "step of current (pA)"
    assert {"data", "model, fitted", "model, predicted"} <= texts(figure)
    assert firing_rates(views())[0] == pytest.approx([15.0, 15.0])  # three spikes in 200 ms


def test_repeats_of_a_step_are_one_point_of_the_f_i_curve():
    silent = replace(spiking(3), v_mV=np.full(3000, -70.0))
    repeats = [plot.SweepView(spiking(1), spiking(1)), plot.SweepView(silent, silent)]
    model, data = plot.firing(repeats).axes[1].lines[:2]
    assert list(data.get_xdata()) == [100.0] and list(data.get_ydata()) == [7.5]
    assert list(model.get_ydata()) == [7.5]


def pulsed(sweep, step):
    """A test pulse of 60 pA before a step."""
    t = np.arange(0, 300, 0.1)
    i = np.where((t >= 10) & (t < 30), 60.0, np.where((t >= 50) & (t < 250), step, 0.0))
    return replace(spiking(sweep), i_pA=i)


def test_a_test_pulse_is_no_step_of_the_f_i_curve():
    sweeps = [pulsed(k, 20.0 * k) for k in range(6)]
    assert sweeps[1].step_window()[2] == 60.0  # alone it would be told so
    assert [s.height for s in steps_of(sweeps)] == [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    both = [plot.SweepView(t, t) for t in sweeps]
    assert plot.firing(both).axes[1].lines[1].get_xdata().min() == 0.0
    assert firing_rates(together(both))[0] == pytest.approx(np.full(6, 15.0))
    own = [replace(t, name=f"{t.sweep}") for t in sweeps]  # each a protocol of its own
    assert steps_of(own)[1].height == 60.0


def test_a_picture_is_the_same_by_matplotlib_and_as_svg():
    for picture in (
        sweep_picture(views()[1]),
        glance_picture(views()[0]),
        overview_picture(views()),
    ):
        drawn, figure = svg_of(picture), figure_of(picture)
        root = ElementTree.fromstring(drawn.encode())
        told = {"".join(x.itertext()) for x in root.iter(f"{SVG}text")}
        assert {a.get_title(loc="left") for a in figure.axes} - {""} <= told
        assert {a.get_xlabel() for a in figure.axes} - {""} <= told
        lines = [x for x in root.iter(f"{SVG}path") if x.get("stroke") in (DATA, FITTED, PREDICTED)]
        assert len(lines) >= sum(len(p.lines) for p in picture.panels if p.lines) - len(figure.axes)
        assert len(drawn) < 60_000


def test_an_svg_line_goes_where_the_numbers_say():
    panel = Panel(
        (1.0, 1.0, 2.0, 1.0), [Line(np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 5.0]), INK)]
    )
    panel = replace(panel, xlim=(0.0, 2.0), ylim=(0.0, 10.0))
    assert 'd="M72 144l72-72 72 36"' in svg_of(Picture(4.0, 3.0, [panel]))
    assert ticks_of(0.0, 10.0, 5) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert ticks_of(-0.13, 0.21, 3) == [-0.1, 0.0, 0.1, 0.2] and ticks_of(1.0, 1.0, 3) == []


def test_short_steps_have_no_place_in_the_f_i_curve():
    brief = replace(spiking(9), i_pA=np.where(np.abs(np.arange(3000) - 800) < 100, 900.0, 0.0))
    start, stop, _ = brief.step_window()
    assert stop - start < 30 and step_of(plot.SweepView(brief, brief)) == "+900 pA"
    figure = plot.firing([*views(), plot.SweepView(brief, brief)])
    assert figure.axes[1].get_xlim()[1] < 300
    assert "900 pA, 9" in texts(figure)


def test_of_many_sweeps_some_are_in_the_raster():
    many = [plot.SweepView(spiking(k, step=10.0 * k), spiking(k)) for k in range(1, 80)]
    raster = plot.firing(many).axes[0]
    labels = [t.get_text() for t in raster.get_yticklabels()]
    assert len(labels) == 36 and labels[0] == "10 pA, 1" and labels[-1] == "790 pA, 79"


def test_the_phase_plane_is_the_slope_against_the_potential():
    t = np.arange(0, 50, 0.02)
    v = 20 * np.sin(0.5 * t) - 40
    fine = Trace(clamp="current", dt_ms=0.02, v_mV=v, i_pA=0 * t)
    at, potential, slope = phase_course(fine)
    assert np.diff(at) == pytest.approx(np.full(at.size - 1, 0.04))  # no finer than that
    circle = ((potential + 40) / 20) ** 2 + (slope / 10) ** 2
    assert circle[1:-1] == pytest.approx(np.ones(at.size - 2), abs=1e-3)
    figure = plot.phase_plane(views())
    assert {"v (mV)", "dv/dt (mV/ms)", "model, predicted", "mean spike"} <= texts(figure)
    assert figure.axes[2].lines[1].get_ydata().max() == pytest.approx(66.7, abs=0.5)  # 100 / 1.5


def test_a_residual_is_model_minus_data():
    data = spiking()
    model = Trace(clamp="current", dt_ms=0.1, v_mV=data.v_mV + 2, i_pA=data.i_pA)
    _, r = residual(data, model)
    assert r == pytest.approx(np.full(data.v_mV.size, 2.0))


def test_a_fit_is_drawn_with_and_without_standard_errors():
    figure = plot.convergence(made_fit().stages)
    assert {"error (tolerances)", "error (mV)", "1 search", "2 free run"} <= texts(figure)
    figure.canvas.draw()
    legends = [a.get_legend().get_window_extent() for a in figure.axes if a.get_legend()]
    assert len(legends) == 2  # and none lies on the lines of a panel
    assert not any(box.overlaps(a.bbox) for box in legends for a in figure.axes)
    fit = made_fit()
    assert "na.g_bar" in texts(plot.intervals(fit, dict(fit.values)))
    assert isinstance(plot.intervals(made_fit(standard_errors=False)), Figure)


def test_spans_are_of_the_certificate_where_there_is_one():
    fit = made_fit()
    kind, known = plot.spans(fit)
    assert kind == "interval"
    value = fit.values["na.g_bar"]
    assert known["na.g_bar"][:2] == pytest.approx((value * (1 - 0.0392), value * (1 + 0.0392)))
    assert known["k.E_rev"].open_low and not known["k.E_rev"].open_high  # it sits on its bound
    profiled = replace(fit, certificate=made_certificate(fit))
    assert plot.spans(profiled)[1]["na.g_bar"] == (100.0, 130.0, False, True)
    moved = replace(fit, standard_errors={}, ranges={"na.g_bar": (90.0, 140.0)})
    assert plot.spans(moved) == ("range", {"na.g_bar": (90.0, 140.0, False, False)})
    assert plot.spans(replace(moved, ranges={})) == ("", {})


def made_certificate(fit, correlation=0.9):
    """The data fix all parameters alike, but for two that trade."""
    n = len(fit.space)
    covariance = np.eye(n)
    covariance[0, 1] = covariance[1, 0] = correlation
    name = fit.space.names[0]
    profile = Profile(np.array([90.0, 115.0, 130.0]), np.array([8.0, 0.0, 3.0]), INTERVAL)
    return Certificate(
        fit.space,
        fit.values,
        fit.error,
        "mV",
        fisher=np.linalg.inv(covariance),
        covariance=covariance,
        profiles={"na.g_bar": profile, name: profile},
    )


INTERVAL = Interval(100.0, 130.0, open_high=True)


def test_correlations_and_profiles_are_drawn():
    fit = made_fit()
    certificate = made_certificate(fit)
    assert ".90" in texts(plot.correlation(certificate))
    figure = plot.profiles(certificate)
    assert "na.g_bar (mS/cm2)" in texts(figure)
    with pytest.raises(ValueError, match="no correlations"):
        plot.correlation(replace(certificate, covariance=None))


def test_contributions_are_named_and_sorted():
    fit = replace(made_fit(), contributions={"rise": 2.0, "times": 5.0, "mine": 1.0})
    axes = plot.contributions(fit).axes[0]
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names == ["mine", "before the first spike", "spike times"]


@pytest.mark.parametrize(
    ("value", "told"), [(1e-7, "10⁻⁷"), (0.005, "0.005"), (2.5e6, "2.5x10⁶"), (80000.0, "80000")]
)
def test_short_numbers(value, told):
    assert short(value) == told.replace("x", "\N{MULTIPLICATION SIGN}")


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((0.11812, 0.15449), "0.118 to 0.154"),
        ((0.134987, 0.135112), "0.13499 to 0.13511"),
        ((-90.0, -50.0), "-90.0 to -50.0"),
        ((5.0, 5.0), "5.00 to 5.00"),
        ((1e-7, 0.4), "1.00e-07 to 0.400"),
    ],
)
def test_ends_of_an_interval_can_be_told_apart(ends, told):
    assert between(*ends) == told


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
