"""Search on features: finds spikes, survives lost cells and Ctrl-C, and explains its score."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.fit.budget import Budget
from neurojax.fit.holding import holding_pA
from neurojax.fit.optimisers.evolution import Evolution, Population
from neurojax.fit.recipe import fit
from neurojax.fit.scoring.agreement import agreement, free_run
from neurojax.fit.scoring.scored import padded_lengths, scored
from neurojax.fit.scoring.scorer import FeatureScorer, Scored
from neurojax.fit.stages.search import Search
from neurojax.fit.task import Task
from neurojax.model.space import free
from neurojax.recording.trace import Trace

AREA = 1e-6
DT = 0.05
TRUTH = {"na.g_bar": 100.0, "k.g_bar": 30.0, "leak.g_bar": 0.25, "C_m": 0.9}


def squid():
    return nj.Cell(
        channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, C_m=1.0, area=AREA
    )


def space(cell, **extra):
    bounds = {
        "na.g_bar": (20.0, 400.0),
        "k.g_bar": (5.0, 200.0),
        "leak.g_bar": (0.02, 2.0),
        "C_m": (0.5, 2.0),
    }
    return free(cell, bounds | extra)


@pytest.fixture(scope="module")
def sweep():
    i = nj.steps(12.0, start=15.0, stop=75.0, duration=90.0, dt=0.05)
    asked = Trace("current", 0.05, np.full(i.size, -65.0), i, name="made")
    return free_run(nj.replace(squid(), TRUTH), asked, DT)


def options(**other):
    return {"draws": 64, "population": 32, "islands": 1} | other


def search(cell, traces, space, *, seconds=None, progress=None, weights=None, **other):
    stages = [Search(**options(**other))]
    return fit(cell, traces, space, stages, dt=DT, seed=1, seconds=seconds, progress=progress,
               weights=weights)  # fmt: skip


@pytest.mark.smoke
def test_evolution_beats_the_draw(sweep):
    cell, seen = squid(), []
    found = search(
        cell,
        [sweep],
        space(cell),
        generations=30,
        islands=2,
        progress=lambda *step: seen.append(step),
    )
    draw, islands, descend, refine, *_ = found.stages
    names = ["draw", "islands", "descend", "refine", "descend on", "ranges"]
    assert [s.name for s in found.stages] == names
    # Two currents; from the second batch on the worse half is given up after one of them.
    raced = 32 + 16
    assert draw.evaluations == 32 * 2 + raced and islands.evaluations == 15 * raced
    for stage in (draw, islands, descend, refine):
        assert (np.diff(stage.history) <= 0).all()
    assert descend.history[-1] < islands.history[-1] < draw.history[-1]
    assert found.error <= refine.history[-1] < 0.3 * draw.history[-1]
    assert found.error == pytest.approx(sum(found.contributions.values()))
    told = agreement(sweep, free_run(found.cell, sweep, DT))
    assert told.spikes_model == told.spikes_data > 3
    assert told.spike_time_error < 0.03
    assert abs(told.peak_error_mV) < 2 and abs(told.trough_error_mV) < 2
    assert found.values == {k: pytest.approx(v[0]) for k, v in found.starts.items()}
    assert seen[0] == ("draw", 1, 2, draw.history[0], "tolerances")
    assert ("refine", 15, 15) in [step[:3] for step in seen]
    for name, (low, high) in found.ranges.items():
        assert low <= found.values[name] <= high


def test_ctrl_c_keeps_the_best_so_far(sweep):
    def interrupt(stage, done, total, best, unit):
        if (stage, done) == ("refine", 3):
            raise KeyboardInterrupt

    cell = squid()
    found = search(cell, [sweep], space(cell), generations=50, progress=interrupt)
    assert found.interrupted
    assert found.stages[-1].name == "refine" and len(found.stages[-1].history) == 3
    assert found.error == found.stages[-1].history[-1]


def test_a_budget_of_time_is_kept(sweep):
    cell = squid()
    search(cell, [sweep], space(cell), generations=1)  # compile
    found = search(cell, [sweep], space(cell), seconds=1.0)
    assert 0.5 < sum(s.seconds for s in found.stages) < 2.0
    assert "refine" in [s.name for s in found.stages]  # what time was left is used
    assert not found.interrupted


def test_a_single_sweep_is_judged_by_two_currents_around_its_own(sweep):
    cell = squid()
    task = Task(cell, space(cell), [sweep], dt=DT)
    z = task.space.random(32, seed=3)
    both, parts, *_ = FeatureScorer(task, jitter=0.01)(z)
    each = [replace(sweep, i_pA=sweep.i_pA * share) for share in (1.01, 0.99)]
    alone = [FeatureScorer(Task(cell, task.space, [t], dt=DT))(z)[0] for t in each]
    np.testing.assert_allclose(both, np.mean(alone, axis=0), rtol=1e-4)
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    np.testing.assert_allclose(sum(parts.values()), both, rtol=1e-5)


def test_a_race_gives_up_what_is_behind_and_tells_the_rest_as_it_is(sweep):
    cell, weak = squid(), replace(sweep, i_pA=0.3 * sweep.i_pA)
    scorer = FeatureScorer(Task(cell, space(cell), [weak, sweep], dt=DT), together=16)
    z = space(cell).random(32, seed=3)
    whole = scorer.race(z)  # nothing is known of the sweeps yet
    assert whole.residuals is not None and whole.simulated == 64
    assert scorer.telling.sum() == pytest.approx(1)
    raced = scorer.race(z, groups=2)
    ended = np.isfinite(raced.errors)
    assert ended[:16].sum() == ended[16:].sum() == 8 and raced.simulated == 32 + 16
    np.testing.assert_allclose(raced.errors[ended], whole.errors[ended], rtol=1e-4)
    assert raced.least is not None
    assert (raced.least[~ended] <= whole.errors[~ended] * 1.001).all() and raced.lost == 0
    for part in (slice(0, 16), slice(16, 32)):
        order, errors = raced.order(part), raced.errors[part]
        assert (np.diff(errors[order[:8]]) >= 0).all() and not np.isfinite(errors[order[8:]]).any()
        assert np.argmin(whole.errors[part]) in order[:4]


def test_short_sweeps_are_not_padded_to_the_longest():
    assert padded_lengths([1000.0, 990.0, 400.0]) == [1000.0, 1000.0, 400.0]
    assert padded_lengths([1000.0, 380.0, 400.0]) == [1000.0, 400.0, 400.0]
    assert padded_lengths([1000.0, 990.0, 900.0]) == [1000.0] * 3  # not worth a program


def test_a_sweep_without_a_step_is_scored_for_as_long_as_the_others(sweep):
    still = Trace("current", 0.05, np.full(8000, -65.0), np.zeros(8000))  # 400 ms
    cell = squid()
    problem = scored(Task(cell, space(cell), [sweep, still], dt=DT))
    first, second = (s.error for s in problem.sweeps)
    assert np.shape(first.data.v) == np.shape(second.data.v)
    assert abs(np.shape(first.data.v)[0] - 90 / DT) <= 1


def test_features_count_as_often_as_they_are_emphasised(sweep):
    cell = squid()
    task = Task(cell, space(cell), [sweep], dt=DT)
    z = task.space.random(32, seed=3)
    errors, parts, *_ = FeatureScorer(task)(z)
    more, weighed, *_ = FeatureScorer(task, feature_weights={"times": 3.0, "rise": 0.0})(z)
    np.testing.assert_allclose(weighed["times"], 3 * parts["times"], rtol=1e-5)
    np.testing.assert_allclose(more, errors + 2 * parts["times"] - parts["rise"], rtol=1e-5)


def test_a_prior_counts_its_squared_standard_deviations_among_the_features(sweep):
    cell = squid()
    known = {"C_m": {"low": 0.5, "high": 2.0, "scale": "log", "prior": (1.0, 0.1)}}
    task = Task(cell, space(cell, **known), [sweep, sweep], dt=DT)
    plain = Task(cell, without_priors(task.space), [sweep, sweep], dt=DT)
    z = task.space.random(32, seed=3)
    C_m = np.asarray(task.space.values(z)["C_m"])
    errors, parts, *_ = FeatureScorer(task)(z)
    np.testing.assert_allclose(parts["priors"], (np.log(C_m) / 0.1) ** 2 / 2, rtol=1e-4)
    np.testing.assert_allclose(errors - parts["priors"], FeatureScorer(plain)(z)[0], rtol=1e-4)


def without_priors(space):
    """The same space, nothing known beforehand."""
    return replace(space, free=tuple(replace(f, prior=None) for f in space.free))


@nj.pytree
class Fragile(nj.Channel):
    """A leak that is not a number beyond a conductance of 1 mS/cm2."""

    g_bar: float = nj.param(0.25, "mS/cm2", 1e-3, 10.0)
    E_rev: float = nj.param(-54.4, "mV", -110.0, -30.0)

    def conductance(self, x):
        return self.g_bar * jnp.sqrt(1 - self.g_bar) / jnp.sqrt(1 - self.g_bar)


def test_lost_cells_are_counted_and_survived(sweep):
    cell = replace(squid(), channels=squid().channels | {"leak": Fragile()})
    found = search(cell, [sweep], space(cell), generations=2)
    assert sum(s.dropped for s in found.stages) > 0
    assert np.isfinite(found.error)
    assert np.isfinite(np.stack(list(found.starts.values()))).all()


def test_nothing_finite_is_an_error(sweep):
    cell = replace(squid(), channels=squid().channels | {"leak": Fragile(g_bar=2.0)})
    with pytest.raises(ValueError, match="search: every start failed"):
        search(cell, [sweep], free(cell, ["C_m"]), generations=1)


def test_a_cell_that_drifted_is_held_where_it_rested(sweep):
    """A cell recorded 3 mV below its rest is told by its response, not by the drift."""
    cell = nj.replace(squid(), TRUTH)
    pulled = Trace("current", 0.05, sweep.v_mV, sweep.i_pA - 1.0, holding=-1.0)
    drifted = free_run(cell, pulled, DT, held=False)
    told = replace(drifted, i_pA=sweep.i_pA, holding=0.0)  # nobody knows of the pull
    run = free_run(cell, told, DT)
    found = agreement(told, run)
    assert found.bias_pA == pytest.approx(-1.0, rel=2e-3)
    assert found.sentence().endswith("; held by -1.0 pA")
    np.testing.assert_allclose(run.v_mV, drifted.v_mV, atol=0.5)
    assert np.abs(free_run(cell, told, DT, held=False).v_mV - drifted.v_mV).max() > 10


def test_seeds_repeat_and_numpy_is_left_alone(sweep):
    cell = squid()
    np.random.seed(0)  # noqa: NPY002
    first = search(cell, [sweep], space(cell), generations=3)
    after = np.random.random()  # noqa: NPY002
    again = search(cell, [sweep], space(cell), generations=3)
    np.random.seed(0)  # noqa: NPY002
    assert after == np.random.random()  # noqa: NPY002
    assert first.values == again.values


def test_sweeps_are_weighed(sweep):
    low = free_run(nj.replace(squid(), TRUTH), Trace("current", 0.05, sweep.v_mV, sweep.i_pA / 8))
    cell = squid()
    z = space(cell).random(32, seed=3)

    def parts(weights=None):
        return FeatureScorer(Task(cell, space(cell), [sweep, low], dt=DT, weights=weights))(z)[1]

    both, first, second = parts([3.0, 1.0]), parts([1.0, 0.0]), parts([0.0, 1.0])
    for name, x in both.items():
        np.testing.assert_allclose(x, 0.75 * first[name] + 0.25 * second[name], atol=1e-4)


def test_bad_requests_are_named(sweep):
    cell = squid()
    clamp = Trace("voltage", 0.05, sweep.v_mV, sweep.i_pA, sweep=7)
    for traces, other, message in [
        ([], {}, "no trace"),
        ([clamp], {}, "sweep 7: a search on features needs current clamp"),
        ([sweep], {"weights": [1.0, 2.0]}, "expected 1 numbers"),
        ([sweep], {"population": 2}, "population = 2"),
        ([sweep], {"feature_weights": {"time": 2.0}}, "no feature 'time'; did you mean 'times'"),
        (
            [sweep],
            {"feature_weights": {"times": -1.0}},
            "times is -1.0: expected a number",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            search(cell, traces, space(cell), **other)


def test_a_long_prepulse_is_no_holding_current():
    i = np.full(4000, 5.0)
    i[400:2000], i[2000:3800] = -60.0, 200.0
    trace = Trace("current", 0.05, np.full(i.size, -65.0), i, holding=7.0)
    assert holding_pA(trace) == 5.0
    assert holding_pA(replace(trace, i_pA=np.full(i.size, 5.0))) == 7.0  # as it says itself


def test_an_evolution_around_a_minimum_goes_on_while_its_own_generations_gain():
    """None of its points is as good as the one that is known, until it has come back to it."""

    class Bowl:
        unit, sweeps = "1", 1

        def __call__(self, z):
            return Scored(1 + 1e4 * ((z - 0.5) ** 2).sum(0), simulated=z.shape[1])

        def race(self, z, groups=1):
            return self(z)

    population = Population(Bowl(), 16)
    with Budget().stage("evolve", "1") as log:
        population.scored(np.full((3, 1), 0.5), log)
        Evolution(population, 1, np.random.default_rng(0)).run(log, 500, patience=8, gain=0.01)
    assert population.best == 1.0 and 1 < log.errors[0] < 1.1
    assert 20 < len(log.history) < 500
