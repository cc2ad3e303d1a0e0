"""The package as it is installed, and the README as a user would follow it."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from recordings import recording

import neurojax

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(program, **kwargs):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, **kwargs
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.smoke
def test_version_is_said_once():
    """By the tag in git; what follows a tag is a development version."""
    assert metadata.version("neurojax") == neurojax.__version__
    assert re.match(r"\d+\.\d+\.\d+", neurojax.__version__)


@pytest.mark.smoke
def test_metadata():
    about = metadata.metadata("neurojax")
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == "<3.14,>=3.11"
    assert {"io", "test", "dev"} <= set(about.get_all("Provides-Extra"))
    (script,) = metadata.entry_points(group="console_scripts", name="neurojax")
    assert callable(script.load())


@pytest.mark.smoke
def test_its_types_are_there_for_others():
    """The file that says so is beside the package; all that is there goes into the wheel."""
    assert (Path(neurojax.__file__).parent / "py.typed").is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["only-include"] == ["neurojax", "experiments"]


@pytest.mark.smoke
def test_license_and_changelog():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[(Unreleased|{re.escape(neurojax.__version__)})\]", changes, re.M)


@pytest.fixture(scope="module")
def told():
    """What the README's snippets print, without the fit: one program, as a reader goes through."""
    check = """
assert set(nj.steady_state(bursting, -70.0).c) == {"ca_i"}
r = nj.simulate(patch, nj.current_clamp(np.zeros(400)), initial=-65.0)
assert r.v.shape == (400, 100) and np.std(r.v[-1]) > 0
i = nj.iv_curves.peak(clamped)
assert i.min() < -1000 and i.max() > 1000 and i.shape == (15,)
"""
    channel = """
import jax, numpy as np
v = jnp.array([-80.0, -34.0, -33.9, 0.0])
g = InterneuronK().gating(v)["n"]
x = np.asarray(v, dtype=np.float64) + 1e-9
alpha = 5 * -0.01 * (x + 34) / (np.exp(-0.1 * (x + 34)) - 1)
beta = 5 * 0.125 * np.exp(-(x + 44) / 80)
np.testing.assert_allclose(g.rate, alpha + beta, rtol=1e-5)
np.testing.assert_allclose(g.inf, alpha / (alpha + beta), rtol=1e-5)
assert np.isfinite(jax.vmap(jax.grad(lambda v: InterneuronK().gating(v)["n"].inf))(v)).all()
r = nj.simulate(cell, nj.current_clamp(jnp.full(100, 1.0)))
assert bool(r.ok)
"""
    optax = "from neurojax import fit\n" + SNIPPETS[7]
    rest = SNIPPETS[8] + SNIPPETS[9]
    return run("".join(SNIPPETS[:6]) + check + optax + rest + channel).splitlines()


def test_first_snippet_of_the_readme(told):
    low, high = re.match(r"(\d+) to (\d+) spikes; all finite: True", told[0]).groups()
    # The squid axon itself, at 120 mS/cm2 in the middle, fires six times in 80 ms at 10 uA/cm2.
    assert 0 <= int(low) < 6 <= int(high)
    assert len([line for line in SNIPPETS[0].splitlines() if line.strip()]) <= 15


def test_folds_and_gradient_of_the_readme(told):
    seen, counted, shapes = told[:3]
    low, high = re.match(r"(\d+) to (\d+) spikes", seen).groups()
    assert int(low) < float(counted.split()[0]) < int(high) and counted.endswith("spikes a cell")
    assert shapes == "(4, 200) (4, 4, 200)"


def test_ions_noise_cables_and_clamp_of_the_readme(told):
    assert "(800, 2, 3) [record, place, cell]" in told
    depolarised = [line for line in told if line.endswith("] mV")]
    near, _, far = (float(v) for v in re.findall(r"-?[\d.]+", depolarised[0]))
    assert near > far > -65  # what comes from far along the dendrite is less
    assert any(line.endswith("pA") for line in told)  # a current at each voltage


@pytest.mark.slow  # CI's demo is the same fit
def test_fit_of_the_readme():
    # The same recording as the example, without fetching it, and less time for the fit.
    path = str(recording("cc/bluepyefe_B6.npz"))
    stand_in = f"import neurojax.io\nneurojax.io.example_recording = lambda: io.read({path!r})\n"
    assert "seconds=60" in SNIPPETS[6]
    told = run(stand_in + SNIPPETS[6].replace("seconds=60", "seconds=3")).splitlines()
    assert len(told) == 2 and all("subthreshold RMSE" in line for line in told)


def test_optax_of_the_readme(told):
    (found,) = (line for line in told if line.startswith("{'na.g_bar'"))
    na, k, error = (float(x) for x in re.findall(r"-?[\d.]+(?:e-\d+)?(?=[,}]|$)", found))
    # The cell of place 60 among 200 from 60 to 180 mS/cm2, whose potassium is the squid's own.
    assert na == pytest.approx(60 + 120 * 60 / 199, rel=0.01) and k == pytest.approx(36, rel=0.01)
    assert error < 0.01


def test_channel_of_the_readme(told):
    assert "'k.g_bar'" in told[-1] and "'leak.E_rev'" in told[-1]


def test_sweep_of_the_readme(told):
    (swept,) = (line for line in told if re.fullmatch(r"\(16, 3\) up to \d+ Hz", line))
    assert 50 < int(swept.split()[-2]) < 120  # a squid axon at 6.3 degC
    text = re.search(r"```toml\n(model.*?)```", README, re.DOTALL)[1]
    asked = neurojax.sweep.document.parse_sweep(text, Path())
    assert asked.sweep.shape == (256, 100, 61)


def test_readme_has_two_commands_for_a_fresh_machine():
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv ")]
    assert len(commands) == 2
    assert commands[0].endswith("neurojax demo") and commands[1].endswith("pytest")


def test_files_that_the_readme_names_exist():
    for name in re.findall(r"`((?:neurojax|experiments|tests|\.ci)/[\w/.-]*)`", README):
        if "<" not in name:
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("name", [".ci/run"])
def test_shell_scripts_parse(name):
    subprocess.run(["bash", "-n", ROOT / name], check=True)


def test_models_are_packaged():
    models = {
        path.name for path in (Path(neurojax.__file__).parent / "model" / "packaged").glob("*.toml")
    }
    assert {"squid.toml", "cortex.toml", "herg.toml"} <= models


def result(name):
    text = (ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text)


WHO = {
    "Jaxley": ("Jaxley, Crank-Nicolson", "Jaxley, exp. Euler", "Jaxley, backward Euler"),
    "NEURON": ("NEURON", "NEURON, 2nd order", "NEURON, CVODE"),
    "CoreNEURON": ("CoreNEURON, 2nd order",),
    "Diffrax": ("Diffrax, Tsit5",),
}


@pytest.mark.parametrize(
    ("model", "cells", "what"),
    [
        ("squid", 10_000, "10,000 squid axons"),
        ("squid", 1, "one squid axon"),
        ("cortex_rs", 10_000, "10,000 regular-spiking neurons"),
        ("interneuron_wang_buzsaki", 100, "100 fast-spiking interneurons"),
    ],
)
def test_seconds_to_an_error_in_the_readme_are_those_of_the_committed_results(model, cells, what):
    seconds = {
        line["name"]: line["seconds_to_10_us"]
        for line in result("accuracy")["lines"]
        if (line["model"], line["cells"]) == (model, cells)
    }
    own = seconds["neurojax"]
    told = f"{own:.2f} s" if own >= 0.1 else f"{1e3 * own:.2f} ms"
    best = {who: [seconds[n] for n in names if seconds[n]] for who, names in WHO.items()}
    against = ", ".join(f"{who} {min(s) / own:.1f}" for who, s in best.items() if s)
    assert f"| 10 us of error in a spike's time, {what}, 200 ms | {told} | {against} |" in README


def test_numbers_of_the_readme_are_those_of_the_committed_results():
    cells = result("fit_herg")["cells"]
    shares = [100 * share for c in cells for share in c["share_of_starts_within_1_percent"]]
    assert f"{int(min(shares))} to {int(max(shares))} % of the starts" in README
    assert f"| {np.median([c['run_s'] for c in cells]):.1f} a cell |" in README
    for c in cells:
        assert c["rmse_sine_nA"] <= c["rmse_sine_published_nA"] * 1.00001
        assert c["rmse_ap_nA"] <= c["rmse_ap_published_nA"]

    ratios = [x for c in cells for x in c["standard_errors_over_published_posterior_sd"].values()]
    assert f"{min(ratios):.2f} to {max(ratios):.2f} times the published" in README

    recovery = {(r["duration_ms"], r["method"]): r for r in result("fit_recovery")["fits"]}
    for ms in (100, 500):
        rows = [recovery[ms, method] for method in ("nudge", "shoot", "polish")]
        nudged, shot, plain = (f"{100 * np.median(r['recovered']):.0f} %" for r in rows)
        assert f"{rows[0]['spikes']} spikes in {ms} ms: {nudged} nudged, {shot} shot" in README
        assert f", {plain} by plain descent" in README

    neurons = result("fit_cells")
    recordings = by_cell(neurons["recordings"])
    kept = sum(all(limits_kept(rows)) for rows in recordings)
    assert f"every limit kept for {kept} of {len(recordings)}" in README
    assert f"| {np.median([r['seconds'] for r in neurons['recordings']]):.0f} a cell |" in README
    steps = by_cell(neurons["one_step"])

    def median(rows, field):
        return np.median([r["whole"][field] for r in rows])

    counts = listed([str(rows[0]["whole"]["spikes_data"]) for rows in steps])
    fits = [r["whole"] for r in neurons["one_step"]]
    right = sum(fit["spikes_model"] == fit["spikes_data"] for fit in fits)
    assert f"number of spikes ({counts}) in {right} of {len(fits)} fits" in README
    off = [f"{median(r, 'spike_time_error_percent'):.1f}" for r in steps]
    assert f"they are {listed(off)} % of the interval off" in README
    smooth = [f"{r[0]['smooth_adaptation']['whole_percent']:.1f}" for r in steps]
    assert f"smooth course of their intervals leaves {listed(smooth)} %" in README
    seconds = [r["whole"]["seconds"] for r in neurons["one_step"]]
    assert f"| {np.median(seconds):.0f} a cell |" in README


def by_cell(rows):
    cells = dict.fromkeys(r["cell"] for r in rows)
    return [[r for r in rows if r["cell"] == cell] for cell in cells]


def limits_kept(rows):
    """Of one neuron, by the medians over fits from several seeds."""
    for name, first in rows[0]["held_out"].items():
        yield np.median([r["held_out"][name]["value"] for r in rows]) <= first["limit"]


def listed(words):
    *most, last = words
    return f"{', '.join(most)} and {last}"


def test_comparisons_of_the_readme_are_those_of_the_committed_results():
    race = result("fit_race")
    told = race["summary"]
    first = f"held-out error least on {told['best_on']} of {told['cells']} neurons"
    assert f"{first}, largest on {told['worst_on']};" in README
    errors = [
        {name: row["held_out_error"] for name, row in r["contestants"].items()}
        for r in race["cells"]
    ]
    ratios = [
        f"{name} {np.median([e[name] / e['neurojax'] for e in errors]):.1f}"
        for name in errors[0]
        if name != "neurojax"
    ]
    assert f"in the median {listed(ratios)} times ours" in README

    problems = result("fit_ionbench")["problems"]
    rates = [f"{100 * p['success_rate']:.0f}" for p in problems]
    costs = [f"{p['expected_cost']:.0f}" for p in problems]
    known = [p["published"] for p in problems]
    best = [f"{min(k['best_cost'], k['new_cost']):.0f}" for k in known]
    assert f"{listed(rates)} % of the runs succeed, at {listed(costs)} solves" in README
    assert f"(best published: {listed(best)})" in README


def test_speeds_of_the_readme_are_those_of_the_committed_results():
    population = {
        r["n"]: {row["name"]: row for row in r["rows"]} for r in result("population")["races"]
    }
    many, one = population[10_000], population[1]

    def times(field, name):
        return f"{field[name]['median_seconds'] / field['neurojax']['median_seconds']:.1f}"

    job = many["neurojax"]["job"]
    speed = job["n"] * job["ms"] / job["dt"] / many["neurojax"]["median_seconds"]
    against = f"C {times(many, 'C')}, C with its own exponential {times(many, 'C, own exp')}"
    against += f", Jaxley {times(many, 'Jaxley')}, CoreNEURON {times(many, 'CoreNEURON')}"
    assert f"| {speed / 1e6:.0f} million compartment-steps/s | {against} |" in README
    seconds = one["neurojax"]["median_seconds"]
    against = (
        f"C {times(one, 'C')}, Jaxley {times(one, 'Jaxley')}, CoreNEURON {times(one, 'CoreNEURON')}"
    )
    assert f"| {1e3 * seconds:.2f} ms | {against} |" in README
    assert f"{times(many, 'neurojax, one core')} times one core" in README

    races = {(r["compartments"], r["n"]): r["rows"] for r in result("cable")["races"]}
    for (compartments, n), what in {
        (100, 1000): "1,000 branched cells of 100 compartments, 30 ms",
        (1000, 1): "a branched cell of 1,000 compartments, 20 ms",
    }.items():
        first, *peers = races[compartments, n]
        own = first["median_seconds"]
        against = ", ".join(f"{r['name']} {r['median_seconds'] / own:.1f}" for r in peers)
        assert f"| {what} | {own:.2f} s | {against} |" in README

    rows = {(r["name"], r["parameters"]): r for r in result("gradient")["rows"]}
    for number in (3, 8, 64):
        ours, peer = rows["neurojax", number], rows["Jaxley", number]
        passes = min(ours["seconds"]) / min(ours["forward"]["seconds"])
        ratio = peer["median_seconds"] / ours["median_seconds"]
        assert f"| {passes:.1f} forward passes | Jaxley {ratio:.1f} |" in README

    longest = result("memory")["rows"][-1]
    assert (longest["n"], longest["steps"]) == (1_000_000, 100_000)
    assert f"| {longest['first_seconds']:.0f} s, {longest['peak_MB']:.0f} MB |" in README
    assert longest["peak_MB"] < 1000
    compiled = [r for r in result("compile")["rows"] if r["name"] == "neurojax"]
    here = next(r for r in compiled if (r["job"]["channels"], r["job"]["n"]) == (3, 10_000))
    assert f"| {here['cold_seconds']:.1f} s, cached {here['cached_seconds']:.1f} s |" in README


def test_what_is_said_of_sweeps_is_what_was_measured():
    text = " ".join((ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8").split())

    def seconds(name):
        told = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
        return [row["seconds"] for row in told["rows"].values()], told["rows"]

    (bare, swept, again, _), _ = seconds("sweep")
    assert f"takes {swept:.0f} s" in text and f"{bare / swept:.0%}".replace("%", " %") in text
    assert f"recognised in {again:.2f} s" in text
    (one, two, whole, half, rest), _ = seconds("sweep_scaling")
    assert (
        f"take {two:.1f} s, where one on a core takes {one:.1f} ({one / two * 100:.0f} %)" in text
    )
    assert f"takes {half + rest:.1f} s in two sittings, {whole:.1f} in one" in text
    (ours, jaxley, neuron), rows = seconds("sweep_peers")
    assert f"{ours:.1f} s here, {jaxley:.1f} s in Jaxley" in text
    assert f"{neuron:.1f} s in NEURON" in text
    spikes = [row["spikes"] for row in rows.values()]
    assert max(spikes) / spikes[0] - 1 < 0.004 and min(spikes) / spikes[0] > 0.996
