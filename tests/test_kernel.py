"""Time loops as GPU kernels: interpreted on the CPU they give the scan's numbers, and they lower.

What a kernel promises is what the scan does, so every test here runs both.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from around import cell_of, every_file

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.engine import runner
from neurojax.engine.gpu import kernel, lane_shapes, lanes
from neurojax.membrane import pipette
from neurojax.model import load_model, packaged
from neurojax.run import gradients, simulation

pytestmark = pytest.mark.skipif(
    jax.__version_info__ < (0, 11), reason="GPU kernels need JAX 0.11 (and Python 3.12)"
)

DT = 0.025
SCAN = runner.Place(None, "cpu")
GPU = runner.Place(None, "gpu", kernel.Kernel())


def place(**how):
    return runner.Place(None, "cpu", kernel.Kernel(interpret=True, **how))


def with_kernels(f, where=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "place_of", lambda *a, **k: where or place())
        return f()


def close(got, want, rtol=2e-5, atol=2e-6):
    """The same structure, shapes and dtypes; whole numbers and truth values the same."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(want), strict=True
    ):
        name = jax.tree_util.keystr(path)
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        if jnp.issubdtype(a.dtype, jnp.floating):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=name)


def agree(f, **tolerance):
    """f's result, the same with kernels and without."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = with_kernels(f)
    close(got, f(), **tolerance)
    return got


def kernels_in(text):
    return text.count("custom_call @mosaic_gpu")


def lowered(cell, electrode, every=4, initial=-65.0, folds=(), fast_math=False):
    """The text of a simulation for an NVIDIA GPU, which needs none."""
    where = GPU._replace(kernel=kernel.Kernel(fast_math=fast_math))
    arguments = (cell, initial, electrode, DT, dict(folds), ("v",), every, where)
    return simulation._run.trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()


def squid():
    return nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})


def small(n=5):
    """The least of a cell: for what does not depend on the channels."""
    cell = nj.Cell(channels={"k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {"leak.E_rev": np.linspace(-70.0, -50.0, n)}) if n else cell


CLAMP = nj.current_clamp(np.full(22, 5.0, np.float32))


# -- every channel and every model ----------------------------------------------------------------
@every_file
def test_every_channel_is_part_of_one_kernel_and_its_step_the_same_as_lanes(channels):
    cell = cell_of({name: cls() for name, cls in channels.items()})
    assert kernels_in(lowered(cell, CLAMP, 11, initial=-60.0)) == 1

    def step(v):
        return nj.step(cell, nj.steady_state(cell, v), nj.Electrode(5.0, 0.0, 0.0), DT)

    v = jnp.linspace(-90.0, 40.0, kernel.BLOCK)
    one = jax.make_jaxpr(step)(v[0])
    along = lanes.Lanes(kernel.BLOCK)
    got = along.evaluate(one.jaxpr, one.consts, [lane_shapes.filled((), lambda at: v)])
    for a, b in zip(got, jax.tree.leaves(step(v)), strict=True):
        np.testing.assert_allclose(a[()], b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", packaged())
def test_every_model_runs_in_a_kernel(name):
    cell = load_model(name).cell
    agree(lambda: nj.simulate(cell, CLAMP, DT, every=11, initial=-60.0), atol=1e-5)
    assert kernels_in(lowered(cell, CLAMP, 11)) == 1


def test_settling_at_rest_is_a_kernel_of_its_own():
    cell = small()
    agree(lambda: nj.simulate(cell, CLAMP, DT, every=11).v)
    # The search on the grid carries no cells through its loop, the bisection does.
    assert kernels_in(lowered(cell, CLAMP, 11, initial=None)) == 2


# -- electrodes -----------------------------------------------------------------------------------
TIME = (np.arange(22) + 0.5) * DT
OWN = np.linspace(0.0, 9.0, 5, dtype=np.float32)
TRACE = jnp.asarray(-60 + 20 * np.sin(TIME), jnp.float32)
ELECTRODES = {
    "current of all": CLAMP,
    "current of each": nj.current_clamp(OWN * np.ones((22, 1), np.float32)),
    "ideal clamp": nj.voltage_clamp(TRACE),
    "series resistance": nj.voltage_clamp(TRACE)._replace(g=5.0),
    "nudging": nj.current_clamp(TIME)._replace(v_cmd=TRACE[:, None] + OWN, g=0.2),
    "coupling in time": nj.Electrode(2.0, -50.0, jnp.asarray(0.2 + 0.1 * np.sin(TIME))),
}


@pytest.mark.parametrize("name", ELECTRODES)
def test_every_electrode(name):
    agree(lambda: nj.simulate(small(), ELECTRODES[name], DT, record=("v", "k.i"), initial=-65.0))


# -- folds ----------------------------------------------------------------------------------------
@nj.pytree
class Largest(nj.Fold):
    """A fold of a user: three observables, the largest of each and where it was, truth values."""

    def init(self, cell, s):
        there = jnp.stack([s.v, s.v, s.v])
        return {"most": there * 0 - 1e3, "at": jnp.zeros(there.shape, jnp.int32), "seen": 0}

    def update(self, carry, cell, s, row):
        now = jnp.stack([s.v, 100 * s.x["k"]["n"], row - s.v])
        above = now > carry["most"]
        at = jnp.where(above, carry["seen"], carry["at"])
        return {"most": jnp.maximum(now, carry["most"]), "at": at, "seen": carry["seen"] + 1}

    def finish(self, carry, duration):
        return carry["most"], carry["at"], carry["most"][0] > carry["most"][1]


def folds(pop):
    records = 80
    shared = jnp.linspace(-80.0, 20.0, records)
    own = shared.reshape(-1, *[1] * len(pop)) + jnp.arange(np.prod(pop, dtype=int)).reshape(pop)
    return {
        "spikes": nj.SpikeCount(),
        "rate": nj.SpikeRate(threshold=-50.0),
        "gate": nj.Mean(of="k.n"),
        "current": nj.Mean(of="na.i"),
        "where": nj.Histogram(bins=7),
        "shared": nj.VoltageError(data=nj.Target(shared, jnp.ones(records))),
        "own": nj.VoltageError(data=nj.Target(own, jnp.ones(records))),
        "largest": Largest(data=shared),
    }


@pytest.mark.parametrize("pop", [(), (3,)])
def test_every_fold(pop):
    g_bar = np.linspace(100.0, 140.0, max(np.prod(pop, dtype=int), 1)).reshape(pop)
    cell = nj.replace(squid(), {"na.g_bar": g_bar})
    clamp = nj.current_clamp(np.full(400, 12.0))
    # On a spike v moves by up to 400 mV / ms, and a rounding of its time by 1e-6 ms shows.
    r = agree(
        lambda: nj.simulate(cell, clamp, DT, record=(), every=5, initial=-65.0, folds=folds(pop)),
        atol=2e-3,
    )
    assert r.folds["spikes"].min() >= 1 and r.folds["spikes"].shape == pop
    assert kernels_in(lowered(cell, clamp, 5, folds=folds(pop))) == 1


# -- populations ----------------------------------------------------------------------------------
def spread(pop):
    n = int(np.prod(pop, dtype=int))
    return np.linspace(-70.0, -50.0, n, dtype=np.float32).reshape(pop) if pop else -60.0


@pytest.mark.parametrize("pop", [(), (1,), (5,), (128,), (130,)])
def test_every_population(pop):
    cell = nj.replace(small(0), {"leak.E_rev": spread(pop)})
    count = {"n": nj.SpikeCount(threshold=-60.0, prominence=1.0)}
    r = agree(lambda: nj.simulate(cell, CLAMP, DT, every=4, initial=-65.0, folds=count))
    assert r.v.shape == (5, *pop)


def test_cells_that_differ_in_their_first_state_and_in_nothing_else():
    start = nj.steady_state(small(0), jnp.linspace(-80.0, -50.0, 3))
    agree(lambda: nj.simulate(small(0), CLAMP, DT, every=4, initial=start))


@pytest.mark.parametrize("bins", [1, 128])
def test_as_many_cells_as_something_else_has_entries(bins):
    # As many cells as steps, steps a record, bins and lanes of a block.
    drive = nj.current_clamp(jnp.linspace(0.0, 9.0, 128))
    where = {"h": nj.Histogram(bins=bins, low=-70.0, high=-60.0)}
    every = bins  # of one bin all records, of many one record
    agree(lambda: nj.simulate(small(128), drive, DT, every=every, initial=-65.0, folds=where))


def test_a_cell_with_nan_leaves_the_others_alone():
    E_rev = np.array([-60.0, np.nan, -50.0])
    cell = nj.Cell(channels={"k": SquidK(), "leak": SquidLeak(E_rev=E_rev)})
    r = agree(lambda: nj.simulate(cell, CLAMP, DT, every=11, initial=-65.0))
    np.testing.assert_array_equal(r.ok, [True, False, True])


# -- gradients ------------------------------------------------------------------------------------
NAMES = ["k.g_bar", "C_m", "initial.v", "k.v_shift", "initial.k.n", "leak.E_rev", "k.E_rev",
         "k.tau_scale", "leak.g_bar"]  # fmt: skip
ERROR = nj.VoltageError(data=nj.Target(jnp.linspace(-70.0, -50.0, 5), jnp.full(5, 0.2)))


def slopes(cell, wrt, of=ERROR, **more):
    return nj.gradient(cell, CLAMP, DT, of=of, wrt=wrt, every=4, initial=-65.0, **more)


def gradient_text(cell, wrt, memory=2**28):
    arguments = (cell, -65.0, CLAMP, DT, ERROR, tuple(wrt), 4, GPU, memory)
    return gradients._gradient.trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.parametrize(("P", "n"), [(1, 5), (3, 5), (3, 0)])
def test_tangents(P, n):
    got = agree(lambda: slopes(small(n), NAMES[:P]), rtol=1e-4)
    assert got.matrix.shape == (P, P, *[n] * (n > 0))
    assert kernels_in(gradient_text(small(n), NAMES[:P])) == 1


def test_tangents_of_a_fold_that_is_no_sum_of_squares():
    agree(lambda: slopes(small(3), NAMES[:2], of=nj.Mean(of="k.i")), rtol=1e-4)


def test_the_gauss_newton_matrix_of_many_parameters():
    cell = small(0)
    theta = {k: jnp.asarray([nj.parameters(cell)[k][0]] * 2) for k in ("k.g_bar", "leak.g_bar")}

    def build(shared, theta):
        made = nj.replace(cell, theta)
        return made, nj.steady_state(made, -65.0)

    def run(where):
        return gradients.differentiate(build, None, theta, CLAMP, DT, ERROR, 4, where, matrix=True)

    close(jax.jit(lambda: run(place()))(), jax.jit(lambda: run(SCAN))(), rtol=1e-4)


@pytest.mark.parametrize("n", [3, 0])
def test_the_adjoint_through_all_states(n):
    got = agree(lambda: slopes(small(n), NAMES), rtol=2e-4, atol=1e-5)
    assert got.gradient.shape == (9, *[n] * (n > 0)) and got.matrix is None
    # One kernel forward and one back.
    assert kernels_in(gradient_text(small(n), NAMES)) == 2


def test_the_adjoint_of_a_fold_that_counts(monkeypatch):
    # Integers have no derivative, and JAX carries one all the same.
    monkeypatch.setattr(gradients, "CROSSOVER", 1)
    agree(lambda: slopes(small(3), NAMES[5:7], of=nj.Mean()), rtol=2e-4, atol=1e-5)


def test_the_adjoint_through_segments_that_are_run_again(monkeypatch):
    monkeypatch.setattr(gradients, "CROSSOVER", 2)
    names, little = NAMES[3:6], 0.019  # MB for a block of cells: two segments and one record
    agree(lambda: slopes(small(3), names, memory_MB=little), rtol=2e-4, atol=1e-5)
    # Forward, and in a scan over the segments forward again and back.
    assert kernels_in(gradient_text(small(3), names, round(little * 2**20))) >= 3


# -- transformations ------------------------------------------------------------------------------
def test_transformations_of_a_simulation():
    leak = nj.Cell(channels={"leak": SquidLeak()})

    def run(g):
        cell = nj.replace(leak, {"leak.g_bar": g})
        return nj.simulate(cell, CLAMP, DT, every=11, initial=-65.0).v

    g = jnp.asarray([0.2, 0.3, 0.4])
    agree(lambda: jax.jit(run)(g))
    agree(lambda: jax.jvp(run, (g,), (jnp.ones(3),)), rtol=1e-4)
    agree(lambda: jax.grad(lambda g: run(g).sum())(g), rtol=1e-4)
    agree(lambda: jax.vmap(run)(jnp.stack([g, 2 * g])))


# -- quick exponentials ---------------------------------------------------------------------------
def test_quick_exponentials_move_spikes_by_less_than_a_step():
    clamp = nj.current_clamp(np.full(2000, 10.0))

    def spikes():
        v = np.asarray(nj.simulate(squid(), clamp, 0.05, initial=-65.0).v)
        return np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))

    fast, accurate = with_kernels(spikes, place(fast_math=True)), spikes()
    assert accurate.size == fast.size == 7
    assert np.abs(fast - accurate).max() <= 1


def test_quick_exponentials_are_another_program():
    assert lowered(squid(), CLAMP) != lowered(squid(), CLAMP, fast_math=True)


# -- memory ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("where", [SCAN, place()], ids=["scan", "kernel"])
def test_a_population_in_launches_is_one_at_once(where):
    cell, own = small(300), nj.current_clamp(np.linspace(0, 9, 300) * np.ones((22, 1)))
    error = nj.VoltageError(data=nj.Target(jnp.linspace(-80.0, 0.0, 5), jnp.ones(5)))

    def run(**more):
        folds = {"n": nj.SpikeCount(threshold=-60.0, prominence=1.0), "e": error}
        return nj.simulate(cell, own, DT, every=4, initial=-65.0, folds=folds, **more)

    whole = with_kernels(run, where)
    parts = with_kernels(lambda: run(memory_MB=0.001), where)
    assert isinstance(parts.v, np.ndarray) and isinstance(parts.final.v, np.ndarray)
    close(parts, whole)


@pytest.mark.parametrize(
    ("n", "record_bytes", "devices", "memory_MB", "size"),
    [
        (1000, 0, 1, 1.0, 1000),  # nothing recorded
        (1000, 1024, 1, 1.0, 1000),  # fits
        (2000, 1024, 1, 1.0, 1024),
        (2000, 1025, 1, 1.0, 896),  # whole blocks
        (2000, 10**9, 1, 1.0, 128),  # the least, even where it does not fit
        (5000, 1024, 2, 1.0, 2048),  # each device has its memory
        (5000, 10**9, 2, 1.0, 256),
        (5000, 1024, 1, None, 5000),  # on a CPU no limit
    ],
)
def test_how_many_cells_are_launched_at_once(n, record_bytes, devices, memory_MB, size):
    mesh = jax.sharding.Mesh(np.array(jax.local_devices()[:devices]), ("pop",))
    where = runner.Place(mesh, "cpu")
    assert runner.launch_size(n, record_bytes, where, memory_MB) == size


# -- the electrode in the loop --------------------------------------------------------------------
def test_a_pipette_is_part_of_the_kernel_of_its_cell():
    cell = nj.Cell(channels=small().channels | {"pipette": nj.Pipette(R_s=5.0)}, area=2e-5)
    command = pipette.voltage_clamp(TRACE)
    assert kernels_in(lowered(cell, command, 11)) == 1
    agree(lambda: nj.simulate(cell, command, DT, record=("v", "i_amp"), initial=-65.0))
