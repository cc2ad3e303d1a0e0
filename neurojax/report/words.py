"""A fit in plain language: what was asked, how good it is, cautions, what the data leave open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from neurojax.fit import Agreement, Free, Space
from neurojax.fit.verdict import grade, listed, out_of_time
from neurojax.plot.fits import Span
from neurojax.report.content import FitReport, at_bound

MOST_TRADES = 6
"""Combinations of parameters that the data leave open, told one by one."""


def asked(report: FitReport) -> str:
    """What the fit was asked."""
    fitted, unseen = (len(report.pairs(fitted)) for fitted in (True, False))
    origin = Path(report.views[0].data.origin.path).name
    return (
        f"Asked: {_many(len(report.fit.space), 'parameter')} of "
        f"{_model(report)}, such that it responds as the cell did"
        f"{f' in {origin}' if origin else ''}. Fitted to {_many(fitted, 'sweep')} in "
        f"{report.clamp} clamp; {unseen or 'none'} held out to test it."
    )


def _model(report: FitReport) -> str:
    name = Path(str(report.settings.get("model", ""))).name
    return f"the model {name}" if name else "a model"


def _many(n: int, thing: str) -> str:
    return f"{n} {thing}{'' if n == 1 else 's'}"


# -- cautions and what is left open ----------------------------------------------------------------
def cautions(report: FitReport) -> list[str]:
    """What a reader should know before using the numbers."""
    fit, found = report.fit, []
    if fit.interrupted:
        found.append("The fit was interrupted; these are the best values until then.")
    if (late := out_of_time(fit.stages)) and grade(report.runs) == "good":
        found.append(late)
    stuck = [f.name for f in fit.space.free if at_bound(f, fit.values[f.name])]
    if stuck:
        found.append(
            f"{listed(stuck)} {'sits' if len(stuck) == 1 else 'sit'} on a bound of the search: "
            "widen it, or suspect the model."
        )
    errors = fit.standard_errors
    loose = [k for k, e in errors.items() if not np.isfinite(e)]
    if loose:
        which = listed(loose) if len(loose) < len(errors) else "the parameters together"
        found.append(f"The data do not determine {which}: no standard error exists.")
    if fit.certificate is not None:
        found += [_sentence(fit.certificate.missing)] if fit.certificate.missing else []
        if fit.certificate.chi2_to_minimum > 1 and not fit.certificate.missing:
            found.append(
                "The best point is not yet a minimum: chi-squared falls by "
                f"{fit.certificate.chi2_to_minimum:.2g} nearby. Polish longer."
            )
    return [*found, *_warnings(report)]


def _warnings(report: FitReport) -> Iterator[str]:
    """What is odd in the recording; once where sweeps differ in the numbers of it alone."""
    alike: dict[str, list[str]] = {}
    for view in report.views:
        for warning in view.data.warnings:
            kind = re.sub(r"\d+(\.\d+)?", "", warning)
            alike.setdefault(kind, []).append(f"{view.label}: {warning}")
    for first, *more in alike.values():
        yield f"{first} ({_many(len(more), 'more sweep')} alike)" if more else first


def left_open(report: FitReport) -> list[str]:
    """What the certificate says of all parameters together: noise, trades, degenerate solutions."""
    c, told = report.fit.certificate, []
    if c is None:
        return told
    if c.misfit is not None:
        left = f"The best fit leaves {c.misfit.sentence()}, unexplained"
        if c.noise is not None and c.noise.sd > 0:
            times = c.misfit.sd / c.noise.sd
            told_as = f"{times:.2g} times" if times >= 1.25 else "no more than"
            left += f": {told_as} the recording's own noise ({c.noise.sentence()})"
        told.append(f"{left}.")
    if c.likelihood is not None:
        told.append(f"Under that noise alone: {c.likelihood.sentence()}.")
    told += _directions([d.sentence for d in c.directions])
    if c.posterior is not None:
        told.append(_sentence(c.posterior.sentence()))
    if c.ensemble is not None and c.ensemble.sentence:
        told.append(_sentence(c.ensemble.sentence))
    return told


def _directions(sentences: Sequence[str]) -> Iterator[str]:
    """What is not determined in one sentence; of what trades, the widest."""
    lost = " is not determined by these data"
    alone = [s.removesuffix(lost) for s in sentences if s.endswith(lost)]
    if len(alone) > 1:
        yield f"{listed(alone)} are not determined by these data."
        sentences = [s for s in sentences if not s.endswith(lost)]
    yield from map(_sentence, sentences[:MOST_TRADES])
    if (rest := len(sentences) - MOST_TRADES) > 0:
        yield f"{_many(rest, 'more combination')} {'is' if rest == 1 else 'are'} open too."


def _sentence(words: str) -> str:
    """Closed by a full stop; a name of a parameter keeps its letters."""
    first = words.split(maxsplit=1)[0]
    begun = words if "." in first else words[0].upper() + words[1:]
    return begun if begun.endswith((".", ":")) else begun + "."


def told(a: Agreement) -> str:
    """The agreement on one sweep, as a sentence."""
    return _sentence(a.sentence())


def fixed_by_data(f: Free, span: Span) -> tuple[str, bool]:
    """How well the data fix a parameter, and whether they do so at all well.

    By the part of the distance between its bounds, on its scale, that its interval covers.
    """
    if span.open_low and span.open_high:
        return "not at all", False
    if span.open_low or span.open_high:
        return f"only from {'above' if span.open_low else 'below'}", False
    low, high = (float(Space((f,)).point({f.name: x})[0]) for x in span[:2])
    for limit, word in ((0.03, "sharply"), (0.12, "well"), (0.35, "roughly")):
        if high - low <= limit:
            return word, True
    return "hardly", False
