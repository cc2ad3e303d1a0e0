"""Sweeps of a recording, as a user asks for them: read, made ready, chosen, divided."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.markup import escape

from neurojax import fit as fitting
from neurojax.fit.saving import label
from neurojax.model import Model, ModelError
from neurojax.recording.trace import Trace
from neurojax.units import nearest


def prepared(
    models: Mapping[str, Model], traces: Sequence[Trace], out: Console, **how: Any
) -> tuple[dict[str, Model], list[Trace], tuple[str, ...]]:
    """Models and recording as `fit.prepare_recording` makes them ready, and what it did, told."""
    done: dict[str, Model] = {}
    ready: fitting.Prepared | None = None
    for name, model in models.items():
        if model.space is None:
            raise ModelError(
                f"model {model.name!r} has nothing free: give it a [free] table, or the command "
                "--free NAME=LOW:HIGH"
            )
        ready = fitting.prepare_recording(model.cell, model.space, traces, **how)
        done[name] = replace(model, cell=ready.cell, space=ready.space)
    assert ready is not None
    for note in ready.notes:
        out.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    return done, ready.traces, ready.notes


def choose(traces: Sequence[Trace], asked: str, what: str) -> list[Trace]:
    """The sweeps that `3`, `1-5`, `sine_wave`, `IV:2` or a list of such name. Raises ValueError."""
    chosen: list[Trace] = []
    for word in (w.strip() for w in asked.split(",")):
        found = [t for t in traces if word in (str(t.sweep), t.name, label(t))]
        if not found and (span := re.fullmatch(r"(\d{1,9})\s*-\s*(\d{1,9})", word)):
            found = [t for t in traces if int(span[1]) <= t.sweep <= int(span[2])]
        if not word or not found:
            have = list(dict.fromkeys(label(t) for t in traces))
            listed = ", ".join(have[:20]) + (f" and {len(have) - 20} more" if have[20:] else "")
            raise ValueError(f"{what}: no sweep {word!r}{nearest(word, have)} (have: {listed})")
        chosen += [t for t in found if not any(t is c for c in chosen)]
    return chosen


def without(traces: Sequence[Trace], asked: str, what: str) -> list[Trace]:
    """The sweeps but those that `4` or `7-9` name, as for `choose`. Raises ValueError."""
    out = choose(traces, asked, what)
    left = [t for t in traces if not any(t is o for o in out)]
    if not left:
        raise ValueError(f"{what} {asked!r} leaves no sweep")
    return left


def divide(traces: Sequence[Trace], sweeps: str, held_out: str) -> tuple[list[Trace], list[Trace]]:
    """Sweeps to fit and to predict, as asked, else `fit.default_sweeps`. Raises ValueError."""
    unseen = choose(traces, held_out, "--held-out") if held_out else []
    rest = [t for t in traces if not any(t is u for u in unseen)]
    chosen, others = fitting.default_sweeps(rest)
    fitted = choose(traces, sweeps, "--sweeps") if sweeps else chosen
    both = [label(t) for t in fitted if any(t is u for u in unseen)]
    if both:
        raise ValueError(f"sweep {', '.join(both)} cannot be both fitted and held out")
    if not fitted:
        raise ValueError("no sweep is left to fit: hold out fewer")
    if not held_out:
        left = rest if sweeps else others
        unseen = [t for t in left if not any(t is f for f in fitted)]
    kinds = {t.clamp for t in fitted}
    if len(kinds) > 1:
        raise ValueError(
            "the recording holds current and voltage clamp: choose with --clamp or --sweeps"
        )
    return fitted, [t for t in unseen if t.clamp in kinds]
