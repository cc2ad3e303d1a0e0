"""Several models of one recording: the one that predicts best is chosen, and told why."""

from dataclasses import replace

import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.fit import Compared, Comparison, Search, compare, free, free_run
from neurojax.fit.uncertainty.certificate import Likelihood
from neurojax.recording.trace import Trace

DT = 0.05
QUICK = Search(draws=32, population=32, islands=1, generations=16, descents=4, refine=False, dt=DT)


def squid():
    return nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, area=1e-6)


@pytest.fixture(scope="module")
def sweeps():
    cell = nj.replace(squid(), {"k.g_bar": 30.0, "leak.g_bar": 0.25})
    made = []
    for k, pA in enumerate((12.0, 9.0)):
        i = nj.steps(pA, start=15.0, stop=55.0, duration=70.0, dt=DT)
        made.append(free_run(cell, Trace("current", DT, np.full(i.size, -65.0), i, sweep=k), DT))
    return made


def test_the_model_that_predicts_best_comes_first(sweeps):
    right = squid()
    slow = nj.replace(squid(), {"na.tau_scale": 3.0})  # and it has no way to be quick
    free_of = {"k.g_bar": (5.0, 200.0), "leak.g_bar": (0.02, 2.0)}
    models = {"slow": (slow, free(slow, free_of)), "right": (right, free(right, free_of))}
    seen = []
    found = compare(
        models, sweeps[:1], sweeps[1:], seconds=1e3, search=QUICK,
        progress=lambda stage, *_: seen.append(stage),
    )  # fmt: skip
    assert [m.name for m in found.models] == ["right", "slow"]
    assert found.best.held_out < 0.5 * found.models[1].held_out
    assert found.sentence().startswith("right has the least error on the sweeps not fitted: ")
    assert "tolerances with 2 parameters; slow " in found.sentence()
    assert "slow: draw" in seen and "right: islands" in seen
    assert found.fits["right"].values["k.g_bar"] == pytest.approx(30.0, rel=0.1)


def test_the_race_has_rounds_in_which_the_worse_half_is_given_up(sweeps):
    free_of = {"k.g_bar": (5.0, 200.0), "leak.g_bar": (0.02, 2.0)}
    cells = {f"slow{k}": nj.replace(squid(), {"na.tau_scale": k}) for k in (3.0, 2.0)}
    cells["right"] = squid()
    models = {name: (cell, free(cell, free_of)) for name, cell in cells.items()}
    search = replace(QUICK, generations=8)
    found = compare(models, sweeps[:1], sweeps[1:], seconds=1e3, search=search)
    assert [m.name for m in found.models] == ["right", "slow2.0", "slow3.0"]
    assert [m.given_up for m in found.models] == [False, False, True]
    went_on = [s.name for s in found.fits["right"].stages]
    assert "again" in went_on and "refine" in went_on
    assert "refine" not in [s.name for s in found.fits["slow3.0"].stages]
    assert "given up after" in found.sentence()


def test_what_decides_is_told():
    unlikely = Likelihood(-1000.0, 3, 400.0)
    first = Compared("a", 3, 1.0, 2.0, "mV", parts={"times": 1.0}, likelihood=unlikely)
    second = Compared("b", 4, 0.5, 4.0, "mV", parts={"times": 3.0})
    told = Comparison((first, second), {}, ("c",)).sentence()
    assert "a has the least error on the sweeps not fitted: 2 mV with 3 parameters" in told
    assert "(AIC 2006.0, BIC 2018.0)" in told and "b 4 mV with 4 parameters" in told
    assert told.endswith("b is behind most in times: 3 against 1; not tried: c")
    early = replace(second, held_out=1.0, given_up=True)
    assert (
        "a has, of those fitted to the end, the least" in Comparison((first, early), {}).sentence()
    )
    assert (
        "as nothing was held out" in Comparison((replace(first, held_out=np.nan),), {}).sentence()
    )


@pytest.mark.slow
def test_silent_sweeps_are_compared_by_their_squared_error_and_have_a_likelihood():
    rng, traces = np.random.default_rng(0), []
    cell = nj.Cell(channels={"leak": SquidLeak(g_bar=0.2), "k": SquidK(g_bar=0.5)}, area=1e-5)
    rest = float(nj.at_rest(cell).v)
    for k, pA in enumerate((20.0, 10.0)):
        i = nj.steps(pA, start=15.0, stop=55.0, duration=70.0, dt=DT)
        run = free_run(cell, Trace("current", DT, np.full(i.size, rest), i, sweep=k), DT)
        traces.append(replace(run, v_mV=run.v_mV + 0.1 * rng.standard_normal(i.size)))
    bare = nj.Cell(channels={"leak": SquidLeak()}, area=1e-5)
    leak = {"leak.g_bar": (0.02, 2.0), "leak.E_rev": (-90.0, -40.0)}
    models = {
        "leak": (bare, free(bare, leak)),
        "both": (cell, free(cell, leak | {"k.g_bar": (0.05, 5.0)})),
    }
    found = compare(models, traces[:1], traces[1:], seconds=1e3)
    assert found.best.name == "both" and found.best.unit == "mV"
    assert found.best.held_out == pytest.approx(0.1, rel=0.1)
    assert all(m.likelihood is not None for m in found.models)
    assert found.models[0].likelihood.bic < found.models[1].likelihood.bic - 10


def test_what_cannot_be_compared_is_told(sweeps):
    with pytest.raises(ValueError, match="no model to compare"):
        compare({}, sweeps, seconds=1.0)
