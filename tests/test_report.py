"""The report: one whole HTML page that needs nothing else and says plainly how good a fit is."""

import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from test_plot import clamped, made_certificate, made_fit, spiking

from neurojax import report
from neurojax.fit import Free, StageRecord, agreement
from neurojax.fit.budget import gains
from neurojax.fit.uncertainty.certificate import Direction
from neurojax.fit.verdict import advice, explained, grade, out_of_time, verdict
from neurojax.io import load, save
from neurojax.io.files import write_whole
from neurojax.loss import capacitive_mask
from neurojax.model import load_model
from neurojax.plot import Span, SweepView
from neurojax.recording.trace import Origin, Trace
from neurojax.report import FitReport, as_results, figures_folder, to_html, write
from neurojax.report.properties import capacitance_pF, of_whole, properties
from neurojax.report.words import cautions, fixed_by_data, left_open

pytestmark = pytest.mark.smoke

VOID = {"meta", "br", "img", "link", "input", "hr", "path", "use"}


class Page(HTMLParser):
    """Checks nesting, and collects what a browser would fetch, ids and text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.fetched, self.ids, self.text = [], [], [], []
        self.feed(html)
        assert not self.open, f"left open: {self.open}"

    def handle_startendtag(self, tag, attrs):
        self.attributes(tag, attrs)

    def handle_starttag(self, tag, attrs):
        self.attributes(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)

    def attributes(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "action"):
                self.fetched.append(value)
            if name == "id":
                self.ids.append(value)


def made_report(**changes):
    origin = Origin("/somewhere/cell <1>.abf", "ABF2", "ab" * 32, "a & b")
    views = [
        SweepView(replace(spiking(1), origin=origin, warnings=("bridge <off>",)), spiking(1, 2.0)),
        SweepView(replace(spiking(2, step=200.0), origin=origin), spiking(2, -1.0), fitted=False),
    ]
    fields = {
        "title": "A cell & its model",
        "fit": made_fit(),
        "views": views,
        "agreements": [agreement(v.data, v.model) for v in views],
        "command": "neurojax fit 'x y.abf' squid",
        "settings": {"seed": 3},
        "seconds": 12.0,
    }
    return FitReport(**(fields | changes))


SETTINGS = {"seed": 3, "model": "squid.toml"}


@pytest.fixture(scope="module")
def html():
    return to_html(made_report(truth=made_fit().values, settings=SETTINGS))


def test_the_page_is_whole_and_needs_nothing_else(html):
    page = Page(html)
    assert all(target.startswith("#") for target in page.fetched)
    assert {t[1:] for t in page.fetched} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "http" not in html and "@import" not in html and "<script" not in html


def test_every_sweep_is_told_with_its_role(html):
    text = " ".join(Page(html).text)
    for sweep in ("sweep 1, +100 pA", "sweep 2, +200 pA"):
        assert 1 <= text.count(sweep) <= 2  # its own figure, and perhaps the first one
    assert "3 of 3 spikes" in text
    assert "predicted" in text and "fitted" in text


def test_protocols_are_named_once_and_sweeps_by_number():
    views = [SweepView(spiking(k), spiking(k)) for k in (1, 2)]
    views += [SweepView(replace(spiking(k), name="other"), spiking(k)) for k in (3, 4)]
    made = made_report(views=views, agreements=[agreement(v.data, v.model) for v in views])
    table = "".join(report.sweeps._table(made))
    assert re.findall(r'rowgroup">([^<]*)', table) == ["made", "other"]
    assert table.count("made") == table.count("other") == 1


def test_what_holds_the_model_is_told_sweep_by_sweep():
    data = spiking(1), spiking(2, step=200.0)
    both = zip(data, (-12.5, 3.0), strict=True)
    views = [SweepView(t, replace(t, i_pA=t.i_pA + by)) for t, by in both]
    made = made_report(views=views, agreements=[agreement(v.data, v.model) for v in views])
    table = report.sweeps._table(made)
    assert "held by (pA)" in table and ">-12.5<" in table and ">+3.0<" in table
    results = as_results(made, load_model("squid"))
    np.testing.assert_allclose(results.arrays["sweeps/held by"], [-12.5, 3.0])
    assert "held by" not in report.sweeps._table(made_report())


def test_the_cell_in_numbers_is_read_off_data_and_model():
    t = np.arange(0, 400, 0.1)
    i = np.where((t >= 100) & (t < 350), -50.0, 0.0)
    charged = 1 - np.exp(-np.clip(t - 100, 0, 250) / 20.0)
    v = [-70 - drop * charged * (t < 350) for drop in (10.0, 5.0)]  # 200 and 100 MOhm, 20 ms
    down = [replace(spiking(3), v_mV=x, i_pA=i) for x in v]
    silent = replace(spiking(2, step=80.0), v_mV=np.full(3000, -70.0))
    fires = SweepView(spiking(1), spiking(1)), SweepView(spiking(2, step=80.0), silent)
    views = [*fires, SweepView(*down)]
    made = made_report(views=views, agreements=[agreement(v.data, v.model) for v in views])
    found = {p.name: p for p in properties(made)}
    for name, data, model in (
        ("input resistance", 200.0, 100.0),
        ("time constant", 20.0, 20.0),
        ("rheobase", 80.0, 100.0),
        ("sag", 0.0, 0.0),
    ):
        assert found[name].data == pytest.approx(data, rel=0.02, abs=0.1), name
        assert found[name].model == pytest.approx(model, rel=0.02, abs=0.1), name
    assert found["capacitance"].data == pytest.approx(100.0, rel=0.02)  # 20 ms / 200 MOhm
    assert found["capacitance"].model == pytest.approx(capacitance_pF(made.fit.cell))
    cell = load_model("squid").cell
    assert of_whole("na.g_bar", 120.0, "mS/cm2", cell) == "1200 nS"
    assert of_whole("na.E_rev", 1.0, "mV", cell) == ""


def test_parameters_have_units_bounds_flags_and_truth(html):
    text = " ".join(Page(html).text)
    assert "at its lower bound" in text
    assert "k.E_rev sits on a bound of the search" in text
    assert "+0.0 %" in text and "Diamond: the truth" in text and "mS/cm2" in text
    assert "were held fixed" in text


def test_how_it_was_made_is_told(html):
    text = " ".join(Page(html).text)
    for told in ("ab" * 32, "cell <1>.abf", "a & b", "neurojax fit 'x y.abf' squid", "jaxlib"):
        assert told in text, told
    assert "made sweep 1: bridge <off>" in text
    assert "search" in text and "Lost starts" in text and "each in its tolerance" in text


@pytest.mark.parametrize(
    ("late", "spared", "judged"),
    [(1.0, 0, "A good fit"), (40.0, 0, "A rough fit"), (0.0, 2, "A poor fit")],
)
def test_the_verdict_rests_on_what_was_not_seen(late, spared, judged):
    data, model = spiking(), spiking(late=late)
    if spared:
        model = replace(model, v_mV=np.where(model.t_ms > 100, -70.0, model.v_mV))
    views = [SweepView(data, spiking()), SweepView(data, model, fitted=False)]
    made = made_report(views=views, agreements=[agreement(v.data, v.model) for v in views])
    told = verdict(made.runs)
    assert told.startswith(f"{judged}, judged by the sweeps it had not seen")
    spikes = "1 spike" if spared else "3 spikes"
    assert f"not seen it fires {spikes} where the neuron fired 3" in told


def record(history, cut=True, name="search"):
    return StageRecord(name, "1", 1.0, 8, np.array(history), np.empty(0), cut=cut)


def test_a_fit_that_ran_out_of_time_says_so():
    assert out_of_time([record([9.0, 3.0])]).endswith("search ended, after 2 iterations.")
    never = [record([9.0], name="draw"), record([], name="polish")]
    assert out_of_time(never).endswith("polish ended, after 0 iterations.")
    falling = np.linspace(10.0, 5.0, 20)
    assert "by 21 % in the last quarter" in out_of_time(
        [record(falling), record([], name="certify")]
    )
    for still in (record(falling, cut=False), record(np.r_[falling, np.full(20, 5.0)])):
        assert out_of_time([still]) == ""
    # Turns that go on from each other are one course; a start elsewhere is not.
    refined = record(np.r_[falling, np.full(20, 5.0)], name="refine")
    assert out_of_time([refined, record([5.0, 4.99], name="descend on")]) == ""
    assert "after 2 iterations" in out_of_time([refined, record([9.0, 8.0], name="islands 2")])
    fit = replace(made_fit(), stages=[record([9.0, 3.0])])
    assert any(
        "The time was over before the fit was done" in x for x in cautions(made_report(fit=fit))
    )


def test_a_poor_fit_says_what_to_do_next():
    done = [record(np.full(20, 5.0))]
    assert advice(of((spiking(), spiking())).runs, done) == []
    silent = replace(spiking(2, step=200.0), v_mV=np.full(3000, -70.0))
    wrong = of((spiking(), spiking()), (spiking(2, step=200.0), silent)).runs
    told = advice(wrong, done)
    assert told[0].startswith(
        "Sweeps that disagree: made 2 (+200 pA) (too few spikes); the other one"
    )
    assert "try another model" in told[-1] and len(told) == 2
    hurried = advice(wrong, [record([9.0, 3.0])])
    assert "Give it more time: --seconds" in hurried[0] and "another model" not in hurried[-1]
    moved = [replace(spiking(k), v_mV=spiking(k).v_mV + 3 * k) for k in range(4)]
    drifts = advice(of(*((t, silent) for t in moved)).runs, done)
    assert "moves by +9.0 mV from the first sweep to the last: a drifting seal" in drifts[0]
    odd = [replace(spiking(k), warnings=(f"the base potential is -{k}.0 mV",)) for k in (1, 2)]
    (first, *_) = advice(of(*((t, silent) for t in odd)).runs, done)
    assert first == "Look at the recording first: the base potential is -1.0 mV."


def test_a_small_step_under_noise_is_no_worse_a_fit():
    """What is left is the noise that the sweep shows before its step: nothing more to explain."""
    model = replace(spiking(), v_mV=-70.0 + 0.002 * spiking().i_pA)
    noise = 0.05 * np.random.default_rng(0).standard_normal(model.v_mV.size)
    runs = of((replace(model, v_mV=model.v_mV + noise), model)).runs
    assert explained(runs[0]) < 0.97 and grade(runs) == "good"
    assert ", all but the noise." in verdict(runs)


def test_a_sweep_in_which_nothing_happens_says_nothing_of_what_is_explained():
    rng, rest = np.random.default_rng(0), np.full(3000, -70.0)
    still = Trace("current", 0.1, rest + 0.1 * rng.standard_normal(3000), 0 * rest, sweep=7)
    stepped = replace(spiking(), v_mV=rest + 0.1 * spiking().i_pA)
    runs = of((stepped, stepped), (still, replace(still, v_mV=rest + 0.1))).runs
    assert explained(runs[1]) < 0 and grade(runs) == "good"
    assert "explains 100.0 % of the variance" in verdict(runs)


def test_a_good_fit_is_silent_where_the_neuron_is():
    silent = replace(spiking(4), v_mV=np.full(3000, -70.0))
    off = replace(spiking(), v_mV=spiking().v_mV - 5.0)
    for model, judged in ((spiking(4), "poor"), (silent, "good")):
        assert grade(of((spiking(), spiking()), (silent, model)).runs) == judged
    assert grade(of((spiking(), off)).runs) == "rough"  # 5 mV off below threshold


def test_trains_that_are_not_in_phase_are_compared_between_spikes_whatever_the_time():
    """Cycles of 25 ms, from -60 to -45 mV and a spike, 8 ms late: alike at each phase."""

    def train(late_ms, more_mV=0.0):
        t = np.arange(10_000) * 0.1 - late_ms
        since = np.where((t > 100) & (t < 900), t % 25, np.nan)
        v = np.where(since < 1, 70 * (1 - since) - 60, -60 + 15 * since / 25)
        v = np.where(np.isnan(since), -70.0, v) + more_mV
        return replace(spiking(), v_mV=v, i_pA=np.zeros(v.size))

    run = agreement(train(0.0), train(8.0))
    assert run.subthreshold_rmse_mV > 5 and run.between_rmse_mV < 0.3 and run.below_mV < 3
    assert agreement(train(0.0), train(8.0, more_mV=-5.0)).below_mV == pytest.approx(5.0, abs=0.3)
    assert grade(of((train(0.0), train(8.0))).runs) == "good"
    # 32 spikes of which three may be missing are off by 1.6 intervals then.
    assert grade(of((train(0.0), train(37.0))).runs) == "good"
    assert grade(of((train(0.0), train(43.0))).runs) == "rough"


def of(*pairs):
    views = [SweepView(data, model, fitted=False) for data, model in pairs]
    return made_report(views=views, agreements=[agreement(*pair) for pair in pairs])


def test_warnings_that_differ_in_their_numbers_are_told_once():
    data = [replace(spiking(k), warnings=(f"it scatters by {k}.5 pA",)) for k in (1, 2, 3)]
    told = cautions(of(*((d, spiking()) for d in data)))
    assert told[-1] == "made sweep 1: it scatters by 1.5 pA (2 more sweeps alike)"


def test_what_is_left_open_is_told_in_a_few_sentences():
    fit = made_fit()
    lost = ["a.g is not determined by these data", "b.g is not determined by these data"]
    open_ = [
        Direction(np.eye(2)[0], 0.5, False, s) for s in (*lost, *(f"c.{k}" for k in "123456789"))
    ]
    certificate = replace(made_certificate(fit), directions=open_)
    told = left_open(made_report(fit=replace(fit, certificate=certificate)))
    assert told[0] == "a.g and b.g are not determined by these data."
    assert told[1] == "c.1." and told[-1] == "3 more combinations are open too."


def test_voltage_clamp_and_an_interrupted_fit():
    data = clamped()
    model = replace(data, i_pA=np.minimum(data.i_pA, 3000.0) * 0.95)
    view = SweepView(data, model, keep=capacitive_mask(data))
    fit = replace(made_fit(standard_errors=False), ended="interrupted")
    made = made_report(fit=fit, views=[view], agreements=[agreement(data, model)])
    (run,) = made.runs
    assert explained(run) > 0.98  # the transient does not count,
    assert explained(run._replace(keep=None)) < 0.98  # but for a cell with a pipette
    text = " ".join(Page(to_html(made)).text)
    assert "of the variance of the current" in text
    assert "The fit was interrupted" in text
    assert "Nothing was held out" in text
    assert "No intervals: no stage has looked beside the best point" in text


@pytest.mark.parametrize("fitted", [True, False])
def test_the_first_screen_says_what_was_asked_and_found(html, fitted):
    if fitted:
        made = made_report(settings=SETTINGS)
        html = to_html(replace(made, views=made.views[:1], agreements=made.agreements[:1]))
    first = " ".join(Page(re.search("<header>.*</header>", html, re.S)[0]).text)
    assert "parameters of the model squid.toml, such that it responds as the cell did" in first
    assert "cell <1>.abf. Fitted to 1 sweep in current clamp" in first
    assert ("none held out" if fitted else "1 held out") in first
    assert "3 / 3" in first and ("fitted sweep" if fitted else "predicted sweep") in first
    assert "12 s" in first and "130 simulated sweeps" in first


def test_a_stage_gains_on_the_last_of_its_unit():
    stages = [
        StageRecord("draw", "pA", 1.0, 8, np.array([9.0]), np.empty(0)),
        StageRecord("polish", "pA", 1.0, 8, np.array([8.0, 3.0]), np.empty(0)),
        StageRecord("search", "tolerances", 1.0, 8, np.array([7.0, 6.0]), np.empty(0)),
        StageRecord("certify", "pA", 1.0, 8, np.empty(0), np.empty(0)),
    ]
    before, after = np.array(gains(stages)).T
    np.testing.assert_array_equal(before, [np.nan, 9.0, 7.0, 3.0])
    np.testing.assert_array_equal(after, [9.0, 3.0, 6.0, 3.0])


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (Span(49.0, 51.0), ("sharply", True)),
        (Span(46.0, 54.0), ("well", True)),
        (Span(30.0, 60.0), ("roughly", True)),
        (Span(10.0, 90.0), ("hardly", False)),
        (Span(0.0, 51.0, open_low=True), ("only from above", False)),
        (Span(49.0, 100.0, open_high=True), ("only from below", False)),
        (Span(0.0, 100.0, True, True), ("not at all", False)),
    ],
)
def test_how_well_the_data_fix_a_parameter(span, told):
    assert fixed_by_data(Free("x", "mV", 0.0, 100.0), span) == told


def test_everything_shown_is_in_the_results_with_its_unit(tmp_path):
    fit = made_fit()
    stage = replace(fit.stages[1], start_history=np.ones((3, 2)))
    fit = replace(
        fit,
        stages=[fit.stages[0], stage],
        certificate=made_certificate(fit),
        contributions={"rise": 2.0},
        unit="mV",
    )
    report = made_report(fit=fit)
    results = load(save(tmp_path / "fit.h5", as_results(report, load_model("squid"))))
    arrays, units = results.arrays, results.units
    assert set(results.traces) == {f"made:{k} {what}" for k in (1, 2) for what in ("data", "model")}
    assert results.settings["sweeps"] == ["made:1", "made:2"]
    assert arrays["sweeps/fitted"].tolist() == [True, False]
    for name, unit, value in [
        ("f-I/step", "pA", [100.0, 200.0]),
        ("f-I/rate of data", "Hz", [15.0, 15.0]),
        ("agreement/spikes_model", "1", [3, 3]),
        ("agreement/rmse", "mV", [a.rmse for a in report.agreements]),
        ("contributions/rise", "mV", 2.0),
        ("starts/na.g_bar", "mS/cm2", np.full(3, fit.values["na.g_bar"])),
        ("certificate/intervals/na.g_bar", "mS/cm2", [100.0, 130.0]),
        ("certificate/open ends/na.g_bar", "1", [False, True]),
        ("certificate/profiles/na.g_bar/chi-squared", "1", [8.0, 0.0, 3.0]),
        ("certificate/correlation", "1", fit.certificate.correlation),
        ("stages/2 free run/history", "mV", [1.0, 0.3, 0.1]),
        ("stages/2 free run/history of starts", "mV", np.ones((3, 2))),
        ("stages/lost starts", "1", [2, 0]),
        ("stages/steps rejected", "1", [np.nan, 7]),
        ("stages/steps clipped", "1", [np.nan, 3]),
    ]:
        np.testing.assert_allclose(arrays[name], value)
        assert units[name] == unit, name
    v, slope = (arrays[f"phase plane/made:1 data/{x}"] for x in ("v", "dv_dt"))
    np.testing.assert_allclose(slope, np.gradient(report.views[0].data.v_mV, 0.1), atol=1e-4)
    np.testing.assert_allclose(v, report.views[0].data.v_mV, atol=1e-4)
    assert units["phase plane/made:1 data/dv_dt"] == "mV/ms"
    residual = arrays["residual/made:1"]
    np.testing.assert_allclose(
        residual, report.views[0].model.v_mV - report.views[0].data.v_mV, atol=1e-9
    )


def test_figures_stand_beside_the_report(tmp_path):
    fit = replace(made_fit(), certificate=made_certificate(made_fit()))
    files = {"results": "my fit.h5", "model": "cell.toml"}
    path = write(tmp_path / "fit.html", made_report(fit=fit, files=files))
    links = Page(path.read_text()).fetched
    assert {"my%20fit.h5", "cell.toml", "fit_figures/"} <= set(links)
    assert path.read_text().startswith("<!DOCTYPE html>")
    folder = figures_folder(path)
    assert folder == tmp_path / "fit_figures" and "fit_figures/" in path.read_text()
    names = {"convergence", "correlations", "firing", "glance", "parameters", "phase_plane"}
    names |= {"profiles", "sweep_made_1", "sweep_made_2"}
    files = {p.stem: p for p in folder.iterdir()}
    assert set(files) == names
    assert all(p.suffix == ".svg" and p.read_bytes()[:5] == b"<?xml" for p in files.values())
    svg = ElementTree.parse(folder / "firing.svg").getroot()
    assert svg[0].get("fill") == "#ffffff"  # it can be seen on a dark screen
    words = {"".join(x.itertext()) for x in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert {"f-I curve", "firing rate (Hz)"} <= words  # text that editors can edit


def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    path.write_text("older")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="was not written: No space left on device") as caught:
        write_whole(path, "newer")
    assert caught.value.filename == str(path)
    assert path.read_text() == "older"
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
    monkeypatch.undo()
    for drawing in ("figures", "sweep_figures"):
        monkeypatch.setattr(report, drawing, lambda _: {})
    monkeypatch.setattr(report, "_page", lambda *_: "")
    with pytest.raises(OSError, match="No such file or directory"):
        write(tmp_path / "no" / "r.html", made_report())
