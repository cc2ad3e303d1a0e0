"""Certificates against closed forms (an RC circuit) and a published posterior."""

import dataclasses
import importlib
import json

import numpy as np
import pytest
from recordings import recording

import neurojax as nj
from neurojax.channels import SquidLeak
from neurojax.fit import (
    Budget,
    Candidates,
    Certify,
    Polish,
    Task,
    free,
)
from neurojax.fit.problem import near_enough
from neurojax.fit.uncertainty.certificate import Certificate, Interval, Posterior
from neurojax.fit.uncertainty.ensemble import ensemble
from neurojax.fit.uncertainty.evidence import lasting
from neurojax.fit.uncertainty.information import covariance, directions
from neurojax.fit.uncertainty.profile import CHI2, _limit, _offsets
from neurojax.fit.uncertainty.sample import rhat
from neurojax.io import read
from neurojax.model import load_model
from neurojax.model.space import Free, Space
from neurojax.recording.trace import RecordingError
from neurojax.units import PA

AREA, G, E, C = 1e-5, 0.2, -62.0, 1.0  # cm2, mS/cm2, mV, uF/cm2
ON, OFF, DT, NOISE = 10.0, 60.0, 0.1, 0.4  # ms, mV
BOUNDS = {"leak.g_bar": (0.02, 2.0), "leak.E_rev": (-90, -40), "C_m": (0.3, 3.0)}


def charging(t, pA=20.0):
    """The potential of the circuit, mV, and its derivatives in g_bar, E_rev and C_m, `[3, t]`."""
    density = pA * PA / AREA
    on, off = np.clip(t - ON, 0, OFF - ON), np.clip(t - OFF, 0, None)
    decay, after = np.exp(-on * G / C), np.exp(-off * G / C)
    top = density / G * (1 - decay)
    by_g = (-top / G + density / G * decay * on / C) * after - top * after * off / C
    by_C = -density / G * decay * on * G / C**2 * after + top * after * off * G / C**2
    by_E = 1 - np.exp(-t * G / C)  # the start is a sample of the data
    return E + top * after, np.array([by_g, by_E, by_C])


def circuit():
    return nj.Cell(channels={"leak": SquidLeak(g_bar=G, E_rev=E)}, C_m=C, area=AREA)


def recorded(seed=0, noise=NOISE, pA=20.0):
    """Samples of the circuit with white noise; the first, where a simulation begins, without."""
    i = nj.steps(pA, start=ON, stop=OFF, duration=80, dt=DT)
    v, _ = charging(np.arange(i.size) * DT, pA)
    v[1:] += noise * np.random.default_rng(seed).normal(size=i.size - 1)
    return nj.Trace(clamp="current", dt_ms=DT, v_mV=v, i_pA=i)


def closed_form_errors(sd):
    """Standard errors of the three parameters for independent noise of `sd` mV."""
    _, J = charging(np.arange(1, 800) * DT)
    return dict(zip(BOUNDS, np.sqrt(np.diag(np.linalg.inv(J @ J.T))) * sd, strict=True))


def certified(certify, trace, z=None, space=BOUNDS, held_out=()):
    """The certificate of a fit, or of points z of the box."""
    task = Task(circuit(), free(circuit(), space), [trace], held_out, DT)
    budget = Budget()
    if z is None:  # from about the truth, as many at a time as the certificate takes
        z = task.space.point({"leak.g_bar": G, "leak.E_rev": E, "C_m": C})
        z = z[:, None] + 0.01 * np.random.default_rng(0).normal(size=(3, 8))
        return certify.run(
            task, Polish().run(task, Candidates(z, np.ones(8), "mV"), budget), budget
        ).certificate
    found = Candidates(np.asarray(z), np.ones(np.shape(z)[1]), "mV")
    return certify.run(task, found, budget).certificate


@pytest.fixture(scope="module")
def quiet():
    certify = Certify("quiet", profiles=8, draws=4000)
    return certified(certify, recorded(), held_out=[recorded(1, pA=-10.0)])


@pytest.mark.slow
def test_standard_errors_are_those_of_the_closed_form(quiet):
    assert quiet.noise.sd == pytest.approx(NOISE, rel=0.2)  # of a hundred samples
    assert quiet.standard_errors == pytest.approx(closed_form_errors(quiet.noise.sd), rel=0.01)
    np.testing.assert_allclose(np.diag(quiet.correlation), 1.0)


def test_the_likelihood_is_that_of_independent_normal_noise(quiet):
    fitted, told = quiet.free_runs[0], quiet.likelihood
    residual, sd = fitted.model.v_mV - fitted.data.v_mV, quiet.noise.sd
    independent = residual.size * DT / quiet.noise.correlation_ms
    assert told.parameters == 3 and told.samples == pytest.approx(independent, rel=0.02)
    density = np.mean(-0.5 * (residual / sd) ** 2) - np.log(sd * np.sqrt(2 * np.pi))
    assert told.log_likelihood == pytest.approx(independent * density, rel=0.05)
    assert told.aic == 6 - 2 * told.log_likelihood
    assert told.bic == pytest.approx(3 * np.log(told.samples) - 2 * told.log_likelihood)
    assert any("AIC" in line and "BIC" in line for line in quiet.sentences())


def test_profiles_and_draws_agree_with_the_normal_law_where_it_holds(quiet):
    for name, sd in quiet.standard_errors.items():
        low, high, *_ = quiet.profiles[name].interval
        assert (low, high) == pytest.approx(
            (quiet.values[name] - 1.96 * sd, quiet.values[name] + 1.96 * sd), abs=0.06 * sd
        )
        assert quiet.posterior.sd(name) == pytest.approx(sd, rel=0.05)
        assert quiet.intervals[name] == quiet.profiles[name].interval
        assert len(quiet.profiles[name].values) == 17
    assert quiet.chi2_to_minimum < 0.01


def test_every_sweep_is_run_freely(quiet):
    seen, unseen = quiet.free_runs
    assert (seen.held_out, unseen.held_out) == (False, True)
    assert unseen.agreement.rmse == pytest.approx(NOISE, rel=0.1)
    assert quiet.sentences()[0].startswith("sweep 0 (held out): no spikes in the data or the model")


@pytest.mark.smoke
def test_white_misfit_is_noise_that_does_not_last():
    told = certified(Certify(), recorded())
    assert told.misfit.sd == pytest.approx(NOISE, rel=0.08)
    assert told.misfit.correlation_ms < 4 * DT  # as forty stretches of eighty records can tell
    ratio = np.sqrt(told.misfit.correlation_ms / DT)
    expected = closed_form_errors(told.misfit.sd * ratio)
    assert told.standard_errors == pytest.approx(expected, rel=0.02)


def test_a_misfit_that_lasts_is_counted_as_often_as_it_is_new():
    """For a mean under AR(1) noise the variance grows by (1 + a) / (1 - a)."""
    rng, a = np.random.default_rng(0), 0.8
    noise = np.zeros(40_000)
    for k, x in enumerate(rng.normal(size=noise.size - 1)):
        noise[k + 1] = a * noise[k] + x
    assert lasting(np.ones((noise.size, 1)), noise) == pytest.approx(1.8 / 0.2, rel=0.3)
    assert lasting(np.ones((noise.size, 1)), rng.normal(size=noise.size)) < 1.5


SCALED = {"area": (1e-6, 1e-4), "leak.g_bar": (0.02, 2.0), "C_m": (0.3, 10.0)}


def test_what_trades_against_each_other_is_named():
    """A larger area with smaller densities is the same cell."""
    space = free(circuit(), SCALED)
    by = np.array([1.0, 2.0, 0.5])
    scaled = {"area": AREA * by, "leak.g_bar": G / by, "C_m": C / by}
    told = certified(Certify("quiet"), recorded(), space.point(scaled), SCALED)
    assert all(np.isinf(told.standard_errors[name]) for name in SCALED)
    (open_direction,) = told.directions
    assert open_direction.undetermined
    said = open_direction.sentence
    assert "trade against each other: raising" in said
    assert "by 10 %" in said and "9.1 %" in said
    assert told.ensemble.degenerate and len(told.ensemble.groups) == 3
    assert "a factor 4 in area" in told.ensemble.sentence


def test_both_partners_of_a_pair_are_named():
    """Of two leaks in parallel the small one is open; the large one makes up for it."""
    cell = nj.Cell(channels={k: nj.channels.SquidLeak(E_rev=E) for k in "ab"}, area=AREA)
    space = free(cell, {f"{k}.g_bar": (1e-3, 2.0) for k in "ab"})
    z = space.point({"a.g_bar": 0.9 * G, "b.g_bar": 0.1 * G})[:, None]
    task = Task(nj.replace(cell, {"C_m": C}), space, [recorded()], dt=DT)
    told = Certify("quiet").run(task, Candidates(z, np.ones(1), "mV"), Budget()).certificate
    (found,) = told.directions
    assert found.sentence.startswith("b.g_bar and a.g_bar trade against each other: raising b.g_ba")
    assert found.sentence.endswith("these data do not tell them apart")
    assert told.ensemble.sentence == ""  # one candidate agrees with nothing


def test_a_point_that_is_no_minimum_has_no_intervals():
    space = free(circuit(), BOUNDS)
    z = space.point({"leak.g_bar": 1.3 * G, "leak.E_rev": E, "C_m": C})[:, None]
    told = certified(Certify(), recorded(), z)
    assert told.intervals == told.standard_errors == {} and told.directions == []
    assert told.missing.startswith("no intervals: the best point is not yet a minimum. Chi-squared")
    assert told.chi2_to_minimum > near_enough(3)
    # As far as a quadratic model tells it, that is the fall to the best fit.
    best = certified(Certify("quiet"), recorded())
    quiet = certified(Certify("quiet"), recorded(), z)
    power = quiet.noise.sd**2 / quiet.misfit.sd**2
    assert quiet.chi2_to_minimum == pytest.approx(796 * (1 / power - 1), rel=0.3)
    assert best.chi2_to_minimum < near_enough(3) and len(best.intervals) == 3
    assert [near_enough(n) for n in (1, 3, 27)] == pytest.approx([3.75, 7.81, 40.1], rel=0.01)


def test_what_leaves_no_mark_is_not_determined():
    silent = nj.Trace("current", DT, np.full(800, E), np.zeros(800))
    noise = 0.1 * np.random.default_rng(0).normal(size=800)
    z = free(circuit(), BOUNDS).point({"leak.g_bar": G, "leak.E_rev": E, "C_m": C})[:, None]
    told = certified(Certify(), dataclasses.replace(silent, v_mV=np.r_[E, E + noise[1:]]), z)
    sentences = {d.sentence for d in told.directions}
    assert sentences == {f"{n} is not determined by these data" for n in ("leak.g_bar", "C_m")}
    assert np.isinf(told.standard_errors["C_m"])
    assert np.isfinite(told.standard_errors["leak.E_rev"])
    assert told.intervals["C_m"] == Interval(0.3, 3.0, True, True)


def test_a_prior_adds_to_what_the_data_tell():
    sd = closed_form_errors(NOISE)["leak.g_bar"]
    known = {**BOUNDS, "leak.g_bar": {"low": 0.02, "high": 2.0, "prior": (G, sd)}}
    z = free(circuit(), BOUNDS).point({"leak.g_bar": G, "leak.E_rev": E, "C_m": C})[:, None]
    _, J = charging(np.arange(1, 800) * DT)
    for noise in ("quiet", "residual"):
        told = certified(Certify(noise), recorded(), z, known)
        lasts = told.misfit.correlation_ms / DT
        power = told.noise.sd**2 if noise == "quiet" else told.misfit.sd**2 * lasts
        expected = np.linalg.inv(J @ J.T / power + np.diag([sd**-2, 0.0, 0.0]))
        found = list(told.standard_errors.values())
        np.testing.assert_allclose(found, np.sqrt(np.diag(expected)), rtol=0.02)


@pytest.mark.slow
def test_nuts_finds_the_same_posterior():
    pytest.importorskip("blackjax")
    told = certified(Certify("quiet", draws=1600, sampler="nuts"), recorded())
    assert max(told.posterior.rhat.values()) < 1.05
    assert told.posterior.divergences == 0
    assert told.posterior.samples["C_m"].shape == (1600,)
    for name, sd in told.standard_errors.items():
        assert told.posterior.sd(name) == pytest.approx(sd, rel=0.1)
        assert told.posterior.samples[name].mean() == pytest.approx(
            told.values[name], abs=0.15 * sd
        )


def test_herg_intervals_are_those_of_the_published_posterior():
    """Beattie et al. 2018, J Physiol 596:1813, doi:10.1113/JP275733: at their optimum of a cell."""
    facts = json.loads(recording("vc/herg_facts.json").read_text())["herg_16708060"]
    sine = {t.name: t for t in read(recording("vc/herg_16708060.npz"))}["sine_wave"]
    herg = load_model("herg")
    names = [*(f"kr.p{k}" for k in range(1, 9)), "kr.g_bar"]
    cell = nj.replace(herg.cell, {"kr.E_rev": facts["EK_mV"]})
    task = Task(cell, herg.space, [sine])
    of_paper = np.array([1.0] * 8 + [1e-3 / herg.cell.area])  # uS to mS/cm2
    published = np.array(facts["ml_params"]) * of_paper
    z = task.space.point(dict(zip(names, published, strict=True)))[:, None]
    told = Certify("quiet").run(task, Candidates(z, np.ones(1), "pA"), Budget()).certificate
    measured = facts["protocols"]["sine_wave"]["noise_sd_first200ms"]
    assert told.noise.sd == pytest.approx(1e3 * measured, rel=0.1)  # less the mains
    for name, sd in zip(names, facts["post_sd"] * of_paper, strict=True):
        assert 1 / 1.5 < told.standard_errors[name] / sd < 1.5, name


BOX = Space((Free("a", "mV", -100.0, 100.0), Free("b", "mS/cm2", 0.01, 100.0, "log")))


def test_covariance_in_units_of_the_parameters():
    z = np.array([0.5, 0.5])
    found = covariance(BOX, z, np.diag([1e4, 1e6]))
    # Hundredths of 200 mV, and a thousandth of four decades about 1 mS/cm2.
    np.testing.assert_allclose(np.sqrt(np.diag(found)), [2.0, 1e-3 * np.log(1e4)])
    blind = covariance(BOX, z, np.array([[1e4, 0.0], [0.0, 0.0]]))
    np.testing.assert_allclose(np.diag(blind), [4.0, np.inf])


def test_a_trade_is_told_in_units_and_percent():
    """Information across the direction in which b doubles per 20 mV of a."""
    along = np.array([0.1, np.log(2) / np.log(1e4)])
    along /= np.linalg.norm(along)
    across = np.array([-along[1], along[0]])
    (found,) = directions(BOX, 1e6 * np.outer(across, across) + 1.0 * np.outer(along, along))
    assert found.undetermined and found.half_width == pytest.approx(1.96, rel=1e-3)
    assert found.sentence == (
        "a and b trade against each other: raising a by 10 mV is undone by raising b by 41 %; "
        "these data do not tell them apart"
    )
    assert not directions(BOX, np.diag([1e4, 1e4]))


def test_a_profile_that_does_not_close_is_open():
    at = np.linspace(0, 1, 11)
    assert _limit(at, (4 * at) ** 2) == pytest.approx(np.sqrt(CHI2) / 4)
    assert _limit(at, at**2) is None
    assert _limit(at, np.where(at > 0.45, np.inf, 0.0)) == pytest.approx(0.4)
    assert Interval(1.0, 3.0, False, True).sentence("mV") == (
        "1 mV and more: open towards its upper bound"
    )
    offsets = _offsets(0.01, 0.5, 10)
    assert offsets.size == 10 and offsets[4] == pytest.approx(0.03)
    assert offsets[-1] == pytest.approx(0.5) and (np.diff(offsets) > 0).all()


def test_an_ensemble_that_agrees_is_one_solution():
    z = np.array([[0.5, 0.501, 0.9], [0.2, 0.2, 0.2]])
    told = ensemble(BOX, Candidates(z, np.array([1.0, 1.01, 2.0]), "mV"))
    assert (told.kept, told.of, told.degenerate) == (2, 3, False)
    assert told.sentence == (
        "2 of 3 candidates end within 5 % of the best error; no parameter differs by more than "
        "0.1 % of its bounds' distance"
    )


def test_chains_that_disagree_are_not_converged():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4, 500, 1))
    assert rhat(draws) == pytest.approx(1.0, abs=0.02)
    assert rhat(draws + np.arange(4)[:, None, None]) > 1.3
    told = Posterior({"a": np.zeros(8)}, "nuts", 1.0, 4, 2, {"a": 1.4})
    assert told.sentence().endswith("2 divergent; R-hat at most 1.400: not yet converged")


def test_what_ended_at_a_bound_is_told():
    told = Certificate(BOX, {"a": 100.0, "b": 1.0}, 1.0, "mV")
    assert told.at_bounds() == {"a": "upper"}
    assert told.sentences() == ["a ended at its upper bound"]
    assert told.standard_errors == {} and told.intervals == {}


def test_a_sweep_that_cannot_be_simulated_is_a_finding(monkeypatch):
    lost = RecordingError("the model left the finite numbers in sweep 0 of made")
    monkeypatch.setattr("neurojax.fit.scoring.agreement.free_runs", lambda *_: [lost])
    task = Task(circuit(), free(circuit(), BOUNDS), [recorded()], dt=DT)
    told = Certify().run(task, Candidates(np.ones((3, 1)), np.ones(1), "tolerances"), Budget())
    assert told.certificate.free_runs[0].model is None
    assert told.certificate.sentences()[0].startswith("sweep 0: the model left the finite numbers")
    assert told.certificate.fisher is None


def test_wrong_calls_are_told_what_was_expected(monkeypatch):
    task = Task(circuit(), free(circuit(), BOUNDS), [recorded()], dt=DT)
    with pytest.raises(ValueError, match="nothing to certify"):
        Certify().run(task, None, Budget())
    with pytest.raises(ValueError, match="noise is 'white'; expected one of residual, quiet"):
        Certify("white")

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install 'neurojax\[mcmc\]'"):
        Certify(draws=10, sampler="nuts").run(
            task, Candidates(np.ones((3, 1)), np.ones(1), "mV"), Budget()
        )
