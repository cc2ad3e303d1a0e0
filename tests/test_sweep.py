"""Sweeps: every cell the same numbers whatever became of shards, devices, processes and disks."""

import contextlib
import errno
import os
import resource
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweeps import UNIT, check_same, kill, process, results, squid

import neurojax as nj
from neurojax import sweep
from neurojax.loss.stream import streamed
from neurojax.sweep import launch, merge, status
from neurojax.sweep.storage import Folder, SweepError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of the sweep in one go, all in one shard."""
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    done = sweep.run(squid(), folder, shard=320, unit=UNIT)
    assert (done.computed, done.found, done.missing, done.failed) == (1, 0, 0, 0)
    return results(folder)


# -- the same numbers ------------------------------------------------------------------------------
def test_a_sweep_is_what_simulate_gives(whole):
    n = 50
    cells = nj.replace(squid().cell, {"k.g_bar": np.linspace(20.0, 50.0, n)})
    for k in (0, 5):
        current = nj.steps(50.0 * k, start=2.0, stop=19.0, duration=20.0, dt=0.025)
        clamp = nj.current_clamp(current * nj.units.PA)
        counted = nj.simulate(cells, clamp, record=(), every=4, folds={"n": nj.SpikeCount()})
        np.testing.assert_array_equal(whole["step.spikes"][:, k], counted.folds["n"])
    assert whole["step.spikes"].shape == (n, 6) and whole["step.spikes"].max() >= 2
    np.testing.assert_allclose(whole["step.rate"], whole["step.spikes"] / 0.017, rtol=1e-5)


def test_numbers_depend_on_neither_shards_nor_order_nor_parts(whole, tmp_path):
    for part in ((2, 2), (1, 2)):
        done = sweep.run(squid(), tmp_path / "s", part=part, shard=UNIT, unit=UNIT)
    assert done.computed == 3 and done.missing == 0
    check_same(tmp_path / "s", whole)


def test_numbers_do_not_depend_on_devices(whole, tmp_path):
    with jax.default_device(jax.local_devices()[0]):
        assert launch.devices_of(squid()).number == 1
        sweep.run(squid(), tmp_path / "s", shard=2 * UNIT, unit=UNIT)
    check_same(tmp_path / "s", whole)


def test_noise_belongs_to_the_number_of_a_cell(tmp_path):
    patch = nj.Cell(channels={"k": nj.channels.SquidK(), "leak": nj.channels.SquidLeak()})
    noisy = sweep.Sweep(
        nj.stochastic(patch, n_channels={"k": 100}, seed=3),
        {"rest": sweep.step(start=0.0, stop=5.0, duration=5.0)},
        axes={"leak.g_bar": [0.3, 0.6]},
        trials=64,
        observables=["v_mean"],
    )
    for name, shard in (("a", 64), ("b", 128)):
        sweep.run(noisy, tmp_path / name, shard=shard, unit=UNIT)
    found = results(tmp_path / "a")
    check_same(tmp_path / "b", found)
    assert found["rest.v_mean"].shape == (2, 64)
    assert len(np.unique(found["rest.v_mean"])) > 120


# -- faults ----------------------------------------------------------------------------------------
def begun(folder, shards=2):
    """A sweep that Ctrl-C ended after some shards."""

    def interrupt(done, total):
        if done >= shards * 2 * UNIT:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        sweep.run(squid(), folder, shard=2 * UNIT, unit=UNIT, progress=interrupt)
    return Folder(folder)


def test_an_interrupted_sweep_goes_on(whole, tmp_path):
    room = begun(tmp_path / "s")
    assert room.whole(room.read()) == {0, 1}
    done = sweep.run(squid(), tmp_path / "s", unit=UNIT)
    assert (done.computed, done.found) == (1, 2)
    check_same(tmp_path / "s", whole)


def test_what_is_damaged_or_half_written_is_computed_again(whole, tmp_path):
    room = begun(tmp_path / "s")
    content = bytearray(room.shard(1).read_bytes())
    content[len(content) // 2] ^= 1
    room.shard(1).write_bytes(bytes(content))
    room.checksum(2).write_text("a crash came between the two files")
    (room.path / "shards" / ".00002.h5.abc.part").write_bytes(b"half")
    told = status.status(room, room.read(), verify=True)
    assert told.damaged == [1] and told.missing == [2]
    done = sweep.run(squid(), tmp_path / "s", unit=UNIT)
    assert done.damaged == [1] and done.computed == 2 and done.found == 1
    check_same(tmp_path / "s", whole)
    assert not list((room.path / "shards").glob(".*"))


@contextlib.contextmanager
def no_room(monkeypatch):
    """The disk is full when a file is brought to it."""

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        yield


@contextlib.contextmanager
def quota(monkeypatch):
    """The system takes no more than the first part of a shard."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("full", [no_room, quota])
def test_a_full_disk_is_said_and_nothing_half_written_is_left(whole, tmp_path, monkeypatch, full):
    room = begun(tmp_path / "s", shards=1)
    before = set(room.whole(room.read()))
    said = pytest.raises(OSError, match=r"was not written: (No space left|File too large)")
    with full(monkeypatch), said as told:
        sweep.run(squid(), tmp_path / "s", unit=UNIT)
    assert str(room.path) in str(told.value.filename)
    assert room.whole(room.read()) == before
    assert not list((room.path / "shards").glob(".*"))
    sweep.run(squid(), tmp_path / "s", unit=UNIT)
    check_same(tmp_path / "s", whole)


def test_a_killed_process_leaves_what_it_had_finished(whole, tmp_path):
    room = Folder(tmp_path / "s")
    worker = process(room.path, pause=60)
    while not room.shard(0).exists():
        assert worker.poll() is None
        time.sleep(0.05)
    kill(worker)
    found = len(room.there(room.read()))
    assert 1 <= found < 5
    done = sweep.run(squid(), room.path, unit=UNIT)
    assert (done.computed, done.found) == (5 - found, found)
    check_same(room.path, whole)


def of_the_host():
    raise MemoryError


def of_a_device():
    jnp.zeros(2**48, "float32")  # no machine has so much: an error of XLA itself


@pytest.mark.parametrize("exhaust", [of_the_host, of_a_device])
def test_where_memory_runs_out_half_as_many_cells_are_computed(monkeypatch, exhaust):
    tried = []

    def start(sweep, numbers, steps=None):
        tried.append(len(numbers))
        if len(numbers) > 128:
            exhaust()
        return numbers

    monkeypatch.setattr(launch, "start", start)
    monkeypatch.setattr(launch, "gathered", lambda numbers: {"n": numbers})
    shards = [(0, range(0, 512)), (1, range(512, 800))]
    found = [x for some in launch.computed(None, shards, 64, 8) for x in some]
    np.testing.assert_array_equal(np.concatenate([x["n"] for _, x in found]), np.arange(800))
    assert [u.shard for u, _ in found] == [0] * 8 + [1] * 5
    assert tried[:3] == [512, 256, 128] and set(tried[3:]) == {128}
    with pytest.raises(MemoryError, match="smaller unit"):
        list(launch.computed(None, shards, 64, 8, devices=4))


def test_a_sweep_that_runs_out_of_memory_has_the_same_numbers(whole, tmp_path, monkeypatch):
    """Launches of whole shards, as on a GPU, of which only the smallest have room."""
    own = launch.start

    def start(sweep, numbers, steps=None):
        if len(numbers) > 2 * UNIT:
            of_a_device()
        return own(sweep, numbers, steps)

    monkeypatch.setattr(launch, "start", start)
    monkeypatch.setattr(launch.Devices, "at_once", lambda self, unit, shard: -(-shard // unit))
    sweep.run(squid(), tmp_path / "s", shard=320, unit=UNIT)
    check_same(tmp_path / "s", whole)


def test_a_cell_that_fails_is_marked_and_the_others_go_on(whole, tmp_path):
    lost = squid()
    lost.axes["step.amplitude"][5] = np.nan  # what no axis may be, and a run may come to
    done = sweep.run(lost, tmp_path / "s", unit=UNIT)
    found = results(tmp_path / "s")
    ok = found["step.ok"]
    assert done.failed == 50 and not ok[:, 5].any() and ok[:, :5].all()
    assert all(np.isnan(found[f"step.{k}"][:, 5]).all() for k in ("rate", "spikes", "behaviour"))
    np.testing.assert_array_equal(found["step.rate"][:, :5], whole["step.rate"][:, :5])
    room = Folder(tmp_path / "s")
    told = status.status(room, room.read())
    assert told.failed == {"step": 50} and told.first_failed == 5
    assert status.described(lost, 5) == "k.g_bar = 20 mS/cm2, step.amplitude = nan pA"


# -- the folder ------------------------------------------------------------------------------------
def test_the_folder_of_another_sweep_is_refused(tmp_path):
    begun(tmp_path / "s", shards=1)
    with pytest.raises(SweepError, match=r"holds another sweep .*Choose another output folder"):
        sweep.run(squid(longest=60.0), tmp_path / "s", unit=UNIT)
    with pytest.raises(SweepError, match="begun with float = float32, not float16"):
        sweep.run(squid(), tmp_path / "s", unit=UNIT, float="float16")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(SweepError, match=r"has other files \(thesis.tex\)"):
        sweep.run(squid(), tmp_path / "other", unit=UNIT)


def test_results_are_stored_as_asked(whole, tmp_path):
    sweep.run(squid(), tmp_path / "s", unit=UNIT, float="float16", packing="gzip")
    found = results(tmp_path / "s")
    assert found["step.rate"].dtype == np.float16
    np.testing.assert_allclose(found["step.rate"], whole["step.rate"], rtol=1e-3)
    np.testing.assert_array_equal(found["step.spikes"], whole["step.spikes"])


def test_xarray_and_h5py_open_a_sweep(whole, tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    room = begun(tmp_path / "s")
    merge.merge(squid(), room, room.read(), {0, 1})
    with xarray.open_dataset(room.merged, engine="h5netcdf") as data:
        rate = data["step.rate"].sel({"step.amplitude": 250.0}).values
        assert data["k.g_bar"].dims == ("sample",) and data["step.rate"].attrs["units"] == "Hz"
        assert "depolarisation_block" in data["step.behaviour"].attrs["flag_meanings"]
        assert np.isnan(data["step.spikes"].values).sum() == 300 - 256
    # The shard that is missing is NaN, the others are there.
    np.testing.assert_array_equal(rate[:42], whole["step.rate"][:42, 5])
    assert np.isnan(rate[43:]).all()
    sweep.run(squid(), tmp_path / "s", unit=UNIT)
    check_same(tmp_path / "s", whole)


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (5, 1, 2, 3)])
def test_boxes_are_the_cells_in_order(shape):
    n = int(np.prod(shape))
    numbers = np.arange(n).reshape(shape)
    for first in range(n):
        for stop in range(first + 1, n + 1):
            parts = list(merge.boxes(first, stop, shape))
            assert [a for _, a, _ in parts] + [stop] == [first] + [b for *_, b in parts]
            for box, a, b in parts:
                np.testing.assert_array_equal(numbers[box].ravel(), np.arange(a, b))


# -- what is asked ---------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["random", "sobol", "latin"])
def test_a_sample_is_the_same_whichever_others_are_drawn(method):
    drawn = sweep.Samples({"a": (1.0, 100.0, "log"), "b": (-1.0, 1.0)}, 64, method, seed=5)
    every = drawn.at(np.arange(64))
    some = drawn.at(np.array([7, 7, 40, 12]))
    for name in "ab":
        np.testing.assert_array_equal(some[name], every[name][[7, 7, 40, 12]])
    assert every["a"].min() >= 1 and every["a"].max() <= 100
    middle = np.median(every["a"]), np.median(every["b"])
    assert middle == pytest.approx((10.0, 0.0), abs=4.0)
    other = sweep.Samples(drawn.ranges, 64, method, seed=6).at(np.arange(64))
    assert not np.array_equal(other["b"], every["b"])


def spiking(times, high=0.0, duration=500.0, dt=0.1):
    """Narrow spikes at some times, ms, on a potential of -65 mV or, from `high` on, of -20 mV."""
    t = np.arange(round(duration / dt) + 1) * dt
    v = np.where((high > 0) & (t >= high), -20.0, -65.0)
    for at in times:
        v = np.maximum(v, 90.0 * np.exp(-np.abs(t - at)) - 65.0)
    return v


def test_behaviour_and_intervals_are_those_of_known_trains():
    trains = {
        "silent": spiking([]),
        "phasic": spiking([20, 30, 45]),
        "tonic": spiking(np.arange(15, 500, 20)),
        "adapting": spiking(20 + np.cumsum(np.linspace(10, 30, 22))),
        "bursting": spiking([a + b for a in (50, 200, 350, 480) for b in (0, 6, 12)]),
        "depolarisation block": spiking([20, 30, 40], high=50.0),
    }
    v = np.stack(list(trains.values()), axis=-1)
    fold = sweep.Firing(told=tuple(sweep.firing.UNITS), record_ms=0.1, stop_ms=500.0)
    found = {k: np.asarray(x) for k, x in streamed(fold, v, 0.1).items()}
    assert [sweep.BEHAVIOURS[k] for k in found["behaviour"]] == list(trains)
    assert found["spikes"].tolist()[:3] == [0, 3, 25]
    assert np.isnan(found["latency"][0]) and np.isnan(found["isi_cv"][0])
    tonic = {k: float(x[2]) for k, x in found.items()}
    assert tonic["isi_mean"] == pytest.approx(20.0, abs=0.01) and tonic["isi_cv"] < 1e-2
    assert tonic["latency"] == pytest.approx(14.3, abs=0.2) and tonic["rate"] == 50.0
    gaps = np.diff(20 + np.cumsum(np.linspace(10, 30, 22)))
    assert found["isi_cv"][3] == pytest.approx(gaps.std() / gaps.mean(), rel=0.01)
    slowing = np.mean(np.diff(gaps) / (gaps[1:] + gaps[:-1]))
    assert found["adaptation"][3] == pytest.approx(slowing, rel=0.02)
    assert found["v_mean"][0] == pytest.approx(-65.0, abs=1e-3)


def test_a_place_on_a_cable_is_an_axis():
    cable = nj.ball_and_stick(squid().cell.channels, compartments=4)
    placed = sweep.Sweep(
        cable,
        {"step": sweep.step(start=1.0, stop=4.0, duration=5.0)},
        axes={"electrode_at": [0, 3], "step.amplitude": [0.0, 500.0], "celsius": [6.0]},
        observables=["v_max"],
        at=3,
    )
    numbers = launch.numbers_of([launch.Unit(0, range(4))], 64, 1)
    ok, folds = launch.start(placed, numbers)["step"]
    top = np.asarray(folds[""]["v_max"])[:4]
    assert (
        np.asarray(ok).all()
        and min(top[1], top[3]) > top[0] + 20
        and top[0] == top[2]
        and top[1] != top[3]
    )


def test_sobol_indices_are_those_of_a_known_function():
    pytest.importorskip("SALib")
    table = sweep.saltelli({"a": (0.0, 1.0), "b": (1.0, np.e, "log"), "c": (0.0, 1.0)}, 512)
    a, b = table.columns["a"], np.log(table.columns["b"])
    found = sweep.sobol_indices(table.names, a + 2 * b)  # variances 1 and 4, of c none
    np.testing.assert_allclose(found.first, [0.2, 0.8, 0.0], atol=0.03)
    np.testing.assert_allclose(found.total, [0.2, 0.8, 0.0], atol=0.03)
    assert found.sentences()[0].startswith("b: 0.8")
    for wrong, told in ((a[:7], "expected one for each row"), (a * np.nan, "no such result")):
        with pytest.raises(ValueError, match=told):
            sweep.sobol_indices(table.names, wrong)
