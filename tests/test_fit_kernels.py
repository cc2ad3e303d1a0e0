"""In a fit's default precision everything that it simulates lowers for an NVIDIA GPU as kernels.

No GPU is needed: the programs of a stage are noted instead of run, and then lowered.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernels import needs_kernels

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.engine import runner
from neurojax.engine.gpu import kernel
from neurojax.fit import (
    Budget,
    Candidates,
    Certify,
    Draw,
    Nudge,
    Polish,
    Regress,
    Search,
    Shoot,
    Task,
    cohort,
    free,
    problem,
)
from neurojax.fit.stages import regress, shoot

pytestmark = needs_kernels

DT = 0.05
GPU = runner.Place(None, "gpu", kernel.Kernel())
PROGRAMS = [
    (problem, "_evaluate"),
    (problem, "_value"),
    (problem, "_thinned"),
    (regress, "products"),
    (shoot, "_fly"),
    (shoot, "_clamped"),
]
FREE = ["na.g_bar", "k.g_bar"]


def cell():
    return nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, area=1e-5)


def sweep(number=0):
    """A current step, and a "recorded" spike in the middle of it."""
    t = np.arange(600) * DT
    v = -65.0 + 100.0 * np.exp(-((t - 20.0 - number) ** 2))
    return nj.Trace("current", DT, v, np.where(t > 12.0, 100.0, 0.0), sweep=number)


def task():
    return Task(cell(), free(cell(), FREE), [sweep()], dt=DT)


def noted(monkeypatch, run):
    """The float32 programs that run() would compute, with their arguments. Each gives ones."""
    found = {}

    def instead(name, program):
        def note(*arguments):
            if jnp.result_type(float) == jnp.float32:  # not what is exact by design
                found[name] = program, arguments
            shapes = program.eval_shape(*arguments)
            return jax.tree.map(lambda a: np.ones(a.shape, a.dtype), shapes)

        return note

    for module, name in PROGRAMS:
        monkeypatch.setattr(module, name, instead(name, getattr(module, name)))
    run()
    monkeypatch.undo()
    return found


def stage(some):
    z = np.array([[0.4, 0.6], [0.5, 0.5]])
    return lambda: some.run(task(), Candidates(z, np.ones(2), "mV"), Budget())


CASES = {
    "Draw": (stage(Draw(2, 2)), {"_thinned"}),
    "Regress": (stage(Regress(draws=4, rounds=1)), {"products"}),
    "Search": (stage(Search(draws=8, population=8, islands=1, generations=2)), {"_value"}),
    "Polish": (stage(Polish(iterations=1)), {"_evaluate"}),
    "Nudge": (stage(Nudge(iterations=1)), {"_evaluate"}),
    "Shoot": (stage(Shoot(iterations=1, segment_ms=5.0)), {"_fly", "_clamped", "_value"}),
    "Certify": (stage(Certify(profiles=1)), {"_evaluate", "_thinned"}),
    "cohort": (
        lambda: cohort(
            cell(), [[sweep(0)], [sweep(1)]], FREE, shared=FREE[:1], dt=DT, starts=1, iterations=1
        ),
        {"_evaluate"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_stage_simulates_is_a_kernel(name, monkeypatch):
    run, programs = CASES[name]
    found = noted(monkeypatch, run)
    assert set(found) == programs
    for name, (program, arguments) in found.items():
        arguments = [GPU if isinstance(a, runner.Place) else a for a in arguments]
        text = program.trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()
        assert "custom_call @mosaic_gpu" in text, name
        assert "stablehlo.while" not in text, f"{name}: a loop in time outside of the kernels"
        assert "f64" not in text, name
