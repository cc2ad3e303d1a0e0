"""The catalogue of channels, one file per preparation; `catalogue()` lists all."""

from neurojax.channel import Channel
from neurojax.channels.barnacle import BarnacleCa, BarnacleK, BarnacleLeak
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
from neurojax.channels.crab import CrabK, CrabKa, CrabLeak, CrabNa
from neurojax.channels.heart import HergKr
from neurojax.channels.interneuron import InterneuronK, InterneuronLeak, InterneuronNa
from neurojax.channels.leaks import GoldmanLeak
from neurojax.channels.neocortex import (
    NeocortexCa,
    NeocortexKca,
    NeocortexKm,
    NeocortexKv,
    NeocortexNa,
)
from neurojax.channels.pumps import (
    HeartCaPump,
    HeartNaCaExchanger,
    HeartNaKPump,
    HippocampusNaKPump,
)
from neurojax.channels.purkinje import PurkinjeCaP
from neurojax.channels.squid import SquidK, SquidLeak, SquidNa

__all__ = [
    "BarnacleCa",
    "BarnacleK",
    "BarnacleLeak",
    "CortexCaL",
    "CortexCaT",
    "CortexKahp",
    "CortexKdr",
    "CortexKm",
    "CortexLeak",
    "CortexNa",
    "CortexNaS",
    "CrabK",
    "CrabKa",
    "CrabLeak",
    "CrabNa",
    "GoldmanLeak",
    "HeartCaPump",
    "HeartNaCaExchanger",
    "HeartNaKPump",
    "HergKr",
    "HippocampusNaKPump",
    "InterneuronK",
    "InterneuronLeak",
    "InterneuronNa",
    "NeocortexCa",
    "NeocortexKca",
    "NeocortexKm",
    "NeocortexKv",
    "NeocortexNa",
    "PurkinjeCaP",
    "SquidK",
    "SquidLeak",
    "SquidNa",
    "catalogue",
]


def catalogue() -> dict[str, type[Channel]]:
    """Every channel class by name."""
    return {name: globals()[name] for name in __all__ if name != "catalogue"}
