"""Axes are declared: sizes that happen to be equal mean nothing.

A population of n cells is compared with n single cells wherever something else is of length n too:
a matrix that all share, a fold's rows, the steps of a stimulus, a fold's places.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernels import needs_kernels

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak
from neurojax.engine import runner
from neurojax.engine.gpu import kernel
from neurojax.membrane.axes import arrays, batch_shape, map_cells, population
from neurojax.membrane.channel import field
from neurojax.membrane.rates import from_inf

N, DT = 3, 0.025
E_REV = np.array([-70.0, -60.0, -50.0])


@nj.pytree
class Mixed(nj.Channel):
    """A potassium channel whose gates drive each other by a matrix `[to, from]`."""

    g_bar: float = nj.param(10.0, "mS/cm2", 0.0, 100.0)
    E_rev: float = nj.param(-77.0, "mV", -120.0, 60.0)
    mix: jax.Array = field(axes=("to", "from"))
    weight: jax.Array = nj.param(np.ones(N), "1", 0.0, 10.0, axes=("gate",))
    powers = {"a": 1, "b": 1, "c": 1}

    def gating(self, v):
        n = SquidK().gating(v)["n"]
        drive = [0.2 * w * n.inf for w in self.weight]
        return {
            gate: from_inf(sum(self.mix[k, m] * drive[m] for m in range(N)), n.rate)
            for k, gate in enumerate("abc")
        }


@nj.pytree
class Nearest(nj.Fold):
    """The sum of squares of how far the potential is from the nearest of some places (mV).

    Its rows are the places `[place]` of each record, of which `first` are those before the first.
    """

    first: jax.Array = field(axes=("place",))
    data: jax.Array = field(None, axes=("record", "place"))

    def init(self, cell, s):
        return self._square(s, self.first)

    def update(self, carry, cell, s, row):
        return carry + self._square(s, row)

    def _square(self, s, places):
        places = jnp.asarray(places).reshape(
            *jnp.shape(places), *[1] * (1 + s.v.ndim - jnp.ndim(places))
        )
        return ((s.v - places) ** 2).min(0)


def mixed(E_rev=E_REV, **more) -> nj.Cell:
    matrix = np.arange(N * N).reshape(N, N) / (N * N)
    leak = SquidLeak(E_rev=E_rev)
    return nj.Cell(channels={"m": Mixed(mix=matrix, **more), "leak": leak})


def simulated(cell, i, folds):
    """A recording and its folds."""
    r = nj.simulate(cell, nj.current_clamp(i), DT, initial=-65.0, folds=folds)
    return {"v": r.v, "final": r.final.v, "ok": r.ok, **r.folds}


def everything(cell, i, folds, wrt=("leak.g_bar", "leak.E_rev")):
    """A recording, its folds and a gradient: all that is computed for a population."""
    clamp = nj.current_clamp(i)
    g = nj.gradient(cell, clamp, DT, of=folds["error"], wrt=wrt, initial=-65.0)
    return simulated(cell, i, folds) | {"slope": g.gradient, "J": g.matrix}


def cell_by_cell(one, n=N):
    """What `one(k)` gives for each cell, in a population's shape."""
    return jax.tree.map(lambda *a: np.stack(a, axis=-1), *(one(k) for k in range(n)))


def same(got, want):
    for name, a in want.items():
        np.testing.assert_allclose(got[name], a, rtol=2e-5, atol=1e-5, err_msg=name)


def folds(records, own=None):
    """Folds with N places, and N rows where there are N records."""
    places = np.linspace(-70.0, -50.0, records * N).reshape(records, N)
    data = np.linspace(-70.0, -60.0, records) if own is None else own
    return {
        "near": Nearest(first=np.array([-70.0, -65.0, -60.0]), data=places),
        "error": nj.VoltageError(data=nj.Target(data, np.ones(records))),
        "where": nj.Histogram(bins=N, low=-80.0, high=-40.0),
    }


def test_a_matrix_places_rows_and_steps_of_as_many_as_there_are_cells():
    i = np.array([1.0, 5.0, -3.0])  # N steps, N records
    got = everything(mixed(), i, folds(N))
    assert got["v"].shape == (N, N)
    same(got, cell_by_cell(lambda k: everything(mixed(float(E_REV[k])), i, folds(N))))


def test_a_stimulus_and_data_of_each_cell_where_steps_are_as_many_as_cells():
    i = np.arange(N * N).reshape(N, N) * 1.0  # [step, pop]
    own = -60.0 - np.arange(N * N).reshape(N, N)  # [record, pop]
    got = everything(mixed(), i, folds(N, own))
    same(
        got,
        cell_by_cell(lambda k: everything(mixed(float(E_REV[k])), i[:, k], folds(N, own[:, k]))),
    )


def test_a_matrix_for_each_cell():
    mix = np.random.default_rng(0).uniform(0.0, 0.3, (N, N, N))  # [to, from, pop]
    weight = np.linspace(0.5, 1.5, N * N).reshape(N, N)  # [gate, pop]

    def with_matrix(mix, weight):
        cell = nj.Cell(channels={"m": Mixed(mix=mix, weight=weight), "leak": SquidLeak()})
        return {"v": nj.simulate(cell, nj.current_clamp(np.ones(5)), DT, initial=-65.0).v}

    same(with_matrix(mix, weight), cell_by_cell(lambda k: with_matrix(mix[..., k], weight[:, k])))


ONE = np.array([-60.0])


@pytest.mark.parametrize(
    ("steps", "run", "made"),
    [
        # As many steps and records as cells: one of them says that there is a population.
        (
            1,
            simulated,
            lambda i, own: [(ONE, i, own), (-60.0, i[:, None], own), (-60.0, i, own[:, None])],
        ),
        (2, everything, lambda i, own: [(ONE, i[:, None], own[:, None])]),
    ],
    ids=["1", "2"],
)
def test_one_cell_in_a_population(steps, run, made):
    i, own = np.linspace(1.0, 5.0, steps), np.linspace(-60.0, -50.0, steps)
    alone = run(mixed(-60.0), i, folds(steps, own))
    assert alone["v"].shape == (steps,) and alone["final"].shape == ()
    for E_rev, current, data in made(i, own):
        one = run(mixed(E_rev), current, folds(steps, data))
        assert one["v"].shape == (steps, 1) and one["final"].shape == (1,)
        same({k: a[..., 0] for k, a in one.items()}, alone)


def test_an_axis_of_one_is_that_of_all_cells():
    i = np.array([1.0, 5.0, -3.0])
    wide = mixed(E_REV, g_bar=np.array([10.0]))
    same(everything(wide, i[:, None], folds(N, np.full((N, 1), -60.0))),
         everything(mixed(), i, folds(N, np.full(N, -60.0))))  # fmt: skip


def test_blocks_devices_and_launches_cut_what_is_declared_and_nothing_else():
    """300 cells in 300 steps, in blocks on all devices, and in parts of 256."""
    n = 300
    i = np.linspace(0.0, 5.0, n)
    cell = mixed(np.linspace(-70.0, -50.0, n))
    whole = everything(cell, i, folds(n))
    where = folds(n)
    parts = nj.simulate(cell, nj.current_clamp(i), DT, initial=-65.0, folds=where, memory_MB=0.1)
    assert isinstance(parts.v, np.ndarray)
    np.testing.assert_allclose(parts.v, whole["v"], rtol=1e-5)
    for name in where:
        np.testing.assert_allclose(parts.folds[name], whole[name], rtol=1e-5, err_msg=name)
    for k in (0, 127, 299):
        alone = nj.simulate(
            mixed(float(cell.channels["leak"].E_rev[k])),
            nj.current_clamp(i), DT, initial=-65.0, folds=where,
        )  # fmt: skip
        np.testing.assert_allclose(whole["v"][:, k], alone.v, rtol=2e-5, atol=1e-4)
        for name in where:
            np.testing.assert_allclose(
                whole[name][..., k], alone.folds[name], rtol=1e-4, err_msg=name
            )


@needs_kernels
@pytest.mark.parametrize(
    ("run", "E_rev"), [(everything, E_REV), (simulated, -60.0)], ids=["population", "one cell"]
)
def test_kernels_take_them_too(run, E_rev, monkeypatch):
    how = mixed(E_rev), np.array([1.0, 5.0, -3.0]), folds(N)
    want = run(*how)
    place = runner.Place(None, "cpu", kernel.Kernel(interpret=True))
    monkeypatch.setattr(runner, "place_of", lambda *a, **k: place)
    same(run(*how), want)


# -- what is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mix": np.ones(3)}, r"m.mix: shape \(3,\), expected \[to, from\] or \[to, from, pop\]"),
        ({"mix": np.ones((3, 3, 3, 3))}, r"m.mix: shape .* expected \[to, from\] or"),
        ({"weight": 1.0}, r"m.weight: shape \(\), expected \[gate\] or \[gate, pop\]"),
        ({"g_bar": np.ones((2, 3))}, r"m.g_bar: shape \(2, 3\), expected a number or \[pop\]. "
                                     "A population has one axis: flatten your grid"),
        ({"g_bar": np.ones(4)}, r"m.g_bar has shape \(4,\), for 4 cells, but "
                                r"cell.channels.leak.E_rev has shape \(3,\), for 3"),
    ],
)  # fmt: skip
def test_a_shape_that_does_not_fit_is_named(change, message):
    cell = mixed()
    cell.channels["m"] = dataclasses.replace(cell.channels["m"], **change)
    for run in (nj.simulate, partial(nj.gradient, of=nj.Mean(), wrt=["C_m"])):
        with pytest.raises(ValueError, match=message):
            run(cell, nj.current_clamp(np.ones(5)))


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (Nearest(first=np.ones(N), data=np.ones(9)), r"folds.f.data: shape \(9,\), expected"),
        (nj.SpikeCount(threshold=np.ones((2, 2))), r"folds.f.threshold: shape \(2, 2\), expected"),
        (
            nj.VoltageError(data=nj.Target(np.ones((9, 4)), np.ones(9))),
            r"folds.f.data.data has shape",
        ),
    ],
)
def test_a_fold_s_arrays_are_named_too(fold, message):
    with pytest.raises(ValueError, match=message):
        nj.simulate(mixed(), nj.current_clamp(np.ones(9)), folds={"f": fold})


def test_an_array_is_no_parameter_to_fit_or_differentiate_in():
    """With as many entries as there are cells it would pass for one number of each."""
    message = r"m.weight is an array \[gate\]: only a parameter that is one number for each cell"
    with pytest.raises(ValueError, match=message):
        nj.gradient(mixed(), nj.current_clamp(np.ones(5)), of=nj.Mean(), wrt=["m.weight"])
    with pytest.raises(ValueError, match=message):
        nj.fit.free(mixed(), ["m.weight"])


# -- what is told of a tree -----------------------------------------------------------------------
def test_what_a_field_holds_owns_the_field_s_axes_and_its_own():
    nested = nj.pytree(
        type("Nested", (), {"__annotations__": {"of": "Any"}, "of": field(axes=("k",))})
    )
    tree = {"x": nested(of=[mixed(1.0).channels["m"], 2.0]), "e": nj.current_clamp(np.ones((4, 2)))}
    own = {a.name: a.own for a in arrays(tree)}
    assert own["x.of.0.mix"] == ("k", "to", "from") and own["x.of.1"] == ("k",)
    assert own["e.i"] == ("step",) and own["e.g"] == ()
    assert [a.value for a in arrays(tree)] == jax.tree.leaves(tree)


def test_the_population_is_what_all_span():
    assert population(cell=mixed(1.0)) == () and population(cell=mixed()) == (N,)
    assert (
        population(cell=mixed(np.ones(1)))
        == population(e=nj.current_clamp(np.ones((4, 1))))
        == (1,)
    )
    assert population(cell=mixed(np.ones(1)), e=nj.current_clamp(np.ones((4, 5)))) == (5,)
    assert batch_shape(mixed(), nj.current_clamp(np.ones((7, 1)))) == (N,)


def test_only_what_each_cell_has_is_mapped():
    cell = map_cells(lambda a: np.tile(a, 2), mixed())
    assert cell.channels["leak"].E_rev.shape == (2 * N,)
    assert cell.channels["m"].mix.shape == (N, N)


# -- parts as they are done -----------------------------------------------------------------------
def test_parts_come_in_order_and_every_cell_once():
    things = {"x": {"g": jnp.arange(7.0)}, "e": nj.current_clamp(np.arange(7.0))}
    computed, seen = [], []

    def f(x, e):
        computed.append(x["g"].tolist())
        return x["g"] + e.i.sum()

    for cells, part in runner.launches(f, 3, **things):
        assert isinstance(part, np.ndarray)
        seen.append((cells.start, cells.stop, part.tolist(), len(computed)))
    # While a part is handed out the next one is under way.
    assert seen == [(0, 3, [21, 22, 23], 2), (3, 6, [24, 25, 26], 3), (6, 7, [27], 3)]
    assert computed[-1] == [4, 5, 6]  # whole, as all parts are: one program
