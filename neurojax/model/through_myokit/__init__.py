"""Membrane models of Myokit (.mmt) and, by its importer, of CellML, as cells of this project.

The way of a file: `reading` (Myokit parses it, and what stimulated it is taken out), `expressions`
and `equations` (its formulas, in this project's units), `loading` (a channel of them, and a cell).
Nothing in a file is executed.
"""

from neurojax.model.through_myokit.loading import (
    ForeignCell,
    as_toml,
    load_myokit,
    membrane_of,
)
from neurojax.model.through_myokit.reading import SUFFIXES, MyokitError

__all__ = ["SUFFIXES", "ForeignCell", "MyokitError", "as_toml", "load_myokit", "membrane_of"]
