"""Optax at the front door: schedules, masks, batches, restarts, early stopping; your own loop."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import neurojax as nj
from neurojax import fit as fitting
from neurojax.fit import Minimise, free, levenberg_marquardt, minimise
from neurojax.fit.optimisers.descent import needs_matrix
from neurojax.fit.stages.minimise import _Batches

DT, TRUTH = 0.1, {"leak.g_bar": 0.2, "leak.E_rev": -61.0}
BOUNDS = {"leak.g_bar": (0.02, 2.0), "leak.E_rev": (-90.0, -40.0)}


def begun(**values):
    """A cell that is off, from which a fit begins."""
    cell = nj.Cell(channels={"leak": nj.channels.SquidLeak(g_bar=0.35, E_rev=-66.0)}, area=1e-4)
    return nj.replace(cell, values)


def recorded(step, sweep, noise=0.05):
    i = nj.steps(step, start=10.0, stop=30.0, duration=40.0, dt=DT)
    asked = nj.Trace(clamp="current", dt_ms=DT, v_mV=0 * i, i_pA=i, sweep=sweep)
    clean = fitting.free_run(nj.replace(begun(), TRUTH), asked, DT, held=False)
    added = noise * np.random.default_rng(sweep).standard_normal(i.size)
    return replace(asked, v_mV=clean.v_mV + added)


@pytest.fixture(scope="module")
def traces():
    return [recorded(step, k) for k, step in enumerate((40.0, -40.0, 60.0, 20.0))]


def test_adam_on_a_schedule_finds_what_made_the_data(traces):
    schedule = optax.cosine_decay_schedule(0.03, 250)
    chain = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(schedule))
    found = minimise(begun(), traces, BOUNDS, chain, iterations=250, dt=DT)
    for name, value in TRUTH.items():
        assert found.values[name] == pytest.approx(value, rel=0.02), name
    assert found.unit == "mV" and found.error == pytest.approx(0.05, rel=0.15)
    (stage,) = found.stages
    assert stage.name == "minimise" and stage.evaluations == 4 * len(stage.history)


def test_the_first_start_is_the_cell_and_a_learning_rate_is_a_part_of_the_bounds(traces):
    found = minimise(begun(), traces[:1], BOUNDS, optax.sgd(0.0), iterations=2, dt=DT)
    assert found.values["leak.g_bar"] == pytest.approx(0.35, rel=1e-5)
    # Signs of the slope: a step of 0.1 moves each by a tenth of its bounds' distance or less.
    sign = optax.chain(optax.scale_by_sign(), optax.scale(-0.1))
    found = minimise(begun(), traces[:1], BOUNDS, sign, iterations=2, dt=DT)
    g = found.values["leak.g_bar"]
    assert g == pytest.approx(0.35 * 100**-0.1, rel=1e-4)  # two decades, logarithmic
    assert found.values["leak.E_rev"] == pytest.approx(-61.0, rel=1e-4)  # of 50 mV


def test_a_mask_names_parameters(traces):
    only = optax.masked(optax.set_to_zero(), {"leak.g_bar": True, "leak.E_rev": False})
    found = minimise(
        begun(), traces[:1], BOUNDS, optax.chain(optax.adam(0.03), only), iterations=40, dt=DT
    )
    assert found.values["leak.g_bar"] == pytest.approx(0.35, rel=1e-5)
    assert abs(found.values["leak.E_rev"] + 66.0) > 0.5
    labels = {"leak.g_bar": "slow", "leak.E_rev": "fast"}
    both = {"slow": optax.sgd(0.0), "fast": optax.adam(0.03)}
    again = minimise(
        begun(), traces[:1], BOUNDS, optax.multi_transform(both, labels), iterations=40, dt=DT
    )
    assert again.values == pytest.approx(found.values, rel=1e-5)


def test_steps_look_at_some_sweeps_and_epochs_at_all(traces):
    problem = fitting.Task(begun(), free(begun(), BOUNDS), traces, dt=DT).problem()
    batches = _Batches(problem, problem, 3, np.random.default_rng(0))
    z = np.array([[0.4], [0.5]])
    first, second = (batches(z, np.zeros(1)) for _ in range(2))
    assert first.value == pytest.approx(problem.values(z)) and np.isinf(second.value)
    # Three sweeps, then the one that is left: the slopes of an epoch add up to that of all.
    whole = (3 * first.gradient + second.gradient) / 4
    np.testing.assert_allclose(whole, problem(z).gradient, rtol=1e-3)
    assert np.isfinite(batches(z, np.zeros(1)).value)
    found = minimise(begun(), traces, BOUNDS, optax.adam(0.03), iterations=200, batch=1, dt=DT)
    assert found.values["leak.E_rev"] == pytest.approx(-61.0, abs=0.5)
    steps = len(found.stages[0].history)
    assert found.stages[0].evaluations == steps + 4 * -(-steps // 4)  # one each, all at every epoch


def test_held_out_sweeps_decide_when_it_is_enough(traces):
    """A neuron that drifts: what fits the first sweeps best no longer fits the last."""
    drifted = [replace(t, v_mV=t.v_mV + 2.0) for t in traces[2:]]
    how = {"iterations": 200, "patience": 10, "dt": DT}
    early = minimise(begun(), traces[:2], BOUNDS, optax.adam(0.01), held_out=drifted, **how)
    alone = minimise(begun(), traces[:2], BOUNDS, optax.adam(0.01), **how)
    task = replace(early.task, traces=drifted, held_out=())
    of_unseen = task.problem()
    at = [task.space.point(f.values)[:, None] for f in (early, alone)]
    errors = [float(of_unseen.error(of_unseen.values(z)[0])) for z in at]
    assert early.error == pytest.approx(errors[0], rel=1e-3) and errors[0] <= errors[1]
    assert len(early.stages[0].history) < 200


def test_restarts_run_side_by_side_and_the_best_comes_first(traces):
    found = minimise(
        begun(), traces[:1], BOUNDS, optax.adam(0.05), restarts=5, iterations=120, dt=DT, seed=1
    )
    assert found.errors.size == 5 and (np.diff(found.errors) >= 0).all()
    assert found.error < 0.1
    stages = [fitting.Draw(starts=3, draws=2), Minimise(optax.adam(0.05), 20, restarts=2)]
    assert fitting.fit(begun(), traces[:1], BOUNDS, stages, dt=DT).errors.size == 2


def test_what_cannot_be_is_told():
    with pytest.raises(ValueError, match="restarts is 0: expected 1 to 64"):
        Minimise(restarts=0)
    with pytest.raises(ValueError, match="batch is 0: expected one sweep or more"):
        Minimise(batch=0)
    with pytest.raises(ValueError, match="Levenberg-Marquardt needs all sweeps"):
        Minimise(levenberg_marquardt(), batch=2)
    assert needs_matrix(levenberg_marquardt()) and not needs_matrix(optax.adam(0.1))


def test_a_loop_of_ones_own_has_bounded_transforms(traces):
    cell, space = begun(), free(begun(), BOUNDS)
    values = {"leak.g_bar": 0.35, "leak.E_rev": -66.0}
    x = jnp.asarray(space.unbounded(values))
    assert {k: float(v) for k, v in space.bounded(x).items()} == pytest.approx(values, rel=1e-5)
    far = space.bounded(jnp.array([-40.0, 40.0]))
    assert float(far["leak.g_bar"]) == pytest.approx(0.02) and far["leak.E_rev"] == -40.0
    electrode, data = nj.electrode.from_trace(traces[0], DT), traces[0].v_mV[1:]

    @jax.jit
    @jax.value_and_grad
    def loss(x):
        run = nj.simulate(space.apply(cell, space.bounded(x)), electrode, DT)
        return ((run.v - data[: run.v.shape[0]]) ** 2).mean()

    adam = optax.adam(0.1)
    state, first = adam.init(x), None
    for _ in range(80):
        value, slope = loss(x)
        first = first or float(value)
        moves, state = adam.update(slope, state)
        x = optax.apply_updates(x, moves)
    assert float(value) < 0.1 * first
