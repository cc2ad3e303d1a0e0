"""Membrane models of Myokit and CellML: against Myokit's CVODE and LSODA; what is refused."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import neurojax as nj
from neurojax.model import MyokitError, load_model, load_myokit

myokit = pytest.importorskip("myokit")

HEART = """
[[model]]
name: Small heart
membrane.V = -0.0846
ina.m = 0.011
ina.h = 0.988
ica.d = 0.003
ica.f = 0.994
ica.Ca = 1.782e-7
ik.c = 0.9
ik.o = 0.1

[engine]
time = 0 [s] in [s] bind time
pace = 0 bind pace

[membrane]
C = 0.01 [F/m^2] in [F/m^2]
dot(V) = -(ina.i + ica.i + ik.i + i_k1 + i_stim) / C in [V]
    label membrane_potential
mV = V * 1000 [mV/V] in [mV]
amplitude = -0.25 [A/m^2] in [A/m^2]
i_stim = engine.pace * amplitude in [A/m^2]
i_k1 = 0.0035 [A/m^2] * (4 * (exp(0.04 * (mV + 85)) - 1) / (exp(0.08 * (mV + 53))
    + exp(0.04 * (mV + 53))) + 0.2 * (mV + 23) / (1 - exp(-0.04 * (mV + 23)))) in [A/m^2]

[ina]
use membrane.V, membrane.mV
a = (mV + 47) / (1 - exp(-0.1 * (mV + 47)))
b = 40 * exp(-0.056 * (mV + 72))
dot(m) = 1000 * (a * (1 - m) - b * m)
dot(h) = if(mV > -100, 126 * exp(-0.25 * (mV + 77)), 126 * exp(0.25 * 23)) * (1 - h)
    - 1700 / (exp(-0.082 * (mV + 22.5)) + 1) * h
n = 3
g = 40 [S/m^2] in [S/m^2]
    desc: sodium conductance
i = g * m^n * h * (V - 0.05 [V]) in [A/m^2]

[ica]
use membrane.V, membrane.mV
dot(d) = 95 * exp(-0.01 * (mV - 5)) / (1 + exp(-0.072 * (mV - 5))) * (1 - d)
    - 70 * exp(-0.017 * (mV + 44)) / (1 + exp(0.05 * (mV + 44))) * d
dot(f) = 12 * exp(-0.008 * (mV + 28)) / (1 + exp(0.15 * (mV + 28))) * (1 - f)
    - 6.5 * exp(-0.02 * (mV + 30)) / (1 + exp(-0.2 * (mV + 30))) * f
E = -0.0823 [V] - 0.013 [V] * log(Ca / 1 [M]) in [V]
i = 0.9 [S/m^2] * d * f * (V - E) in [A/m^2]
dot(Ca) = -1e-5 * i + 70 * (1e-7 [M] - Ca) in [M]

[ik]
use membrane.mV
k = 50 * exp(0.083 * (mV + 50)) / (1 + exp(0.057 * (mV + 50)))
l = 1.3 * exp(-0.06 * (mV + 20)) / (1 + exp(-0.04 * (mV + 20)))
dot(c) = l * o - k * c
dot(o) = k * c - l * o
i = 0.008 [A/m^2] * o * (exp(0.04 * (mV + 77)) - 1) / exp(0.04 * (mV + 35)) in [A/m^2]

[[protocol]]
# level start length period multiplier
1.0 0.01 0.002 1 0
"""
HEART = HEART.replace("\n    + exp", " + exp").replace("\n    - ", " - ")


@pytest.fixture(scope="module")
def heart(tmp_path_factory):
    path = tmp_path_factory.mktemp("mmt") / "small_heart.mmt"
    path.write_text(HEART)
    return path


def written(tmp_path, text, name="model.mmt"):
    path = tmp_path / name
    path.write_text(text)
    return path


APD = 154.7398
"""ms above -60 mV, by Myokit's CVODE at a tolerance of 1e-9."""

AT = {
    5: -85.3965, 15: 26.9248, 20: 4.7305, 40: -13.7387, 80: -11.2888, 120: -19.5819,
    150: -40.7512, 170: -65.4485, 200: -81.1183, 280: -82.5296,
}  # fmt: skip
"""Its potentials, mV, at times, ms."""


def reference(path, t_end):
    """t (ms) and V (mV) by LSODA, from break to break of the protocol."""
    model = myokit.load_model(str(path))
    y, t, at, v = np.array(model.initial_values(as_floats=True)), 0.0, [], []
    for stop, level in zip((0.01, 0.012, t_end / 1e3), (0.0, 1.0, 0.0), strict=True):

        def change(t, y, level=level):
            return model.evaluate_derivatives(y, inputs={"time": t, "pace": level})

        grid = np.append(np.arange(t, stop - 1e-6, 2e-4), stop)
        done = solve_ivp(change, (t, stop), y, method="LSODA", rtol=1e-7, atol=1e-10, t_eval=grid)
        at, v = [*at, *done.t[:-1]], [*v, *done.y[0, :-1]]
        y, t = done.y[:, -1], stop
    return 1e3 * np.array(at), 1e3 * np.array(v)


def duration(t, v, level=-60.0):
    """How long an action potential is above a level, ms."""
    above = v > level
    up, down = np.argmax(above), len(v) - 1 - np.argmax(above[::-1])
    cross = lambda a, b: t[a] + (level - v[a]) / (v[b] - v[a]) * (t[b] - t[a])  # noqa: E731
    return cross(down, down + 1) - cross(up - 1, up)


def test_an_action_potential_is_that_of_the_file(heart):
    """Volts, seconds, M and A/m2 in the file; a Markov scheme, a pool and gates; in float32."""
    made = load_myokit(heart)
    told = nj.simulate(made.cell, made.paced(300.0, 0.01), dt=0.01, initial=made.initial)
    assert bool(told.ok)
    assert duration(told.t, told.v) == pytest.approx(APD, rel=1e-3)
    apart = np.interp(list(AT), told.t, told.v) - np.array(list(AT.values()))
    np.testing.assert_allclose(apart, 0, atol=0.1)
    assert made.cell.C_m == pytest.approx(1.0) and made.initial.v == pytest.approx(-84.6)


@pytest.mark.slow
def test_the_reference_is_that_of_another_solver(heart):
    t, v = reference(heart, 300.0)
    assert duration(t, v) == pytest.approx(APD, rel=1e-4)
    np.testing.assert_allclose(np.interp(list(AT), t, v), list(AT.values()), atol=0.02)


def test_constants_are_parameters_with_units(heart):
    made = load_myokit(heart)
    known = nj.parameters(made.cell)
    value, info = known["membrane.ina_g"]
    assert (value, info.unit) == (pytest.approx(4.0), "mS/cm2")
    assert "membrane.ina_n" not in known, "a whole exponent is no parameter"
    assert "membrane.membrane_C" not in known, "it is the cell's C_m"
    assert made.initial.x["membrane"]["ica_Ca"] == pytest.approx(1.782e-4), "mM"
    assert made.remarks == ()


def test_a_step_has_slopes(heart):
    """Those of a population, by rates, groups and the current, without compiling a run."""
    made = load_myokit(heart)
    channel, x, v = made.cell.channels["membrane"], made.initial.x["membrane"], jnp.full(2, -30.0)
    x = {k: jnp.full(2, value) for k, value in x.items()}

    def after(v):
        moved = channel.advance(x, v, 0.02, pace=0.0)
        return channel.current(v, moved, pace=0.0), moved

    (i, moved), (g, slopes) = jax.jvp(after, (v,), (jnp.ones_like(v),))
    ahead = after(v + 0.25)[0]
    assert float(ahead[0] - i[0]) / 0.25 == pytest.approx(float(g[0]), rel=0.05)
    assert all(np.isfinite(one).all() for one in (*moved.values(), *slopes.values()))


@pytest.mark.slow
def test_a_population_has_gradients(heart):
    made = load_myokit(heart)
    electrode = nj.current_clamp(np.where(np.arange(500) < 100, 25.0, 0.0).astype(np.float32))

    def last(g):
        cell = nj.replace(made.cell, {"membrane.ina_g": g})
        return nj.simulate(cell, electrode, dt=0.02, initial=made.initial).v[-1]

    g = jnp.array([3.0, 4.0, 4.01])
    v, slope = jax.jit(lambda g: jax.jvp(last, (g,), (jnp.ones_like(g),)))(g)
    assert np.isfinite(slope).all() and v.shape == (3,)
    assert (v[2] - v[1]) / 0.01 == pytest.approx(float(slope[1]), rel=0.05)


def test_a_model_file_names_it(heart):
    model = load_model(heart)
    text = f"""
[cell]
[channels.all]
type = "{heart.name}"
ina_g = "3 mS/cm2"
[free]
"all.ina_g" = true
"""
    own = nj.model.parse_model(text, folder=heart.parent)
    assert own.space is not None and own.cell.channels["all"].ina_g == 3.0
    assert type(model.cell.channels["membrane"]) is type(own.cell.channels["all"])
    again = nj.model.parse_model(nj.model.to_toml(own.cell))
    assert type(again.cell.channels["all"]) is type(own.cell.channels["all"])


def test_cellml_is_the_same_equations(heart, tmp_path):
    from myokit.formats.cellml import CellMLExporter

    model, protocol, _ = myokit.load(str(heart))
    path = tmp_path / "small_heart.cellml"
    CellMLExporter().model(str(path), model, protocol)
    made, before = load_myokit(path), load_myokit(heart)
    v = jnp.array([-90.0, -47.0, 0.0])
    i = [
        m.cell.channels["membrane"].current(
            v, m.initial.x["membrane"], **{k: 0.0 for k in m.cell.channels["membrane"].reads}
        )
        for m in (made, before)
    ]
    np.testing.assert_allclose(i[0] / made.cell.C_m, i[1], rtol=1e-5)
    assert set(made.initial.x["membrane"]) == set(before.initial.x["membrane"])


REFUSED = {
    "no model": ("[[protocol]]\n1 0 1 0 0\n", "no [[model]]"),
    "no text": ("[[model]]\nx", "Syntax error"),
    "no voltage": ("[[model]]\na.x = 1\n[a]\nt = 0 bind time\ndot(x) = -x\n", "no membrane pot"),
    "a clamp": (
        HEART.replace("membrane.V = -0.0846\n", "").replace(
            "dot(V) = -(ina.i + ica.i + ik.i + i_k1 + i_stim) / C in [V]", "V = -0.08 [V] in [V]"
        ),
        "has no equation dot(V)",
    ),
    "a formula of the time": (
        HEART.replace("dot(o) = k * c", "dot(o) = engine.time * c"),
        "a formula of the time (ik.o)",
    ),
    "an undefined name": (HEART.replace("i = g * m^n", "i = gg * m^n"), "gg"),
    "nested too deep": (HEART.replace("amplitude = ", f"z = {'(' * 900}1{')' * 900}\namplitude = "),
                        "nested too deep"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_told(what, tmp_path):
    text, told = REFUSED[what]
    path = written(tmp_path, text)
    with pytest.raises(MyokitError) as error:
        load_myokit(path)
    assert str(path) in str(error.value) and told in str(error.value)


def test_a_cell_goes_to_another_process(heart):
    made = nj.replace(load_myokit(heart).cell, {"membrane.ina_g": np.array([3.0, 4.0])})
    again = pickle.loads(pickle.dumps(made))
    assert type(again.channels["membrane"]) is type(made.channels["membrane"])
    np.testing.assert_array_equal(again.channels["membrane"].ina_g, [3.0, 4.0])


def test_nothing_in_a_file_is_executed(heart, tmp_path):
    mark = tmp_path / "executed"
    path = written(tmp_path, HEART + f"\n[[script]]\nopen({str(mark)!r}, 'w')\n")
    load_myokit(path)
    assert not mark.exists()
    bomb = '<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><model>&b;</model>'
    with pytest.raises(MyokitError, match="declares an entity"):
        load_myokit(written(tmp_path, bomb, "bomb.cellml"))
