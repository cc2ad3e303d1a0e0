"""From a file to a class: what `load_nmodl` does."""

from __future__ import annotations

import hashlib
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.membrane.channel import Channel
from neurojax.membrane.ions import Ion
from neurojax.model.formulas.arrays import NUMPY
from neurojax.model.formulas.channel_class import channel_class, ion_class
from neurojax.model.formulas.form import MICROMOLAR
from neurojax.model.formulas.graph import FormulaError, evaluate, symbols
from neurojax.model.formulas.mechanism import Mechanism
from neurojax.model.nmodl.analysis import analyse
from neurojax.model.nmodl.reading import read_tree, text_of
from neurojax.model.nmodl.syntax import NmodlError


def load_nmodl(path: str | Path) -> type[Channel]:
    """The channel of an NMODL file, as a class: a user's own, like those of the catalogue.

    Its parameters are those of the file, in the units of this project. A conductance that
    multiplies all of a current is `g_bar`, in mS/cm2, and the reversal potential `E_rev`. Nothing
    in the file is executed. Raises NmodlError, with file and line, for what cannot be done, and
    ImportError without lark.
    """
    made = _loaded(path)
    if not issubclass(made, Channel):
        raise NmodlError(
            "changes a concentration: name it in [ions] of a model file, or use load_nmodl_ion",
            file=str(path),
        )
    return made


def load_nmodl_ion(path: str | Path) -> type[Ion]:
    """The ion of an NMODL file that writes a concentration, as a class of ions.

    Raises as `load_nmodl` does.
    """
    made = _loaded(path)
    if not issubclass(made, Ion):
        raise NmodlError(
            "is a channel: name it in [channels] of a model file, or use load_nmodl", file=str(path)
        )
    return made


def read_mechanism(path: str | Path) -> Mechanism:
    """What a file means, as formulas. Raises as `load_nmodl` does."""
    path = _file(path)
    return mechanism_of(text_of(path), str(path.resolve()), path.parent)


def _loaded(path: str | Path) -> Any:
    path = _file(path)
    text = text_of(path)
    for name in re.findall(r'\bINCLUDE\s*"([^"\n]*)"', text):
        if (beside := path.parent / Path(name).name).is_file():
            text += text_of(beside)
    key = hashlib.sha256(text.encode()).hexdigest()
    return _made(str(path.resolve()), key)


def _file(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        wrong = "is a folder; name a .mod file in it" if path.is_dir() else "no such file"
        raise ValueError(f"{path}: {wrong}")
    return path


@cache
def _made(path: str, key: str) -> Any:
    """A class, made once: for one that is made anew JAX compiles anew."""
    del key
    m = read_mechanism(path)
    if (elsewhere := begun_elsewhere(m)) and not m.receives:
        warnings.warn(
            f"{path}: INITIAL begins {', '.join(elsewhere)} away from the steady state, in which a "
            "run here begins: NEURON's currents differ until that is forgotten",
            stacklevel=4,
        )
    name = re.sub(r"\W", "_", m.name)
    make = ion_class if m.pools else channel_class
    made: Any = make(m, name, description(m, Path(path).name))
    made.model_type, made.loaded = path, (_loaded, path)
    return made


def mechanism_of(text: str, name: str, folder: Path | None = None) -> Mechanism:
    """What a text means, as formulas; errors call it `name`. INCLUDE reads files of `folder` only.

    Raises NmodlError.
    """
    try:
        return analyse(read_tree(text, folder))
    except RecursionError:
        raise NmodlError("nested too deep", 1, name) from None
    except NmodlError as error:
        raise NmodlError(error.message, error.line or 1, name) from None
    except FormulaError as error:
        raise NmodlError(str(error), 1, name) from None


def begun_elsewhere(m: Mechanism) -> list[str]:
    """Gates that a file begins at a number more than 0.01 from their steady state, at -65 mV.

    Each with its time constant there: after a few of them the difference is forgotten.
    """
    read = dict.fromkeys(m.concentrations, MICROMOLAR)
    known = {**read, **m.defaults, "v": -65.0, "celsius": m.celsius}
    found: list[str] = []
    for gate in m.gates:
        begun = m.begun.get(gate.name)
        formulas = [gate.opening, gate.rate]
        if begun is None or not begun.is_number() or symbols(formulas) - known.keys():
            continue
        with np.errstate(all="ignore"):
            opening, rate = (float(x) for x in evaluate(formulas, known, NUMPY))
        if rate > 0 and abs(opening / rate - float(begun.value)) > 0.01:
            found.append(f"{gate.name} at {float(begun.value):g} (time constant {1 / rate:.3g} ms)")
    return found


def description(m: Mechanism, file: str) -> str:
    """The docstring of a mechanism: its title, and where it is from."""
    title = re.sub(r"\s+", " ", m.title) or m.name
    return f"{title}: of the NMODL file {file}."
