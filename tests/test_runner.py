"""Blocks: the same numbers in whatever portions, on whatever devices, in one kernel each."""

import json
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.engine import adjoint, runner, tangent
from neurojax.engine.call import call
from neurojax.membrane.axes import Along
from neurojax.run import simulation

DT = 0.025
CPU = runner.Place(None, "cpu")
DRIVE = nj.steps(12.0, start=1.0, stop=9.0, duration=10.0, dt=DT)


def squid(n: int) -> nj.Cell:
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {"na.g_bar": np.linspace(100.0, 140.0, n)})


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 128 cells at most; programs of other sizes are forgotten before and after."""
    jax.clear_caches()
    monkeypatch.setattr(runner, "MOST", 128)
    yield
    jax.clear_caches()


@pytest.mark.parametrize("live", [1, 10, 100, 1000])
@pytest.mark.parametrize("n", [1, 63, 128, 1000, 5000, 10**6])
def test_a_block_fits_the_cache_and_no_block_is_small(n, live):
    size, lanes = runner.block_size(n, live, 4), runner.VECTOR // 4
    assert 1 <= size <= runner.MOST + lanes
    assert size * live * 4 <= runner.CACHE or size <= runner.LEAST + lanes
    blocks = -(-n // size)
    assert blocks == 1 or (size % lanes == 0 and size <= n)
    assert blocks * size - n < (blocks + 1) * lanes


def test_plain_numbers_of_a_call_are_one_argument():
    seen = []

    def f(tree, x, *, scale):
        seen.append([jnp.shape(a) for a in jax.tree.leaves((tree, x))])
        return {k: scale * a + x for k, a in tree.items()}

    def both(b):
        return call(f, {"a": 1.5, "b": b}, 2.0, scale=3)

    out = both(np.arange(3.0))
    np.testing.assert_allclose(out["a"], 6.5)
    np.testing.assert_allclose(out["b"], [2.0, 5.0, 8.0])
    assert both(np.ones(3))["a"] == 6.5 and seen == [[(), (3,), ()]]
    np.testing.assert_allclose(jax.vmap(both)(np.arange(2.0))["b"], [2.0, 5.0])
    np.testing.assert_allclose(jax.grad(lambda b: both(b)["b"])(1.0), 3.0)


def everything(n):
    """Records, folds, gradients of a population under currents of their own."""
    i = DRIVE[:, None] * np.linspace(0.9, 1.1, n)
    clamp, cells = nj.current_clamp(i), squid(n)
    error = nj.VoltageError(data=nj.Target(jnp.full(40, -60.0), jnp.ones(40)))
    r = nj.simulate(cells, clamp, DT, every=10, initial=-65.0, folds={"n": nj.SpikeCount()})
    slope = nj.gradient(
        cells, clamp, DT, of=error, wrt=["na.g_bar", "C_m"], every=10, initial=-65.0
    )
    return [np.asarray(a) for a in (r.v, r.ok, r.folds["n"], *slope, r.final.v)]


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 517])
def test_blocks_do_not_show(n, small_blocks, monkeypatch):
    in_blocks = everything(n)
    jax.clear_caches()
    monkeypatch.setattr(runner, "MOST", 4096)
    monkeypatch.setattr(runner, "LEAST", 4096)
    for a, b in zip(in_blocks, everything(n), strict=True):
        # The last cells of a part that is no whole number of vectors run in scalar instructions.
        np.testing.assert_allclose(a, b, rtol=2e-3 if a.ndim > 2 else 2e-4, atol=1e-3)


PROGRAM = """
import json, sys
import numpy as np
import neurojax as nj
nj.configure(cpu_devices=int(sys.argv[1]), compilation_cache=False)
import jax
from neurojax import channels as c
out = {}
for n in (3, 512, 701):
    cell = nj.Cell(channels={"na": c.SquidNa(), "k": c.SquidK(), "leak": c.SquidLeak()})
    cell = nj.replace(cell, {"na.g_bar": np.linspace(100.0, 140.0, n)})
    clamp = nj.current_clamp(np.full(400, 12.0))
    r = nj.simulate(cell, clamp, 0.025, every=20, folds={"n": nj.SpikeCount()})
    g = nj.gradient(cell, clamp, 0.025, of=nj.Mean(), wrt=["k.g_bar"], every=20)
    out[n] = [np.asarray(a, float).tolist() for a in (r.v[-1], r.folds["n"], g.gradient[0])]
    assert len(r.v.devices()) == (int(sys.argv[1]) if n > 500 else 1)
print(json.dumps(out))
"""


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_devices():
    answers = []
    for devices in (1, 2, 4):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(devices)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    for other in answers[1:]:
        for n, arrays in answers[0].items():
            for a, b in zip(arrays, other[n], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_arrays_that_were_put_somewhere_stay_there():
    second = jax.local_devices()[1]
    cells = nj.replace(squid(4), {"k.g_bar": jax.device_put(jnp.linspace(30.0, 40.0, 4), second)})
    r = nj.simulate(cells, nj.current_clamp(DRIVE), DT, initial=-65.0)
    assert r.v.devices() == {second}


def test_under_a_transformation_jax_decides():
    seen = []

    @jax.jit
    def f(x):
        seen.append(runner.place_of(squid(3), x).mesh)
        return x

    f(jnp.ones(3))
    assert seen == [None]
    assert runner.place_of(squid(3), jnp.ones(3)).mesh.size == len(jax.local_devices())


# -- the compiled program -------------------------------------------------------------------------
def loops_outside_kernels(text: str) -> int:
    """Loops of a compiled program that are not within one kernel.

    XLA:CPU marks the call of a computation that becomes one kernel; everything that it calls is
    part of it.
    """
    bodies, calls, kernels = {}, {}, set()
    for block in re.split(r"\n(?=ENTRY |%)", text):
        head = re.match(r"(?:ENTRY )?%([\w.\-]+) ", block)
        if head:
            bodies[head[1]] = block
    for name, block in bodies.items():
        calls[name] = set(re.findall(r"(?:to_apply|calls|body|condition)=%([\w.\-]+)", block))
        calls[name] |= {
            callee
            for group in re.findall(r"branch_computations=\{([^}]*)\}", block)
            for callee in re.findall(r"%([\w.\-]+)", group)
        }
        for line in block.splitlines():
            if 'xla_cpu_small_call="true"' in line:
                kernels |= set(re.findall(r"to_apply=%([\w.\-]+)", line))
    inside, todo = set(), list(kernels)
    while todo:
        name = todo.pop()
        if name not in inside:
            inside.add(name)
            todo += calls.get(name, ())
    outside = (block for name, block in bodies.items() if name not in inside)
    return sum(len(re.findall(r" while\(", block)) for block in outside)


def compiled(cell, every=10):
    arguments = (cell, Along((), -65.0), nj.current_clamp(DRIVE), DT, {})
    return (
        simulation._run.lower(*arguments, None, record=("v",), every=every, place=CPU)
        .compile()
        .as_text()
    )


def build(theta):
    cell = nj.membrane.path_names.substitute(squid(64), theta)
    return cell, nj.steady_state(cell, -65.0)


def test_the_whole_time_loop_is_one_kernel():
    text = compiled(squid(256))
    assert "while(" in text and loops_outside_kernels(text) == 0


@pytest.mark.parametrize("engine", [tangent, adjoint])
def test_the_time_loops_of_a_gradient_are_kernels(engine):
    error = nj.VoltageError(data=nj.Target(jnp.zeros(40), jnp.ones(40)))
    theta = {"na.g_bar": jnp.linspace(100.0, 140.0, 64), "k.v_shift": jnp.zeros(64)}
    program = jax.jit(
        lambda theta, dt: engine.run(build, theta, nj.current_clamp(DRIVE), dt, error, 10)
    )
    text = program.lower(theta, DT).compile().as_text()
    assert "while(" in text and loops_outside_kernels(text) == 0


@nj.pytree
class Scattering(nj.Channel):
    """A sodium channel whose author used a scatter."""

    g_bar: float = 120.0
    E_rev: float = 50.0
    powers = {"m": 3, "h": 1}

    def gating(self, v):
        gates = SquidNa().gating(v)
        opening = gates["m"].opening.at[jnp.arange(v.size)].add(0.0)
        m = gates["m"]._replace(opening=opening)
        return gates | {"m": m}


def test_a_scatter_in_a_channel_would_be_noticed():
    cell = squid(256)
    g_bar = cell.channels["na"].g_bar
    cell = nj.Cell(channels=cell.channels | {"na": Scattering(g_bar=g_bar)})
    assert loops_outside_kernels(compiled(cell)) > 0


# -- memory ---------------------------------------------------------------------------------------
def test_memory_of_a_fold_does_not_grow_with_time():
    cell = squid(10**6)

    def temporary(steps):
        i = jax.ShapeDtypeStruct((steps,), jnp.float32)
        drive = nj.Electrode(i, 0.0, 0.0)
        arguments = (cell, Along((), -65.0), drive, DT, {"n": nj.SpikeCount()})
        program = simulation._run.lower(*arguments, None, record=(), every=10, place=CPU).compile()
        return program.memory_analysis().temp_size_in_bytes

    short, long = temporary(1000), temporary(100_000)
    assert long - short <= 8 * 4 * 100_000  # the stimulus, cut into records
    assert long < 200e6  # of which the state, its parameters and counts are 6 * 4 MB


RSS = r"""
import re
import numpy as np
import neurojax as nj
nj.configure(compilation_cache=False)
from neurojax import channels as c
cell = nj.Cell(channels={"na": c.SquidNa(), "k": c.SquidK(), "leak": c.SquidLeak()})
cells = nj.replace(cell, {"na.g_bar": np.linspace(100.0, 140.0, 10**6, dtype=np.float32)})
clamp = nj.current_clamp(np.full(100, 10.0, np.float32))
r = nj.simulate(cells, clamp, 0.025, record=(), every=10, folds={"n": nj.SpikeCount()})
assert int(r.folds["n"].sum()) == 10**6 and bool(r.ok.all())  # each has fired once by 2.5 ms
print(int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_million_cells_are_counted_in_less_than_a_gigabyte():
    clean = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run([sys.executable, "-c", RSS], capture_output=True, text=True, env=clean)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1000


def test_arrays_are_counted_on_a_cell_of_shapes_too():
    """A gradient knows its cell by shapes only; some pools are worked out from parameters."""
    cell = nj.model.load_model("sinus_fabbri").cell
    shapes = jax.eval_shape(lambda cell: cell, cell)
    assert runner.live_arrays(shapes) == runner.live_arrays(cell)
