"""Fits of a cell that was recorded through a pipette: each way finds what is behind it."""

import dataclasses

import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import CortexLeak, SquidK, SquidLeak, SquidNa
from neurojax.fit import (
    Budget,
    Draw,
    Polish,
    Regress,
    Shoot,
    Task,
    cohort,
    fit,
    free,
    free_run,
)
from neurojax.membrane import pipette

DT = 0.025
R_S, JUNCTION, OFFSET = 20.0, 8.0, 15.0  # MOhm, mV, pA


def patch(area=1e-5, channels=(SquidK, SquidLeak), **of_pipette):
    """Squid channels behind a pipette."""
    told = {"R_s": R_S, "C_pip": 2.0, "junction": JUNCTION, "offset": OFFSET} | of_pipette
    names = {SquidNa: "na", SquidK: "k", SquidLeak: "leak"}
    made = {names[c]: c() for c in channels}
    return nj.Cell(channels=made | {"pipette": nj.Pipette(**told)}, area=area, celsius=6.3)


def stimulus(*steps, duration):
    i = sum(nj.steps(pA, start=a, stop=b, duration=duration, dt=DT) for pA, a, b in steps)
    return nj.Trace("current", DT, np.full(i.size, -65.0), i)


def test_a_coupled_cell_follows_the_potential_behind_its_pipette(x64):
    cell = patch(drift=3.0)
    asked = stimulus((100.0, 2, 12), duration=15)
    electrode = pipette.from_trace(dataclasses.replace(asked, start_ms=6e4), DT)
    seen = nj.simulate(cell, electrode, DT, record=("v", "v_amp"), initial=nj.at_rest(cell))
    v_amp = np.asarray(seen.data["v_amp"])
    other = nj.replace(cell, {"k.g_bar": 5.0, "leak.g_bar": 3.0})
    pull = pipette.coupled(other, electrode._replace(v_cmd=v_amp), 1e9, DT)
    led = nj.simulate(other, pull, DT, record=("v", "v_amp"), initial=nj.at_rest(cell))
    away = np.abs(np.asarray(led.v) - np.asarray(seen.v))
    t, slope = np.asarray(seen.t), np.abs(np.gradient(np.asarray(seen.v), DT))
    far = (np.abs(t - 2) > 0.3) & (np.abs(t - 12) > 0.3)  # from the jumps of R_s i
    # What is simulated of the pipette is up to a step late; its filter lags by two.
    assert (away[far] < 0.01 + 1.05 * DT * slope[far]).all() and slope[far].max() > 8
    assert np.abs(v_amp - np.asarray(seen.v)).max() > 9.0
    loose = nj.simulate(other, electrode, DT, initial=nj.at_rest(cell))
    assert np.abs(np.asarray(loose.v) - np.asarray(seen.v)).max() > 2.0
    # Without a pipette the coupling is a conductance of the whole cell.
    plain = nj.Cell(channels={"leak": SquidLeak()}, area=np.array([1e-5, 3e-5]))
    pull = pipette.coupled(plain, nj.current_clamp(np.zeros(4))._replace(v_cmd=v_amp[:4]), 2.0, DT)
    np.testing.assert_allclose(pull.g, np.tile([2e-5, 6e-5], (4, 1)))


def test_an_offset_is_a_current_that_the_cell_does_not_get(x64):
    leak = CortexLeak(g_bar=0.1, E_rev=-70.0)
    cell = nj.Cell(channels={"leak": leak, "pipette": nj.Pipette(R_s=30.0, offset=12.0)}, area=1e-4)
    run = free_run(cell, stimulus((50.0, 20, 120), duration=200), held=False)
    # 100 MOhm beside 30 MOhm: before the step -12 pA flow, during it 38 pA.
    assert run.v_mV[0] == pytest.approx(-70.0 - 0.012 * 130.0, abs=1e-6)
    assert run.v_mV[round(119.9 / DT)] == pytest.approx(-70.0 + 0.038 * 130.0, abs=1e-3)


def test_regress_balances_the_currents_behind_the_pipette(x64):
    cell = patch(channels=(SquidNa, SquidK, SquidLeak))
    sweep = free_run(cell, stimulus((120.0, 10, 40), (-60.0, 45, 60), duration=65), DT, held=False)
    bounds = {
        "na.g_bar": (10, 1000), "k.g_bar": (3, 300), "leak.g_bar": (0.03, 3),
        "leak.E_rev": (-85, -30), "C_m": (0.3, 3), "pipette.R_s": (5, 80),
        "pipette.junction": (0, 20),
    }  # fmt: skip
    space = free(cell, bounds)
    found = Regress(draws=256, rounds=6).run(Task(cell, space, [sweep]), None, Budget())
    best = {k: float(v[0]) for k, v in space.values(found.z).items()}
    known = nj.parameters(cell)
    for name in bounds:
        assert best[name] == pytest.approx(float(known[name][0]), rel=0.05), name


@pytest.mark.slow
def test_shoot_finds_the_cell_and_its_pipette():
    cell = patch()
    sweep = free_run(cell, stimulus((150.0, 2, 12), (-60.0, 14, 20), duration=22), DT, held=False)
    bounds = {
        "k.g_bar": (3, 300), "leak.g_bar": (0.03, 3), "C_m": (0.3, 3), "pipette.R_s": (5, 80),
        "pipette.junction": (0, 20), "pipette.offset": (-50, 50),
    }  # fmt: skip
    found = fit(cell, [sweep], bounds, [Shoot(starts=4, every=2)], dt=DT)
    known = nj.parameters(cell)
    for name in bounds:
        assert found.values[name] == pytest.approx(float(known[name][0]), rel=2e-3), name


@pytest.mark.smoke
def test_a_cohort_is_fitted_through_the_pipettes_of_its_cells(x64):
    areas, own = np.array([1e-5, 4e-5]), {"leak.g_bar": [0.2, 0.5], "pipette.R_s": [12.0, 30.0]}
    leak = {"leak": SquidLeak(), "pipette": nj.Pipette(C_pip=2.0, junction=JUNCTION)}
    asked, recordings = stimulus((50.0, 2, 12), duration=20), []
    for k, area in enumerate(areas):
        cell = nj.Cell(channels=leak, area=area)
        cell = nj.replace(cell, {name: values[k] for name, values in own.items()})
        recordings.append([free_run(cell, asked, DT, held=False)])
    bounds = {
        "leak.g_bar": (0.03, 3), "pipette.R_s": (5, 80), "pipette.junction": (0, 20),
    }  # fmt: skip
    cells = nj.Cell(channels=leak, area=areas)
    found = cohort(cells, recordings, bounds, shared=["pipette.junction"], dt=DT, starts=1)
    assert found.shared["pipette.junction"] == pytest.approx(JUNCTION, rel=1e-4)
    for name, values in own.items():
        np.testing.assert_allclose(found.values[name], values, rtol=1e-4)
    with pytest.raises(ValueError, match=r"pipette\.R_s has a prior"):
        cohort(cells, recordings, {"pipette.R_s": {"prior": (10.0, 3.0)}})


@pytest.mark.slow
def test_a_drift_of_the_rest_does_not_pass_for_a_response(x64):
    cell, traces = patch(offset=0.0), []
    for drift_pA in (-30.0, 30.0):  # a current that no sweep tells of
        asked = stimulus((100.0, 12, 22), duration=24)
        drifted = dataclasses.replace(asked, i_pA=asked.i_pA + drift_pA)
        run = free_run(cell, dataclasses.replace(drifted, holding=drift_pA), DT, held=False)
        fall = R_S * drift_pA * 1e-3  # which does not flow through the pipette
        traces.append(dataclasses.replace(asked, v_mV=run.v_mV - fall))
    bounds = {"k.g_bar": (3, 300), "leak.g_bar": (0.03, 3), "pipette.R_s": (5, 80)}
    found = fit(cell, traces, bounds, [Draw(4, 8), Polish()], dt=DT, hold=True)
    truth = {name: float(nj.parameters(cell)[name][0]) for name in bounds}
    joined = fit(cell, traces, bounds, [Shoot(starts=1, every=2, iterations=8)], dt=DT, hold=True)
    together = cohort(cell, [traces], bounds, dt=DT, every=2, starts=1, hold=True)
    for name, value in truth.items():
        assert found.values[name] == pytest.approx(value, rel=1e-3), name
        assert joined.values[name] == pytest.approx(value, rel=1e-3), name
        assert together.values[name][0] == pytest.approx(value, rel=1e-3), name
    loose = Task(cell, found.space, traces, dt=DT).problem()
    assert loose.error(loose.values(found.space.point(truth)[:, None]))[0] > 100 * found.error
