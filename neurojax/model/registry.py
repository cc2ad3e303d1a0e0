"""Channels and ions by the names that model files and the command line use for them.

A name is one of the catalogue ("SquidNa"), of a class at hand that the caller passes, or says where
a class of one's own is: "channels.py:MyK" in a Python file, "package.module:MyK" in an installed
module, "Kv.mod" for an NMODL file, "heart.mmt" for all currents of a Myokit or CellML file,
"k.channel.nml" or "cell.nml:k" for a channel of a NeuroML file. There is no list to enter a class
into: what is named is looked for, each time.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from neurojax.channels import catalogue, ions_catalogue
from neurojax.membrane.channel import Channel, check_decorated
from neurojax.membrane.ions import Ion
from neurojax.membrane.pipette import Pipette
from neurojax.model.neuroml import SUFFIXES as NEUROML
from neurojax.model.neuroml import load_channel
from neurojax.model.nmodl import load_nmodl, load_nmodl_ion
from neurojax.model.through_myokit import SUFFIXES, membrane_of
from neurojax.units import check_known, nearest


@dataclass(frozen=True)
class Registry:
    """Where the classes of one model file are looked for."""

    folder: Path = Path()  # of the model file: from there paths of Python files count
    own: Mapping[str, type[Channel]] = field(default_factory=dict)  # at hand, by name

    def channel(self, kind: Any) -> type[Channel]:
        """A class of channels. Raises ValueError for a name that is none, with the nearest."""
        return _found(kind, known_channels() | dict(self.own), Channel, self.folder)

    def ion(self, kind: Any) -> type[Ion]:
        """A class of ions. Raises ValueError for a name that is none, with the nearest."""
        return _found(kind, known_ions(), Ion, self.folder)

    def name_of(self, cls: type) -> str | None:
        """How a model file names a class, or None for one that no other program could find."""
        for name, kind in (known_channels() | known_ions() | dict(self.own)).items():
            if cls is kind:
                return name
        if (kind := getattr(cls, "model_type", None)) is not None:
            return kind
        module = cls.__module__
        if module == "__main__" or getattr(sys.modules.get(module), cls.__name__, None) is not cls:
            return None
        return f"{_file_of(module) or module}:{cls.__name__}"


def registry(channels: Iterable[type[Channel]] = (), folder: Path = Path()) -> Registry:
    """The registry of a model file in a folder, with classes at hand.

    Raises ValueError for a class that is no channel, or whose name another one has.
    """
    own: dict[str, type[Channel]] = {}
    for cls in channels:
        name = cls.__name__
        _check(cls, Channel, name)
        taken = (known_channels() | own).get(name)
        if taken is not None and taken is not cls:
            raise ValueError(f"channel class {name!r}: {taken.__module__} has one of this name")
        own[name] = cls
    return Registry(folder, own)


def known_channels() -> dict[str, type[Channel]]:
    """What a `type` in [channels] may be by its bare name."""
    return catalogue() | {"Pipette": Pipette}


def known_ions() -> dict[str, type[Ion]]:
    """What a `type` in [ions] may be by its bare name."""
    return {"Ion": Ion} | ions_catalogue()


def classes_in(where: str, base: type = Channel, folder: Path = Path()) -> dict[str, Any]:
    """The classes of channels (or ions) that a Python file or a module defines, by name."""
    if _is_file(where):
        module = _file(str((folder / Path(where).expanduser()).resolve()))
    else:
        module = _module(where)
    return {
        name: cls
        for name, cls in vars(module).items()
        if isinstance(cls, type) and issubclass(cls, base) and cls.__module__ == module.__name__
    }


def _found(kind: Any, known: Mapping[str, Any], base: type, folder: Path) -> Any:
    what = base.__name__.lower()
    if not isinstance(kind, str):
        raise ValueError(f"no {what} class {kind!r} (have: {', '.join(known)})")
    if kind.endswith(".mod"):
        path = folder / Path(kind).expanduser()
        return load_nmodl(path) if base is Channel else load_nmodl_ion(path)
    if kind.lower().endswith(SUFFIXES) and base is Channel:
        return membrane_of(folder / Path(kind).expanduser())
    if _of_neuroml(kind) and base is Channel:
        return load_channel(str(folder / Path(kind).expanduser()))
    where, colon, name = kind.rpartition(":")
    if not colon and not _is_file(kind):
        if kind not in known:
            raise ValueError(
                f"no {what} class {kind!r}{nearest(kind, known)} (have: {', '.join(known)}; your "
                f'own: "file.py:{kind}")'
            )
        return known[kind]
    have = classes_in(where or name, base, folder)
    listed = ", ".join(have) or "none"
    if not where:
        raise ValueError(f'{kind}: expected the name of a class, as "{kind}:MyK" (have: {listed})')
    check_known(name, have, f"{what} class", f"{where}: ")
    return _check(have[name], base, kind)


def _check(cls: Any, base: type, name: str) -> Any:
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise ValueError(f"{name}: {cls!r} is no subclass of {base.__name__}")
    try:
        check_decorated(cls)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
    return cls


def _of_neuroml(kind: str) -> bool:
    return any(kind.lower().endswith(s) or f"{s}:" in kind.lower() for s in NEUROML)


def _is_file(where: str) -> bool:
    return where.endswith(".py")


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(f"{name}: no such module: {error}") from None


@cache
def _file(path: str) -> ModuleType:
    """A Python file as a module, run once: for a class that is made anew JAX compiles anew."""
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise ValueError(f"{path}: no such Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    return module


def _file_of(module: str) -> str | None:
    """The path of a module that was read from a file by its path, else None."""
    path = getattr(sys.modules.get(module), "__file__", None)
    return path if path is not None and _module_name(path) == module else None


def _module_name(path: str) -> str:
    """What a file is called as a module: two files of one name are two modules."""
    return f"{Path(path).stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}"
