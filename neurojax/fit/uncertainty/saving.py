"""A certificate as named arrays and settings of a results file, and back again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from neurojax.fit.uncertainty.certificate import (
    Certificate,
    Direction,
    Ensemble,
    Interval,
    Likelihood,
    NoiseLevel,
    Posterior,
    Profile,
)

Entry = tuple[str, Any, str]


def certificate_out(c: Certificate) -> Iterator[Entry]:
    """Matrices in the order of the free parameters; ends of intervals, and whether open."""
    free = {f.name: f for f in c.space.free}
    for name, i in c.intervals.items():
        yield f"certificate/intervals/{name}", (i.low, i.high), free[name].unit
        yield f"certificate/open ends/{name}", (i.open_low, i.open_high), "1"
    for name, error in c.standard_errors.items():
        yield f"certificate/standard errors/{name}", error, free[name].unit
    for name, matrix, unit in (
        ("fisher", c.fisher, "1"),
        ("covariance", c.covariance, "products of the parameters' units"),
        ("correlation", c.correlation, "1"),
    ):
        if matrix is not None:
            yield f"certificate/{name}", matrix, unit
    if c.directions:
        yield "certificate/directions", [d.weights for d in c.directions], "1"
        yield "certificate/half widths", [d.half_width for d in c.directions], "1"
    for name, profile in c.profiles.items():
        yield f"certificate/profiles/{name}/values", profile.values, free[name].unit
        yield f"certificate/profiles/{name}/chi-squared", profile.rise, "1"
    if c.posterior is not None:
        for name, samples in c.posterior.samples.items():
            yield f"certificate/posterior/{name}", samples, free[name].unit
    for name, level in (("noise", c.noise), ("misfit", c.misfit)):
        if level is not None:
            yield f"certificate/{name}/sd", level.sd, level.unit
            yield f"certificate/{name}/correlation", level.correlation_ms, "ms"
    if c.ensemble is not None:
        for name, ends in c.ensemble.spread.items():
            yield f"certificate/ensemble/{name}", ends, free[name].unit
        groups = [k for k, group in enumerate(c.ensemble.groups) for _ in group]
        places = np.concatenate(c.ensemble.groups) if groups else np.empty(0, dtype=int)
        order = np.argsort(places, kind="stable")
        yield "certificate/ensemble/group of start", np.array(groups, dtype=int)[order], "1"


def certificate_told(c: Certificate) -> dict[str, Any]:
    """Its words and numbers that are no arrays, as JSON holds them."""
    p, e = c.posterior, c.ensemble
    return {
        "counted": c.counted,
        "likelihood": c.likelihood and list(c.likelihood),
        "missing": c.missing,
        "chi2 to minimum": c.chi2_to_minimum,
        "directions": [[d.undetermined, d.sentence] for d in c.directions],
        "posterior": p and [p.method, p.seconds, p.chains, p.divergences, dict(p.rhat)],
        "ensemble": e and [e.kept, e.of, e.tolerance, e.sentence],
    }


def certificate_in(
    arrays: Mapping[str, np.ndarray], units: Mapping[str, str], told: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of a certificate but for its point, its free runs and its ranges.

    Raises KeyError for what is missing.
    """
    found: dict[str, Any] = {
        "counted": told["counted"],
        "missing": told["missing"],
        "chi2_to_minimum": told["chi2 to minimum"],
        "directions": [
            Direction(weights, float(half), *told["directions"][k])
            for k, (weights, half) in enumerate(
                zip(
                    arrays.get("certificate/directions", ()),
                    arrays.get("certificate/half widths", ()),
                    strict=True,
                )
            )
        ],
        "profiles": dict(_profiles(arrays)),
    }
    for name in ("fisher", "covariance"):
        found[name] = arrays.get(f"certificate/{name}")
    for name in ("noise", "misfit"):
        if (sd := arrays.get(f"certificate/{name}/sd")) is not None:
            lasting = float(arrays[f"certificate/{name}/correlation"])
            found[name] = NoiseLevel(float(sd), lasting, units[f"certificate/{name}/sd"])
    if told["likelihood"]:
        found["likelihood"] = Likelihood(*told["likelihood"])
    if told["posterior"]:
        method, *rest = told["posterior"]
        samples = dict(_in(arrays, "certificate/posterior/"))
        found["posterior"] = Posterior(samples, method, *rest)
    if told["ensemble"]:
        kept, of, tolerance, sentence = told["ensemble"]
        spread = dict(_in(arrays, "certificate/ensemble/"))
        group = spread.pop("group of start")
        groups = [np.flatnonzero(group == k) for k in range(int(group.max(initial=-1)) + 1)]
        ends = {name: (float(low), float(high)) for name, (low, high) in spread.items()}
        found["ensemble"] = Ensemble(kept, of, tolerance, groups, ends, sentence)
    return found


def _profiles(arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Profile]]:
    for key, rise in _in(arrays, "certificate/profiles/"):
        name, _, kind = key.rpartition("/")
        if kind == "chi-squared":
            low, high = arrays[f"certificate/intervals/{name}"]
            below, above = arrays[f"certificate/open ends/{name}"]
            interval = Interval(float(low), float(high), bool(below), bool(above))
            yield name, Profile(arrays[f"certificate/profiles/{name}/values"], rise, interval)


def _in(arrays: Mapping[str, np.ndarray], group: str) -> Iterator[tuple[str, np.ndarray]]:
    for name, values in arrays.items():
        if name.startswith(group):
            yield name.removeprefix(group), values
