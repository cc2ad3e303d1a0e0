"""Fingerprints: hashes of what the numbers of a sweep depend on, code of one's own included."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from neurojax.membrane.axes import arrays


def digest(thing: Any) -> str:
    """A hash of a tree's values, of the names of its parts, and of the code of classes of its own.

    The code of a class is the file in which it stands; of a class written in a notebook there is
    none, and a change is not seen.
    """
    structure = jax.tree.structure(thing)
    hashed = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", str(structure)).encode())
    for array in arrays(thing):
        hashed.update(f"{array.name}{digest_of(np.asarray(array.value, float))}".encode())
    for code in sorted({code for kind in _classes(structure) for code in _own_code(kind)}):
        hashed.update(code.encode())
    return hashed.hexdigest()


def digest_of(array: np.ndarray) -> str:
    """A hash of an array's numbers."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _classes(structure: Any) -> set[type]:
    """The classes of the nodes of a tree."""
    node = structure.node_data()
    own: set[type] = set() if node is None else {node[0]}
    return own.union(*(_classes(child) for child in structure.children()))


def _own_code(kind: type) -> Iterator[str]:
    """Hashes of the files in which a class and its bases are written, but for neurojax itself."""
    mechanism = getattr(kind, "mechanism", None)  # of a class that was made of a file of formulas
    if mechanism is not None:
        yield hashlib.sha256(mechanism.told().encode()).hexdigest()
    for base in kind.__mro__:
        path = getattr(sys.modules.get(base.__module__), "__file__", None)
        if base.__module__.partition(".")[0] != "neurojax" and path and Path(path).is_file():
            yield hashlib.sha256(Path(path).read_bytes()).hexdigest()
