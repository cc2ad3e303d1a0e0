"""The catalogue of channels, one file per preparation; `catalogue()` lists all."""

from neurojax.channel import Channel
from neurojax.channels.cortex import (
    CortexCaL,
    CortexCaT,
    CortexKahp,
    CortexKdr,
    CortexKm,
    CortexLeak,
    CortexNa,
    CortexNaS,
)
from neurojax.channels.crab import CrabKa
from neurojax.channels.heart import HergKr
from neurojax.channels.squid import SquidK, SquidLeak, SquidNa

__all__ = [
    "CortexCaL",
    "CortexCaT",
    "CortexKahp",
    "CortexKdr",
    "CortexKm",
    "CortexLeak",
    "CortexNa",
    "CortexNaS",
    "CrabKa",
    "HergKr",
    "SquidK",
    "SquidLeak",
    "SquidNa",
    "catalogue",
]


def catalogue() -> dict[str, type[Channel]]:
    """Every channel class by name."""
    return {name: globals()[name] for name in __all__ if name != "catalogue"}
