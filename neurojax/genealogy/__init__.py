"""Tables of published channels: in one population, and which of them a recording looks like.

A table is a user's own copy of ICGenealogy's; none is part of this project. `table` reads it,
`curves` finds the standard form of its channels, `likeness` ranks them against a measurement.
"""

from neurojax.genealogy.curves import StandardChannels, standard_channels
from neurojax.genealogy.likeness import Likeness, like_curves, like_recording
from neurojax.genealogy.table import ChannelTable, Curves, TabledChannel, read_table

__all__ = [
    "ChannelTable",
    "Curves",
    "Likeness",
    "StandardChannels",
    "TabledChannel",
    "like_curves",
    "like_recording",
    "read_table",
    "standard_channels",
]
