"""What sub-steps say they mix is what derivatives take them for: a coupled toy, and liars."""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import CortexCaL, SkK, SquidK, SquidLeak, SquidNa
from neurojax.engine import adjoint, scan, tangent
from neurojax.membrane import pipette
from neurojax.membrane.compartment import SubStep, ionic_current, move_gates, move_potential
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.path_names import substitute
from neurojax.run.diagnosis import check_couplings

DT, EVERY = 0.05, 4
STEPS = 200


@nj.pytree
class Dumbbell(nj.Cell):
    """Two compartments of one membrane, joined by `g_axial` (mS/cm2); current enters the first."""

    state_axes = ("comp",)
    state_shape = (2,)
    coupling: str = nj.static("tree")
    g_axial: float = 0.3

    def sub_steps(self):
        return (
            SubStep("gates", move_gates, "elementwise"),
            SubStep("potential", move_together, self.coupling),
        )


def move_together(cell, s, e, dt):
    """The potential by dt, implicit in the membrane's slope and in the axial current."""

    def current(v):
        return ionic_current(cell, v, s.x, s.c)

    i, g = jax.jvp(current, (s.v,), (jnp.ones_like(s.v),))
    injected = jnp.stack([e.i + 0.0 * s.v[0], 0.0 * s.v[1]])
    i = i + cell.g_axial * (s.v - s.v[::-1]) - injected
    # (C_m / dt + g + g_axial) dv - g_axial dv_other = -i
    diagonal = cell.C_m / dt + g + cell.g_axial
    factor = cell.g_axial / diagonal[0]
    second = (-i[1] - factor * i[0]) / (diagonal[1] - factor * cell.g_axial)
    first = (-i[0] + cell.g_axial * second) / diagonal[0]
    return s._replace(v=s.v + jnp.stack([first, second]))


CHANNELS = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}
THETA = {"C_m": 1.0, "g_axial": 0.3, "leak.E_rev": -54.0, "na.g_bar": 120.0}
DRIVE = nj.current_clamp(nj.steps(20.0, start=1.0, stop=8.0, duration=STEPS * DT, dt=DT))


def toy(pop=(), **more):
    cell = Dumbbell(channels=CHANNELS, **more)
    spread = 1 + 0.02 * np.arange(pop[0] if pop else 1).reshape(pop)
    return cell, {k: jnp.asarray(x * spread) for k, x in THETA.items()}


def build_of(cell, pop):
    def build(theta):
        own = {k: x for k, x in theta.items() if k != "g_axial"}
        made = dataclasses.replace(substitute(cell, own), g_axial=theta["g_axial"])
        # The compartments begin apart; the leak's potential is felt from the beginning on.
        v = theta["leak.E_rev"] - jnp.asarray([11.0, 16.0]).reshape(2, *[1] * len(pop))
        return made, nj.steady_state(made, v)

    return build


@nj.pytree
class BothEnds(nj.Squares):
    """Errors of the potentials of both compartments, mV."""

    def residual(self, cell, s, row):
        return (s.v - row) / 30


def target(pop):
    t = np.arange(STEPS // EVERY)
    data = -60 + 20 * np.stack([np.sin(0.3 * t), np.cos(0.2 * t)], axis=1)
    return BothEnds(data=jnp.asarray(data.reshape(len(t), 2, *[1] * len(pop))))


def residuals(build, fold, theta):
    """All residuals of a run of the scan, `[record, comp, *pop]`."""
    cell, s = build(theta)
    _, v, _ = scan.run(cell, s, DRIVE, DT, lambda cell, s: s.v, EVERY)
    return (v - fold.data) / 30


@cache
def derivatives(pop):
    """By tangents and by the adjoint, `[..., *pop]`."""
    cell, theta = toy(pop)
    build, fold = build_of(cell, pop), target(pop)
    engines = tangent, adjoint
    run = jax.jit(lambda theta: [e.run(build, theta, DRIVE, DT, fold, EVERY) for e in engines])
    return run(theta)


def test_a_population_of_coupled_cells_has_the_derivatives_of_each(x64):
    """Of one cell, and of as many as there are compartments."""
    for found, other in zip(derivatives((1,)), derivatives((2,)), strict=True):
        assert found.value.shape == (1,)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(a, b[..., :1], rtol=1e-8)


@pytest.mark.parametrize("pop", [(), (2,)])
def test_derivatives_of_a_coupled_cell_are_finite_differences(pop, x64):
    cell, theta = toy(pop)
    build, fold = build_of(cell, pop), target(pop)
    ahead, back = derivatives(pop)
    r_of = jax.jit(lambda theta: residuals(build, fold, theta))
    r = r_of(theta)
    J = []
    for name, x in theta.items():
        h = 1e-5 * np.abs(x)
        up, down = (r_of(theta | {name: x + sign * h}) for sign in (1, -1))
        J.append((up - down) / (2 * h))
    assert np.abs(r[:, 0] - r[:, 1]).max() > 0.1
    J = np.stack(J)  # [P, record, comp, *pop]
    assert ahead.value.shape == back.value.shape == pop
    np.testing.assert_allclose(ahead.value, (r * r).sum((0, 1)), rtol=1e-12)
    np.testing.assert_allclose(back.value, ahead.value, rtol=1e-12)
    gradient = 2 * np.einsum("prc...,rc...->p...", J, r)
    matrix = np.einsum("prc...,qrc...->pq...", J, J)
    size = np.sqrt((J * J).sum((1, 2)))
    np.testing.assert_allclose(
        ahead.gradient / size, gradient / size, atol=1e-5 * np.abs(gradient / size).max()
    )
    np.testing.assert_allclose(back.gradient / size, ahead.gradient / size, rtol=1e-9, atol=1e-10)
    scale = size[:, None] * size[None]
    np.testing.assert_allclose(ahead.matrix / scale, matrix / scale, atol=1e-5)


# -- liars -----------------------------------------------------------------------------------------
TICK = Electrode(i=jnp.asarray([8.0, 9.0]), v_cmd=0.0, g=0.0)


def away(s):
    """A state from which everything moves."""
    return s._replace(
        v=s.v + 12.0 + jnp.arange(s.v.shape[-1]), x=jax.tree.map(lambda x: 0.8 * x + 0.1, s.x)
    )


def everything():
    """Two cells with pools, a scheme that reads calcium, and a pipette."""
    channels = {"ca": CortexCaL(), "sk": SkK(), "leak": SquidLeak()}
    ions = {"ca": nj.Ion(valence=2, inside=1e-4, outside=2.0, depth=0.1, tau=80.0)}
    ions["k"] = nj.Ion(valence=1, inside=140.0, outside=4.0, depth_o=1.0)
    cell = nj.Cell(
        channels=channels | {"pipette": nj.Pipette(R_s=10.0, C_pip=5.0)}, ions=ions,
        area=1e-5, celsius=30.0, default_q10=1.0, C_m=jnp.asarray([1.0, 1.1]), electrode_ion="k",
    )  # fmt: skip
    return cell


def test_sub_steps_are_what_they_say(x64):
    cell, settled = everything(), jax.jit(nj.steady_state)
    tick = jax.tree.map(
        lambda f: f[0] if jnp.ndim(f) else f, pipette.current_clamp(np.full(1, 1e-5))
    )
    check_couplings(cell, away(settled(cell, -60.0)), tick, DT)
    cell, theta = toy((2,))  # as many cells as compartments
    cell, s = jax.jit(build_of(cell, (2,)))(theta)
    check_couplings(cell, away(s), TICK, DT)


def test_a_tree_that_says_it_is_elementwise_is_caught(x64):
    cell, theta = toy((2,), coupling="elementwise")  # as many cells as compartments
    cell, s = jax.jit(build_of(cell, (2,)))(theta)
    with pytest.raises(ValueError, match="sub-step 'potential' is not 'elementwise'"):
        check_couplings(cell, s, TICK, DT)


@nj.pytree
class Pair(nj.Cell):
    """Cells of a population that leak into each other."""

    coupling: str = nj.static("elementwise")

    def sub_steps(self):
        def leak(cell, s, e, dt):
            return s._replace(v=s.v + 0.1 * dt * (s.v[..., ::-1] - s.v))

        return (
            SubStep("potential", move_potential, "elementwise"),
            SubStep("leak", leak, self.coupling),
        )


@pytest.mark.parametrize("coupling", ["elementwise", "tree"])
def test_cells_that_act_on_each_other_are_caught(coupling, x64):
    cell = Pair(channels=CHANNELS, C_m=jnp.ones(2), coupling=coupling)
    with pytest.raises(ValueError, match=f"sub-step 'leak' is not '{coupling}'"):
        check_couplings(cell, nj.steady_state(cell, jnp.asarray([-60.0, -50.0])), TICK, DT)


@pytest.mark.parametrize("engine", [tangent, adjoint])
def test_events_have_no_derivative_yet(engine):
    cell = Pair(channels=CHANNELS, coupling="events")

    def build(theta):
        made = substitute(cell, theta)
        return made, nj.steady_state(made, -65.0)

    fold = nj.Mean()
    with pytest.raises(ValueError, match=r"'leak' has the coupling 'events', .* no derivative yet"):
        engine.run(build, {"C_m": jnp.ones(2)}, DRIVE, DT, fold)
