"""Time loops as GPU kernels: all of them lower, and interpreted on the CPU they are the scan.

What a kernel promises is what the scan does: a few representative programs run both ways.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from around import cell_of, modules
from kernels import agree, close, interpreted, kernels, lowered, needs_kernels

import neurojax as nj
from neurojax import loss
from neurojax.channels import SquidK, SquidLeak, SquidNa, SynapseAmpa, SynapseExp
from neurojax.engine import runner
from neurojax.membrane import pipette
from neurojax.model import load_model, packaged
from neurojax.run import gradients

pytestmark = needs_kernels

DT = 0.025


def squid(n=0):
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {"na.g_bar": np.linspace(100.0, 140.0, n)}) if n else cell


def small(n=5):
    """The least of a cell: for what does not depend on the channels."""
    cell = nj.Cell(channels={"k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {"leak.E_rev": np.linspace(-70.0, -50.0, n)}) if n else cell


CLAMP = nj.current_clamp(np.full(22, 5.0, np.float32))
SMALL = nj.current_clamp(np.full(22, 1e-4, np.float32))  # for cells of 1000 um2


def simulated(cell, electrode=CLAMP, every=11, initial=-60.0, **more):
    return lambda: nj.simulate(cell, electrode, DT, every=every, initial=initial, **more)


# -- every channel and every model ----------------------------------------------------------------
# Gates, a pool, a scheme, events; of the others that their steps are made of what kernels know, in
# test_contract.
LOWERED = "hair_cell", "human_ventricle", "squid", "synapse"


@pytest.mark.parametrize(
    "channels",
    [
        pytest.param(channels, id=name, marks=[] if name in LOWERED else pytest.mark.slow)
        for name, channels in modules().items()
    ],
)
def test_every_channel_is_part_of_one_kernel(channels):
    assert kernels(simulated(cell_of({name: cls() for name, cls in channels.items()}))) == 1


@pytest.mark.slow  # one of them is run below
@pytest.mark.parametrize("name", packaged())
def test_every_model_is_one_kernel(name):
    assert kernels(simulated(load_model(name).cell)) == 1


@pytest.mark.parametrize("n", [0, 5])
def test_events_in_a_kernel_are_those_of_the_scan(n):
    synapses = {"leak": SquidLeak(), "exp": SynapseExp(), "ampa": SynapseAmpa()}
    cell = nj.Cell(channels=synapses, area=1e-5, inputs={"glu": 0.0})
    cell = nj.replace(cell, {"exp.tau": np.linspace(1.0, 3.0, n)}) if n else cell
    weight = np.linspace(1.0, 2.0, n)[None] if n else 1.0
    exp = nj.Events(times=[0.11, 0.3], weight=weight)
    run = simulated(cell, nj.electrode.stimulus(SMALL, exp=exp, glu=nj.Events(times=[0.2])))
    assert kernels(run) == 1
    if n:
        agree(run)


def test_a_model_in_a_kernel_is_the_scan():
    # It has a pool of calcium, gates that read it, and a Markov scheme.
    agree(simulated(load_model("hair_cell").cell, SMALL), atol=1e-5)


def test_settling_at_rest_is_a_kernel_of_its_own():
    # The search on the grid carries no cells through its loop, the bisection does.
    assert kernels(simulated(small(), initial=None)) == 2


# -- electrodes -----------------------------------------------------------------------------------
TIME = (np.arange(22) + 0.5) * DT
OWN = np.linspace(0.0, 9.0, 5, dtype=np.float32)
TRACE = jnp.asarray(-60 + 20 * np.sin(TIME), jnp.float32)
ELECTRODES = {
    "current of all": CLAMP,
    "current of each": nj.current_clamp(OWN * np.ones((22, 1), np.float32)),
    "amplitude of each": nj.current_clamp(TIME, amplitude=OWN),
    "ideal clamp": nj.voltage_clamp(TRACE),
    "series resistance": nj.voltage_clamp(TRACE)._replace(g=5.0),
    "nudging": nj.current_clamp(TIME)._replace(v_cmd=TRACE[:, None] + OWN, g=0.2),
    "coupling in time": nj.Electrode(2.0, -50.0, jnp.asarray(0.2 + 0.1 * np.sin(TIME))),
}


@pytest.mark.parametrize("name", ELECTRODES)
def test_every_electrode(name):
    run = simulated(small(), ELECTRODES[name], 2, record=("v", "k.i"))
    assert kernels(run) == 1
    if name == "nudging":
        agree(run)


def test_a_pipette_is_part_of_the_kernel_of_its_cell():
    cell = nj.Cell(channels=small().channels | {"pipette": nj.Pipette(R_s=5.0)}, area=2e-5)
    assert kernels(simulated(cell, pipette.voltage_clamp(TRACE), record=("v", "i_amp"))) == 1


def test_records_are_rounded_in_the_kernel():
    run = simulated(small(), record_as="float16")
    assert kernels(run) == 1 and "f16" in lowered(run)


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
    cell = squid(3) if pop else squid()
    clamp = nj.current_clamp(np.full(400, 12.0))
    # On a spike v moves by up to 400 mV / ms, and a rounding of its time by 1e-6 ms shows.
    run = simulated(cell, clamp, 5, -65.0, record=(), folds=folds(pop))
    assert kernels(run) == 1
    if pop:
        r = agree(run, atol=2e-3)
        assert r.folds["spikes"].min() >= 1 and r.folds["spikes"].shape == pop


def objectives():
    """Every objective of a spiking trace, with records 0.1 ms apart."""
    t = np.arange(400) * 0.1
    v = -65 + 100 * sum(np.exp(-0.5 * ((t - peak) / 0.5) ** 2) for peak in (10.0, 20.0, 30.0))
    trace = nj.Trace(clamp="current", dt_ms=0.1, v_mV=v, i_pA=np.where(t > 5, 100.0, 0.0))
    return {
        "features": loss.spike_features(trace, 0.1),
        "van Rossum": loss.van_rossum(trace, 0.1),
        "coincidence": loss.coincidence(trace, 0.1),
        "phase plane": loss.phase_plane(trace, 0.1, (5, 4)),
        "soft-DTW": loss.soft_dtw(trace, 0.1, 0.5),
        "voltage": loss.trace_error(trace, 0.1),
        "table": loss.SpikeTable(record_ms=0.1, slots=2),
    }


LONG = nj.current_clamp(np.full(1596, 5.0))


def slope_of_objectives(wrt):
    # What the trains of spikes are compared by is a number of each record: it has no tangents.
    parts = {k: objectives()[k] for k in ("features", "phase plane", "soft-DTW", "voltage")}
    told = {"of": loss.total(parts), "wrt": wrt, "every": 4, "initial": -65.0}
    return lambda: nj.gradient(squid(2), LONG, DT, **told)


def test_every_objective_is_part_of_a_kernel_and_so_are_its_tangents():
    # One loop over time; spikes are matched in one over them, and one back.
    assert kernels(simulated(squid(2), LONG, 4, -65.0, folds=objectives())) == 3
    assert kernels(slope_of_objectives(["na.g_bar", "initial.v"])) == 3


@pytest.mark.slow  # their tangents are above, the adjoint of one of them below
def test_every_objective_has_its_adjoint_in_kernels():
    assert kernels(slope_of_objectives(list(nj.parameters(squid()))[:9])) == 4


# -- populations ----------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [1, 130])
def test_every_population(n):
    count = {"n": nj.SpikeCount(threshold=-60.0, prominence=1.0)}
    E_rev = np.where(np.arange(n) == 2, np.nan, np.linspace(-70.0, -50.0, n))
    cell = nj.Cell(channels={"k": SquidK(), "leak": SquidLeak(E_rev=E_rev)})
    r = agree(simulated(cell, every=4, folds=count))
    assert r.v.shape == (5, n)
    # A cell with NaN leaves the others alone.
    np.testing.assert_array_equal(r.ok, np.arange(n) != 2)


def test_cells_that_differ_in_their_first_state_and_in_nothing_else():
    start = nj.steady_state(small(0), jnp.linspace(-80.0, -50.0, 3))
    assert kernels(simulated(small(0), initial=start)) == 1


# -- gradients ------------------------------------------------------------------------------------
NAMES = ["k.g_bar", "C_m", "initial.v", "k.v_shift", "initial.k.n", "leak.E_rev", "k.E_rev",
         "k.tau_scale", "leak.g_bar"]  # fmt: skip
ERROR = nj.VoltageError(data=nj.Target(jnp.linspace(-70.0, -50.0, 5), jnp.full(5, 0.2)))


def slopes(cell, wrt, of=ERROR, **more):
    told = {"of": of, "wrt": wrt, "every": 4, "initial": -65.0}
    return lambda: nj.gradient(cell, CLAMP, DT, **told, **more)


@pytest.mark.parametrize(("P", "n"), [(1, 5), (3, 0)])
def test_tangents(P, n):
    assert kernels(slopes(small(n), NAMES[:P])) == 1
    if not n:
        got = agree(slopes(small(n), NAMES[:P]), rtol=1e-4)
        assert got.matrix.shape == (P, P)


def test_tangents_of_a_fold_that_is_no_sum_of_squares():
    assert kernels(slopes(small(3), NAMES[:2], of=nj.Mean(of="k.i"))) == 1


@pytest.mark.parametrize("n", [3, 0])
def test_the_adjoint_through_all_states(n):
    # One kernel forward and one back.
    assert kernels(slopes(small(n), NAMES)) == 2
    if n:
        got = agree(slopes(small(n), NAMES), rtol=2e-4, atol=1e-5)
        assert got.gradient.shape == (9, n) and got.matrix is None


def test_the_adjoint_of_a_fold_that_counts(monkeypatch):
    # Integers have no derivative, and JAX carries one all the same.
    monkeypatch.setattr(gradients, "CROSSOVER", 1)
    assert kernels(slopes(small(3), NAMES[5:7], of=nj.Mean())) == 2


def test_the_adjoint_through_segments_that_are_run_again(monkeypatch):
    monkeypatch.setattr(gradients, "CROSSOVER", 2)
    # 0.02 MB for a block of cells: two segments and one record. Forward, and in a scan over the
    # segments forward again and back.
    assert kernels(slopes(small(3), NAMES[3:6], memory_MB=0.02)) >= 3


def test_no_array_of_cells_is_transposed():
    # JAX's vmap would put the cells first, kernels have them last.
    own = simulated(small(), ELECTRODES["current of each"], 2)
    for run in (own, slopes(small(), NAMES)):
        assert "stablehlo.transpose" not in lowered(run)


# -- transformations ------------------------------------------------------------------------------
def test_transformations_of_a_simulation():
    leak = nj.Cell(channels={"leak": SquidLeak()})

    def run(g):
        cell = nj.replace(leak, {"leak.g_bar": g})
        return nj.simulate(cell, CLAMP, DT, every=11, initial=-65.0).v

    g = jnp.asarray([0.2, 0.3, 0.4])

    def all_of_them():
        slope = jax.grad(lambda g: run(g).sum())(g)
        return run(g), jax.jvp(run, (g,), (g,))[1], slope, jax.vmap(run)(jnp.stack([g, 2 * g]))

    agree(jax.jit(all_of_them), rtol=1e-4)


# -- quick exponentials ---------------------------------------------------------------------------
def test_quick_exponentials_move_spikes_by_less_than_a_step():
    run = simulated(squid(), nj.current_clamp(np.full(400, 12.0)), 1, -65.0)

    def spikes(r):
        v = np.asarray(r.v)
        return np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))

    fast, accurate = spikes(interpreted(run, fast_math=True)), spikes(run())
    assert accurate.size == fast.size >= 1
    assert np.abs(fast - accurate).max() <= 1


def test_quick_exponentials_are_another_program():
    assert lowered(simulated(squid())) != lowered(simulated(squid()), fast_math=True)


# -- memory ---------------------------------------------------------------------------------------
def test_a_population_in_launches_is_one_at_once():
    cell, own = small(300), nj.current_clamp(np.linspace(0, 9, 300) * np.ones((22, 1)))
    error = nj.VoltageError(data=nj.Target(jnp.linspace(-80.0, 0.0, 5), jnp.ones(5)))
    told = {"folds": {"n": nj.SpikeCount(threshold=-60.0, prominence=1.0), "e": error}}
    whole = simulated(cell, own, 4, -65.0, **told)()
    parts = interpreted(simulated(cell, own, 4, -65.0, memory_MB=0.001, **told))
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
