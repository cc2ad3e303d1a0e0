"""One entry for morphologies: the format by the file's name, what was repaired as warnings."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from neurojax.io.neurolucida import read_neurolucida
from neurojax.io.swc import read_swc
from neurojax.morphology import Morphology, MorphologyError, MorphologyWarning

_READERS = {".swc": read_swc, ".asc": read_neurolucida, ".h5": read_neurolucida}


def read_morphology(path: str | os.PathLike[str]) -> Morphology:
    """The sections of a traced neuron, for `assemble`; a Morphology is a mapping by their names.

    Formats are SWC and, with `pip install 'neurojax[morphology]'`, Neurolucida's ASC and H5.

    Sections end where a neurite branches or changes its type; somata are as in NEURON's import.
    Regions are "soma", "axon", "basal", "apical" and, of types 5 and above, "custom5".

    What is wrong in the file and can be put right is a MorphologyWarning that names its lines, and
    stands in `Morphology.repairs`. Raises MorphologyError for what cannot: no points, several
    trees, circles, parents that there are not, numbers that are none.
    """
    found = Path(path).expanduser()
    if not found.is_file():
        raise MorphologyError(f"{found}: no such file; expected a morphology")
    if found.suffix.lower() not in _READERS:
        known = ", ".join(_READERS)
        raise MorphologyError(
            f"{found}: is named {found.suffix or 'without a suffix'}; expected {known}"
        )
    sections, repairs = _READERS[found.suffix.lower()](found)
    for repair in repairs:
        warnings.warn(repair, MorphologyWarning, stacklevel=2)
    return Morphology(sections, str(found), tuple(repairs))
