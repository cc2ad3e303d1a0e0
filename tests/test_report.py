"""The report: one whole HTML page that needs nothing else and says plainly how good a fit is."""

import os
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from test_plot import clamped, made_fit, spiking

from neurojax.electrode import Origin
from neurojax.files import write_whole
from neurojax.fit.judgement.agreement import agreement
from neurojax.plot import SweepView
from neurojax.report import FitReport, explained, to_html, verdict, write

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


@pytest.fixture(scope="module")
def html():
    return to_html(made_report(truth=made_fit().values))


def test_the_page_is_whole_and_needs_nothing_else(html):
    page = Page(html)
    assert all(target.startswith("#") for target in page.fetched)
    assert {t[1:] for t in page.fetched} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "http" not in html and "@import" not in html and "<script" not in html


def test_every_sweep_is_told_with_its_role(html):
    text = " ".join(Page(html).text)
    for sweep in ("made sweep 1", "made sweep 2"):
        assert text.count(sweep) >= 3  # the table, the raster, its own figure
    assert "3 of 3 spikes" in text
    assert "predicted" in text and "fitted" in text


def test_parameters_have_units_bounds_flags_and_truth(html):
    text = " ".join(Page(html).text)
    assert "at its lower bound" in text
    assert "k.E_rev sits on a bound of the search" in text
    assert "+0.0 %" in text and "mS/cm2" in text
    assert "were held fixed" in text


def test_how_it_was_made_is_told(html):
    text = " ".join(Page(html).text)
    for told in ("ab" * 32, "cell <1>.abf", "a & b", "neurojax fit 'x y.abf' squid", "jaxlib"):
        assert told in text, told
    assert "made sweep 1: bridge <off>" in text
    assert "search" in text and "Lost starts" in text


@pytest.mark.parametrize(
    ("late", "spared", "judged"),
    [(1.0, 0, "A close fit"), (40.0, 0, "A rough fit"), (0.0, 2, "A poor fit")],
)
def test_the_verdict_rests_on_what_was_not_seen(late, spared, judged):
    data, model = spiking(), spiking(late=late)
    if spared:
        model = replace(model, v_mV=np.where(model.t_ms > 100, -70.0, model.v_mV))
    views = [SweepView(data, spiking()), SweepView(data, model, fitted=False)]
    told = verdict(made_report(views=views, agreements=[agreement(v.data, v.model) for v in views]))
    assert told.startswith(f"{judged}, judged by the sweeps it had not seen")
    spikes = "1 spike" if spared else "3 spikes"
    assert f"not seen it fires {spikes} where the neuron fired 3" in told


def test_voltage_clamp_and_an_interrupted_fit():
    data = clamped()
    model = replace(data, i_pA=np.minimum(data.i_pA, 3000.0) * 0.95)
    view = SweepView(data, model)
    fit = replace(made_fit(standard_errors=False), interrupted=True)
    made = made_report(fit=fit, views=[view], agreements=[agreement(data, model)])
    assert explained(view) > 0.98  # the transient does not count
    text = " ".join(Page(to_html(made)).text)
    assert "of the variance of the current" in text
    assert "The fit was interrupted" in text
    assert "Nothing was held out" in text
    assert "No intervals" in text


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
    assert write(path, made_report()).read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(OSError, match="No such file or directory"):
        write(tmp_path / "no" / "r.html", made_report())
