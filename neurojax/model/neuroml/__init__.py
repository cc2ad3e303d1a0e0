"""NeuroML 2: channels and cells of others.

The way of a file: `document` (XML to elements by id, with what is included from beside it),
`components` and `expressions` (rates and ComponentTypes as formulas), `channels` (mechanisms),
`loading`; `shape` and `cells` (sections, densities, pools). Nothing in a file is executed. The way
out is `export`.
"""

from neurojax.model.neuroml.cells import NeuromlCell, load_neuroml
from neurojax.model.neuroml.document import NeuromlError
from neurojax.model.neuroml.export import to_neuroml
from neurojax.model.neuroml.loading import SUFFIXES, channels_in, load_channel

__all__ = [
    "SUFFIXES",
    "NeuromlCell",
    "NeuromlError",
    "channels_in",
    "load_channel",
    "load_neuroml",
    "to_neuroml",
]
