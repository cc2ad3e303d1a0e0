"""Events that open synapses: closed forms, NEURON, contracts, derivatives, one program for all."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidLeak, SynapseAmpa, SynapseExp, SynapseExp2, SynapseNmda
from neurojax.engine.halves import merged
from neurojax.engine.inputs import in_steps, ready
from neurojax.engine.scan import parts
from neurojax.membrane.events import arrivals, counted
from neurojax.run import gradients
from neurojax.run.diagnosis import check_couplings

LEAK = SquidLeak(g_bar=0.1, E_rev=-70.0)
stimulus = nj.electrode.stimulus


def run_of(duration, dt, **events):
    return stimulus(nj.current_clamp(np.zeros(round(duration / dt))), **events)


# -- time courses ----------------------------------------------------------------------------------
TIMES = np.array([5.013, 9.777, 9.79, 16.004])
WEIGHTS = np.array([1.0, 0.5, 0.2, 0.7])
EXP, EXP2 = SynapseExp(g_max=5.0, tau=3.0), SynapseExp2(g_max=5.0, tau_rise=0.8, tau_decay=4.0)
POINT = nj.Cell(channels={"leak": LEAK, "exp": EXP, "exp2": EXP2}, area=1e-5)


def after(t, course):
    """The sum of what events have left at times t."""
    since = t[:, None] - TIMES
    return (WEIGHTS * np.where(since >= 0, course(np.maximum(since, 0)), 0)).sum(1)


def test_under_a_clamp_the_conductance_is_its_closed_form(x64):
    events = nj.Events(times=TIMES, weight=WEIGHTS)
    clamp = nj.voltage_clamp(np.full(800, -60.0))
    run = nj.simulate(POINT, stimulus(clamp, exp=events, exp2=events), record=("exp.i", "exp2.i"))
    t = np.asarray(run.t)
    nano = 1e-6 / 1e-5 * (-60.0)  # nS in mS, on 1e-5 cm2, times the driving force
    np.testing.assert_allclose(
        run.data["exp.i"], 5.0 * nano * after(t, lambda s: np.exp(-s / 3.0)), rtol=1e-10
    )
    peak = 0.8 * 4.0 / (4.0 - 0.8) * np.log(4.0 / 0.8)

    def course(s):
        return np.exp(-s / 4.0) - np.exp(-s / 0.8)

    exact = 5.0 * nano * after(t, course) / course(peak)
    np.testing.assert_allclose(run.data["exp2.i"], exact, rtol=1e-9, atol=1e-12)
    # One event of weight 1 opens g_max at its peak.
    assert (5.0 * course(peak) / course(peak)) == 5.0


def test_equal_time_constants_are_the_alpha_function(x64):
    alpha = SynapseExp2(tau_rise=2.0, tau_decay=2.0)
    left = alpha.left_of(1.0, jnp.asarray([0.5, 2.0, 8.0]), jnp.zeros(3), None, area=1.0)
    s = np.array([0.5, 2.0, 8.0])
    np.testing.assert_allclose(1e6 * alpha.conductance(left), s / 2 * np.exp(1 - s / 2), rtol=3e-3)


def passive_exact(t):
    """scipy's integration of the passive cell with the exponential conductance."""
    from scipy.integrate import solve_ivp

    v, found = -70.0, np.full(len(t), -70.0)
    for begin, end in zip(TIMES, [*TIMES[1:], t[-1] + 1], strict=True):

        def slope(t, v, begin=begin):
            g = 0.5 * after(np.array([t]), lambda s: np.exp(-s / 3.0))[0]
            return -0.1 * (v + 70) - g * v

        # From just after the event, so that it counts.
        one = solve_ivp(slope, (begin + 1e-12, end), [v], rtol=1e-10, atol=1e-10, dense_output=True)
        here = (t >= begin) & (t < end)
        found[here] = one.sol(np.append(t[here], end))[0][:-1]
        v = one.y[0, -1]
    return found


def test_a_step_is_second_order_wherever_in_it_events_come(x64):
    """A step of conductance, in the middle of steps, moves the potential when it happens."""
    errors = {}
    for dt in (0.2, 0.05):
        run = nj.simulate(
            POINT, run_of(20.0, dt, exp=nj.Events(times=TIMES, weight=WEIGHTS)), dt, initial=-70.0
        )
        errors[dt] = np.abs(run.v - passive_exact(np.asarray(run.t))).max()
    assert errors[0.05] < 1e-3 and errors[0.2] < 16 * 1e-3


# -- in a cell with a dendrite ---------------------------------------------------------------------
STICK = nj.ball_and_stick(
    {"leak": LEAK, "exp": SynapseExp(g_max=2.0), "exp2": SynapseExp2(g_max=2.0)}, compartments=21
)
AT = 16
NEURON = {  # soma, dendrite at 6, 8, 13, 15, 20, 30 ms
    "exp": (
        [-69.39819, -67.18911, -66.77044, -63.21209, -62.49738, -67.01673],
        [-65.13487, -64.68123, -60.92388, -57.42461, -61.90315, -67.01233],
    ),
    "exp2": (
        [-69.64040, -66.23222, -63.67855, -59.76878, -55.69259, -63.26806],
        [-64.80598, -60.79946, -59.45296, -49.34180, -53.16014, -63.15939],
    ),
}


def test_synapses_on_a_dendrite_are_those_of_neuron(x64):
    """Source: NEURON 9, ExpSyn (2 ms) and Exp2Syn (0.5, 3 ms) of 2 nS, variable step, 1e-9."""
    for name, expected in NEURON.items():
        events = nj.Events(times=[5.013, 12.5, 12.77], at=AT)
        other = {k: nj.Events(times=np.full(3, np.inf)) for k in NEURON if k != name}
        drive = run_of(30.0, 0.025, **{name: events}, **other)
        v = np.asarray(nj.simulate(STICK, drive, initial=-70.0, at=[0, AT]).v)
        at = np.round(np.array([6.0, 8, 13, 15, 20, 30]) / 0.025).astype(int) - 1
        np.testing.assert_allclose(v[at].T, expected, atol=4e-3)


def test_where_events_go_is_data_in_a_population_and_under_vmap():
    places, weights = np.array([[2, 8, 20]]), np.array([[1.0, 0.5, 2.0]])

    def peak(at, weight):
        drive = run_of(10.0, 0.05, exp=nj.Events(times=[1.02, 1.03], at=at, weight=weight))
        return nj.simulate(STICK, drive, 0.05, initial=-70.0, at=[0]).v.max(0)[0]

    together = peak(places, weights)
    assert together.shape == (3,) and np.ptp(together) > 0.5
    mapped = jax.vmap(peak)(places[0], weights[0])
    np.testing.assert_allclose(mapped, together, atol=2e-4)
    # The next ones are data for the same program.
    with jax.log_compiles(False):
        before = nj.engine.call._called._cache_size()
        peak(places[:, ::-1], 2 * weights)
        assert nj.engine.call._called._cache_size() == before


def test_point_currents_add_up_wherever_they_are(x64):
    one = np.array([1e-5, 2e-5, 0.0, 1e-5] * 25)
    both = nj.current_clamp([one, 2 * one], at=[3, np.array([5, 20])])
    v = nj.simulate(STICK, both, initial=-70.0).v + 70
    assert v.shape == (100, 22, 2)
    for k, other in enumerate((5, 20)):
        alone = 0.0
        for place, i in ((3, one), (other, 2 * one)):
            cell = dataclasses.replace(STICK, electrode_at=place)
            alone += nj.simulate(cell, nj.current_clamp(i), initial=-70.0).v + 70
        np.testing.assert_allclose(v[..., k], alone, atol=1e-9)
    # Of a cell of one compartment they are one current.
    point = nj.simulate(POINT, nj.current_clamp([one, 2 * one], at=[0, 0]), initial=-70.0).v
    np.testing.assert_allclose(
        point, nj.simulate(POINT, nj.current_clamp(3 * one), initial=-70.0).v, atol=1e-9
    )


# -- transmitter -----------------------------------------------------------------------------------
def test_a_vesicle_is_a_pulse_of_transmitter_at_its_place(x64):
    receptors = {"leak": LEAK, "ampa": SynapseAmpa(g_bar=0.5), "nmda": SynapseNmda(g_bar=0.5)}
    cell = nj.cylinder(200.0, 2.0, 3, receptors, inputs={"glu": 0.0})
    vesicles = nj.Events(times=[2.0103, 6.0], at=[1, 2], weight=[1.0, 0.5])
    names = ("v", "glu", "ampa.r", "nmda.r")
    run = nj.simulate(cell, run_of(12.0, 0.05, glu=vesicles), 0.05, initial=-70.0, record=names)
    t = np.asarray(run.t) - 0.025  # gates are half a step behind
    glu = np.asarray(run.data["glu"])
    assert (glu[:, 0] == 0).all() and set(np.round(glu[:, 1:].ravel(), 9)) == {0.0, 0.5, 1.0}
    alpha, beta = 1.1, 0.19
    rise = alpha / (alpha + beta) * (1 - np.exp(-(alpha + beta) * np.clip(t - 2.0103, 0, 1)))
    exact = rise * np.exp(-beta * np.maximum(t - 3.0103, 0))
    np.testing.assert_allclose(run.data["ampa.r"][:, 1], exact, atol=1e-3)
    assert (np.asarray(run.data["ampa.r"])[:, 0] == 0).all()
    # And blocked by magnesium, at rest, to 4 %: that of NMDA type is slow to rise and to fall.
    peak = 0.072 / 0.0786 * (1 - np.exp(-0.0786))
    assert np.asarray(run.data["nmda.r"])[:, 1].max() == pytest.approx(peak, rel=5e-3)
    v = np.asarray(run.v)
    assert v[:, 1].max() > v[:, 0].max() > -69.0


# -- by chance -------------------------------------------------------------------------------------
def test_poisson_trains_are_reproducible_and_of_their_rate():
    rate, seconds = np.array([20.0, 0.0, 50.0]), 2.0
    many = nj.poisson(rate, 1e3 * seconds, seed=np.arange(200), at=[4, 5, 6], weight=[1, 2, 3])
    assert (many.times[1:] >= many.times[:-1]).all()
    for train, r in zip((4, 5, 6), rate, strict=True):
        number = (np.isfinite(many.times) & (many.at == train)).sum(0)
        assert number.mean() == pytest.approx(r * seconds, abs=4 * np.sqrt(r * seconds / 200))
        assert number.var() == pytest.approx(r * seconds, rel=0.4)
    # A cell has its trains alone too, and a train its times without the others.
    alone = nj.poisson(rate, 1e3 * seconds, seed=7)
    np.testing.assert_array_equal(alone.times, many.times[:, 7])
    first = nj.poisson(rate[:1], 1e3 * seconds, seed=7).times
    kept = many.times[:, 7][many.at[:, 7] == 4]
    np.testing.assert_array_equal(first[np.isfinite(first)], kept[np.isfinite(kept)])
    assert nj.poisson(rate, 1e3 * seconds, seed=8).times.shape == alone.times.shape
    waits = np.diff(many.times[many.at[:, 0] == 6, 0])
    assert 0.7 < np.std(waits[np.isfinite(waits)]) / 20.0 < 1.4


def test_a_population_in_blocks_has_the_events_of_each_cell():
    n = 300  # in more than one block
    cell = nj.replace(POINT, {"leak.g_bar": np.full(n, 0.1)})
    drive = run_of(20.0, 0.05, exp=nj.poisson(200.0, 20.0, seed=np.arange(n)))
    v = np.asarray(nj.simulate(cell, drive, 0.05, initial=-70.0, record=("v", "exp.s")).v)
    assert np.ptp(v.mean(0)) > 1
    for k in (0, 299):
        one = run_of(20.0, 0.05, exp=nj.poisson(200.0, 20.0, seed=k))
        alone = nj.simulate(POINT, one, 0.05, initial=-70.0).v
        np.testing.assert_allclose(v[:, k], alone, atol=2e-3)


def test_a_run_can_be_gone_on_from(x64):
    events = nj.Events(times=[3.0, 9.98], weight=1.0)
    whole = nj.simulate(POINT, run_of(20.0, 0.05, exp=events), 0.05, initial=-70.0)
    first = nj.simulate(POINT, run_of(10.0, 0.05, exp=events), 0.05, initial=-70.0)
    never = nj.Events(times=[np.inf, np.inf], weight=1.0)
    then = nj.simulate(POINT, run_of(10.0, 0.05, exp=never), 0.05, initial=first.final)
    # In its last step an event is there from the beginning on.
    np.testing.assert_allclose(then.v[-1], whole.v[-1], atol=6e-2)
    assert first.final.x["exp"]["s"] > 1


def test_shapes_of_events_may_be_of_all_kinds():
    """What is told of each event, of each cell, or of each in each: the same events."""
    times, weight = np.array([1.0, 2.0, 2.01]), np.array([1.0, 0.5, 2.0])
    two = np.stack([times, times], axis=-1)

    def come(**events):
        """The sums of what comes in each of 80 steps: weights, and weights times how long ago."""
        found = counted(nj.Events(**events), 0.05, pulses=False)
        arrived = jax.jit(lambda x: arrivals(x, 0.05, 80, 0.0))(found)
        weights = [np.asarray(one.weight) for one in arrived]
        ago = [np.asarray(one.ago) for one in arrived]
        ago = [x if x.ndim == w.ndim else x[:, None] for x, w in zip(ago, weights, strict=True)]
        return sum(weights), sum(x * w for x, w in zip(ago, weights, strict=True))

    alone, double = come(times=times, weight=weight), come(times=times, weight=2 * weight)
    assert alone[0].sum() == pytest.approx(3.5) and (alone[0] > 0).sum() == 2
    ways = [
        (come(times=two, weight=weight), (alone, alone)),
        (come(times=times, weight=np.stack([weight, 2 * weight], axis=-1)), (alone, double)),
        (come(times=two, weight=np.stack([weight, 2 * weight], axis=-1)), (alone, double)),
    ]
    for found, expected in ways:
        for part, wanted in zip(found, zip(*expected, strict=True), strict=True):
            np.testing.assert_allclose(part, np.stack(wanted, axis=-1), rtol=1e-5, atol=1e-6)


# -- derivatives -----------------------------------------------------------------------------------
WRT = ["exp.g_max", "exp.tau", "ampa.alpha", "R_i"]


def everything():
    """Two cells with all that reaches a cell at places: synapses, vesicles, currents."""
    channels = {"leak": LEAK, "exp": SynapseExp(g_max=2.0), "ampa": SynapseAmpa(g_bar=0.5)}
    cell = nj.ball_and_stick(channels, compartments=2, length=200.0, inputs={"glu": 0.0})
    cell = nj.replace(cell, {"C_m": np.array([[1.0, 1.2]])})
    drive = nj.current_clamp([np.full(100, 2e-5), np.full(100, -1e-5)], at=[0, np.array([1, 2])])
    field = nj.extracellular.point_source(cell, np.full(100, -2.0), np.array([[50.0], [80.0], [0]]))
    drive = nj.electrode.in_field(drive, field)
    return cell, stimulus(
        drive,
        exp=nj.Events(times=[0.31, 1.01], at=np.array([[0, 1], [2, 1]]), weight=[2.0, 1.0]),
        glu=nj.Events(times=[1.01], at=2),
    )


@pytest.mark.slow  # each sub-step with all inputs on is below, a whole run of a cable in test_cable
def test_derivatives_with_all_inputs_on(x64, monkeypatch):
    cell, drive = everything()
    dt = 0.05
    target = nj.Target(-70 + 5 * np.sin(0.2 * np.arange(25)), np.ones(25))
    fold = nj.At(fold=nj.VoltageError(data=target), place=np.array([0, 2]))
    how = {"of": fold, "every": 4, "initial": -70.0}
    ahead = nj.gradient(cell, drive, dt, wrt=WRT, **how)
    monkeypatch.setattr(gradients, "CROSSOVER", 0)
    back = nj.gradient(cell, drive, dt, wrt=WRT[::-1], **how)  # another order, another program
    assert back.matrix is None
    np.testing.assert_allclose(back.gradient[::-1], ahead.gradient, rtol=1e-8)

    @jax.jit
    def value(values):
        changed = nj.replace(cell, values)
        run = nj.simulate(changed, drive, dt, folds={"of": fold}, every=4, initial=-70.0, record=())
        return run.folds["of"]

    known = {k: jnp.asarray(v, float) for k, (v, _) in nj.parameters(cell).items() if k in WRT}
    for k, name in enumerate(WRT):
        h = 1e-5 * known[name]
        up, down = (value(known | {name: known[name] + sign * h}) for sign in (1, -1))
        size = np.abs(ahead.gradient[k]).max()
        np.testing.assert_allclose(ahead.gradient[k], (up - down) / (2 * h), atol=1e-5 * size)
    assert (np.abs(ahead.gradient) > 0).all()


def test_sub_steps_say_what_they_mix_with_all_inputs_on(x64):
    cell, drive = everything()
    drive = in_steps(cell, ready(cell, drive, 0.05), 0.05)
    constant, varying = parts(drive)
    tick = merged(constant, jax.tree.map(lambda f: f[20], varying))
    assert all(sum(np.any(one.weight) for one in some) for some in tick.events.values())
    s = jax.jit(nj.steady_state)(cell, -60.0)
    s = s._replace(c={"glu": 0.1 + jnp.zeros_like(s.v)}, x=jax.tree.map(lambda x: 0.1 + x, s.x))
    s = s._replace(v=s.v + jnp.arange(3.0)[:, None] + jnp.arange(2.0))
    check_couplings(cell, s, tick, 0.05)


def test_weights_and_times_have_derivatives(x64):
    def total(weight, times):
        drive = run_of(5.0, 0.05, exp=nj.Events(times=times, weight=weight, at=[1, 5]))
        return nj.simulate(STICK, drive, 0.05, initial=-70.0, at=[0]).v.sum()

    w, t, h = jnp.asarray([1.0, 0.5]), jnp.asarray([1.013, 2.021]), 1e-5
    found = jax.jit(jax.grad(total, argnums=(0, 1)))(w, t)
    value = jax.jit(total)
    for k in range(2):
        step = h * jnp.eye(2)[k]
        of_w = (value(w + step, t) - value(w - step, t)) / (2 * h)
        of_t = (value(w, t + step) - value(w, t - step)) / (2 * h)
        assert found[0][k] == pytest.approx(float(of_w), rel=1e-6)
        assert found[1][k] == pytest.approx(float(of_t), rel=1e-5)


@pytest.mark.slow  # halving a run is tested without them
def test_the_error_of_a_step_is_told_with_events():
    told = nj.error_of(POINT, run_of(20.0, 0.1, exp=nj.Events(times=TIMES)), 0.1, initial=-70.0)
    assert 0 < told.v_mV[0] < 0.01


# -- contracts -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("events", "message"),
    [
        ({"times": [1.0, np.nan]}, "events of 'exp': times have NaN"),
        ({"times": [2.0, 1.0]}, "times are not sorted: event 1 is before event 0"),
        ({"times": [1.0, 11.0]}, "time 11 ms is not within the run, 0 to 10 ms"),
        ({"times": [-1.0]}, "time -1 ms is not within the run"),
        (
            {"times": [1.0], "weight": -2.0},
            "events of 'exp': weight -2: expected a number, 0 or more",
        ),
        (
            {"times": [1.0], "at": 22},
            "events of 'exp': at = 22: expected whole numbers from 0 to 21",
        ),
        ({"times": [1.0], "at": 1.5}, "at = 1.5: expected whole numbers"),
        ({"times": [1.0, 2.0], "weight": [1.0, 2.0, 3.0]}, "expected times .event., and as many"),
        ({"times": 1.0}, "expected times .event."),
    ],
)
def test_wrong_events_are_refused_by_name(events, message):
    with pytest.raises(ValueError, match=message):
        nj.simulate(STICK, run_of(10.0, 0.1, exp=nj.Events(**events)), 0.1)


def test_what_cannot_receive_is_refused_by_name():
    event = nj.Events(times=[1.0])
    with pytest.raises(ValueError, match="events of 'leak': no event opens a SquidLeak"):
        nj.simulate(STICK, run_of(5.0, 0.1, leak=event), 0.1)
    densities = dataclasses.replace(POINT, area=1.0)
    with pytest.raises(ValueError, match="conductance of one place, nS, but the area is 1 cm2"):
        nj.simulate(densities, run_of(5.0, 0.1, exp=event), 0.1)
    with pytest.raises(ValueError, match="no such channel or input; did you mean 'exp'"):
        nj.simulate(STICK, run_of(5.0, 0.1, exo=event), 0.1)
    with pytest.raises(
        ValueError, match=r"currents.1.at = 22: expected whole numbers from 0 to 21"
    ):
        nj.simulate(STICK, nj.current_clamp(np.zeros((2, 5)), at=[0, 22]), 0.1)
    with pytest.raises(ValueError, match="as many currents as places"):
        nj.current_clamp(np.zeros((2, 5)), at=[0])
    with pytest.raises(ValueError, match=r"rate = .* expected Hz"):
        nj.poisson(-1.0, 10.0)
    clamp = stimulus(nj.voltage_clamp(np.full(5, -60.0)), exp=event)
    with pytest.raises(ValueError, match="engine 'prefix': events of exp"):
        nj.simulate(POINT, clamp, 1.0, engine="prefix")
