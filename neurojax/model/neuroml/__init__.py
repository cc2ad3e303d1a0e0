"""NeuroML 2: channels of others.

The way of a file: `document` (XML to elements by id, with what is included from beside it),
`components` and `expressions` (rates and ComponentTypes as formulas), `channels` (mechanisms),
`loading`. Nothing in a file is executed.
"""

from neurojax.model.neuroml.document import NeuromlError
from neurojax.model.neuroml.loading import SUFFIXES, channels_in, load_channel

__all__ = ["SUFFIXES", "NeuromlError", "channels_in", "load_channel"]
