"""simulate: what comes back, what is refused, and what one bad cell may not do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurojax as nj
from neurojax.channels import (
    CortexCaT,
    CortexLeak,
    SquidK,
    SquidLeak,
    SquidNa,
)


def squid(**parameters) -> nj.Cell:
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {name.replace("__", "."): x for name, x in parameters.items()})


DRIVE = nj.steps(10.0, start=1.0, stop=8.0, duration=10.0, dt=0.025)
FROM = {"initial": -65.0}  # where rest is not the question, no program need look for it


@pytest.mark.smoke
def test_a_recording_has_a_row_per_step():
    r = nj.simulate(squid(), nj.current_clamp(DRIVE))
    assert r.t.shape == r.v.shape == (400,)
    np.testing.assert_allclose(r.t, (np.arange(400) + 1) * 0.025, rtol=1e-6)
    assert r.v.dtype == jnp.float32 and r.ok.dtype == bool and bool(r.ok)
    assert float(r.v.max()) > 20
    assert float(r.final.v) == float(r.v[-1])


@pytest.mark.smoke
def test_everything_listed_can_be_recorded():
    cell = squid()
    names = nj.observables(cell)
    assert names[:8] == ["v", "i_ion", "na.i", "k.i", "leak.i", "na.h", "na.m", "k.n"]
    assert names[8:] == ["v_amp", "i_amp"]
    d = nj.simulate(cell, nj.current_clamp(DRIVE), record=names, **FROM).data
    assert set(d) == set(names)
    total = d["na.i"] + d["k.i"] + d["leak.i"]
    np.testing.assert_allclose(d["i_ion"], total, rtol=1e-5, atol=1e-4)
    gated = 120 * d["na.m"] ** 3 * d["na.h"] * (d["v"] - 50)
    np.testing.assert_allclose(d["na.i"], gated, rtol=1e-4, atol=1e-5)


def test_an_instant_gate_can_be_recorded():
    cell = nj.Cell(channels={"t": CortexCaT(v_shift=2.0), "leak": CortexLeak()})
    assert {"t.s", "t.u"} <= set(nj.observables(cell))
    d = nj.simulate(cell, nj.current_clamp(jnp.full(20, 1.0)), record=("v", "t.s")).data
    np.testing.assert_allclose(d["t.s"], 1 / (1 + np.exp(-(d["v"] - 2 + 59) / 6.2)), rtol=1e-5)


@settings(max_examples=4, deadline=None)
@given(st.integers(1, 400))
def test_every_thins(every):
    cell = nj.Cell(channels={"leak": CortexLeak()})
    full = nj.simulate(cell, nj.current_clamp(DRIVE), **FROM)
    thin = nj.simulate(cell, nj.current_clamp(DRIVE), every=every, **FROM)
    n = 400 // every
    assert thin.v.shape == (n,)
    np.testing.assert_allclose(thin.t, full.t[every - 1 :: every][:n], rtol=1e-6)
    np.testing.assert_allclose(thin.v, full.v[every - 1 :: every][:n], rtol=1e-6)


def test_every_thins_a_spiking_cell():
    full = nj.simulate(squid(), nj.current_clamp(DRIVE), record=("v", "na.h"), **FROM)
    thin = nj.simulate(squid(), nj.current_clamp(DRIVE), record=("v", "na.h"), every=40, **FROM)
    for name in full.data:
        np.testing.assert_allclose(thin.data[name], full.data[name][39::40], rtol=1e-5, atol=1e-5)


@pytest.mark.smoke
def test_a_run_goes_on_from_its_final_state():
    begun = nj.steady_state(squid(), -65.0)
    whole = nj.simulate(squid(), nj.current_clamp(DRIVE), initial=begun)
    first = nj.simulate(squid(), nj.current_clamp(DRIVE[:200]), initial=begun)
    second = nj.simulate(squid(), nj.current_clamp(DRIVE[200:]), initial=first.final)
    np.testing.assert_allclose(np.concatenate([first.v, second.v]), whole.v, rtol=1e-5, atol=1e-4)


def test_initial_potential_settles_the_gates():
    by_v = nj.simulate(squid(), nj.current_clamp(DRIVE), initial=-80.0)
    by_state = nj.simulate(
        squid(), nj.current_clamp(DRIVE), initial=nj.steady_state(squid(), -80.0)
    )
    np.testing.assert_array_equal(by_v.v, by_state.v)
    assert float(by_v.v[0]) < -79


def test_initial_may_span_the_population():
    v = jnp.array([-80.0, -70.0, -60.0])
    r = nj.simulate(squid(), nj.current_clamp(DRIVE), initial=v)
    s = nj.simulate(squid(), nj.current_clamp(DRIVE), initial=nj.steady_state(squid(), v))
    one = nj.steady_state(squid(), -65.0)
    u = nj.simulate(squid(), nj.current_clamp(DRIVE), initial=one._replace(v=v))
    assert r.v.shape == s.v.shape == u.v.shape == (400, 3)
    np.testing.assert_array_equal(r.v, s.v)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("in_cell", "in_electrode", "pop"),
    [
        ((), (), ()),
        ((3,), (), (3,)),
        ((), (3,), (3,)),
        ((3,), (3,), (3,)),
        ((1,), (3,), (3,)),
        ((1,), (), (1,)),
        ((), (1,), (1,)),
    ],
)
def test_population_shapes_broadcast(in_cell, in_electrode, pop):
    def run(g_bar, i):
        cell = squid(na__g_bar=g_bar)
        return nj.simulate(cell, nj.current_clamp(i), record=("v", "k.n"), **FROM)

    r = jax.eval_shape(run, jnp.full(in_cell, 115.0), jnp.full((5, *in_electrode), 3.0))
    assert r.data["v"].shape == r.data["k.n"].shape == (5, *pop)
    assert r.ok.shape == r.final.v.shape == pop


def test_cells_of_a_population_do_not_know_of_each_other():
    g = jnp.array([90.0, 120.0, 150.0])
    together = nj.simulate(squid(na__g_bar=g), nj.current_clamp(DRIVE), **FROM)
    for k in range(3):
        alone = nj.simulate(squid(na__g_bar=float(g[k])), nj.current_clamp(DRIVE), **FROM)
        np.testing.assert_allclose(together.v[:, k], alone.v, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("how", ["current", "parameter", "no rest"])
def test_one_bad_cell_harms_no_other(how):
    good = nj.simulate(squid(), nj.current_clamp(np.repeat(DRIVE[:, None], 5, axis=1)))
    i = np.repeat(DRIVE[:, None], 5, axis=1)
    cell = squid()
    if how == "current":
        i[60, 2] = np.nan
    elif how == "parameter":  # bounds keep such a value out; a wild optimiser may yet get there
        bad = jnp.full(5, 50.0).at[2].set(jnp.inf)
        na = SquidNa(E_rev=bad)
        cell = nj.Cell(channels=cell.channels | {"na": na})
    else:
        leak = SquidLeak(g_bar=jnp.full(5, 0.3).at[2].set(-1e4))
        cell = nj.Cell(channels=cell.channels | {"leak": leak})
    r = nj.simulate(cell, nj.current_clamp(i))
    assert r.ok.tolist() == [True, True, False, True, True]
    others = np.array([0, 1, 3, 4])
    np.testing.assert_allclose(r.v[:, others], good.v[:, others], rtol=1e-5, atol=1e-3)
    assert np.isfinite(r.v[:, others]).all()


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dt": 0.0}, r"dt = 0.0: expected a positive time step in ms"),
        ({"dt": -0.1}, r"dt = -0.1: expected a positive"),
        ({"dt": float("nan")}, r"dt = nan"),
        ({"every": 0}, r"every = 0: expected 1 to 400 steps"),
        ({"every": 401}, r"every = 401: expected 1 to 400 steps"),
        ({"record": ("na.x",)}, r"cannot record 'na.x'; did you mean 'na.\w'\? \(have: v, i_ion, "),
        ({"record": ("V",)}, r"cannot record 'V'; did you mean 'v'"),
        ({"electrode": nj.Electrode(1.0, 0.0, 0.0)}, r"the electrode has no time axis"),
    ],
)
def test_wrong_input_is_refused_with_a_reason(change, message):
    arguments = {"cell": squid(), "electrode": nj.current_clamp(DRIVE)} | change
    with pytest.raises(ValueError, match=message):
        nj.simulate(**arguments)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="shape"):
        nj.simulate(squid(na__g_bar=jnp.ones(3)), nj.current_clamp(jnp.zeros((5, 4))))


@pytest.mark.smoke
def test_double_precision_when_asked(x64):
    r = nj.simulate(squid(), nj.current_clamp(DRIVE), **FROM)
    assert {r.v.dtype, r.t.dtype} == {jnp.dtype("float64")}


@pytest.mark.smoke
def test_numpy_parameters_and_currents_stay_float32():
    cell = squid(na__g_bar=np.full(2, 120.0))
    r = nj.simulate(cell, nj.current_clamp(DRIVE.astype(np.float64)), **FROM)
    assert r.v.dtype == jnp.float32


@pytest.mark.smoke
def test_it_can_be_jitted_and_mapped():
    def peak(g):
        cell = squid(na__g_bar=g)
        return nj.simulate(cell, nj.current_clamp(DRIVE), initial=-65.0).v.max()

    g = jnp.array([100.0, 120.0])
    mapped = jax.jit(jax.vmap(peak))(g)
    np.testing.assert_allclose(mapped, [peak(x) for x in g], rtol=1e-4)


@pytest.mark.smoke
def test_the_device_does_not_matter():
    first, second = jax.devices("cpu")[:2]
    runs = []
    for device in (first, second):
        with jax.default_device(device):
            r = nj.simulate(squid(), nj.current_clamp(jnp.asarray(DRIVE)), **FROM)
            assert r.v.devices() == {device}
            runs.append(np.asarray(r.v))
    np.testing.assert_array_equal(*runs)


@pytest.mark.smoke
def test_a_population_spread_over_devices_is_the_same():
    mesh = jax.make_mesh((2,), ("pop",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("pop"))
    g = jnp.linspace(100.0, 130.0, 8)
    one = nj.simulate(squid(na__g_bar=g), nj.current_clamp(DRIVE), initial=-65.0)
    two = nj.simulate(
        squid(na__g_bar=jax.device_put(g, spread)), nj.current_clamp(DRIVE), initial=-65.0
    )
    assert len(two.final.v.devices()) == 2
    np.testing.assert_allclose(one.v, two.v, rtol=1e-5, atol=1e-4)


def test_an_ideal_clamp_starts_at_its_first_command():
    r = nj.simulate(squid(), nj.voltage_clamp(np.full(20, -30.0)), record=("v", "na.h"))
    np.testing.assert_allclose(r.v, -30.0, atol=1e-3)
    np.testing.assert_allclose(r.data["na.h"], r.data["na.h"][0], rtol=1e-5)


@pytest.mark.smoke
def test_a_population_is_computed_on_all_devices():
    g_bar = np.linspace(100.0, 140.0, 256)
    r = nj.simulate(squid(na__g_bar=g_bar), nj.current_clamp(DRIVE), **FROM)
    assert r.v.sharding.device_set == set(jax.local_devices())
    for k in (0, 100, 255):
        one = squid(na__g_bar=float(g_bar[k]))
        alone = nj.simulate(one, nj.current_clamp(DRIVE), **FROM).v  # in scalar instructions
        np.testing.assert_allclose(r.v[:, k], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.smoke
# -- records in half precision ---------------------------------------------------------------------
def test_records_may_be_rounded_and_nothing_else_is():
    cells = nj.Cell(channels={"k": SquidK(), "leak": SquidLeak(E_rev=np.array([-70, -60, -50.0]))})
    drive = nj.current_clamp(DRIVE)
    told = {"record": ("v", "k.n"), "folds": {"mean": nj.Mean()}, **FROM}
    whole = nj.simulate(cells, drive, **told)
    for kind, part in (("float16", 2048), ("bfloat16", 256)):
        r = nj.simulate(cells, drive, record_as=kind, **told)
        for name, x in r.data.items():
            assert x.dtype == kind and x.shape == (400, 3)
            exact = np.asarray(whole.data[name], float)
            np.testing.assert_allclose(np.asarray(x, float), exact, rtol=1.001 / part, atol=1e-3)
        np.testing.assert_allclose(r.final.v, whole.final.v, atol=1e-4)
        np.testing.assert_allclose(r.folds["mean"], whole.folds["mean"], rtol=1e-5)


@pytest.mark.smoke
def test_rounded_records_of_launches_are_those_of_one():
    cells = nj.Cell(channels={"leak": SquidLeak(E_rev=np.linspace(-70.0, -50.0, 300))})
    drive = nj.current_clamp(DRIVE)
    whole = nj.simulate(cells, drive, record_as="bfloat16", **FROM)
    # 400 records of 2 bytes: 256 cells at a time are 0.2 MB.
    parts = nj.simulate(cells, drive, record_as="bfloat16", memory_MB=0.1, **FROM)
    assert isinstance(parts.v, np.ndarray) and parts.v.dtype == "bfloat16"
    np.testing.assert_allclose(np.asarray(parts.v, float), np.asarray(whole.v, float), atol=0.5)


def test_records_that_leave_the_range_are_refused_and_a_lost_cell_is_not():
    cells = nj.Cell(channels={"k": SquidK(g_bar=np.array([36.0, 500.0]))})
    told = {"record": ("k.i",), "initial": 150.0}
    clamp = nj.voltage_clamp(np.full(4, 150.0))
    with pytest.raises(ValueError, match=r"'k.i' leaves its range, up to 65504, in 1 of 2 cells"):
        nj.simulate(cells, clamp, record_as="float16", **told)
    assert nj.simulate(cells, clamp, record_as="bfloat16", **told).ok.all()
    lost = nj.voltage_clamp(np.array([0.0, np.inf, 0.0, 0.0]))
    assert not nj.simulate(cells, lost, record_as="float16", **told).ok.any()
    with pytest.raises(ValueError, match=r"no record_as 'float8'.*\(have: float32, float16"):
        nj.simulate(cells, clamp, record_as="float8")
