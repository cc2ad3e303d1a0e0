"""hERG under a drug: the published scheme, exact propagation, the fit of a drug, its bootstrap."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import neurojax as nj
from neurojax.channels import HergBlock
from neurojax.fit import Block, drug_binding
from neurojax.fit.hierarchical import drug_block, drug_problem, drugs
from neurojax.theory import held_scheme

VERAPAMIL = {"Kmax": 1.694e6, "Ku": 8.165e-4, "n": 1.043, "halfmax": 3.356e8, "Vhalf": -97.08}
"""The optimum of Chang et al. 2017, as the dofetilide of the channel's defaults."""


def published(v, drug, Kmax, Ku, n, halfmax, Vhalf, celsius=37.0, Kt=3.5e-5):
    """x' = A x as Li et al. 2017 and the program of the FDA write it, term by term."""

    def rate(A, B, q):
        return A * np.exp(B * v) * np.exp((celsius - 20) * np.log(q) / 10)

    r1, r2 = rate(0.0264, 4.631e-5, 4.843), rate(4.986e-6, -0.004226, 4.23)
    r3, r4 = rate(0.001214, 0.008516, 4.962), rate(1.854e-5, -0.04641, 3.769)
    r11, r21 = rate(0.0007868, 1.535e-8, 4.942), rate(5.455e-6, -0.1688, 4.156)
    r31, r41 = rate(0.005509, 7.771e-9, 4.22), rate(0.001416, -0.02877, 1.459)
    r51, r52, r53 = (
        rate(0.4492, 0.008595, 5),
        rate(0.3181, 3.613e-8, 4.663),
        rate(0.149, 0.004668, 2.412),
    )
    r61, r62, r63 = (
        rate(0.01241, 0.1725, 5.568),
        rate(0.3226, -0.0006575, 5),
        rate(0.008978, -0.02215, 5.682),
    )
    bind = Kmax * Ku * drug**n / (drug**n + halfmax) if drug else 0.0
    trap = Kt / (1 + np.exp(-(v - Vhalf) / 6.789))

    def slope(x):
        IC1, IC2, C1, C2, Op, IO, IOb, Ob, Cb = x
        bound, inactive = bind * Op - Ku * Ob, bind * IO - Ku * r53 / r63 * IOb
        return np.array([
            -(r11 * IC1 - r21 * IC2) + (r51 * C1 - r61 * IC1),
            (r11 * IC1 - r21 * IC2) - (r3 * IC2 - r4 * IO) + (r52 * C2 - r62 * IC2),
            -(r1 * C1 - r2 * C2) - (r51 * C1 - r61 * IC1),
            (r1 * C1 - r2 * C2) - (r31 * C2 - r41 * Op) - (r52 * C2 - r62 * IC2),
            (r31 * C2 - r41 * Op) - (r53 * Op - r63 * IO) - bound,
            (r3 * IC2 - r4 * IO) + (r53 * Op - r63 * IO) - inactive,
            inactive + trap * Cb - Kt * IOb,
            bound + trap * Cb - Kt * Ob,
            -(trap * Cb - Kt * Ob) - (trap * Cb - Kt * IOb),
        ])  # fmt: skip

    return np.stack([slope(e) for e in np.eye(9)], axis=1)


def parameters(channel):
    return {k: getattr(channel, k) for k in VERAPAMIL}


@pytest.mark.parametrize("drug", [0.0, 30.0])
def test_the_scheme_is_the_published_one(x64, drug):
    for channel in (HergBlock(), HergBlock(**VERAPAMIL)):
        for v in (-120.0, -80.0, -20.0, 0.0, 40.0):
            found = np.asarray(held_scheme.generator(channel, v, drug=jnp.asarray(drug)))
            expected = published(v, drug, **parameters(channel))
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    no_drug = channel.steady_state(jnp.asarray(-80.0), drug=jnp.zeros(()))
    assert all(no_drug[k] == 0 for k in ("IObound", "Obound", "Cbound"))


def test_a_clamped_cell_is_an_independent_solution(x64):
    """Radau's, of order 5, of the published equations, from rest under a drug."""
    channel, drug, dt = HergBlock(Ku=1e-3, Kmax=50.0), 20.0, 0.1
    cell = nj.Cell(channels={"kr": channel}, area=2e-5, inputs={"drug": drug})
    v = np.repeat((-80.0, 0.0, -80.0), (200, 1200, 200))
    states = [f"kr.{k}" for k in channel.states]
    run = nj.simulate(cell, nj.voltage_clamp(v), dt, record=states, every=20)
    start = jax.jit(channel.steady_state)(-80.0, drug=drug)
    x, expected, told = np.array([float(start[k]) for k in channel.states]), [], np.asarray(run.t)
    for level, begin, end in ((-80.0, 0, 20), (0.0, 20, 140), (-80.0, 140, 160)):
        A = published(level, drug, **parameters(channel))
        at = told[(told > begin + 1e-9) & (told <= end + 1e-9)]
        found = solve_ivp(
            lambda _, x, A=A: A @ x, (begin, end), x, "Radau", at, rtol=1e-10, atol=1e-13, jac=A
        )
        expected.append(found.y)
        x = found.y[:, -1]
    seen = np.stack([np.asarray(run.data[k]) for k in states])
    np.testing.assert_allclose(seen, np.concatenate(expected, axis=1), atol=1e-5)
    assert seen[-2:].sum(0).max() > 0.3  # is bound


def test_powers_of_a_step_are_the_exponential(x64):
    A = held_scheme.generator(HergBlock(), jnp.array([-80.0, 0.0]), drug=jnp.asarray(10.0))
    for t in (0.1, 20.0, 1500.0):
        P = np.asarray(held_scheme.propagator(A, t))
        for k in range(2):
            np.testing.assert_allclose(P[..., k], expm(np.asarray(A[..., k]) * t), atol=1e-10)
    step, x = held_scheme.propagator(A, 0.5), jnp.full((9, 2), 1 / 9)
    doubled, row = held_scheme.doublings(step, 37), jnp.ones((9, 2)).at[3].set(5.0)
    read = held_scheme.applied(held_scheme.readings(doubled, row, first=2, stride=5, count=8), x)
    for k in range(2):
        for n, found in enumerate(np.asarray(read[:, k])):
            after = expm(np.asarray(A[..., k]) * 0.5 * (2 + 5 * n)) @ np.full(9, 1 / 9)
            assert found == pytest.approx(np.asarray(row[:, k]) @ after, rel=1e-9)


# -- Milnes' protocol ------------------------------------------------------------------------------
MILNES = nj.protocols.milnes(dt=20.0)
TIMES = 940.0 + 500.0 * np.arange(1, 21)
LEVELS = np.array([3.0, 10.0, 30.0])


def fractions(channel, drug, sweeps):
    """What is left of the current under concentrations of a drug, `[cell, sweep, sample]`."""
    block = Block(drug, np.zeros((drug.size, sweeps, TIMES.size)), TIMES)
    course = drug_block.course_of(block, MILNES.v[:, 0], MILNES.dt, 180e3)
    with jax.enable_x64(True):
        binding = jnp.asarray(np.r_[0.0, channel.Kmax * np.asarray(channel.occupied(drug))])
        open_ = drug_problem.open_at_samples(
            dataclasses.replace(channel, Kmax=binding), course, binding.shape
        )
    left = np.asarray(open_[:, 1:] / open_[:, :1])
    return left.T.reshape(drug.size, sweeps, TIMES.size)


def test_a_trapped_drug_stays_and_an_untrapped_one_leaves_between_pulses():
    """Milnes et al. 2010 and Li et al. 2017: dofetilide is trapped at rest, verapamil is not."""
    (dofetilide,) = fractions(HergBlock(), np.array([10.0]), 10)
    (verapamil,) = fractions(HergBlock(**VERAPAMIL), np.array([300.0]), 10)
    for left in (dofetilide, verapamil):
        assert left[0, 0] - left[9, -1] > 0.15
    assert abs(dofetilide[9, 0] - dofetilide[8, -1]) < 0.05
    assert verapamil[9, 0] - verapamil[8, -1] > 0.1


def test_the_protocol_is_the_published_one():
    assert MILNES.v.shape == (1250, 1) and MILNES.windows["test"] == (940.0, 10_940.0)
    assert set(MILNES.v[MILNES.samples("test"), 0]) == {0.0}


TRUTH = HergBlock(Kmax=20.0, Ku=1e-4, n=1.1, halfmax=100.0, Vhalf=-70.0)


@pytest.fixture(scope="module")
def block():
    """Four cells at each concentration, which see a little more or less of the drug, with noise."""
    rng = np.random.default_rng(0)
    drug = np.repeat(LEVELS, 4)
    own = drug * np.exp(0.05 * rng.normal(size=drug.size))
    left = fractions(TRUTH, own, 3)
    left = left + 0.01 * rng.normal(size=left.shape)
    left[0, 2, 5:] = np.nan  # a cell that was lost
    return Block(drug, left, TIMES)


def test_a_drug_is_found_with_intervals_that_hold_the_truth(block):
    found = drug_binding(block, MILNES.v[:, 0], MILNES.dt, boots=40, starts=8)
    assert found.error < 0.02 and found.converged and found.at_minimum.mean() > 0.9
    for name in ("Ku", "Vhalf", "n"):
        low, high = found.interval(name, 0.999)
        assert low < getattr(TRUTH, name) < high, name
    assert np.quantile(found.slopes, 0.01) < 0.2 < np.quantile(found.slopes, 0.99)
    assert found.undetermined == ()
    assert "intervals from 40 resamplings of the cells" in found.summary()
    hurried = drug_binding(block, MILNES.v[:, 0], MILNES.dt, boots=0, starts=8, iterations=1)
    assert not hurried.converged and "not at its minimum" in hurried.summary()


def test_intervals_allow_for_how_few_cells_were_resampled():
    """A bootstrap of n cells has sqrt(1 - 1 / n) of their spread, and that spread is uncertain."""
    normal = np.random.default_rng(0).normal(size=200_000)
    made = drugs.DrugFit(
        values={"Ku": 0.0}, resampled={"Ku": normal}, error=0.01, converged=True,
        errors=np.ones(normal.size), units={"Ku": "1/ms"}, at_minimum=np.ones(1, bool),
        undetermined=(), cells=6,
    )  # fmt: skip
    low, high = made.interval("Ku")
    wide = np.sqrt(6 / 5) * 2.5706  # of the t distribution with 5 degrees of freedom
    assert low == pytest.approx(-wide, rel=0.02) and high == pytest.approx(wide, rel=0.02)
    alone = dataclasses.replace(made, cells=1)
    assert np.isnan(alone.interval("Ku")).all()
    assert "one cell alone" in alone.summary()


def test_far_below_half_of_the_effect_only_a_ratio_is_determined(block):
    """Kmax and halfmax a thousand times as large make the same fractions."""
    course = drug_block.course_of(block, MILNES.v[:, 0], MILNES.dt, 180e3)
    whole = drug_block.averaged(block, LEVELS, np.ones((1, block.drug.size)))
    names, found = list(drugs.BOUNDS), []
    for times in (1.0, 1e3):
        drug = dataclasses.replace(TRUTH, Kmax=20.0 * times, halfmax=100.0 * times)
        space = nj.fit.free(nj.Cell(channels={"kr": drug}), {f"kr.{k}": {} for k in names})
        z = space.point({f"kr.{k}": getattr(drug, k) for k in names})[None]
        problem = drug_problem.Problem(drug, space, course, LEVELS)
        found.append(drugs.undetermined_of(drug_problem.in_chunks(problem, z, whole)[2][0], names))
    assert found == [(), ("Kmax", "halfmax")]


def test_the_gradient_of_a_fit_is_that_of_differences(block):
    course = drug_block.course_of(block, MILNES.v[:, 0], MILNES.dt, 180e3)
    cell = nj.Cell(channels={"kr": TRUTH})
    space = nj.fit.free(cell, {f"kr.{k}": v for k, v in drugs.BOUNDS.items()})
    problem = drug_problem.Problem(TRUTH, space, course, LEVELS)
    whole = drug_block.averaged(block, LEVELS, np.ones((1, block.drug.size)))
    z = space.point({f"kr.{k}": 1.2 * getattr(TRUTH, k) for k in drugs.BOUNDS})
    z = np.concatenate([z[None], z + 1e-6 * np.eye(5), z - 1e-6 * np.eye(5)])
    value, gradient, matrix = drug_problem.in_chunks(problem, z, drug_block.alike(whole, len(z)))
    np.testing.assert_allclose(gradient[0], (value[1:6] - value[6:]) / 2e-6, rtol=1e-4)
    assert np.linalg.eigvalsh(matrix[0]).min() > -1e-9 * matrix[0].max()


def test_a_block_that_does_not_fit_is_refused(block):
    with pytest.raises(ValueError, match=r"times.*equally far apart"):
        Block(LEVELS, np.zeros((3, 1, 3)), np.array([0.0, 1.0, 3.0]))
    with pytest.raises(ValueError, match="concentrations above 0"):
        Block(0 * LEVELS, np.zeros((3, 1, 2)), np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"whole steps of 30 ms"):
        drug_binding(block, nj.protocols.milnes(dt=30.0).v[:, 0], 30.0)
    with pytest.raises(ValueError, match="2 constant parts"):
        drug_binding(block, MILNES.v[:500, 0], 20.0)
    with pytest.raises(ValueError, match="'g_bar' cannot be free"):
        drug_binding(block, MILNES.v[:, 0], 20.0, bounds={"g_bar": {}})
