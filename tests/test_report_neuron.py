"""A neuron to turn: what the page holds, and that a browser draws it."""

import json
import re

import numpy as np
import pytest
from browser import dumped

import neurojax as nj
from neurojax.channels import SquidLeak
from neurojax.report import write_neuron
from neurojax.report.neuron import turning

CELL = nj.ball_and_stick({"leak": SquidLeak()}, compartments=9)


def data_of(html):
    return json.loads(re.search(r"\}\)\((\{.*\})\)</script>", html, re.S)[1])


def test_a_page_holds_the_neuron_and_needs_nothing_else(tmp_path):
    values = np.outer(np.arange(10.0), [1.0, 2.0]) - 70
    path = write_neuron(
        tmp_path / "neuron.html", CELL, values, "v </script>", times=[1, 2.5], title="One & all"
    )
    html = path.read_text()
    assert "http" not in html and "One &amp; all" in html and html.count("</script>") == 1
    data = data_of(html)
    np.testing.assert_allclose(data["values"], values.T)
    assert (data["low"], data["high"], data["times"]) == (-70.0, -52.0, [1.0, 2.5])
    assert np.shape(data["lines"]) == (10, 9) and data["wide"][0] == 20.0


def test_without_values_regions_have_their_colours():
    html = turning(CELL)
    assert len(set(data_of(html)["colours"])) == 2 and "range" not in html
    assert all(f"</i>{region}</span>" in html for region in ("soma", "dendrite"))


@pytest.mark.parametrize(
    ("values", "times", "message"),
    [
        (np.zeros(9), None, r"values: shape \(9,\), expected \[10\]"),
        (np.zeros((10, 3)), [1.0, 2.0], "times: 2, but 3 values of each compartment"),
    ],
)
def test_values_and_times_that_do_not_fit_are_refused(values, times, message):
    with pytest.raises(ValueError, match=message):
        turning(CELL, values, times=times)


def test_a_browser_draws_it(tmp_path):
    path = write_neuron(tmp_path / "neuron.html", CELL, np.arange(20.0).reshape(10, 2), "v (mV)")
    look = """<script>addEventListener("load", () => {
      const c = document.querySelector("canvas"), slider = document.querySelector("input");
      const seen = () => c.getContext("2d").getImageData(0, 0, c.width, c.height).data.join();
      const first = seen(); slider.value = 1; slider.oninput(); const then = seen();
      c.dispatchEvent(new WheelEvent("wheel", {deltaY: 100, cancelable: true}));
      const drawn = /[1-9]/.test(first);
      document.title = [drawn, first != then, then != seen()].join(); })</script>"""
    path.write_text(path.read_text().replace("</body>", look + "</body>"))
    dom, log = dumped(path, tmp_path)
    assert "<title>true,true,true</title>" in dom, log[-2000:]
    assert not re.search("CONSOLE.*(Uncaught|Error)", log)
