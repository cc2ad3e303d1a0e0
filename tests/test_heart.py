"""Cells of the heart against their papers' equations, integrated by another program.

The numbers were computed with scipy's LSODA (tolerance 1e-9 or less) of right-hand sides written
for this purpose from the papers, in their units: after 30 beats (Luo & Rudy) or 1000 beats (ten
Tusscher & Panfilov) at 1 Hz, or after 25 s of pacemaking. Runs begin at a state of theirs.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import HumanVentricleCalcium, SinusCalcium
from neurojax.channels.heart import mixed_potential
from neurojax.engine.gpu.lanes import KERNEL_SAFE
from neurojax.engine.passes.jaxpr import equations
from neurojax.membrane.compartment import State
from neurojax.model import ModelError, cells, parse_model
from neurojax.units import FARADAY, nernst, thermal_voltage

# What users get is checked at once, the other precision with the slow tests.
double = pytest.param(True, marks=pytest.mark.slow, id="float64")
every_precision = pytest.mark.parametrize("x64", [pytest.param(False, id="float32"), double])


def begun(cell, text: str) -> State:
    """The state of a text: gates and concentrations by name, each with its number."""
    pairs = (pair.split() for pair in text.split(","))
    known = {name: jnp.asarray(float(value)) for name, value in pairs}
    v, x = known.pop("v"), {key: {} for key in cell.channels}
    for name in [name for name in known if "." in name]:
        key, gate = name.split(".")
        x[key][gate] = known.pop(name)
    return State(v, x, known)


def apd(v, dt, part, rest) -> list[float]:
    """How long each cell of `[record, pop]` is above what is left of its action potential, ms.

    `part` of its height above `rest` has then repolarised.
    """
    durations = []
    for one in np.asarray(v, dtype=np.float64).T:
        level = one.max() - part * (one.max() - rest)
        rises, falls = crossings(one, dt, level), crossings(-one, dt, -level)
        durations.append(falls[falls > rises[0]][0] - rises[0])
    return durations


def crossings(v, dt, level):
    k = np.flatnonzero((v[:-1] < level) & (v[1:] >= level))
    return (k + 1 + (level - v[k]) / (v[k + 1] - v[k])) * dt


# -- Noble 1962 -----------------------------------------------------------------------------------
def test_a_purkinje_fibre_beats(x64):
    cell, dt = cells.purkinje_fibre_noble(), 0.01
    start = begun(cell, "v -70.0945649, na.m 0.0808832144, na.h 0.587886547, k.n 0.446836754")
    run = nj.simulate(cell, nj.current_clamp(jnp.zeros(60000)), dt, initial=start)
    v = np.asarray(run.v)
    assert np.diff(crossings(v, dt, -20.0)) == pytest.approx(564.1642, rel=1e-3)
    assert apd(v[:, None], dt, 0.5, v.min()) == pytest.approx([225.1939], rel=2e-3)
    assert v.min() == pytest.approx(-81.5791, abs=0.01)
    assert v.max() == pytest.approx(23.367, abs=0.05)


# -- Luo & Rudy 1991 ------------------------------------------------------------------------------
LUO_RUDY = """
v -84.43892334, na.m 0.001696707843, na.h 0.9828893473, na.j 0.9892559553,
si.d 0.003005756244, si.f 0.9999788339, k.x 0.02891582951, ca_i 0.0001790913473
"""


@every_precision
def test_the_ventricle_of_luo_and_rudy(x64):
    dt = 0.02
    with jax.enable_x64(x64):
        control = cells.ventricle_luo_rudy()
        cell = nj.replace(
            control,
            {
                "si.g_bar": jnp.array([0.09, 0.06, 0.09, 0.09]),
                "k.g_bar": jnp.array([0.282, 0.282, 0.423, 0.282]),
                "ions.k.outside": jnp.array([5.4, 5.4, 5.4, 7.0]),
            },
        )
        start = begun(control, LUO_RUDY)
        i = nj.steps(25.5, start=0, stop=2.0, duration=1000.0, dt=dt)
        run = nj.simulate(cell, nj.current_clamp(i), dt, initial=start, record=("v", "ca_i"))
        v, ca_i = np.asarray(run.v), np.asarray(run.data["ca_i"])
    rest = -84.43892
    np.testing.assert_allclose(
        apd(v, dt, 0.9, rest), [361.8445, 266.5265, 298.1468, 325.6971], rtol=2e-3
    )
    np.testing.assert_allclose(
        apd(v, dt, 0.5, rest), [263.1956, 181.1242, 215.9548, 253.9351], rtol=6e-3
    )
    np.testing.assert_allclose(v.max(axis=0), [46.977, 46.939, 46.937, 47.165], atol=0.8)
    np.testing.assert_allclose(v[-1], [-84.4389, -84.5558, -84.4252, -78.5919], atol=0.02)
    np.testing.assert_allclose(ca_i.max(axis=0)[:2], [6.45385e-3, 4.81121e-3], rtol=2e-3)


# -- ten Tusscher & Panfilov 2006 -----------------------------------------------------------------
TEN_TUSSCHER = """
v -85.42126209, na.m 0.001647125569, na.h 0.7501131282, na.j 0.7497342753,
kr.xr1 0.0002063301445, kr.xr2 0.4731632463, ks.xs 0.003221044319, to.r 2.340888208e-08,
to.s 0.999997922, cal.d 3.287286691e-05, cal.f 0.9772153645, cal.f2 0.9995015639,
cal.f_ca 0.9999728308, ca_i 0.0001044595129, ca_ss 0.0002130504993, ca_sr 3.498824525,
ca_ryr 0.9891752252, na_i 9.77256516, k_i 135.7513363
"""


@every_precision
def test_the_human_ventricle(x64):
    dt, pools = 0.02, ("ca_i", "ca_ss", "ca_sr", "na_i", "k_i")
    with jax.enable_x64(x64):
        control = cells.human_ventricle_ten_tusscher()
        changes = {
            "kr.g_bar": jnp.array([0.153, 0.0765, 0.153]),
            "ks.g_bar": jnp.array([0.392, 0.392, 0.196]),
        }
        cell, start = nj.replace(control, changes), begun(control, TEN_TUSSCHER)
        i = nj.steps(52 * 1.85e-4, start=0, stop=1.0, duration=1000.0, dt=dt)
        run = nj.simulate(cell, nj.current_clamp(i), dt, initial=start, record=("v", *pools))
        v, c = np.asarray(run.v), {k: np.asarray(run.data[k][:, 0]) for k in pools}
    rest = -85.42126
    np.testing.assert_allclose(apd(v, dt, 0.9, rest), [301.6641, 321.6999, 347.9287], rtol=5e-4)
    np.testing.assert_allclose(apd(v, dt, 0.5, rest), [273.4271, 287.9966, 318.5469], rtol=5e-4)
    np.testing.assert_allclose(v.max(axis=0), [37.3876, 37.4024, 37.3877], atol=0.05)
    np.testing.assert_allclose(v[-1], [-85.42126, -85.41720, -85.41048], atol=4e-3)
    assert c["ca_i"].max() == pytest.approx(9.02441e-4, rel=2e-3)
    assert c["ca_i"].min() == pytest.approx(1.044593e-4, rel=2e-4)
    assert c["ca_ss"].max() == pytest.approx(1.946549, rel=5e-3)
    assert c["ca_sr"].min() == pytest.approx(2.633603, rel=2e-4)
    assert c["ca_sr"].max() == pytest.approx(3.594530, rel=1e-4)
    # A beat leaves sodium and potassium as they were, but for what single precision cannot count:
    # what a step changes is less than the rounding of 136 mM.
    lost = 2e-5 if x64 else 0.01
    assert c["na_i"][-1] == pytest.approx(9.7725673, abs=lost)
    assert c["k_i"][-1] == pytest.approx(135.7513341, abs=lost)


def test_potential_is_the_charge_of_the_ions_inside(x64):
    # Every current is carried by an ion: their sum, free and bound, is what charges the membrane.
    # With the gates of rest, at other potentials, all kinds of currents flow; and the electrode's.
    cell, dt = cells.human_ventricle_ten_tusscher(), 0.1
    v = jnp.array([-95.0, -85.0, -40.0, 0.0, 40.0])
    s = nj.steady_state(cell, -60.0, v.shape)._replace(v=v)
    stimulus = nj.Electrode(52 * 1.85e-4 * jnp.array([0.0, 1.0, 0.0, 0.0, -1.0]), 0.0, 0.0)

    def charge(s):
        calcium = ventricular_calcium(cell.ions["ca"], s.c)
        inside = FARADAY / 10 * (cell.ions["ca"].depth * (s.c["na_i"] + s.c["k_i"]) + 2 * calcium)
        return inside, inside - cell.C_m * s.v

    (inside, before), start = charge(s), s
    for _ in range(6):
        s = nj.step(cell, s, stimulus, dt)
    gained, after = charge(s)
    assert (np.abs(s.v - start.v) > 0.05).all()
    assert (np.abs(after - before) < 1e-7 * np.abs(gained - inside)).all()


# -- Fabbri et al. 2017 ---------------------------------------------------------------------------
SINUS = """
v -35.47216823, na.m 0.6867015365, na.h 0.0005384000999, cal.d 0.01135054394,
cal.f 0.7562336189, cal.f_ca 0.8307884519, cat.d 0.6212726396, cat.f 0.002837069118,
f.y 0.007419066258, kur.r 0.02685454723, kur.s 0.8589658202, to.q 0.3531787813,
to.r 0.02303720031, kr.pas 0.215636706, kr.paf 0.02197487196, kr.piy 0.6036824013,
ks.n 0.1375174925, ca_open 1.7339809e-08, ca_shut 0.06370324011, ca_i 8.492438617e-05,
ca_sub 0.0001053453255, ca_nsr 0.4194606677, ca_jsr 0.3961088173, ca_tc 0.01658761157,
ca_tmc 0.2358514484, ca_tmm 0.675079083, ca_cm 0.2043523953, ca_cm_sub 0.2364553566,
ca_cq 0.1350956605
"""


@every_precision
def test_the_human_sinus_node(x64):
    dt, pools = 0.02, ("ca_i", "ca_sub", "ca_jsr")
    with jax.enable_x64(x64):
        control = cells.sinus_fabbri()
        # Control; half of the funny channels; isoprenaline's shift of them; 20 % less I_CaL.
        changes = {
            "f.g_bar": control.channels["f"].g_bar * jnp.array([1, 0.5, 1, 1]),
            "f.v_shift": jnp.array([0, 0, 7.5, 0]),
            "cal.P_bar": control.channels["cal"].P_bar * jnp.array([1, 1, 1, 0.8]),
        }
        cell, start = nj.replace(control, changes), begun(control, SINUS)
        nothing = nj.current_clamp(jnp.zeros(53000))
        run = nj.simulate(cell, nothing, dt, initial=start, record=("v", *pools))
        v = np.asarray(run.v, dtype=np.float64)
        ca_i, ca_sub, ca_jsr = (np.asarray(run.data[k][:, 0]) for k in pools)
    cycles = [np.diff(crossings(one, dt, -20.0))[0] for one in v.T]
    np.testing.assert_allclose(cycles, [813.4209, 902.7389, 720.9169, 1018.0579], rtol=3e-4)
    assert cycles[0] == pytest.approx(814, rel=1e-3)  # in the paper
    assert v[:, 0].min() == pytest.approx(-58.8853, abs=2e-3)
    first = v[: round(200 / dt)]
    np.testing.assert_allclose(first.max(axis=0), [26.4087, 26.4984, 26.3826, 22.8491], atol=0.01)
    assert apd(first[:, :1], dt, 0.5, -58.8853) == pytest.approx([125.2688], rel=2e-4)
    assert (ca_i.min(), ca_i.max()) == pytest.approx((8.380609e-5, 1.891476e-4), rel=5e-4)
    assert ca_sub.max() == pytest.approx(2.911769e-3, rel=5e-4)
    assert (ca_jsr.min(), ca_jsr.max()) == pytest.approx((0.1442130, 0.3970199), rel=4e-3)


# -- calcium inside -------------------------------------------------------------------------------
def ventricular_calcium(ion, c):
    """All calcium inside, free and bound, per membrane area: mM um."""
    parts = (
        (ion.depth, ion.buffer_i, 1e-3, c["ca_i"]),
        (ion.depth_ss, ion.buffer_ss, 2.5e-4, c["ca_ss"]),
    )
    parts += ((ion.depth_sr, ion.buffer_sr, 0.3, c["ca_sr"]),)
    return sum(depth * (x + buffer * x / (x + K)) for depth, buffer, K, x in parts)


def sinus_calcium(ion, c):
    filled = 0.045 * c["ca_cm"] + 0.031 * c["ca_tc"] + 0.062 * c["ca_tmc"]
    return (
        ion.depth * (c["ca_i"] + filled)
        + ion.depth_sub * (c["ca_sub"] + 0.045 * c["ca_cm_sub"])
        + ion.depth_jsr * (c["ca_jsr"] + 10 * c["ca_cq"])
        + ion.depth_nsr * c["ca_nsr"]
    )


TOTALS = {HumanVentricleCalcium: ventricular_calcium, SinusCalcium: sinus_calcium}
every_calcium = pytest.mark.parametrize("cls", TOTALS)


def pools_of(ion) -> dict:
    return {k: jnp.asarray(value, float) for k, value in ion.pools("ca").items()}


@every_calcium
def test_calcium_is_neither_made_nor_lost(cls, x64):
    ion, dt, current = cls(), jnp.array([0.01, 0.1]), jnp.array([0.0, -3.0])
    start = pools_of(ion) | {"ca_i": jnp.asarray(8e-4)}  # far from equilibrium
    start = {k: jnp.full(2, value) for k, value in start.items()}
    part = next(k for k in start if k in ("ca_ss", "ca_sub"))
    carried = {"ca": current / 3, part: 2 * current / 3}
    end = jax.lax.fori_loop(0, 1000, lambda _, c: ion.advance("ca", c, carried, dt), start)
    gained = TOTALS[cls](ion, end) - TOTALS[cls](ion, start)
    # 1 uA/cm2 for 1 ms is 10 / (2 F) mM um of calcium
    entered = -1000 * dt * current * 10 / (2 * FARADAY)
    np.testing.assert_allclose(gained, entered, rtol=1e-9, atol=1e-14)
    assert all((value > 0).all() for value in end.values())
    assert (np.max([np.abs(end[k] - start[k]) for k in end], axis=0) > 1e-4).all()


@every_calcium
def test_pools_begin_in_balance_with_their_buffers(cls, x64):
    ion = cls()
    start = pools_of(ion)
    moved = ion.advance("ca", start, {"ca": jnp.zeros(())}, 1e-3)
    for k in set(start) - {"ca_i", "ca_ss", "ca_sub", "ca_sr", "ca_nsr", "ca_jsr"}:
        assert abs(moved[k] - start[k]) < 1e-6, k


@every_calcium
def test_slopes_of_calcium_are_finite_in_float32(cls):
    ion = cls()
    start = pools_of(ion) | {"ca_i": jnp.array([1e-7, 1e-5, 1e-3, 1e-1])}
    part = next(k for k in start if k in ("ca_ss", "ca_sub"))

    def total(ion, c, i):
        moved = ion.advance("ca", c, {"ca": i, part: 10 * i}, 0.02)
        return sum(jnp.sum(value) for value in moved.values())

    args = ion, start, jnp.array([-5.0, 0.0, 0.5, 5.0])
    found = jax.jit(jax.grad(total, (0, 1, 2)))(*args)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize("name", ["human_ventricle_ten_tusscher", "sinus_fabbri"])
def test_a_kernel_can_lower_a_step_of_the_whole_cell(name):
    cell = getattr(cells, name)()
    s = nj.steady_state(cell, -65.0, (4,))
    jaxpr = jax.make_jaxpr(nj.step)(cell, s, nj.Electrode(0.0, 0.0, 0.0), 0.02)
    assert {e.primitive.name for e in equations(jaxpr.jaxpr)} <= KERNEL_SAFE


# -- small things ---------------------------------------------------------------------------------
def test_mixed_potential(x64):
    assert mixed_potential((140.0, 5.0), (10.0, 145.0), 0.0, 37.0) == pytest.approx(
        nernst(140.0, 5.0, 1, 37.0)
    )
    equal = mixed_potential((140.0, 5.0), (10.0, 145.0), 1.0, 37.0)
    assert equal == pytest.approx(float(thermal_voltage(37.0) * np.log(150 / 150)))


def test_a_model_file_names_the_class_of_an_ion():
    text = '[ions.ca]\ntype = "SinusCalcium"\n{more}[channels.t]\ntype = "SinusCaT"\n'
    ion = parse_model(text.format(more="inside_jsr = 0.5\n")).cell.ions["ca"]
    assert type(ion) is SinusCalcium and ion.inside_jsr == 0.5
    with pytest.raises(ModelError, match="did you mean 'inside_jsr'"):
        parse_model(text.format(more="inside_jrs = 0.5\n"))
    with pytest.raises(ModelError, match="no ion class 'SinusCalcum'; did you mean"):
        parse_model(text.format(more="").replace("SinusCalcium", "SinusCalcum"))


@pytest.mark.slow
def test_ten_minutes_of_pacing_in_float32_are_those_in_float64():
    # ten Tusscher & Panfilov 2006 at 1 Hz: what drifts is the cell, not its rounding.
    cell = nj.cells.human_ventricle_ten_tusscher()
    beat = float(cell.area) * nj.steps(52.0, start=10.0, stop=11.0, duration=1000.0, dt=0.02)

    def paced(beats):
        s, run = None, None
        for _ in range(beats):
            run = nj.simulate(cell, nj.current_clamp(beat), 0.02, record=(), initial=s)
            s = run.final
        return s.c

    single = paced(600)
    with jax.enable_x64(True):
        double = paced(600)
    for name in ("na_i", "k_i", "ca_sr"):
        np.testing.assert_allclose(single[name], double[name], rtol=1e-3, err_msg=name)
