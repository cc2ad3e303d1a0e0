"""Fits of cells with dendrites, and what holds, reads and patches them."""

from dataclasses import dataclass, replace

import jax
import numpy as np
import pytest

import neurojax as nj
from neurojax import fit, report
from neurojax.channels import CortexLeak, SquidK, SquidLeak, SquidNa
from neurojax.fit.problem import Problem
from neurojax.membrane import pipette
from neurojax.membrane.builders import equivalent_diameter
from neurojax.membrane.holding import away_from_rest, held_at
from neurojax.membrane.path_names import regional
from neurojax.model import load_model
from neurojax.recording import features

DT = 0.1
PULSE = nj.steps(100.0, start=20.0, stop=60.0, duration=120.0, dt=DT)  # pA
FREE = {
    "leak.g_bar": (0.005, 0.5),
    "C_m": (0.5, 3.0),
    "R_i": (30.0, 600.0),
    "diameter.dendrite": (0.5, 10.0),
}
TRUTH = {"leak.g_bar": 0.05, "C_m": 1.0, "R_i": 150.0, "diameter.dendrite": 3.0}
TIP = 2


@dataclass(frozen=True)
class From:
    """A stage that begins at these values, one after the other off by a quarter."""

    values: dict[str, float]
    name: str = "from"

    def run(self, task, found, budget):
        off = 1 + 0.25 * (np.eye(len(self.values)) * 2 - 1)
        starts = {k: x * off[n] for n, (k, x) in enumerate(self.values.items())}
        return fit.Candidates.sorted(task.space.point(starts), np.ones(len(off)), "mV")


def passive(**more):
    leak = {"leak": CortexLeak(g_bar=0.05, E_rev=-65.0)}
    return nj.ball_and_stick(leak, length=400.0, diameter=3.0, compartments=TIP, R_i=150.0, **more)


def recorded(cell, sd=0.02, i=PULSE, **places):
    """A sweep as a cell gives it, with noise."""
    bare = nj.Trace("current", DT, np.full(i.size + 1, -65.0), np.r_[i, i[-1]], **places)
    v = fit.free_run(cell, bare, DT, held=False).v_mV
    noise = np.random.default_rng(places.get("at") or 0).normal(size=v.size)
    return replace(bare, v_mV=v + sd * noise)


@pytest.fixture(scope="module")
def fitted():
    """A passive cell, fitted to its responses through a pipette at the soma and in the dendrite."""
    cell = passive()
    cell = replace(cell, channels=cell.channels | {"pipette": nj.Pipette(R_s=10.0, C_pip=2.0)})
    traces = [recorded(cell, at=at) for at in (0, TIP)]
    stages = [From(TRUTH), fit.Polish(), fit.Certify()]
    return fit.fit(cell, traces, FREE, stages, dt=DT, precision="exact", hold=True)


# -- fits ------------------------------------------------------------------------------------------
def test_soma_and_dendrite_tell_membrane_axis_and_diameter(fitted):
    for name, true in TRUTH.items():
        assert fitted.values[name] == pytest.approx(true, rel=0.05), name
        interval = fitted.certificate.intervals[name]
        assert interval.low < true < interval.high or abs(fitted.values[name] / true - 1) < 0.01
    assert fitted.error == pytest.approx(0.02, rel=0.1)  # mV, the noise
    diameters = np.asarray(fitted.cell.diameter)
    assert diameters[0] == 20.0 and (diameters[1:] == fitted.values["diameter.dendrite"]).all()


def test_its_file_has_the_cell_and_the_places(fitted, tmp_path):
    fitted.save(tmp_path / "fit.h5")
    loaded = fit.Fit.load(tmp_path / "fit.h5")
    assert loaded.space == fitted.space and loaded.values == fitted.values
    assert [(t.at, t.current_at) for t in loaded.task.traces] == [(0, None), (TIP, None)]
    both = zip(jax.tree.leaves(loaded.cell), jax.tree.leaves(fitted.cell), strict=True)
    for a, b in both:
        np.testing.assert_array_equal(a, b)


def test_its_report_shows_the_cell(fitted):
    page = report.to_html(report.report_of(fitted))
    assert "The cell in space" in page and "<canvas" in page
    assert "3 compartments" in page and "diameter.dendrite" in page


@pytest.mark.slow
def test_a_clamp_at_the_soma_tells_of_the_dendrite():
    cell = passive()
    cell = replace(cell, channels=cell.channels | {"pipette": nj.Pipette(R_s=10.0, C_pip=2.0)})
    command = -65.0 - 10.0 * (np.abs(np.arange(600) * DT - 35.0) < 20.0)
    bare = nj.Trace("voltage", DT, command, np.zeros(600), at=0)
    data = fit.free_run(cell, bare, DT)
    truth = {k: TRUTH[k] for k in ("leak.g_bar", "diameter.dendrite")}
    truth["pipette.R_s"] = 10.0
    free = {k: FREE.get(k, (2.0, 50.0)) for k in truth}
    found = fit.fit(cell, [data], free, [From(truth), fit.Polish()], dt=DT, precision="exact")
    assert found.unit == "pA" and found.error < 1e-3 * np.ptp(data.i_pA)
    for name, true in truth.items():
        assert found.values[name] == pytest.approx(true, rel=1e-3), name


@pytest.mark.slow
def test_a_spiking_soma_with_a_dendrite_is_found_again():
    channels = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}
    cell = nj.soma_and_dendrite(
        channels, ratio=4.0, density={k: {"soma": 1.0} for k in ("na", "k")} | {"leak": {
            "soma": 1.0, "dendrite": 0.2}}, coupling_MOhm=20.0,
    )  # fmt: skip
    i = nj.steps(400.0, start=15.0, stop=48.0, duration=50.0, dt=DT)
    trace = recorded(cell, sd=0.0, i=i)
    assert features.spikes(trace.v_mV, DT).number >= 2
    search = fit.Search(draws=64, population=32, islands=1, generations=8, jitter=0.0)
    free = {"na.g_bar": (60.0, 240.0), "length.dendrite": (100.0, 1500.0)}
    found = fit.fit(cell, [trace], free, [search], dt=DT)
    assert found.error < 0.1  # tolerances
    assert found.values["na.g_bar"] == pytest.approx(120.0, rel=0.03)
    assert found.values["length.dendrite"] == pytest.approx(float(cell.length[1]), rel=0.05)


@pytest.mark.parametrize("stage", [fit.Nudge(), fit.Shoot(), fit.Regress()])
def test_stages_that_follow_one_potential_say_so_by_name(stage):
    with pytest.raises(ValueError, match=f"{stage.name}.* one compartment, a Cable has several"):
        fit.fit(passive(), [recorded(passive())], FREE, [stage], dt=DT)


def test_a_coupling_to_the_data_is_refused():
    task = fit.Task(passive(), fit.free(passive(), FREE), [recorded(passive())], dt=DT)
    with pytest.raises(ValueError, match="a coupling to the data"):
        Problem.__call__(task.problem(), np.full((4, 1), 0.5), 1.0)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"at": 7}, "at = 7: expected whole numbers from 0 to 2"),
        ({"current_at": 1}, "has to begin at 0"),
    ],
)
def test_places_are_checked(places, message):
    trace = nj.Trace("current", DT, np.full(100, -65.0), np.full(100, 10.0), holding=10.0, **places)
    with pytest.raises(ValueError, match=message):
        fit.fit(passive(), [trace], FREE, dt=DT)
    single = nj.Cell(channels={"leak": CortexLeak()})
    with pytest.raises(ValueError, match="the cell has one compartment"):
        fit.fit(single, [trace], ["leak.g_bar"], dt=DT)


# -- held, read, patched ---------------------------------------------------------------------------
def test_a_current_through_the_electrode_holds_the_whole_tree():
    cell = replace(passive(), electrode_at=2)
    hold = jax.jit(held_at)
    held = hold(cell, -70.0, 0.0)
    run = nj.simulate(
        held.cell, nj.current_clamp(np.zeros(400)), DT, record=("v",), initial=held.state
    )
    v = np.asarray(run.v)
    np.testing.assert_allclose(v[:, 2], -70.0, atol=1e-3)
    np.testing.assert_allclose(v, v[:1] + 0 * v, atol=1e-3)
    assert (v[0] >= -70.001).all() and v[0, 0] > -69.9  # what is far away is nearer to its rest
    # Without it the place would rest where the leak reverses.
    off = jax.jit(away_from_rest)(held.cell, held.state.v)
    np.testing.assert_allclose(off, 5.0, rtol=1e-3)
    many = nj.replace(cell, {"leak.g_bar": np.array([[0.05, 0.1]])})
    np.testing.assert_allclose(hold(many, -70.0, 0.0).bias[0], held.bias, rtol=1e-5)


def test_a_pipette_reads_the_compartment_in_which_it_is():
    bare = replace(passive(), electrode_at=2)
    cell = replace(
        bare, channels=bare.channels | {"pipette": nj.Pipette(R_s=20.0, C_pip=1.0, offset=3.0)}
    )
    electrode = pipette.current_clamp(PULSE * 1e-6)
    run = nj.simulate(cell, electrode, DT, record=("v", "v_amp"), initial=-65.0)
    less = nj.current_clamp((PULSE - 3.0) * 1e-6)  # what the offset takes away
    want = nj.simulate(bare, less, DT, initial=-65.0)
    np.testing.assert_allclose(run.v, want.v, atol=2e-3)
    last = round(59.0 / DT)
    over = float(run.data["v_amp"][last] - run.v[last - 1, 2])  # it follows within a step
    assert over == pytest.approx(20.0 * (100.0 - 3.0) * 1e-3, rel=1e-3)  # MOhm pA are uV


def test_a_current_may_come_through_another_pipette():
    trace = nj.Trace("current", DT, np.full(3, -65.0), np.full(3, 10.0), at=TIP, current_at=0)
    patched = replace(passive(), electrode_at=TIP)
    other = pipette.repeated(patched, trace, DT)
    assert other.i == 0.0 and other.currents[0].at == 0
    np.testing.assert_allclose(other.currents[0].i, 1e-5)
    own = pipette.repeated(patched, replace(trace, current_at=TIP), DT)
    assert own.currents == () and own.i.shape == (2,)


# -- one value for each region ---------------------------------------------------------------------
def test_parameters_of_regions():
    cell = nj.assemble(
        {
            "soma": nj.Section(20.0, 20.0, 1),
            "dendrite": nj.Section(100.0, 2.0, 2, on="soma"),
            "tuft": nj.Section(100.0, (1.0, 0.5), 2, on="dendrite"),
        },
        {"na": SquidNa(), "leak": SquidLeak()},
        {"na": {"soma": 1.0, "dendrite": 0.1}},
    )
    known = regional(cell)
    assert known["diameter.dendrite"][0] == 2.0 and known["C_m.tuft"][0] == 1.0
    assert known["density.na.dendrite"][0] == 0.1 and "diameter.tuft" not in known
    other = nj.replace(
        cell, {"diameter.dendrite": 4.0, "leak.g_bar.tuft": 0.5, "density.na.soma": 2.0}
    )
    np.testing.assert_array_equal(other.diameter, [20.0, 4.0, 4.0, 1.0, 0.5])
    np.testing.assert_array_equal(other.channels["leak"].g_bar, [0.3, 0.3, 0.3, 0.5, 0.5])
    np.testing.assert_array_equal(other.density["na"], [2.0, 0.1, 0.1, 0.0, 0.0])
    both = fit.free(cell, {"length.dendrite": (20, 200)}).apply(
        cell, {"length.dendrite": np.array([40.0, 80.0])}
    )
    np.testing.assert_array_equal(both.length, [[20, 20], [40, 80], [40, 80], [50, 50], [50, 50]])
    with pytest.raises(ValueError, match=r"diameter\.dendrite = 0"):
        nj.replace(cell, {"diameter.dendrite": 0.0})
    with pytest.raises(ValueError, match="free it by region"):
        fit.free(cell, ["diameter"])


# -- two compartments ------------------------------------------------------------------------------
def test_the_dendrite_has_its_area_and_coupling():
    cell = nj.soma_and_dendrite({}, soma=15.0, ratio=12.0, coupling_MOhm=40.0, R_i=120.0)
    area = np.asarray(cell.area)
    assert area[1] / area[0] == pytest.approx(12.0)
    axial = np.asarray(cell.axial_conductance())
    assert axial[1] == pytest.approx(1 / 40e3)  # mS


# Spike times (ms) of the equations written anew, by scipy's LSODA, rtol 1e-10.
RATIOS = {
    15: (102.0749, 112.2710, 122.4859),
    110: (114.4289, 139.4762, 168.1438),
    165: (126.0570, 131.3467, 214.1189),
    200: (137.5171, 140.9592, 144.1331),
}


def test_the_ratio_of_areas_makes_four_patterns_of_firing():
    cell = load_model("cortex_mainen_sejnowski_two").cell
    area = np.array(list(RATIOS)) * np.pi * 10.0 * float(cell.diameter[0])
    diameter = equivalent_diameter(area, 10.0, 100.0)
    own = np.ones(len(RATIOS))
    cells = replace(
        cell,
        length=np.stack([10.0 * own, area / (np.pi * diameter)]),
        diameter=np.stack([float(cell.diameter[0]) * own, diameter]),
    )
    np.testing.assert_allclose(cells.length[1, 2], cell.length[1], rtol=1e-6)
    dt = 0.01
    i = nj.steps(1e-4, start=100.0, stop=450.0, duration=450.0, dt=dt)
    run = nj.simulate(cells, nj.current_clamp(i), dt, every=2, at=[0], initial=-70.0)
    t, v = np.asarray(run.t), np.asarray(run.v)[:, 0]
    crossed = (v[:-1] < 0) & (v[1:] >= 0)
    at = [np.flatnonzero(crossed[:, k]) for k in range(len(RATIOS))]
    times = [t[j] - v[j, k] * 2 * dt / (v[j + 1, k] - v[j, k]) for k, j in enumerate(at)]
    for own, want in zip(times, RATIOS.values(), strict=True):
        np.testing.assert_allclose(own[:2], want[:2], atol=0.1)
        # A spike of the axon is over in some steps, and a burst amplifies: half of it at half dt.
        np.testing.assert_allclose(own[2], want[2], rtol=1e-2)
    even, adapts, burst, bursts = map(np.diff, times)
    assert even.max() < 12 and even[-1] < 1.1 * even[0]
    assert (np.diff(adapts[:6]) > 0).all() and adapts[-1] > 1.5 * adapts[0]
    assert burst[0] < 10 and burst[1:].min() > 50
    assert bursts.size >= 8 and bursts.max() < 5  # and long silence after each burst
    assert times[-1][-1] < 200
