"""Parameters as a command line names them: set, fixed, free between bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from neurojax.membrane.path_names import settable, whole_area
from neurojax.model import Model
from neurojax.model.space import WIDER, Space, free
from neurojax.units import check_known, parse

PIPETTE = "pipette."
"""What begins so may be there only when the recording is ready for a fit."""


@dataclass(frozen=True)
class Edits:
    """How a model of a fit is to differ from its file, texts as they were given."""

    sets: Sequence[str] = ()  # name=value of what is not free
    fixes: Sequence[str] = ()  # name or name=value: no longer free
    frees: Sequence[str] = ()  # name, or name=low:high, or that and "because ..."

    def apply(self, model: Model, pipette: bool = False) -> Model:
        """The model with them: those of the pipette, or else all others.

        Raises ValueError for a bad name, unit, value or bounds, and where one contradicts another.
        """
        own = Edits(
            *(
                [text for text in texts if text.strip().startswith(PIPETTE) == pipette]
                for texts in (self.sets, self.fixes, self.frees)
            )
        )
        self._check_once()
        model = _freed(own.frees, _fixed(own.fixes, model))
        values = settings(own.sets, model)
        for name in values:
            if model.space and any(name in (f.name, *f.also) for f in model.space.free):
                raise ValueError(
                    f"--set {name}: is free, and the fit finds it; --fix {name}=VALUE keeps it"
                )
        return replace(model, cell=model.at(values)) if values else model

    def _check_once(self) -> None:
        said: dict[str, str] = {}
        for option, texts in (("--set", self.sets), ("--fix", self.fixes), ("--free", self.frees)):
            for text in texts:
                name = text.partition("=")[0].strip()
                if name in said:
                    before = "twice" if said[name] == option else f"in {said[name]} and {option}"
                    raise ValueError(f"{option} {name}: is given {before}; expected it once")
                said[name] = option


def settings(sets: Sequence[str], model: Model) -> dict[str, float]:
    """Parameter values from `name=value` texts.

    Raises ValueError for a bad name, unit or value, or a name that is given twice.
    """
    known, values, area = settable(model.cell), {}, whole_area(model.cell)
    for text in sets:
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip().strip("'\"")
        if not equals:
            raise ValueError(f"--set {text!r}: expected name=value, such as na.g_bar='60 mS/cm2'")
        check_known(name, known, "parameter", "--set: ")
        if name in values:
            raise ValueError(f"--set {name}: is given twice; expected it once")
        values[name] = parse(value, known[name][1].unit, f"--set {name}", area)
    return values


def _fixed(texts: Sequence[str], model: Model) -> Model:
    """The model with some of its free parameters fixed, where it has them or at given values."""
    if not texts:
        return model
    space = model.space.free if model.space else ()
    units, values, area = {f.name: f.unit for f in space}, {}, whole_area(model.cell)
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        check_known(name, units, "free parameter", "--fix: ")
        if equals:
            values[name] = parse(value.strip("'\""), units[name], f"--fix {name}", area)
    gone = {text.partition("=")[0].strip() for text in texts}
    left = tuple(f for f in space if f.name not in gone)
    return replace(model, cell=model.at(values), space=Space(left) if left else None)


def _freed(texts: Sequence[str], model: Model) -> Model:
    """The model with other free parameters, or other bounds of those that are."""
    known, specs, area = settable(model.cell), {}, whole_area(model.cell)
    for text in texts:
        told, because, why = text.partition(" because ")
        name, equals, span = (part.strip() for part in told.partition("="))
        check_known(name, known, "parameter", "--free: ")
        ends = span.strip("'\"").split(":")
        if (equals and len(ends) != 2) or (because and not (equals and why.strip())):
            raise ValueError(
                f"--free {text!r}: expected name=low:high, such as na.g_bar=50:150, and for bounds "
                "wider than declared a word of why: 'na.g_bar=50:2000 because it is overexpressed'"
            )
        unit = known[name][1].unit
        specs[name] = {
            key: parse(_with_unit(end, ends[1]), unit, f"--free {name}", area)
            for key, end in zip(("low", "high"), ends, strict=False)
            if equals
        }
        if why.strip():
            specs[name]["why"] = why.strip()
    if not specs:
        return model
    had = model.space.free if model.space else ()
    for name, spec in specs.items():
        if led := next((f.name for f in had if name in f.also), None):
            raise ValueError(f"--free {name}: follows {led} in this model; free that")
        old = next((f for f in had if f.name == name), None)
        if old is not None:
            spec.update({"also": old.also, "prior": old.prior})
            spec.setdefault("why", old.why)
            spec.setdefault("low", old.low)
            spec.setdefault("high", old.high)
    try:
        new = {f.name: f for f in free(model.cell, specs).free}
    except ValueError as error:
        # What Python calls "why", the command line says in its own words.
        hint = "wider bounds need a word of why, --free 'name=low:high because ...'"
        raise ValueError(str(error).replace(WIDER, hint)) from None
    kept = tuple(new.pop(f.name, f) for f in had)
    return replace(model, space=Space((*kept, *new.values())))


def _with_unit(low: str, high: str) -> str:
    """The lower end with the unit of the upper, where it has none: "20:80 mS/cm2"."""
    unit = high.strip().lstrip("+-0123456789.eE").strip()
    bare = not low.strip().lstrip("+-0123456789.eE").strip()
    return f"{low} {unit}" if bare and unit else low
