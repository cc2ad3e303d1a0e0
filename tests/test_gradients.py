"""gradient: against finite differences, whichever way it takes; what it refuses, and why."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.engine import call
from neurojax.membrane.electrode import nudged
from neurojax.membrane.path_names import substitute
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


def together(*electrodes):
    """A population of cells, each with an electrode of its own."""
    fields = zip(*(e[:3] for e in electrodes), strict=True)
    columns = ([np.broadcast_to(a, STEPS) for a in field] for field in fields)
    return nj.Electrode(*(jnp.asarray(np.stack(c, axis=1)) for c in columns))


# Three cells, of which each has its own sodium conductance, and its own electrode.
THREE = together(SPIKE, nudged(SPIKE, DATA, 0.5), nj.voltage_clamp(SWEEP, R_s_MOhm=2e-3))
CASES = {
    "spiking, nudged, series resistance": (THREE, lambda: target(nj.VoltageError)),
    "ideal clamp": (nj.voltage_clamp(SWEEP), lambda: target(nj.CurrentError, 1e-9)),
    "a mean and a fold of the user's": (
        SPIKE,
        lambda: nj.total({"mean": nj.Mean(), "area": Area()}, {"area": 0.3}),
    ),
}


def squid(**parameters):
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {k.replace("__", "."): x for k, x in parameters.items()})


def cells_for(electrode):
    """The cell or the three cells of a case, and their first state.

    The gates start elsewhere than where v would have them, so that they count.
    """
    pop = np.shape(electrode.i)[1:]
    cell = squid(k__v_shift=1.0, na__g_bar=np.linspace(115.0, 125.0, 3) if pop else 120.0)
    s = nj.steady_state(cell, -65.0)
    return cell, s._replace(x=jax.tree.map(lambda x: 0.9 * x + 0.02, s.x))


def forget():
    """Forget the programs of gradients, which do not know by which CROSSOVER they were made."""
    call._called.clear_cache()


@pytest.fixture(params=["tangents", "adjoint"], scope="module")
def programs(request):
    """Programs that go one way: tests of the same way share them."""
    forget()
    yield request.param
    forget()


@pytest.fixture
def way(programs, monkeypatch):
    """Both ways, whatever the number of parameters."""
    monkeypatch.setattr(gradients, "CROSSOVER", 100 if programs == "tangents" else 0)


def gradient_of(case):
    electrode, make = CASES[case]
    cell, s = cells_for(electrode)
    return nj.gradient(cell, electrode, DT, of=make(), wrt=WRT, every=EVERY, initial=s)


def spread(cell, s, values):
    """The cells and their first state with other values `[n]` of the parameters by name."""
    own = {k: v for k, v in values.items() if not k.startswith("initial.")}
    x = {k: dict(gates) for k, gates in s.x.items()}
    x["na"]["h"] = values["initial.na.h"]
    return substitute(cell, own), s._replace(v=values["initial.v"], x=x)


@cache
def by_differences(case):
    """A fold's result, central differences of it in every parameter, and how precise they are.

    One population has them all: the cells as they are, then each parameter up and down.
    """
    electrode, make = CASES[case]
    cell, s = cells_for(electrode)
    pop = np.shape(electrode.i)[1:]
    known = {k: value for k, (value, _) in nj.parameters(cell).items()}
    known |= {"initial.v": s.v, "initial.na.h": s.x["na"]["h"]}
    size = np.array([{"initial.na.h": 1e-6, "area": 1e-6, "C_m": 1e-6}.get(k, 1e-5) for k in WRT])
    rows = np.concatenate([np.zeros((1, len(WRT))), np.diag(size), -np.diag(size)])
    width = int(np.prod(pop, dtype=int))

    def tiled(value):
        return np.tile(np.broadcast_to(value, width), len(rows))

    values = {k: tiled(known[k]) + np.repeat(rows[:, n], width) for n, k in enumerate(WRT)}
    if pop:
        electrode = jax.tree.map(lambda a: jnp.tile(a, (1, len(rows))), electrode)
        cell = substitute(cell, {"na.g_bar": values["na.g_bar"]})
        s = jax.tree.map(tiled, s)
    cell, s = spread(cell, s, values)
    r = nj.simulate(
        cell, electrode, DT, record=(), every=EVERY, initial=s, folds={"f": make()}
    ).folds["f"]
    value, up, down = np.split(np.reshape(r, (len(rows), *pop)), [1, 1 + len(WRT)])
    size = size.reshape(-1, *[1] * len(pop))
    return value[0], (up - down) / (2 * size), 1e-10 * (np.abs(up) + 1) / size


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_slope_of_central_differences(case, way, x64):
    found = gradient_of(case)
    value, slopes, noise = by_differences(case)
    assert found.gradient.shape == (len(WRT), *np.shape(value)) == np.shape(slopes)
    np.testing.assert_allclose(found.value, value, rtol=1e-12)
    # Rows are in the order asked for, which is neither that of names nor that of the cell.
    for name, got, slope, blur in zip(WRT, found.gradient, slopes, noise, strict=True):
        assert (np.abs(got - slope) <= np.maximum(2e-5 * np.abs(slope), blur)).all(), name


def test_a_sum_of_squares_in_single_precision_is_near_double(way):
    found = []
    for double in (False, True):
        with jax.enable_x64(double):
            found.append(np.asarray(gradient_of(next(iter(CASES))).gradient))
    assert found[0].dtype == np.float32 and found[1].dtype == np.float64
    np.testing.assert_allclose(found[0], found[1], rtol=3e-3)


def test_one_bad_cell_harms_no_other(way):
    cell, s = cells_for(THREE)
    told = {"of": target(nj.VoltageError), "wrt": WRT, "every": EVERY, "initial": s}
    good = nj.gradient(cell, THREE, DT, **told)
    bad = nj.gradient(cell, THREE._replace(i=THREE.i.at[50, 1].set(jnp.nan)), DT, **told)
    others = np.array([0, 2])
    assert np.isnan(bad.value[1])
    np.testing.assert_allclose(bad.gradient[:, others], good.gradient[:, others], rtol=1e-5)


def test_the_matrix_is_that_of_the_residuals(x64):
    fold = target(nj.VoltageError)
    wrt = ["na.g_bar", "k.g_bar", "leak.g_bar"]
    found = nj.gradient(squid(), SPIKE, DT, of=fold, wrt=wrt, every=EVERY, initial=-65.0)

    def residuals(values):
        cell = nj.replace(squid(), dict(zip(wrt, values, strict=True)))
        return nj.simulate(cell, SPIKE, DT, every=EVERY, initial=-65.0).v - fold.data.data

    values = jnp.array([nj.parameters(squid())[k][0] for k in wrt])
    J, r = jax.jacfwd(lambda values: (residuals(values),) * 2, has_aux=True)(values)
    J, r = np.asarray(J), np.asarray(r)
    np.testing.assert_allclose(found.matrix, J.T @ J, rtol=1e-9)
    np.testing.assert_allclose(found.gradient, 2 * J.T @ r, rtol=1e-9)


def test_the_cheaper_way_is_taken(monkeypatch):
    taken = []
    for engine in (gradients.tangent, gradients.adjoint):

        def run(*args, engine=engine, own=engine.run, **more):
            taken.append(engine.__name__.rsplit(".", 1)[-1])
            return own(*args, **more)

        monkeypatch.setattr(engine, "run", run)
    forget()
    names = list(nj.parameters(squid()))
    for number in (gradients.CROSSOVER, gradients.CROSSOVER + 1):
        told = {"of": nj.Mean(), "wrt": names[:number], "initial": -65.0}
        jax.eval_shape(lambda told=told: nj.gradient(squid(), SPIKE, DT, **told))
    assert taken == ["tangent", "adjoint"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wrt": ["na.gbar"]}, r"no parameter 'na.gbar'; did you mean 'na.g_bar'\? \(have: C_m,"),
        ({"wrt": ["initial.na.x"]}, r"no parameter 'initial.na.x'"),
        ({"wrt": []}, "name at least one"),
        ({"of": nj.SpikeCount()}, "SpikeCount counts: it has no derivative"),
        ({"of": nj.SpikeRate()}, "SpikeRate counts: it has no derivative"),
        ({"of": nj.total({"n": nj.SpikeCount()})}, "SpikeCount counts: it has no derivative"),
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
    forget()
    cells = squid(na__g_bar=np.linspace(110.0, 130.0, 20_000))
    # All at once would need 30 MB: two devices run a block of at most 2048 each.
    told = {"of": nj.Mean(), "wrt": ["C_m"], "initial": -65.0}
    found = nj.gradient(cells, nj.current_clamp(np.full(40, 5.0)), DT, memory_MB=4, **told)
    assert found.gradient.shape == (1, 20_000) and bool(jnp.isfinite(found.gradient).all())
    forget()


def test_too_little_memory_is_said(monkeypatch):
    monkeypatch.setattr(gradients, "CROSSOVER", 0)
    forget()
    with pytest.raises(ValueError, match=r"the gradient needs .* MB"):
        nj.gradient(squid(), SPIKE, DT, of=nj.Mean(), wrt=["C_m"], memory_MB=1e-4)
    forget()
