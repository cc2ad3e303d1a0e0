"""Cells as NeuroML: read back they are the same, the schema and jNeuroML take them, refusals."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import neurojax as nj
from neurojax.channels import CortexLeak, PyramidalH, SquidK, SquidLeak, SquidNa
from neurojax.cli.convert import run_convert
from neurojax.membrane.compartment import step
from neurojax.membrane.rates import from_tau
from neurojax.membrane.rest import steady_state
from neurojax.model import load_model, load_neuroml, packaged, to_neuroml

CANNOT = {
    "astrocyte", "hair_cell", "human_ventricle_ten_tusscher", "purkinje_fibre_noble", "rod",
    "sinus_fabbri", "touch_receptor", "ventricle_luo_rudy",
}  # fmt: skip
CELLS = sorted(set(packaged()) - CANNOT)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Every packaged cell that NeuroML has, as a file, by its name."""
    folder, made = tmp_path_factory.mktemp("nml"), {}
    for name in CELLS:
        made[name] = folder / f"{name}.nml"
        made[name].write_text(to_neuroml(load_model(name).cell, name=name))
    return made


def moved(cell, steps=2):
    """A cell's state after a few steps from -50 mV under a current, without compiling."""
    s = steady_state(cell, jnp.asarray(-50.0))
    for _ in range(steps):
        s = step(cell, s, nj.current_clamp(jnp.asarray(1e-4)), 0.05)
    return s


@nj.pytree
class Own(SquidK):
    """A channel with a step of its own."""

    def advance(self, x, *_, **__):
        return x


def upward(t, v, level=0.0):
    """When v passes a level upwards, ms."""
    k = np.flatnonzero((v[:-1] < level) & (v[1:] >= level))
    return t[k] + (level - v[k]) / (v[k + 1] - v[k]) * (t[k + 1] - t[k])


@pytest.mark.parametrize("name", ["squid", "cortex_lts", "herg", "adapting", "cortex_l5_hay_soma"])
def test_what_is_read_back_moves_as_the_cell_did(name, files, x64):
    """Standard gates, pools with a Nernst potential, a scheme, LEMS that reads calcium."""
    with jax.disable_jit():
        ours, theirs = moved(load_model(name).cell), moved(load_neuroml(files[name]).cell)
    assert float(theirs.v) == pytest.approx(float(ours.v), rel=1e-9)
    for k, c in ours.c.items():
        assert float(theirs.c[k]) == pytest.approx(float(c), rel=1e-9)


def test_a_cell_with_dendrites_keeps_its_compartments(files):
    ours, theirs = (
        load_model("cortex_mainen_sejnowski_two").cell,
        load_neuroml(files["cortex_mainen_sejnowski_two"]).cell,
    )
    for name in ("area", "length", "diameter", "R_i", "C_m"):
        one, other = (np.broadcast_to(getattr(c, name), 2) for c in (ours, theirs))
        np.testing.assert_allclose(other, one, rtol=1e-9)
    assert theirs.parents == ours.parents and theirs.attached == ours.attached
    assert theirs.celsius == pytest.approx(ours.celsius)
    long = nj.membrane.builders.cylinder(500.0, 2.0, 7, {"leak": CortexLeak()})
    branched = nj.membrane.builders.rall_tree({"leak": CortexLeak()}, compartments=3)
    for cell in (long, branched):
        path = files["squid"].with_name("tree.nml")
        path.write_text(to_neuroml(cell))
        made = load_neuroml(path).cell
        assert made.parents == cell.parents
        np.testing.assert_allclose(made.length, np.broadcast_to(cell.length, len(cell.parents)))


def test_the_spikes_of_what_is_read_back_are_those_of_the_cell(files, x64):
    current = nj.current_clamp(nj.steps(100, start=2, stop=40, duration=40, dt=0.02), unit="pA")
    runs = [
        nj.simulate(cell, current, 0.02, initial=-65.0)
        for cell in (load_model("squid").cell, load_neuroml(files["squid"]).cell)
    ]
    ours, theirs = (upward(np.asarray(run.t), np.asarray(run.v)) for run in runs)
    assert len(ours) == 3
    np.testing.assert_allclose(theirs, ours, atol=1e-6)


def test_standard_forms_are_recognised(files):
    """Also where q10, v_shift and tau_scale are in the numbers, and none needs LEMS."""
    cell = nj.Cell(
        channels={"na": SquidNa(v_shift=5.0, tau_scale=2.0), "k": SquidK(), "leak": SquidLeak()}
    )
    text = to_neuroml(cell)
    assert "ComponentType" not in text and "q10" not in text, "no temperature, no Q10"
    assert 'type="HHExpLinearRate" rate="0.5 per_ms" midpoint="-35 mV" scale="10 mV"' in text
    assert 'q10Factor="3" experimentalTemp="6.3degC"' in files["squid"].read_text()
    assert "ln(" not in files["adapting"].read_text(), "a power is written as one"


def test_files_are_valid(files):
    nml = pytest.importorskip("neuroml.nml")
    etree = pytest.importorskip("lxml.etree")
    schemas = sorted(Path(nml.__path__[0]).glob("NeuroML_v2.3*.xsd"))
    schema = etree.XMLSchema(etree.parse(schemas[-1]))
    for path in files.values():
        schema.assertValid(etree.parse(path))


@pytest.mark.slow
def test_jneuroml_runs_them(files, tmp_path, x64):
    """Its steps are of first order: extrapolated from two, a spike is where ours is."""
    found = importlib.util.find_spec("pyneuroml")  # which brings the jar
    lib = Path(found.origin).parent / "lib" if found else tmp_path
    jars = list(lib.glob("jNeuroML*with-dependencies.jar"))
    if not jars or shutil.which("java") is None:
        pytest.skip("no jNeuroML, or no Java")
    text = files["cortex_lts"].read_text()
    pulse = (
        '<pulseGenerator id="pulse" delay="10ms" duration="50ms" amplitude="0.2nA"/>\n  <network'
    )
    text = text.replace("<network", pulse, 1)
    into = '<explicitInput target="one[0]" input="pulse"/>\n  </network>'
    (tmp_path / "cell.nml").write_text(text.replace("</network>", into))
    spikes = []
    for dt in (0.01, 0.005):
        (tmp_path / "lems.xml").write_text(f"""<Lems><Target component="run"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Inputs.xml"/>
<Include file="Simulation.xml"/><Include file="cell.nml"/>
<Simulation id="run" length="60ms" step="{dt}ms" target="cortex_lts_network">
<OutputFile id="out" fileName="v.dat"><OutputColumn id="v" quantity="one[0]/v"/></OutputFile>
</Simulation></Lems>""")
        command = ["java", "-jar", str(jars[0]), "lems.xml", "-nogui"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=120, capture_output=True)
        t, v = 1e3 * np.loadtxt(tmp_path / "v.dat").T
        spikes.append(upward(t, v))
    current = nj.current_clamp(nj.steps(200, start=10, stop=60, duration=60, dt=0.005), unit="pA")
    ours = nj.simulate(load_model("cortex_lts").cell, current, 0.005, initial=-65.0)
    theirs = 2 * spikes[1] - spikes[0]
    np.testing.assert_allclose(theirs, upward(np.asarray(ours.t), np.asarray(ours.v)), atol=0.01)


@pytest.mark.parametrize("name", sorted(CANNOT))
def test_what_neuroml_has_not_is_refused_by_name(name):
    with pytest.raises(ValueError, match=r"^(channel|ion) '\w+': .{20}"):
        to_neuroml(load_model(name).cell)


def test_populations_tapers_and_many_densities_are_refused():
    with pytest.raises(ValueError, match=r"leak.g_bar has shape \(3,\): a NeuroML file holds one"):
        to_neuroml(nj.Cell(channels={"leak": CortexLeak(g_bar=np.ones(3))}))
    two = {"a b": CortexLeak(), "a_b": CortexLeak()}
    with pytest.raises(ValueError, match="'a b' and 'a_b' have the same id"):
        to_neuroml(nj.Cell(channels=two))
    with pytest.raises(ValueError, match="'k': a Own moves its states by a step of its own"):
        to_neuroml(nj.Cell(channels={"k": Own()}))
    taper = nj.membrane.builders.tapered(100.0, (4.0, 1.0), 5, {"leak": CortexLeak()})
    with pytest.raises(ValueError, match="compartments taper"):
        to_neuroml(taper)
    cable = nj.membrane.builders.cylinder(
        100.0, 1.0, 60, {"h": PyramidalH()}, density={"h": lambda path: 1 + path}
    )
    with pytest.raises(ValueError, match="'h' differs in 60 groups"):
        to_neuroml(cable)


def test_the_command_writes_a_model_and_says_what_it_cannot(tmp_path):
    path = tmp_path / "squid.nml"
    run_convert(Path("squid"), path, "axon", False, None, Console(quiet=True))
    assert '<cell id="axon">' in path.read_text()
    for model, check, told in (
        ("rod", False, "exists and differs|ion 'os'"),
        ("Na.mod", False, "becomes NeuroML with its cell"),
        ("squid", True, "are of an NMODL channel"),
    ):
        with pytest.raises(ValueError, match=told):
            run_convert(Path(model), path, "", check, None, Console(quiet=True))


@nj.pytree
class Bends(SquidK):
    """A channel whose formulas have cases, bounds and powers, and read calcium."""

    reads = ("ca_i",)

    def gating(self, v, ca_i):
        inf = jnp.where(v < -40, jnp.exp((v + 40) / 20), 1 / (1 + 0.01 * (v + 40) ** 2))
        tau = jnp.clip(abs(v + 50) / 10, 0.5, 3) + jnp.maximum(v, 0) ** 1.5 / 200
        held = ~(v < 20) & (v != 30)
        part = ca_i**1.3 / (ca_i**1.3 + 1e-4**1.3)
        return {"n": from_tau(jnp.minimum(inf, 0.9) * part, tau * jnp.where(held, 2.0, 1.0))}


def test_cases_bounds_and_powers_are_written_and_read(tmp_path, x64):
    ca = nj.Ion(valence=2, inside=1e-4, outside=2.0, depth=0.1, tau=20.0)
    ours = nj.Cell(channels={"k": Bends()}, ions={"ca": ca})
    path = tmp_path / "bends.nml"
    path.write_text(to_neuroml(ours))
    theirs = load_neuroml(path).cell.channels["k"]
    v = jnp.linspace(-100.2, 60.3, 50)
    for c in (1e-5, 3e-4):
        given = {"ca_i": jnp.full_like(v, c)}
        one, other = (x.kinetics(v, **given)["n"] for x in (Bends(), theirs))
        np.testing.assert_allclose(other.inf, one.inf, rtol=1e-8)
        np.testing.assert_allclose(other.rate, one.rate, rtol=1e-8)


def test_ids_are_those_that_neuroml_has():
    text = to_neuroml(nj.Cell(channels={"a leak": CortexLeak()}), name="7 cells")
    assert set(re.findall(r'id="([^"]*)"', text)) >= {"_7_cells", "a_leak"}
