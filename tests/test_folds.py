"""Folds against the same numbers computed with numpy from what the very run recorded."""

import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.recording import features
from neurojax.units import PA

DT = 0.025
DRIVE = nj.steps(12.0, start=1.0, stop=15.0, duration=20.0, dt=DT)
STEPS = DRIVE.size


def squid(**parameters) -> nj.Cell:
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {name.replace("__", "."): x for name, x in parameters.items()})


def population(pop):
    """Cells of which some spike twice and some once, from rest at -70 mV."""
    n = int(np.prod(pop))
    return squid(leak__E_rev=np.linspace(-58.0, -53.0, n).reshape(pop))


def run(cell, folds, i=DRIVE, initial=-70.0, **more):
    return nj.simulate(cell, nj.current_clamp(i), DT, folds=folds, initial=initial, **more)


def with_start(r, start=-70.0):
    """The potential at the start and at every record."""
    return np.concatenate([np.full((1, *r.v.shape[1:]), start, np.float32), r.v])


def crossings(v, threshold):
    return ((v[:-1] < threshold) & (v[1:] >= threshold)).sum(0)


@nj.pytree
class Inside(nj.Fold):
    """The time (ms) in which the potential lies in a band that its data tell."""

    scale: float = 1.0

    def init(self, cell, s):
        return {"inside": jnp.zeros_like(s.v), "records": 0}

    def update(self, carry, cell, s, row):
        inside = (s.v >= row["low"]) & (s.v < row["high"])
        return {"inside": carry["inside"] + inside, "records": carry["records"] + 1}

    def finish(self, carry, duration):
        return self.scale * carry["inside"] / carry["records"] * duration


@nj.pytree
class Distance(nj.Squares):
    """Two residuals a record: of the potential from its data, and of a gate from a constant."""

    def residual(self, cell, s, row):
        return jnp.stack([s.v - row, 30 * (s.x["k"]["n"] - 0.5)])


@pytest.mark.parametrize(("pop", "every"), [((), 7), ((5,), 1), ((5,), 40)])
def test_folds_are_what_numpy_makes_of_the_recording(pop, every):
    cell = population(pop)
    records = STEPS // every
    data = np.linspace(-80.0, 20.0, records).reshape(-1, *[1] * len(pop))
    low = np.linspace(-90.0, -60.0, records).reshape(-1, *[1] * len(pop))
    r = run(
        cell,
        {
            "spikes": nj.SpikeCount(),
            "ups": nj.SpikeCount(threshold=-50.0),
            "rate": nj.SpikeRate(),
            "v": nj.Mean(),
            "i": nj.Mean(of="na.i"),
            "n": nj.Mean(of="k.n"),
            "where": nj.Histogram(),
            "gate": nj.Histogram(of="k.n", low=0.25, high=0.75, bins=8),
            "squares": Distance(data=data),
            "inside": Inside(data={"low": low, "high": low + 30.0}),
        },
        record=("v", "na.i", "k.n"),
        every=every,
    )
    v, d, f = with_start(r), r.data, r.folds
    assert r.v.shape == (records, *pop)
    spikes = crossings(v, 0.0)
    if every < 10:
        assert spikes.max() > 0
    np.testing.assert_array_equal(f["spikes"], spikes)
    np.testing.assert_array_equal(f["ups"], crossings(v, -50.0))
    np.testing.assert_allclose(f["rate"], spikes / (1e-3 * records * every * DT), rtol=1e-6)
    np.testing.assert_allclose(f["v"], np.mean(d["v"], 0, dtype=float), rtol=1e-5)
    np.testing.assert_allclose(f["i"], np.mean(d["na.i"], 0, dtype=float), rtol=1e-4)
    np.testing.assert_allclose(f["n"], np.mean(d["k.n"], 0, dtype=float), rtol=1e-5)
    for name, x, edges in (
        ("where", d["v"], np.arange(-95.0, 50.0, 5.0)),
        ("gate", d["k.n"], np.linspace(0.25, 0.75, 9)[1:-1]),
    ):
        bins = np.digitize(x, edges)
        counts = np.stack([(bins == k).sum(0) for k in range(edges.size + 1)])
        np.testing.assert_array_equal(f[name], counts, err_msg=name)
    errors = np.stack([r.v - data, 30 * (np.asarray(d["k.n"]) - 0.5)])
    np.testing.assert_allclose(f["squares"], (errors**2).sum((0, 1), dtype=float), rtol=1e-4)
    inside = (r.v >= low) & (r.v < low + 30)
    np.testing.assert_allclose(f["inside"], np.mean(inside, 0) * records * every * DT, rtol=1e-5)
    for name, x in f.items():
        assert x.shape[x.ndim - len(pop) :] == pop, name


# Constant current (uA/cm2) from rest -> spikes in 500 ms, by an independent implementation of
# Hodgkin & Huxley's equations (scipy DOP853, rtol 1e-10), as in test_squid.
PUBLISHED = {2.2: 0, 5.0: 1, 6.2: 3, 6.3: 27, 10.0: 35, 20.0: 44, 50.0: 59, 100.0: 1}


def test_spike_counts_and_rates_of_the_squid_are_the_published_ones():
    i = np.broadcast_to(list(PUBLISHED), (20_000, len(PUBLISHED)))
    # What was published crosses 0 mV. The potential that 100 uA/cm2 holds high still swings by more
    # than 20 mV at first.
    folds = {"n": nj.SpikeCount(threshold=0.0), "rate": nj.SpikeRate(threshold=0.0)}
    r = run(squid(), folds, record=(), every=8, i=i, initial=None)
    assert r.folds["n"].tolist() == list(PUBLISHED.values())
    np.testing.assert_allclose(r.folds["rate"], 2 * np.array(list(PUBLISHED.values())), rtol=1e-6)


def test_a_count_needs_no_trace():
    r = run(population((3,)), {"n": nj.SpikeCount()}, record=())
    full = run(population((3,)), {})
    assert r.data == {} and full.folds == {}
    np.testing.assert_array_equal(r.folds["n"], crossings(with_start(full), 0.0))
    np.testing.assert_array_equal(r.final.v, full.v[-1])
    assert r.t.shape == full.t.shape and bool(r.ok.all())


def test_a_cell_that_starts_above_the_threshold_has_not_spiked():
    r = run(squid(), {"n": nj.SpikeCount()}, initial=30.0, i=np.zeros(40))
    assert int(r.folds["n"]) == 0


def test_a_parameter_of_a_fold_may_differ_from_cell_to_cell():
    thresholds = np.array([-100.0, -20.0, 0.0, 60.0, 100.0])
    folds = {"n": nj.SpikeCount(threshold=thresholds)}
    r = run(population((5,)), folds)
    v = with_start(r)
    found = [features.spikes(v[:, k], DT, thresholds[k]).number for k in range(5)]
    np.testing.assert_array_equal(r.folds["n"], found)
    np.testing.assert_array_equal(r.folds["n"][1:], crossings(v, thresholds)[1:])


def test_data_may_differ_from_cell_to_cell():
    data = np.linspace(-80.0, 0.0, 4 * STEPS).reshape(STEPS, 4)
    r = run(population((4,)), {"e": Distance(data=data)}, record=("v", "k.n"))
    errors = np.stack([r.v - data, 30 * (np.asarray(r.data["k.n"]) - 0.5)])
    np.testing.assert_allclose(r.folds["e"], (errors**2).sum((0, 1), dtype=float), rtol=1e-4)


def test_a_histogram_counts_every_record_once_and_what_lies_outside_at_the_edges():
    folds = {
        "narrow": nj.Histogram(low=-60.0, high=0.0, bins=3),
        "above": nj.Histogram(low=200.0, high=300.0, bins=4),
        "below": nj.Histogram(low=-300.0, high=-200.0, bins=4),
        "one": nj.Histogram(bins=1),
    }
    r = run(population((3,)), folds, every=3)
    records, v = STEPS // 3, np.asarray(r.v)
    for name, counts in r.folds.items():
        np.testing.assert_array_equal(np.asarray(counts).sum(0), [records] * 3, err_msg=name)
    np.testing.assert_array_equal(r.folds["narrow"][0], (v < -40).sum(0))
    np.testing.assert_array_equal(r.folds["narrow"][2], (v >= -20).sum(0))
    assert (v < -60).any() and (v > 0).any()
    assert r.folds["above"][0].tolist() == r.folds["below"][-1].tolist() == [records] * 3


def test_the_last_steps_that_fill_no_record_do_not_count():
    # 13 steps in records of 5: two records, 10 steps, 0.25 ms.
    r = run(
        squid(), {"v": nj.Mean(), "rate": nj.SpikeRate(threshold=-64.9, prominence=1.0)},
        every=5, i=[50.0] * 13,
    )  # fmt: skip
    assert r.v.shape == (2,)
    assert float(r.folds["v"]) == pytest.approx(float(r.v.mean()), rel=1e-6)
    assert float(r.folds["rate"]) == pytest.approx(1 / 0.25e-3, rel=1e-6)


def test_errors_against_data_are_folds_of_a_run():
    cell = squid(area=1e-5, na__g_bar=np.array([100.0, 120.0]))
    command = np.linspace(-80.0, 20.0, 60)
    weight = np.linspace(0.0, 1.0, 20)
    i_pA = np.linspace(-1e4, 5e4, 20)
    folds = {
        "v": nj.VoltageError(data=nj.Target(np.full(20, -30.0), weight)),
        "i": nj.CurrentError(data=nj.Target(i_pA, weight)),
    }
    clamp = nj.voltage_clamp(command)
    r = nj.simulate(cell, clamp, DT, record=("v", "i_ion"), every=3, folds=folds)
    off = (r.v + 30.0) * weight[:, None]
    np.testing.assert_allclose(r.folds["v"], (off**2).sum(0), rtol=1e-5)
    off = (np.asarray(r.data["i_ion"]) * 1e-5 / PA - i_pA[:, None]) * weight[:, None]
    np.testing.assert_allclose(r.folds["i"], (off**2).sum(0), rtol=1e-4)


@pytest.mark.parametrize("rows", [0, 3, STEPS // 8 - 1])
def test_data_of_too_few_rows_are_refused_by_the_fold_s_name(rows):
    folds = {"n": nj.SpikeCount(), "fit": Distance(data=np.zeros(rows))}
    message = rf"fold 'fit': data has {rows} rows, but the run makes {STEPS // 8} records"
    with pytest.raises(ValueError, match=message):
        run(squid(), folds, every=8)


def test_data_of_more_rows_than_records_are_used_from_the_start():
    data = np.linspace(-80.0, 0.0, STEPS)
    short = run(squid(), {"e": Distance(data=data[: STEPS // 8])}, every=8)
    long = run(squid(), {"e": Distance(data=data)}, every=8)
    assert float(short.folds["e"]) == float(long.folds["e"])


@nj.pytree
class NoInit(nj.Fold):
    def update(self, carry, cell, s, row):
        return carry


@nj.pytree
class NoUpdate(nj.Fold):
    def init(self, cell, s):
        return jnp.zeros_like(s.v)


@nj.pytree
class NoResidual(nj.Squares):
    pass


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (NoInit(), "NoInit has no init"),
        (NoUpdate(), "NoUpdate has no update"),
        (NoResidual(), "NoResidual has no residual"),
    ],
)
def test_a_fold_that_lacks_a_method_says_which(fold, message):
    with pytest.raises(TypeError, match=message):
        run(squid(), {"f": fold})


@pytest.mark.parametrize("name", ["na.x", "V", "sodium.i"])
def test_a_fold_of_an_unknown_observable_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name}.*\(have: v, i_ion"):
        run(squid(), {"f": nj.Mean(of=name)})


def test_one_diverging_cell_harms_no_fold_of_the_others():
    i = np.repeat(DRIVE[:, None], 5, axis=1)
    folds = {
        "n": nj.SpikeCount(),
        "v": nj.Mean(),
        "where": nj.Histogram(),
        "e": Distance(data=np.zeros(STEPS)),
    }
    good = run(population((5,)), folds, i=i)
    i[60, 2] = np.nan
    bad = run(population((5,)), folds, i=i)
    assert bad.ok.tolist() == [True, True, False, True, True]
    assert np.isnan(bad.folds["v"][2]) and np.isnan(bad.folds["e"][2])
    others = np.array([0, 1, 3, 4])
    for name in folds:
        np.testing.assert_array_equal(
            bad.folds[name][..., others], good.folds[name][..., others], err_msg=name
        )


def test_a_parameter_of_a_fold_stays_within_its_bounds():
    with pytest.raises(ValueError, match=r"fold 'n': threshold = -900 mV is outside \[-100, 100\]"):
        run(squid(), {"n": nj.SpikeCount(threshold=-900.0)})


def test_a_fold_without_its_functions_is_told():
    @nj.pytree
    class Empty(nj.Fold):
        """A fold of nothing."""

    with pytest.raises(TypeError, match="Empty has no init: a fold defines init and update"):
        run(squid(), {"x": Empty()})


def test_folds_of_a_cell_that_diverged_are_nan():
    # The first cell spikes before it is lost; its neighbour is not touched.
    cells = nj.replace(squid(), {"na.g_bar": np.array([120.0, 120.0])})
    blast = np.stack([DRIVE, DRIVE], axis=1)
    blast[700:, 0] = np.nan
    folds = {"n": nj.SpikeCount(), "v": nj.Mean(), "where": nj.Histogram(bins=4)}
    r = run(cells, folds, blast)
    assert r.ok.tolist() == [False, True]
    for k, found in r.folds.items():
        assert np.isnan(found[..., 0]).all() and np.isfinite(found[..., 1]).all(), k
    assert r.folds["n"][1] == crossings(with_start(r)[:, 1], 0.0)
    assert r.folds["where"][:, 1].sum() == STEPS


# -- residuals -------------------------------------------------------------------------------------
@nj.pytree
class Off(nj.loss.Squares):
    """How far the potential is from its row."""

    def residual(self, cell, s, row):
        return (s.v - row)[None]


@nj.pytree
class Last(nj.loss.Residuals):
    """How far the last potential is from -50 mV."""

    def init(self, cell, s):
        return s.v

    def update(self, carry, cell, s, row):
        return s.v

    def residuals(self, carry, duration):
        return (carry + 50.0)[None]


def test_residuals_of_a_total_are_those_of_its_parts_times_the_root_of_their_weights():
    cell = population((3,))
    s = nj.steady_state(cell, np.array([-60.0, -55.0, -40.0]))
    both = nj.total({"off": Off(data=np.zeros(1)), "last": Last()}, {"off": 4.0, "last": 9.0})
    squares = both.squares()
    assert squares is not None and squares.of_record and squares.of_run
    row = {"off": -50.0, "last": None}
    carry = both.update(both.init(cell, s), cell, s, row)
    of_record, of_run = squares.of_record(cell, s, row), squares.of_run(carry, 1.0)
    np.testing.assert_allclose(of_record, [[-20.0, -10.0, 20.0]], rtol=1e-6)
    np.testing.assert_allclose(of_run, [[-30.0, -15.0, 30.0]], rtol=1e-6)
    # They are what the total sums the squares of.
    np.testing.assert_allclose(both.finish(carry, 1.0), (of_record**2 + of_run**2)[0], rtol=1e-6)


def test_a_total_asks_for_residuals_only_where_its_parts_have_them():
    off, last = Off(data=np.zeros(1)), Last()
    assert nj.total({"off": off}).squares().of_run is None
    assert nj.total({"last": last}).squares().of_record is None
    assert nj.total({"off": off, "mean": nj.Mean()}).squares() is None
    with pytest.raises(TypeError, match="Residuals has no residuals"):
        nj.loss.Residuals().finish(None, 1.0)
