"""NMODL files as channels: `load_nmodl("Ca_HVA.mod")` is a class like those of the catalogue.

The way of a file: `reading` (text to a syntax tree), `mechanism` (what it means, as formulas, by
`execution` of its blocks on symbols in a `graph`), `rewriting` (formulas made safe), `form` and
`channel_class` (the class), `source` (the class as a Python file). Nothing in a file is executed.
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
