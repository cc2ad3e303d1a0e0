"""The report in a browser: nothing runs over the page, every figure has a size, no complaint."""

import json
import re
import shutil
import subprocess

import pytest
from test_plot import clamped, made_fit
from test_report import made_report

from neurojax.fit import agreement
from neurojax.plot import SweepView
from neurojax.report import to_html

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MEASURE = """<script>
addEventListener("load", () => {
  const wide = document.documentElement.scrollWidth, room = window.innerWidth;
  const figures = [...document.querySelectorAll("img, svg")].map(e => e.getBoundingClientRect());
  const headings = [...document.querySelectorAll("h1, h2, h3")];
  const levels = headings.map(e => Number(e.tagName[1]));
  const cut = headings.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent);
  const empty = figures.filter(r => r.width < 1 || r.height < 1).length;
  const nameless = document.querySelectorAll("img:not([alt]), svg:not([aria-label]):not([role])");
  document.body.innerHTML = "<pre id='told'>" + JSON.stringify({
    wide, room, figures: figures.length, empty, levels, cut, nameless: nameless.length,
    tall: document.documentElement.scrollHeight,
  }) + "</pre>";
});
</script>"""


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    return found


@pytest.fixture(scope="module", params=["current", "voltage"])
def page(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "fit.html"
    told = made_report(truth=made_fit().values)
    if request.param == "voltage":
        views = [SweepView(clamped(), clamped()), SweepView(clamped(), clamped(), fitted=False)]
        told = made_report(views=views, agreements=[agreement(v.data, v.model) for v in views])
    path.write_text(to_html(told), encoding="utf-8")
    return path


def measured(browser, page, width):
    """What a browser of this width makes of the page."""
    probe = page.with_name(f"probe{width}.html")
    text = page.read_text(encoding="utf-8").replace("</body>", MEASURE + "</body>")
    probe.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},900",
         "--virtual-time-budget=5000", "--dump-dom", probe.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    told = re.search(r"<pre id=\"told\">(.*?)</pre>", done.stdout, re.DOTALL)
    assert told, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr, done.stderr[-2000:]
    return json.loads(told[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))


@pytest.mark.parametrize("width", [500, 800, 1440])  # a window of a browser is no narrower
def test_the_page_fits_its_window(browser, page, width):
    seen = measured(browser, page, width)
    assert seen["wide"] <= seen["room"]
    assert seen["figures"] >= 4 and seen["empty"] == 0 and seen["nameless"] == 0
    assert seen["cut"] == []
    assert seen["levels"][0] == 1 and seen["levels"].count(1) == 1
    assert all(b - a <= 1 for a, b in zip(seen["levels"], seen["levels"][1:], strict=False))
