"""NMODL files as channels: `load_nmodl("Ca_HVA.mod")` is a class like those of the catalogue.

The way of a file: `reading` (text to a syntax tree), `analysis` (what it means, as formulas, by
`execution` of its blocks on symbols), the class by `neurojax.model.formulas`, `source` (the class
as a Python file). Nothing in a file is executed.
"""

from neurojax.model.nmodl.loading import (
    load_nmodl,
    load_nmodl_ion,
    mechanism_of,
    read_mechanism,
)
from neurojax.model.nmodl.source import converted
from neurojax.model.nmodl.syntax import NmodlError

__all__ = [
    "NmodlError",
    "converted",
    "load_nmodl",
    "load_nmodl_ion",
    "mechanism_of",
    "read_mechanism",
]
