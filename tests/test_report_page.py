"""The report in a browser: it fits narrow and wide screens, and can be read in light and in dark.

A headless Chromium or Chrome lays the page out; where none is installed those tests are skipped.
"""

import html as markup
import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from browser import dumped
from test_plot import clamped, made_certificate, made_fit, spiking
from test_report import made_report

from neurojax.fit.scoring.agreement import agreement
from neurojax.fit.uncertainty.certificate import Direction, Ensemble, NoiseLevel
from neurojax.plot import SweepView
from neurojax.plot.look import FAINT, STAGES
from neurojax.report import to_html
from neurojax.report.sheet import DARK, LIGHT

WIDTHS = 360, 800, 1440

# Frames of the widths to test, since no browser window is as narrow as a telephone. What is folded
# is unfolded first. `touch` leaves a pixel for the rounding of boxes.
MEASURE = """
const touch = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
  && a.top < b.bottom - 1 && b.top < a.bottom - 1;
const boxes = x => [...x.getClientRects()];
const name = x => x.tagName.toLowerCase() + " " + (x.textContent || "").trim().slice(0, 40);
function measure(frame) {
  const page = frame.contentDocument, width = frame.contentWindow.innerWidth;
  page.querySelectorAll("details").forEach(x => { x.open = true; });
  const all = s => [...page.querySelectorAll(s)];
  const heads = all("h1, h2, h3");
  const blocks = all("figure, table, p, dl, .callout, .facts li, nav li");
  const crossed = [];
  heads.forEach((h, k) => [...heads.slice(k + 1), ...blocks].forEach(other => {
    const cross = boxes(h).some(a => boxes(other).some(b => touch(a, b)));
    if (cross) crossed.push([name(h), name(other)]);
  }));
  const whole = x => { const r = x.getBoundingClientRect();
    return r.width > 0 && r.height > 0 && r.left >= 0 && r.right <= width + 1; };
  const inside = (x, room) => {
    const [a, b] = [x, room].map(y => y.getBoundingClientRect());
    return a.left >= b.left - 2 && a.right <= b.right + 2 && a.top >= b.top - 2
      && a.bottom <= b.bottom + 2; };
  return {
    width, wide: page.documentElement.scrollWidth, room: page.documentElement.clientWidth,
    crossed,
    headings: heads.length, drawings: all("svg").length,
    clipped: heads.filter(h => !whole(h)).map(name),
    empty: all("svg, img").filter(x => { const r = x.getBoundingClientRect();
      return !(r.width > 0 && r.height > 0); }).length,
    cut: all("svg text").filter(x => !inside(x, x.closest("svg"))).map(name),
    spilt: all(".facts li, .callout, p, dd, nav li").filter(x => x.scrollWidth > x.clientWidth + 1)
      .map(name),
  };
}
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(measure);
  document.body.innerHTML = "<pre id=found></pre>";
  document.getElementById("found").textContent = JSON.stringify(found);
});
"""


def with_certificate():
    fit = made_fit()
    names = f"{fit.space.names[0]} and {fit.space.names[1]} trade against each other"
    certificate = replace(
        made_certificate(fit),
        noise=NoiseLevel(0.1, 0.5, "mV"),
        misfit=NoiseLevel(0.3, 12.0, "mV"),
        counted="residual",
        directions=[Direction(np.eye(len(fit.space))[0], 0.4, False, names)],
        ensemble=Ensemble(2, 3, 0.05, [np.array([0, 1])], {}, "2 of 3 candidates end alike"),
    )
    return replace(fit, certificate=certificate, contributions={"rise": 2.0, "times": 1.0})


def current_clamp():
    """Many sweeps with names that are hard to break."""
    name = "a_long_name_of_a_protocol_without_any_space_in_it"
    views = [
        SweepView(*(replace(spiking(k, late, 50.0 * k), name=name) for late in (0.0, 2.0)), k % 2)
        for k in range(1, 5)
    ]
    agreements = [agreement(v.data, v.model) for v in views]
    title = "cell_of_a_very_long_name_20260101_slice_1_recorded.abf fitted with the model squid"
    changes = {"title": title, "views": views, "agreements": agreements, "fit": with_certificate()}
    return made_report(**changes, truth=made_fit().values)


def voltage_clamp():
    view = SweepView(clamped(), replace(clamped(), i_pA=0.95 * clamped().i_pA))
    fit = replace(made_fit(), ended="interrupted")
    return made_report(fit=fit, views=[view], agreements=[agreement(view.data, view.model)])


@pytest.fixture(scope="module", params=[current_clamp, voltage_clamp], ids=lambda f: f.__name__)
def html(request):
    return to_html(request.param())


@pytest.fixture(scope="module")
def layout(html, tmp_path_factory):
    """What a browser makes of the page at each width, and what it says on its console."""
    folder = tmp_path_factory.mktemp("browser")
    frames = "".join(
        f'<iframe style="border:0;width:{width}px" srcdoc="{markup.escape(html)}"></iframe>'
        for width in WIDTHS
    )
    page = folder / "frames.html"
    page.write_text(f"<!DOCTYPE html><meta charset=utf-8><script>{MEASURE}</script>{frames}")
    dom, log = dumped(page, folder)
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.S)
    assert found, f"the browser measured nothing: {log[-2000:]}"
    console = [line for line in log.splitlines() if "CONSOLE" in line]
    return json.loads(markup.unescape(found[1])), console


def test_the_page_is_no_wider_than_the_screen(layout):
    found, _ = layout
    assert [f["width"] for f in found] == list(WIDTHS)
    assert [f["wide"] <= f["room"] for f in found] == [True] * 3, found


def test_headings_are_whole_and_apart(layout):
    for found in layout[0]:
        assert found["headings"] >= 6
        assert found["clipped"] == [] and found["crossed"] == [], found["width"]


def test_drawings_have_a_size_and_all_their_letters(layout):
    for found in layout[0]:
        assert found["drawings"] >= 4
        assert found["empty"] == 0 and found["cut"] == [], found["width"]


def test_words_stay_in_their_boxes(layout):
    assert [found["spilt"] for found in layout[0]] == [[], [], []]


def test_the_console_is_silent(layout):
    assert layout[1] == []


def test_headings_are_in_order_and_drawings_described(html):
    levels = [int(n) for n in re.findall(r"<h(\d)>", html)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    labels = re.findall(r'<svg [^>]*aria-label="([^"]*)"', html)
    assert len(labels) == html.count("<svg") and all(len(told) > 20 for told in labels)
    assert len(set(labels)) == len(labels)
    targets = re.findall(r"<nav.*?</nav>", html, re.S)[0]
    for key in re.findall(r'href="#(\w+)"', targets):
        assert f'<section id="{key}">' in html


def test_what_the_certificate_says_is_told(html):
    if "a_long_name" in html:
        assert "trade against each other" in html and "2 of 3 candidates end alike" in html
        assert "The best fit leaves 0.3 mV, lasting 12 ms, unexplained: 3 times" in html
        assert "only from below" in html  # na.g_bar, whose profile is open


# -- colours ---------------------------------------------------------------------------------------
def contrast(a: str, b: str) -> float:
    """Of two colours, 1 to 21. Source: WCAG 2.2, contrast ratio."""

    def luminance(colour):
        s = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_its_definition():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out(scheme):
    assert set(scheme) == set(LIGHT)
    for ground, name in itertools.product(
        ("paper", "wash"), ("ink", "soft", "fitted", "predicted", "truth", "warn", "poor")
    ):
        assert contrast(scheme[ground], scheme[name]) >= 4.5, (ground, name)
    assert contrast(scheme["warn-wash"], scheme["ink"]) >= 4.5
    for line in (scheme["data"], FAINT, *STAGES):
        assert contrast(scheme["paper"], line) >= 3.0, line


def test_drawings_take_the_colours_of_the_page(html):
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, re.S))
    assert "var(--data)" in drawings and "var(--fitted)" in drawings
    assert "currentColor" in drawings and not re.search(r"#26282b|#c8452f|#23699e", drawings)
