"""gradient: against finite differences, whichever way it takes; what it refuses, and why."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.membrane.electrode import nudged
from neurojax.run import gradients

DT, STEPS, EVERY = 0.05, 240, 4
RECORDS = STEPS // EVERY
T = (np.arange(STEPS) + 1) * DT
DATA = -60 + 15 * np.sin(T)
SWEEP = -30 + 40 * np.sin(0.7 * T)
SPIKE = nj.current_clamp(nj.steps(12.0, start=1.0, stop=8.0, duration=STEPS * DT, dt=DT))
WRT = [
    "na.g_bar", "C_m", "k.E_rev", "k.v_shift", "na.tau_scale", "area", "initial.v", "initial.na.h"
]  # fmt: skip


@nj.pytree
class Area(nj.Fold):
    """The area under the potential, seen through a smooth threshold."""

    def init(self, cell, s):
        return {"sum": jnp.zeros_like(s.v), "records": 0}

    def update(self, carry, cell, s, row):
        return {
            "sum": carry["sum"] + jnp.tanh(s.v / 40) * cell.C_m,
            "records": carry["records"] + 1,
        }

    def finish(self, carry, duration):
        return carry["sum"] / carry["records"] * duration


def target(kind, unit_weight=1.0):
    rows = jnp.asarray(np.interp(T[EVERY - 1 :: EVERY], T, DATA))
    return kind(data=nj.Target(rows, jnp.full(RECORDS, unit_weight)))


CASES = {
    "spiking": (SPIKE, lambda: target(nj.VoltageError)),
    "nudged": (nudged(SPIKE, DATA, 0.5), lambda: target(nj.VoltageError)),
    "series resistance": (nj.voltage_clamp(SWEEP, R_s_MOhm=2e-3), lambda: target(nj.VoltageError)),
    "ideal clamp": (nj.voltage_clamp(SWEEP), lambda: target(nj.CurrentError, 1e-9)),
    "mean": (SPIKE, lambda: nj.Mean()),
    "a fold of the user's": (SPIKE, lambda: Area()),
}


def squid(**parameters):
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {k.replace("__", "."): x for k, x in parameters.items()})


@pytest.fixture(params=["tangents", "adjoint"])
def way(request, monkeypatch):
    """Both ways, whatever the number of parameters."""
    jax.clear_caches()
    monkeypatch.setattr(gradients, "CROSSOVER", 100 if request.param == "tangents" else 0)
    yield request.param
    jax.clear_caches()


def value(cell, electrode, fold, initial):
    r = nj.simulate(cell, electrode, DT, record=(), every=EVERY, initial=initial, folds={"f": fold})
    return float(r.folds["f"])


def moved(cell, s, name, by):
    """The cell and its first state with one parameter changed."""
    if not name.startswith("initial."):
        known = nj.parameters(cell)
        return nj.membrane.compartment.substitute(cell, {name: known[name][0] + by}), s
    if name == "initial.v":
        return cell, s._replace(v=s.v + by)
    _, channel, gate = name.split(".")
    gates = s.x[channel] | {gate: s.x[channel][gate] + by}
    return cell, s._replace(x=s.x | {channel: gates})


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_slope_of_central_differences(case, way, x64):
    electrode, make = CASES[case]
    cell, fold = squid(k__v_shift=1.0), make()
    s = nj.steady_state(cell, -65.0)
    # The gates start elsewhere than where v would have them, so that they count.
    s = s._replace(x=jax.tree.map(lambda x: 0.9 * x + 0.02, s.x))
    found = nj.gradient(cell, electrode, DT, of=fold, wrt=WRT, every=EVERY, initial=s)
    assert found.gradient.shape == (len(WRT),)
    assert float(found.value) == pytest.approx(value(cell, electrode, fold, s), rel=1e-12)
    for name, slope in zip(WRT, found.gradient, strict=True):
        h = {"initial.na.h": 1e-6, "area": 1e-6, "C_m": 1e-6}.get(name, 1e-5)
        up, down = (value(*_with(cell, s, name, k * h, electrode, fold)) for k in (1, -1))
        noise = 1e-10 * (abs(up) + 1) / h
        assert float(slope) == pytest.approx((up - down) / (2 * h), rel=2e-5, abs=noise), name


def _with(cell, s, name, by, electrode, fold):
    cell, s = moved(cell, s, name, by)
    return cell, electrode, fold, s


def test_rows_are_in_the_order_asked_for(way):
    fold = target(nj.VoltageError)
    told = {"of": fold, "every": EVERY, "initial": -65.0}
    one = nj.gradient(squid(), SPIKE, DT, wrt=["na.g_bar", "C_m", "k.g_bar"], **told)
    other = nj.gradient(squid(), SPIKE, DT, wrt=["k.g_bar", "na.g_bar", "C_m"], **told)
    np.testing.assert_allclose(one.gradient, other.gradient[jnp.array([1, 2, 0])], rtol=1e-4)
    if way == "tangents":
        order = np.ix_([1, 2, 0], [1, 2, 0])
        np.testing.assert_allclose(one.matrix, other.matrix[order], rtol=1e-4)


def test_the_matrix_is_that_of_the_residuals(x64):
    fold = target(nj.VoltageError)
    wrt = ["na.g_bar", "k.g_bar", "leak.g_bar"]
    found = nj.gradient(squid(), SPIKE, DT, of=fold, wrt=wrt, every=EVERY, initial=-65.0)

    def residuals(values):
        cell = nj.replace(squid(), dict(zip(wrt, values, strict=True)))
        return nj.simulate(cell, SPIKE, DT, every=EVERY, initial=-65.0).v - fold.data.data

    values = jnp.array([nj.parameters(squid())[k][0] for k in wrt])
    J, r = np.asarray(jax.jacfwd(residuals)(values)), np.asarray(residuals(values))
    np.testing.assert_allclose(found.matrix, J.T @ J, rtol=1e-9)
    np.testing.assert_allclose(found.gradient, 2 * J.T @ r, rtol=1e-9)


def test_a_sum_of_squares_in_single_precision_is_near_double(way):
    found = []
    for double in (False, True):
        with jax.enable_x64(double):
            fold = target(nj.VoltageError)
            g = nj.gradient(squid(), SPIKE, DT, of=fold, wrt=WRT, every=EVERY, initial=-65.0)
            found.append(np.asarray(g.gradient))
    assert found[0].dtype == np.float32 and found[1].dtype == np.float64
    np.testing.assert_allclose(found[0], found[1], rtol=3e-3)


def test_a_population_has_the_gradient_of_each_cell(way):
    g_bar = jnp.linspace(110.0, 130.0, 5)
    fold, wrt = target(nj.VoltageError), ["na.g_bar", "k.E_rev"]
    told = {"of": fold, "wrt": wrt, "every": EVERY, "initial": -65.0}
    together = nj.gradient(squid(na__g_bar=g_bar), SPIKE, DT, **told)
    assert together.value.shape == (5,) and together.gradient.shape == (2, 5)
    for k in (0, 4):
        alone = nj.gradient(squid(na__g_bar=g_bar[k]), SPIKE, DT, **told)
        np.testing.assert_allclose(together.gradient[:, k], alone.gradient, rtol=5e-3)


def test_one_bad_cell_harms_no_other(way):
    current = np.repeat(np.asarray(SPIKE.i)[:, None], 4, axis=1)
    told = {"of": target(nj.VoltageError), "wrt": ["C_m", "na.g_bar"], "every": EVERY}
    good = nj.gradient(squid(), nj.current_clamp(current), DT, initial=-65.0, **told)
    current[50, 2] = np.nan
    bad = nj.gradient(squid(), nj.current_clamp(current), DT, initial=-65.0, **told)
    others = np.array([0, 1, 3])
    assert np.isnan(bad.value[2])
    np.testing.assert_allclose(bad.gradient[:, others], good.gradient[:, others], rtol=1e-5)


def test_the_cheaper_way_is_taken(monkeypatch):
    taken = []
    for engine in (gradients.tangent, gradients.adjoint):

        def run(*args, engine=engine, own=engine.run, **more):
            taken.append(engine.__name__.rsplit(".", 1)[-1])
            return own(*args, **more)

        monkeypatch.setattr(engine, "run", run)
    jax.clear_caches()
    names = list(nj.parameters(squid()))
    for number in (gradients.CROSSOVER, gradients.CROSSOVER + 1):
        nj.gradient(squid(), SPIKE, DT, of=nj.Mean(), wrt=names[:number], initial=-65.0)
    assert taken == ["tangent", "adjoint"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wrt": ["na.gbar"]}, r"no parameter 'na.gbar'; did you mean 'na.g_bar'\? \(have: C_m,"),
        ({"wrt": ["initial.na.x"]}, r"no parameter 'initial.na.x'"),
        ({"wrt": []}, "name at least one"),
        ({"of": nj.SpikeCount()}, "SpikeCount counts: it has no derivative"),
        ({"of": nj.SpikeRate()}, "SpikeRate counts: it has no derivative"),
        ({"wrt": ["C_m", "C_m"]}, "'C_m' is named more than once"),
        ({"dt": 0.0}, "expected a positive time step"),
        ({"every": 0}, "every = 0"),
    ],
)
def test_wrong_input_is_refused_with_a_reason(change, message):
    told = {"of": nj.Mean(), "wrt": ["C_m"], "dt": DT} | change
    with pytest.raises(ValueError, match=message):
        nj.gradient(squid(), SPIKE, **told)


def test_an_ideal_clamp_begins_at_its_first_command():
    clamp, fold = nj.voltage_clamp(SWEEP), target(nj.CurrentError, 1e-9)
    found = nj.gradient(squid(), clamp, DT, of=fold, wrt=["na.g_bar"], every=EVERY)
    r = nj.simulate(squid(), clamp, DT, record=(), every=EVERY, folds={"f": fold})
    assert float(found.value) == pytest.approx(float(r.folds["f"]), rel=1e-5)


def test_memory_is_that_of_the_cells_that_run_together(monkeypatch):
    monkeypatch.setattr(gradients, "CROSSOVER", 0)
    jax.clear_caches()
    cells = squid(na__g_bar=np.linspace(110.0, 130.0, 20_000))
    # All at once would need 30 MB: two devices run a block of at most 2048 each.
    told = {"of": nj.Mean(), "wrt": ["C_m"], "initial": -65.0}
    found = nj.gradient(cells, nj.current_clamp(np.full(40, 5.0)), DT, memory_MB=4, **told)
    assert found.gradient.shape == (1, 20_000) and bool(jnp.isfinite(found.gradient).all())
    jax.clear_caches()


def test_too_little_memory_is_said(monkeypatch):
    monkeypatch.setattr(gradients, "CROSSOVER", 0)
    jax.clear_caches()
    with pytest.raises(ValueError, match=r"the gradient needs .* MB"):
        nj.gradient(squid(), SPIKE, DT, of=nj.Mean(), wrt=["C_m"], memory_MB=1e-4)
    jax.clear_caches()
