"""Several models of one recording: the one that predicts best is chosen, and told why."""

from dataclasses import replace

import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.fit import Search, compare, free, free_run
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


def test_what_cannot_be_compared_is_told(sweeps):
    cell = squid()
    models = {"squid": (cell, free(cell, ["k.g_bar"]))}
    with pytest.raises(ValueError, match="no model to compare"):
        compare({}, sweeps, seconds=1.0)
    clamp = replace(sweeps[0], clamp="voltage")
    with pytest.raises(ValueError, match="that needs current clamp"):
        compare(models, [clamp], seconds=1.0)
    silent = replace(sweeps[0], v_mV=np.full_like(sweeps[0].v_mV, -65.0))
    with pytest.raises(ValueError, match="no sweep to fit has a spike: name the model"):
        compare(models, [silent], seconds=1.0)
