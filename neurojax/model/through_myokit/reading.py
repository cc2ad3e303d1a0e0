"""A file to Myokit's model, its stimulus replaced by `pace`. Nothing in the file is executed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurojax.model.xml import read_xml

SUFFIXES = (".mmt", ".cellml")
"""Of the files that are read here."""

LONGEST = 2_000_000
"""Characters that a file may have."""


class MyokitError(ValueError):
    """What is wrong in a .mmt or CellML file, or cannot be done: the file, and what to do."""


@dataclass
class Read:
    """A model as Myokit has it, its own pacing protocol if any, and what was done to it."""

    model: Any
    protocol: Any
    remarks: list[str] = field(default_factory=list)


def read_model(path: Path) -> Read:
    """The model in a file.

    Raises MyokitError for a file that is none, and ImportError without Myokit.
    """
    try:
        import myokit
    except ImportError:
        raise ImportError(
            'reading .mmt and CellML needs Myokit: pip install "neurojax[myokit]"'
        ) from None
    if path.stat().st_size > LONGEST:
        raise MyokitError(f"{path}: has more than {LONGEST} characters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Myokit's own, on units
        try:
            found = _cellml(path) if path.suffix.lower() == ".cellml" else _mmt(path)
            found.model.validate()
        except (myokit.MyokitError, ValueError, OSError) as error:
            said = str(error).removeprefix(f"{path}: ")
            raise MyokitError(f"{path}: {said}") from None
        except RecursionError:
            raise MyokitError(f"{path}: formulas are nested too deep") from None
        _without_stimulus(found)
    return found


def _mmt(path: Path) -> Read:
    import myokit

    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise MyokitError(f"{path}: no text in UTF-8: {error}") from None
    model, protocol, _ = myokit.parse(text.splitlines())  # its script stays text
    if model is None:
        raise MyokitError("has no [[model]]")
    return Read(model, protocol)


def _cellml(path: Path) -> Read:
    from myokit.formats.cellml import CellMLImporter

    read_xml(path)  # which refuses entities, before Myokit opens it
    model = CellMLImporter().model(str(path))
    return Read(model, None)


def _without_stimulus(found: Read) -> None:
    """The stimulus as an amplitude times `pace`, where the model has one that follows the time."""
    from myokit.lib import guess

    model = found.model
    if model.time() is None or model.binding("pace") is not None:
        return
    if not any(v.is_state() or not v.is_constant() for v in model.time().refs_by()):
        return
    protocol = guess.remove_embedded_protocol(model)
    if protocol is not None:
        found.protocol = protocol
        name = model.binding("pace").qname()
        found.remarks.append(f"the stimulus, which followed the time, is now a course: {name}")
        return
    stimulus = guess.stimulus_current(model)
    if stimulus is not None and not stimulus.is_constant():
        found.remarks.append(f"the stimulus {stimulus.qname()}, which followed the time, is 0")
        stimulus.set_rhs(0)
