"""Plates: kinetics simulated once for all, noise reached or told, populations, quality, table."""

import csv
import dataclasses

import numpy as np
import pytest
from typer.testing import CliRunner

import neurojax as nj
from neurojax.channels import CortexLeak, HergKr
from neurojax.cli.app import app
from neurojax.fit import CohortWarning, cohort, free, free_run
from neurojax.fit.hierarchical import pooling
from neurojax.fit.hierarchical.lanes import Lanes
from neurojax.fit.hierarchical.projection import Kinetics, Projection, applies
from neurojax.fit.hierarchical.quality import noise_between_samples, quality_of
from neurojax.fit.hierarchical.recordings import Plate
from neurojax.model import load_model
from neurojax.report import write_plate

NOISE, CELLS, BROKEN = 20.0, 10, 4
KINETICS = [f"kr.p{k}" for k in range(1, 9)]


def traces_of(cell, g, v, dt, noise, rng):
    """Currents pA of hERG cells of the conductances g mS/cm2, each with its own noise."""
    unit = free_run(nj.replace(cell, {"kr.g_bar": 1.0}), nj.Trace("voltage", dt, v, 0.0 * v), dt)
    return [
        [nj.Trace("voltage", dt, v, x * unit.i_pA + noise * rng.normal(size=v.size), name=f"{k}")]
        for k, x in enumerate(g)
    ]


@pytest.fixture(scope="module")
def plate():
    """Recordings of hERG cells, of which one has lost its seal, and their conductances."""
    rng, dt = np.random.default_rng(0), 0.5
    g = 7.62 * np.exp(0.3 * rng.normal(size=CELLS))
    recordings = traces_of(
        load_model("herg").cell, g, nj.protocols.sine(dt).v[:, 0], dt, NOISE, rng
    )
    (broken,) = recordings[BROKEN]
    leak = 20.0 * (broken.v_mV + 20.0) * np.linspace(0, 1, broken.v_mV.size)
    recordings[BROKEN] = [dataclasses.replace(broken, i_pA=broken.i_pA + leak)]
    return recordings, g


@pytest.fixture(scope="module")
def fitted(plate):
    herg = load_model("herg")
    how = {"shared": KINETICS, "pooled": ["kr.g_bar"], "starts": 16, "seed": 1}
    return cohort(herg.cell, plate[0], herg.space, **how)


def test_cells_that_share_kinetics_reach_their_noise(plate, fitted):
    """All but the one without a seal, which has no say in what they share."""
    _, g = plate
    sound = np.arange(CELLS) != BROKEN
    np.testing.assert_allclose(fitted.errors[sound], NOISE, rtol=0.02)
    np.testing.assert_array_equal(fitted.at_noise, sound)
    assert fitted.ended == "done" and fitted.apart == [str(BROKEN)]
    for name in KINETICS:
        truth = nj.parameters(load_model("herg").cell)[name][0]
        assert fitted.shared[name] == pytest.approx(truth, abs=4 * fitted.standard_errors[name][0])
    score = (fitted.values["kr.g_bar"] - g)[sound] / fitted.standard_errors["kr.g_bar"][sound]
    assert np.abs(score).max() < 4
    of = fitted.pools["kr.g_bar"]
    assert np.log(of.mean / 7.62) == pytest.approx(0, abs=3 * of.mean_error / of.mean)
    assert of.spread == pytest.approx(0.3, abs=3 * of.spread_error)
    assert of.mean_error / of.mean == pytest.approx(of.spread / np.sqrt(CELLS), rel=0.05)
    told = fitted.summary()
    assert told.startswith("9 of 10 cells are at the noise") and f"\n  {BROKEN}: " in told


def test_a_plate_is_told_cell_by_cell(fitted, tmp_path):
    head, rows = fitted.table()
    assert fitted.write_csv(tmp_path / "plate.csv").exists()
    with (tmp_path / "plate.csv").open() as file:
        read = list(csv.reader(file))
    at = dataclasses.replace(fitted, values=fitted.values | {"kr.g_bar": np.full(CELLS, 0.05)})
    assert load_model("herg").space.free[0].low == 0.05 and at.remarks(0) == ["kr.g_bar on a bound"]
    assert read[0] == head and len(read) == 1 + CELLS
    column = head.index("kr.g_bar (mS/cm2)")
    for k, (row, written) in enumerate(zip(rows, read[1:], strict=True)):
        assert row[column] == fitted.values["kr.g_bar"][k] == float(written[column])
        assert (row[1] == "passes") == (k != BROKEN)
    assert "times its noise" in rows[BROKEN][1] and "no say in what all share" in rows[BROKEN][1]
    page = write_plate(tmp_path / "plate.html", fitted, title="Plate 1").read_text()
    assert "Plate 1" in page and page.count("<tr>") == 1 + CELLS


def test_a_plate_that_is_out_of_time_says_so(plate):
    herg = load_model("herg")
    with pytest.warns(CohortWarning, match=r"out of time: \d+ of 10 cells are at the noise"):
        found = cohort(herg.cell, plate[0], herg.space, shared=KINETICS, starts=16, seconds=0.01)
    assert found.ended == "out of time" and not found.at_noise.all()
    assert "give it more time" in found.summary()


def test_one_simulation_says_of_all_cells_what_one_each_says(x64):
    """With a channel that all have alike, and conductances on a bound."""
    rng, dt = np.random.default_rng(1), 0.5
    channels = {"kr": HergKr(), "leak": CortexLeak(), "more": CortexLeak(g_bar=0.02, E_rev=-50.0)}
    cell = nj.Cell(channels=channels, area=2e-5)
    v = np.repeat((-80.0, 40.0, -120.0, -40.0), (60, 100, 60, 80))
    recordings = traces_of(load_model("herg").cell, [3.0, 7.0, 9.0], v, dt, 5.0, rng)
    of_leak = {"low": 1e-4, "high": 1.0, "scale": "linear"}
    bounds = {"kr.g_bar": (0.1, 100.0), "leak.g_bar": of_leak, "kr.p1": (1e-5, 1e-2)}
    space = free(cell, bounds)
    shared = np.array([False, False, True])
    plate = Plate(cell, space, recordings, "voltage", dt, precision="exact")
    assert applies(plate, shared) and not applies(plate, ~shared)
    z = rng.random((3, 3))
    z[2] = z[2, 0]
    together, each = (of.look([z], [0.0], 1)[0] for of in (Projection(plate, shared), Lanes(plate)))
    for a, b in zip(together, each, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9 * np.abs(b).max())
    best = Projection(plate, shared).with_own(z[:, :1])
    value, gradient, _ = Projection(plate, shared).look([best], [0.0], 1)[0]
    inside = (best[:2] > 0) & (best[:2] < 1)
    assert np.abs(gradient[:2][inside]).max() < 1e-8 * value.max()
    problem, step = Kinetics(Projection(plate, shared)), 1e-5
    at = problem(np.array([[0.4, 0.4 - step, 0.4 + step]]))
    by_differences = (at.value[2] - at.value[1]) / (2 * step)
    assert at.gradient[0, 0] == pytest.approx(by_differences, rel=1e-5)


def test_what_a_population_is_sure_of():
    """Of cells that are known alike well the standard errors are those of textbooks."""
    n, spread, own, alike = 50, 0.2, 0.1, 0.03
    of = pooling.Population(np.array([0.5]), np.array([spread]))
    errors = pooling.uncertainty(np.full((n, 1, 1), own**-2), of, np.full((n, 1, 1), alike))
    total = spread**2 + own**2
    assert errors.mean[0] == pytest.approx(np.sqrt(total / n + alike**2))
    assert errors.spread[0] == pytest.approx(total / spread / np.sqrt(2 * n))


def rig(seal, R_s, C, rng, *, noise=3.0, dt=0.02, loss=0.0):
    """A step from -80 to -90 mV on a leak behind a series resistance, twice, in closed form."""
    t = (np.arange(5000) + 0.5) * dt
    v = np.where((t > 20) & (t < 60), -90.0, -80.0)
    tau = R_s * C * 1e-3  # MOhm pF
    steady = v / (seal + R_s) * 1e3
    on, off = (np.where(t > at, np.exp(-np.maximum(t - at, 0) / tau), 0.0) for at in (20, 60))
    i = steady - 10.0 / R_s * 1e3 * (on - off) + 200.0 * np.exp(-(((t - 80) / 5) ** 2))
    return [
        nj.Trace("voltage", dt, v, size * i + noise * rng.normal(size=t.size), sweep=k)
        for k, size in enumerate((1.0, 1.0 - loss))
    ]


def test_seal_access_capacitance_and_run_down_are_read_off_a_step():
    rng = np.random.default_rng(2)
    cells = [rig(500.0, 8.0, 20.0, rng, loss=0.3), rig(60.0, 30.0, 15.0, rng)]
    of = quality_of(cells)
    np.testing.assert_allclose(of.noise, 3.0, rtol=0.1)
    np.testing.assert_allclose(of.seal_MOhm, [508.0, 90.0], rtol=0.03)
    np.testing.assert_allclose(of.C_pF, [20.0, 15.0], rtol=0.1)
    np.testing.assert_allclose(of.R_s_MOhm, [8.0, 30.0], rtol=0.1)
    np.testing.assert_allclose(of.run_down, [0.3, 0.0], atol=0.02)
    assert of.remarks(0) == ["run-down 0.3"]
    assert [word.split()[0] for word in of.remarks(1)] == ["seal", "series"]


def test_noise_is_read_off_neighbouring_samples():
    rng = np.random.default_rng(3)
    t = np.arange(20_000) * 0.1
    i = 1e3 * np.sin(t / 50) + 7.0 * rng.normal(size=t.size)
    assert noise_between_samples([nj.Trace("voltage", 0.1, 0 * t, i)]) == pytest.approx(7, rel=0.03)
    coarse = 500 * np.rint(i / 500)  # most neighbours are alike: what is left is the rounding
    of_rounding = noise_between_samples([nj.Trace("voltage", 0.1, 0 * t, coarse)])
    assert of_rounding == pytest.approx(500 / np.sqrt(12))


def test_a_folder_of_recordings_is_fitted_by_one_command(plate, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    for name, ((trace,), *_) in zip("abc", zip(plate[0]), strict=False):
        columns = np.stack([trace.t_ms, trace.v_mV, trace.i_pA], axis=1)[:8000]
        path = tmp_path / "cells" / f"{name}.csv"
        np.savetxt(path, columns, delimiter=",", header="t (ms),v (mV),i (pA)", comments="")
    (tmp_path / "cells" / "notes.txt").write_text("cell c: seal lost")
    (tmp_path / "cells" / "plate.csv").write_text("of an earlier fit")
    asked = ["plate", "cells", "herg", "--output", "cells/plate.csv", "--seconds"]
    told = CliRunner().invoke(app, [*asked, "0.01"])
    assert told.exit_code == 0, told.output
    assert "3 cells of cells" in told.output and "are at the noise" in told.output
    assert "left out: cells/notes.txt: no column" in told.output
    with open("cells/plate.csv") as file:
        assert [row[0] for row in csv.reader(file)] == ["cell", "a", "b", "c"]
    for wrong in (
        ["plate", "nowhere", "herg"],
        [*asked, "-1"],
        ["plate", "cells", "cortex_dendrite"],
    ):
        assert CliRunner().invoke(app, wrong).exit_code == 2
