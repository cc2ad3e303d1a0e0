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
from neurojax.channels.hippocampus import HippocampusH
from neurojax.channels.interneuron import InterneuronK, InterneuronLeak, InterneuronNa
from neurojax.channels.leaks import GoldmanLeak
from neurojax.channels.neocortex import (
    NeocortexCa,
    NeocortexKca,
    NeocortexKm,
    NeocortexKv,
    NeocortexNa,
)
from neurojax.channels.potassium import BkK, KirK, SkK, TwoPoreK
from neurojax.channels.pumps import (
    HeartCaPump,
    HeartNaCaExchanger,
    HeartNaKPump,
    HippocampusNaKPump,
)
from neurojax.channels.purkinje import PurkinjeCaP
from neurojax.channels.pyramidal import (
    PyramidalCaT,
    PyramidalH,
    PyramidalKm,
    PyramidalKp,
    PyramidalKt,
    PyramidalKv3,
    PyramidalNa,
    PyramidalNap,
    PyramidalSk,
)
from neurojax.channels.sodium import EntorhinalNap, PurkinjeNaR
from neurojax.channels.squid import SquidK, SquidLeak, SquidNa
from neurojax.channels.thalamus import ThalamusCaT, ThalamusCaTs, ThalamusH

__all__ = [
    "BarnacleCa",
    "BarnacleK",
    "BarnacleLeak",
    "BkK",
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
    "EntorhinalNap",
    "GoldmanLeak",
    "HeartCaPump",
    "HeartNaCaExchanger",
    "HeartNaKPump",
    "HergKr",
    "HippocampusH",
    "HippocampusNaKPump",
    "InterneuronK",
    "InterneuronLeak",
    "InterneuronNa",
    "KirK",
    "NeocortexCa",
    "NeocortexKca",
    "NeocortexKm",
    "NeocortexKv",
    "NeocortexNa",
    "PurkinjeCaP",
    "PurkinjeNaR",
    "PyramidalCaT",
    "PyramidalH",
    "PyramidalKm",
    "PyramidalKp",
    "PyramidalKt",
    "PyramidalKv3",
    "PyramidalNa",
    "PyramidalNap",
    "PyramidalSk",
    "SkK",
    "SquidK",
    "SquidLeak",
    "SquidNa",
    "ThalamusCaT",
    "ThalamusCaTs",
    "ThalamusH",
    "TwoPoreK",
    "catalogue",
]


def catalogue() -> dict[str, type[Channel]]:
    """Every channel class by name."""
    return {name: globals()[name] for name in __all__ if name != "catalogue"}
