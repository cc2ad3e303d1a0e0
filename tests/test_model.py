"""Model files: what is read, what is refused in which words, and that written ones read back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.membrane.compartment import State, ionic_current
from neurojax.membrane.path_names import parameters
from neurojax.membrane.rest import steady_state
from neurojax.model import (
    ModelError,
    load_model,
    packaged,
    parse_model,
    to_toml,
)
from neurojax.model.space import free

pytestmark = pytest.mark.smoke

GOOD = """
name = "one"
[cell]
area = "1200 um2"
celsius = 21
[channels.na]
type = "SquidNa"
g_bar = "0.1 S/cm2"
[channels.k]
type = "SquidK"
E_rev = "-0.08 V"
[channels.m]
type = "CortexKm"
[free]
na.g_bar = true
"k.E_rev" = { low = "-0.095 V", high = -70, also = ["m.E_rev"] }
C_m = { scale = "linear" }
"k.g_bar" = false
"""


def test_units_free_parameters_and_ties_are_read():
    model = parse_model(GOOD)
    known = parameters(model.cell)
    assert known["area"][0] == pytest.approx(1.2e-5)
    assert known["na.g_bar"][0] == pytest.approx(100.0)
    assert known["k.E_rev"][0] == pytest.approx(-80.0)
    assert known["m.E_rev"][0] == pytest.approx(-80.0)  # follows k.E_rev
    assert model.cell.celsius == 21
    assert model.space.names == ["na.g_bar", "k.E_rev", "C_m"]
    low, high = model.space.free[1].low, model.space.free[1].high
    assert (low, high) == (pytest.approx(-95.0), -70.0)
    assert model.space.free[2].scale == "linear"


IONS = """
[cell]
celsius = 34
electrode_ion = "k"
[inputs]
light = 0.5
[ions.ca]
valence = 2
inside = "100 nM"
outside = "2 mM"
depth = "200 nm"
tau = 80
buffer = 20
pump_max = "2 uM/ms"
pump_hill = 2
[ions.k]
valence = 1
inside = 140
outside = 4
[channels.na]
type = "SquidNa"
scheme = true
[channels.ca]
type = "CortexCaL"
E_rev = "nernst"
[channels.kca]
type = "NeocortexKca"
E_rev = "nernst"
[channels.leak]
type = "CortexLeak"
[free]
ions.ca.tau = true
"ions.ca.depth" = { low = "50 nm", high = 2 }
ca.g_bar = true
"""


def test_ions_inputs_and_schemes_are_read_and_written():
    model = parse_model(IONS)
    for cell in (model.cell, parse_model(to_toml(model.cell, model.space)).cell):
        ca = cell.ions["ca"]
        assert (ca.valence, ca.pump_hill, cell.ions["k"].valence) == (2, 2, 1)
        assert (ca.inside, ca.outside) == pytest.approx((1e-4, 2.0))
        assert (ca.depth, ca.tau, ca.buffer, ca.pump_max) == pytest.approx((0.2, 80, 20, 2e-3))
        assert ca.depth_o is None and cell.ions["k"].depth is None
        assert (cell.inputs, cell.electrode_ion) == ({"light": 0.5}, "k")
        assert cell.channels["ca"].E_rev is None
        assert type(cell.channels["na"]) is type(nj.as_scheme(SquidNa()))
    assert model.space.names == ["ions.ca.tau", "ions.ca.depth", "ca.g_bar"]
    assert parse_model(to_toml(model.cell, model.space)).space == model.space
    assert model.at({"ions.ca.tau": 30.0}).ions["ca"].tau == 30.0


def test_a_cell_of_a_model_file_moves_its_ions():
    cell = parse_model(IONS).cell
    current = nj.current_clamp(nj.steps(10.0, start=1, stop=20, duration=20, dt=0.025))
    with pytest.warns(
        UserWarning, match="'na': the rates of SquidNaScheme are so fast"
    ):  # at 34 degC
        told = nj.simulate(cell, current, record=("ca_i", "E_ca", "na.m3h1"))
    assert bool(told.ok) and told.data["ca_i"].max() > 2e-4
    assert told.data["E_ca"][-1] < told.data["E_ca"][0]


def test_other_values_move_what_is_tied():
    moved = parse_model(GOOD).at({"k.E_rev": -90.0, "celsius": 30.0})
    assert parameters(moved)["m.E_rev"][0] == -90.0
    assert moved.celsius == 30.0


def test_a_model_without_free_parameters_has_no_space():
    assert parse_model('[channels.leak]\ntype = "SquidLeak"').space is None


@pytest.mark.parametrize("name", packaged())
def test_packaged_models_read_back_from_what_is_written(name):
    model = load_model(name)
    again = parse_model(to_toml(model.cell, model.space, name="x", description='a "b" \\ c\n'))
    assert again.space == model.space
    assert again.description == 'a "b" \\ c\n'
    for path, (value, _) in parameters(model.cell).items():
        np.testing.assert_array_equal(parameters(again.cell)[path][0], value, path)


@pytest.mark.parametrize(("name", "count"), [("squid", 8), ("herg", 9)])
def test_packaged_models_have_the_free_parameters_they_promise(name, count):
    assert len(load_model(name).space) == count


def test_float32_values_are_written_short():
    cell = nj.Cell(channels={"k": SquidK(g_bar=jnp.float32(0.1))})
    assert "g_bar = 0.1  # mS/cm2" in to_toml(cell)


def test_a_population_or_a_foreign_channel_is_not_written():
    with pytest.raises(ValueError, match=r"k.g_bar has shape|g_bar has shape \(2,\)"):
        to_toml(nj.Cell(channels={"k": SquidK(g_bar=np.array([1.0, 2.0]))}))

    @nj.pytree
    class Mine(SquidLeak):
        """Not in the catalogue."""

    with pytest.raises(ValueError, match="Mine cannot be found from a model file: put the class"):
        to_toml(nj.Cell(channels={"a": Mine()}))


def test_a_fitted_space_is_written_with_its_bounds():
    cell = nj.Cell(channels={"k": SquidK()})
    space = free(cell, {"k.g_bar": (1.0, 50.0)})
    assert parse_model(to_toml(cell, space)).space == space


LEAK = '[channels.leak]\ntype = "SquidLeak"\n'

BAD = {
    "syntax": ("[cell\n", "not valid TOML"),
    "unknown table": (LEAK + "[fre]\n", "unknown table or key 'fre'; did you mean 'free'"),
    "unknown cell key": (LEAK + "[cell]\nCm = 1\n", "[cell]: unknown key 'Cm'; did you mean 'C_m'"),
    "wrong unit": (LEAK + '[cell]\narea = "12 pF"\n', "'pF' is a unit of capacitance"),
    "unknown unit": (LEAK + '[cell]\narea = "12 squm"\n', "unknown unit 'squm'"),
    "not a number": (LEAK + "[cell]\narea = true\n", "expected a number or a quantity in cm2"),
    "out of bounds": (LEAK + "[cell]\nC_m = 80\n", "C_m = 80 uF/cm2 is outside [0.3, 50] uF/cm2"),
    "too warm": (LEAK + "[cell]\ncelsius = 310\n", "celsius = 310 degC is outside [-10, 60] degC"),
    "no channel": ("[cell]\nC_m = 1\n", "no channel: expected at least one table"),
    "no type": ("[channels.na]\ng_bar = 3\n", "[channels.na]: type is missing"),
    "channel not a table": ("[channels]\nna = 3\n", "[channels.na]: expected a table with a type"),
    "unknown class": (
        '[channels.na]\ntype = "SquidNA"\n',
        "no channel class 'SquidNA'; did you mean 'SquidNa'",
    ),
    "unknown parameter": (
        LEAK + "gbar = 3\n",
        "unknown parameter of SquidLeak: 'gbar'; did you mean 'g_bar'",
    ),
    "parameter out of bounds": (
        LEAK + 'g_bar = "1 S/cm2"\n',
        "[channels.leak] g_bar = 1000 mS/cm2 is outside [0, 10] mS/cm2",
    ),
    "unknown free": (LEAK + "[free]\n'leak.gbar' = true\n", "did you mean 'leak.g_bar'"),
    "bad spec": (
        LEAK + "[free]\n'leak.g_bar' = 3\n",
        "expected true or { low, high, scale, also, prior, why }",
    ),
    "unknown spec key": (
        LEAK + "[free]\n'leak.g_bar' = { lo = 3 }\n",
        "[free] leak.g_bar: unknown key 'lo'; did you mean 'low'",
    ),
    "bad scale": (LEAK + "[free]\n'leak.E_rev' = { scale = 'ln' }\n", "scale is 'ln'"),
    "log across zero": (LEAK + "[free]\n'leak.E_rev' = { scale = 'log' }\n", "a 'log' scale"),
    "empty bounds": (LEAK + "[free]\n'leak.g_bar' = { low = 3, high = 1 }\n", "are empty"),
    "free out of bounds": (
        LEAK + "[free]\n'leak.g_bar' = { high = 99 }\n",
        "high = 99 mS/cm2 is outside [0, 10] mS/cm2",
    ),
    "start outside": (
        LEAK + "g_bar = 5\n[free]\n'leak.g_bar' = { high = 3 }\n",
        "[free]: the model's leak.g_bar = 5 mS/cm2 is outside [0, 3] mS/cm2",
    ),
    "unknown tie": (
        LEAK + "[free]\n'leak.E_rev' = { also = ['k.E_rev'] }\n",
        "also names no parameter 'k.E_rev'; did you mean 'leak.E_rev'",
    ),
    "tie of another unit": (
        LEAK + "[free]\n'leak.E_rev' = { also = ['C_m'] }\n",
        "also names C_m, in uF/cm2, not mV",
    ),
    "contradicted tie": (
        LEAK + "E_rev = -60\n[channels.k]\ntype = 'SquidK'\nE_rev = -80\n"
        "[free]\n'leak.E_rev' = { also = ['k.E_rev'] }\n",
        "ties k.E_rev = -80 to leak.E_rev = -60",
    ),
    "tied and free": (
        LEAK + "[channels.k]\ntype = 'SquidK'\n"
        "[free]\n'leak.E_rev' = { also = ['k.E_rev'] }\n'k.E_rev' = true\n",
        "also names k.E_rev, which is free itself",
    ),
    "ion without valence": (
        LEAK + "[ions.ca]\ninside = 1e-4\noutside = 2\n",
        "[ions.ca]: valence is missing (valence, inside and outside are needed)",
    ),
    "unknown ion key": (
        LEAK + "[ions.ca]\nvalense = 2\n",
        "[ions.ca]: unknown key 'valense'; did you mean 'valence'",
    ),
    "no such valence": (
        LEAK + "[ions.ca]\nvalence = 2.5\ninside = 1e-4\noutside = 2\n",
        "[ions.ca] valence = 2.5: expected a whole number, not 0",
    ),
    "ion out of bounds": (
        LEAK + "[ions.ca]\nvalence = 2\ninside = '0 mM'\noutside = 2\n",
        "[ions.ca] inside = 0 mM is outside [1e-06, 1000] mM",
    ),
    "ion not a table": (LEAK + "[ions]\nca = 3\n", "[ions.ca]: expected a table, got 3"),
    "a name that paths use": (
        "[channels.ions]\ntype = 'SquidLeak'\n",
        "[channels.ions]: a name has no dot and is not one of",
    ),
    "input that is an ion's": (
        LEAK + "[ions.ca]\nvalence = 2\ninside = 1e-4\noutside = 2\n[inputs]\nca_i = 1\n",
        "[inputs] ca_i: is a concentration of [ions.ca]",
    ),
    "electrode without its ion": (
        LEAK + "[cell]\nelectrode_ion = 'k'\n",
        "[cell] electrode_ion = 'k': no such table in [ions] (have: none)",
    ),
    "nernst of nothing": (
        LEAK + "E_rev = 'nernst'\n",
        "[channels.leak] E_rev = 'nernst': SquidLeak carries 0 ions, not 1",
    ),
    "nernst of no ion": (
        LEAK + "[channels.k]\ntype = 'SquidK'\nE_rev = 'nernst'\n",
        "channel 'k': SquidK needs 'k_i', which the cell has not: give it an ion 'k'",
    ),
    "reads no ion": (
        "[channels.ahp]\ntype = 'NeocortexKca'\n",
        "channel 'ahp': NeocortexKca needs 'ca_i', which the cell has not",
    ),
    "scheme of no gate": (
        LEAK + "scheme = true\n",
        "[channels.leak] scheme = true: SquidLeak has no gate with a time course",
    ),
    "scheme of a number": (
        LEAK + "scheme = 3\n",
        "[channels.leak] scheme = 3: expected true or false",
    ),
    "name not text": ("name = 3\n" + LEAK, "name: expected text, got 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_named_with_what_is_allowed(case, tmp_path):
    text, message = BAD[case]
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_missing_models_are_named_with_the_nearest():
    with pytest.raises(ModelError, match=r"no model 'squit'; did you mean 'squid'\? \(packaged: a"):
        load_model("squit")
    with pytest.raises(ModelError, match=r"folder/x.toml: no such model file"):
        load_model("folder/x.toml")


def _as_neuron_does(cell, amplitude_pA, dt, duration):
    """NEURON's own step: implicit Euler for v at the old gates, then the gates at the new v."""
    i = jnp.asarray(
        nj.steps(amplitude_pA * 1e-6, start=300, stop=duration, duration=duration, dt=dt)
    )

    def tick(s, i):
        current = lambda v: ionic_current(cell, v, s.x, {}) - i / cell.area  # noqa: E731
        total, slope = jax.jvp(current, (s.v,), (jnp.ones_like(s.v),))
        v = s.v - dt / cell.C_m * total / (1 + dt * slope / cell.C_m)
        x = {k: c.advance(s.x[k], v, dt, cell.celsius) for k, c in cell.channels.items()}
        return State(v, x), v

    _, v = jax.jit(lambda s: jax.lax.scan(tick, s, i))(steady_state(cell, -70.0))
    v = np.asarray(v)
    k = np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))
    return (k + 1 - v[k] / (v[k + 1] - v[k])) * dt


def test_pospischil_spike_times_are_those_of_neuron(x64):
    """NEURON's times at dt = 0.001 ms, whose last digits its first-order step sets."""
    rs = _as_neuron_does(load_model("cortex_rs").cell, 750.0, 1e-3, 600.0)
    assert rs == pytest.approx([320.554, 348.522, 387.944, 456.690, 592.105], abs=1.5e-3)
    fs = _as_neuron_does(load_model("cortex_fs").cell, 500.0, 1e-3, 360.0)
    assert fs == pytest.approx([317.023, 337.195, 357.367], abs=1.5e-3)


def test_the_whole_of_a_membrane_whose_area_is_known():
    text = """
    [cell]
    area = "2000 um2"
    C_m = "20 pF"
    [channels.leak]
    type = "CortexLeak"
    g_bar = "2 nS"
    [free]
    "leak.g_bar" = { low = "1 nS", high = "40 nS" }
    """
    model = parse_model(text)
    assert model.cell.C_m == pytest.approx(1.0)
    assert model.cell.channels["leak"].g_bar == pytest.approx(0.1)
    assert model.space["leak.g_bar"].high == pytest.approx(2.0)
    changed = nj.replace(model.cell, {"leak.g_bar": "4 nS", "area": "1000 um2"})
    assert changed.channels["leak"].g_bar == pytest.approx(0.4)
    with pytest.raises(ModelError, match=r"leak\] g_bar = '2 nS': .*: give the area of the cell"):
        parse_model(text.replace('area = "2000 um2"', "").replace('C_m = "20 pF"', ""))


def test_bounds_wider_than_declared_travel_with_their_reason():
    text = """
    [cell]
    [channels.na]
    type = "SquidNa"
    g_bar = 1500
    [free]
    na.g_bar = { low = 100, high = 3000, why = "densely packed" }
    """
    model = parse_model(text)
    assert model.space["na.g_bar"].why == "densely packed"
    again = parse_model(to_toml(model.at({"na.g_bar": 2500.0}), model.space))
    assert again.cell.channels["na"].g_bar == 2500 and again.space == model.space
    with pytest.raises(ValueError, match=r"na.g_bar = 4000 mS/cm2 is outside \[100, 3000\]"):
        model.at({"na.g_bar": 4000.0})
    with pytest.raises(ModelError, match=r"g_bar = 1500 mS/cm2 is outside \[0, 1000\]"):
        parse_model(text.replace(', why = "densely packed"', ""))
