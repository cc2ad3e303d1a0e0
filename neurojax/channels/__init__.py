"""The catalogue of channels, one file per preparation; `catalogue()` lists all."""

from typing import Any

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
from neurojax.channels.frog_node import FrogNodeK, FrogNodeLeak, FrogNodeNa, FrogNodeP
from neurojax.channels.hair_cell import HairCellCa, HairCellCalcium, HairCellKca, HairCellMet
from neurojax.channels.heart import HergKr
from neurojax.channels.hippocampus import HippocampusH
from neurojax.channels.human_ventricle import (
    HumanVentricleCaL,
    HumanVentricleK1,
    HumanVentricleKp,
    HumanVentricleKr,
    HumanVentricleKs,
    HumanVentricleLeakCa,
    HumanVentricleLeakNa,
    HumanVentricleNa,
    HumanVentricleNaKPump,
    HumanVentricleTo,
)
from neurojax.channels.human_ventricle_calcium import HumanVentricleCalcium
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
from neurojax.channels.purkinje_fibre import (
    PurkinjeFibreK,
    PurkinjeFibreK1,
    PurkinjeFibreLeak,
    PurkinjeFibreNa,
)
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
from neurojax.channels.rod import (
    RodCa,
    RodCaPump,
    RodCgmp,
    RodClca,
    RodH,
    RodKca,
    RodKv,
    RodNaCaExchanger,
)
from neurojax.channels.rod_outer_segment import RodCalcium, RodOuterSegment
from neurojax.channels.shaker import Shaker
from neurojax.channels.sinus import (
    SinusCaL,
    SinusCaT,
    SinusF,
    SinusKr,
    SinusKs,
    SinusKur,
    SinusNa,
    SinusNaCaExchanger,
    SinusNaKPump,
    SinusTo,
)
from neurojax.channels.sinus_calcium import SinusCalcium
from neurojax.channels.sodium import EntorhinalNap, PurkinjeNaR
from neurojax.channels.squid import SquidK, SquidLeak, SquidNa
from neurojax.channels.synapse import (
    EndplateAch,
    HippocampusAmpa,
    SynapseAmpa,
    SynapseGabaA,
    SynapseGabaB,
    SynapseNmda,
)
from neurojax.channels.thalamus import ThalamusCaT, ThalamusCaTs, ThalamusH
from neurojax.channels.touch import TouchPiezo
from neurojax.channels.ventricle import (
    VentricleCa,
    VentricleK,
    VentricleK1,
    VentricleKp,
    VentricleLeak,
    VentricleNa,
)
from neurojax.membrane.channel import Channel
from neurojax.membrane.ions import Ion

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
    "EndplateAch",
    "EntorhinalNap",
    "FrogNodeK",
    "FrogNodeLeak",
    "FrogNodeNa",
    "FrogNodeP",
    "GoldmanLeak",
    "HairCellCa",
    "HairCellCalcium",
    "HairCellKca",
    "HairCellMet",
    "HeartCaPump",
    "HeartNaCaExchanger",
    "HeartNaKPump",
    "HergKr",
    "HippocampusAmpa",
    "HippocampusH",
    "HippocampusNaKPump",
    "HumanVentricleCaL",
    "HumanVentricleCalcium",
    "HumanVentricleK1",
    "HumanVentricleKp",
    "HumanVentricleKr",
    "HumanVentricleKs",
    "HumanVentricleLeakCa",
    "HumanVentricleLeakNa",
    "HumanVentricleNa",
    "HumanVentricleNaKPump",
    "HumanVentricleTo",
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
    "PurkinjeFibreK",
    "PurkinjeFibreK1",
    "PurkinjeFibreLeak",
    "PurkinjeFibreNa",
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
    "RodCa",
    "RodCaPump",
    "RodCalcium",
    "RodCgmp",
    "RodClca",
    "RodH",
    "RodKca",
    "RodKv",
    "RodNaCaExchanger",
    "RodOuterSegment",
    "Shaker",
    "SinusCaL",
    "SinusCaT",
    "SinusCalcium",
    "SinusF",
    "SinusKr",
    "SinusKs",
    "SinusKur",
    "SinusNa",
    "SinusNaCaExchanger",
    "SinusNaKPump",
    "SinusTo",
    "SkK",
    "SquidK",
    "SquidLeak",
    "SquidNa",
    "SynapseAmpa",
    "SynapseGabaA",
    "SynapseGabaB",
    "SynapseNmda",
    "ThalamusCaT",
    "ThalamusCaTs",
    "ThalamusH",
    "TouchPiezo",
    "TwoPoreK",
    "VentricleCa",
    "VentricleK",
    "VentricleK1",
    "VentricleKp",
    "VentricleLeak",
    "VentricleNa",
    "catalogue",
    "ions_catalogue",
]


def catalogue() -> dict[str, type[Channel]]:
    """Every channel class by name."""
    return _classes(Channel)


def ions_catalogue() -> dict[str, type[Ion]]:
    """By name every class of an ion with more pools than an Ion has, such as stores of calcium."""
    return _classes(Ion)


def _classes(kind: type) -> dict[str, Any]:
    named = {name: globals()[name] for name in __all__}
    return {k: cls for k, cls in named.items() if isinstance(cls, type) and issubclass(cls, kind)}
