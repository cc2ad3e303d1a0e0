"""The catalogue of channels, one file per preparation or paper; `catalogue()` lists all.

A channel is here by its line below, `as` itself so that it is one of the package's own names.
"""

from typing import TypeVar

from neurojax.channels.barnacle import BarnacleCa as BarnacleCa
from neurojax.channels.barnacle import BarnacleK as BarnacleK
from neurojax.channels.barnacle import BarnacleLeak as BarnacleLeak
from neurojax.channels.cortex import CortexCaL as CortexCaL
from neurojax.channels.cortex import CortexCaT as CortexCaT
from neurojax.channels.cortex import CortexKahp as CortexKahp
from neurojax.channels.cortex import CortexKdr as CortexKdr
from neurojax.channels.cortex import CortexKm as CortexKm
from neurojax.channels.cortex import CortexLeak as CortexLeak
from neurojax.channels.cortex import CortexNa as CortexNa
from neurojax.channels.cortex import CortexNaS as CortexNaS
from neurojax.channels.crab import CrabK as CrabK
from neurojax.channels.crab import CrabKa as CrabKa
from neurojax.channels.crab import CrabLeak as CrabLeak
from neurojax.channels.crab import CrabNa as CrabNa
from neurojax.channels.frog_node import FrogNodeK as FrogNodeK
from neurojax.channels.frog_node import FrogNodeLeak as FrogNodeLeak
from neurojax.channels.frog_node import FrogNodeNa as FrogNodeNa
from neurojax.channels.frog_node import FrogNodeP as FrogNodeP
from neurojax.channels.hair_cell import HairCellCa as HairCellCa
from neurojax.channels.hair_cell import HairCellCalcium as HairCellCalcium
from neurojax.channels.hair_cell import HairCellKca as HairCellKca
from neurojax.channels.hair_cell import HairCellMet as HairCellMet
from neurojax.channels.heart import HergKr as HergKr
from neurojax.channels.herg_block import HergBlock as HergBlock
from neurojax.channels.hippocampus import HippocampusH as HippocampusH
from neurojax.channels.human_ventricle import HumanVentricleCaL as HumanVentricleCaL
from neurojax.channels.human_ventricle import HumanVentricleK1 as HumanVentricleK1
from neurojax.channels.human_ventricle import HumanVentricleKp as HumanVentricleKp
from neurojax.channels.human_ventricle import HumanVentricleKr as HumanVentricleKr
from neurojax.channels.human_ventricle import HumanVentricleKs as HumanVentricleKs
from neurojax.channels.human_ventricle import HumanVentricleLeakCa as HumanVentricleLeakCa
from neurojax.channels.human_ventricle import HumanVentricleLeakNa as HumanVentricleLeakNa
from neurojax.channels.human_ventricle import HumanVentricleNa as HumanVentricleNa
from neurojax.channels.human_ventricle import HumanVentricleNaKPump as HumanVentricleNaKPump
from neurojax.channels.human_ventricle import HumanVentricleTo as HumanVentricleTo
from neurojax.channels.human_ventricle_calcium import HumanVentricleCalcium as HumanVentricleCalcium
from neurojax.channels.interneuron import InterneuronK as InterneuronK
from neurojax.channels.interneuron import InterneuronKd as InterneuronKd
from neurojax.channels.interneuron import InterneuronLeak as InterneuronLeak
from neurojax.channels.interneuron import InterneuronNa as InterneuronNa
from neurojax.channels.leaks import GoldmanLeak as GoldmanLeak
from neurojax.channels.neocortex import NeocortexCa as NeocortexCa
from neurojax.channels.neocortex import NeocortexKca as NeocortexKca
from neurojax.channels.neocortex import NeocortexKm as NeocortexKm
from neurojax.channels.neocortex import NeocortexKv as NeocortexKv
from neurojax.channels.neocortex import NeocortexNa as NeocortexNa
from neurojax.channels.point_synapse import SynapseExp as SynapseExp
from neurojax.channels.point_synapse import SynapseExp2 as SynapseExp2
from neurojax.channels.potassium import BkK as BkK
from neurojax.channels.potassium import KirK as KirK
from neurojax.channels.potassium import SkK as SkK
from neurojax.channels.potassium import TwoPoreK as TwoPoreK
from neurojax.channels.pumps import HeartCaPump as HeartCaPump
from neurojax.channels.pumps import HeartNaCaExchanger as HeartNaCaExchanger
from neurojax.channels.pumps import HeartNaKPump as HeartNaKPump
from neurojax.channels.pumps import HippocampusNaKPump as HippocampusNaKPump
from neurojax.channels.purkinje import PurkinjeCaP as PurkinjeCaP
from neurojax.channels.purkinje_fibre import PurkinjeFibreK as PurkinjeFibreK
from neurojax.channels.purkinje_fibre import PurkinjeFibreK1 as PurkinjeFibreK1
from neurojax.channels.purkinje_fibre import PurkinjeFibreLeak as PurkinjeFibreLeak
from neurojax.channels.purkinje_fibre import PurkinjeFibreNa as PurkinjeFibreNa
from neurojax.channels.pyramidal import PyramidalCaT as PyramidalCaT
from neurojax.channels.pyramidal import PyramidalH as PyramidalH
from neurojax.channels.pyramidal import PyramidalKm as PyramidalKm
from neurojax.channels.pyramidal import PyramidalKp as PyramidalKp
from neurojax.channels.pyramidal import PyramidalKt as PyramidalKt
from neurojax.channels.pyramidal import PyramidalKv3 as PyramidalKv3
from neurojax.channels.pyramidal import PyramidalNa as PyramidalNa
from neurojax.channels.pyramidal import PyramidalNap as PyramidalNap
from neurojax.channels.pyramidal import PyramidalSk as PyramidalSk
from neurojax.channels.rod import RodCa as RodCa
from neurojax.channels.rod import RodCaPump as RodCaPump
from neurojax.channels.rod import RodCgmp as RodCgmp
from neurojax.channels.rod import RodClca as RodClca
from neurojax.channels.rod import RodH as RodH
from neurojax.channels.rod import RodKca as RodKca
from neurojax.channels.rod import RodKv as RodKv
from neurojax.channels.rod import RodNaCaExchanger as RodNaCaExchanger
from neurojax.channels.rod_outer_segment import RodCalcium as RodCalcium
from neurojax.channels.rod_outer_segment import RodOuterSegment as RodOuterSegment
from neurojax.channels.shaker import Shaker as Shaker
from neurojax.channels.sinus import SinusCaL as SinusCaL
from neurojax.channels.sinus import SinusCaT as SinusCaT
from neurojax.channels.sinus import SinusF as SinusF
from neurojax.channels.sinus import SinusKr as SinusKr
from neurojax.channels.sinus import SinusKs as SinusKs
from neurojax.channels.sinus import SinusKur as SinusKur
from neurojax.channels.sinus import SinusNa as SinusNa
from neurojax.channels.sinus import SinusNaCaExchanger as SinusNaCaExchanger
from neurojax.channels.sinus import SinusNaKPump as SinusNaKPump
from neurojax.channels.sinus import SinusTo as SinusTo
from neurojax.channels.sinus_calcium import SinusCalcium as SinusCalcium
from neurojax.channels.sodium import EntorhinalNap as EntorhinalNap
from neurojax.channels.sodium import PurkinjeNaR as PurkinjeNaR
from neurojax.channels.squid import SquidK as SquidK
from neurojax.channels.squid import SquidLeak as SquidLeak
from neurojax.channels.squid import SquidNa as SquidNa
from neurojax.channels.standard import StandardForm as StandardForm
from neurojax.channels.stomatogastric import StomatogastricCaS as StomatogastricCaS
from neurojax.channels.stomatogastric import StomatogastricCaT as StomatogastricCaT
from neurojax.channels.stomatogastric import StomatogastricH as StomatogastricH
from neurojax.channels.stomatogastric import StomatogastricKa as StomatogastricKa
from neurojax.channels.stomatogastric import StomatogastricKca as StomatogastricKca
from neurojax.channels.stomatogastric import StomatogastricKd as StomatogastricKd
from neurojax.channels.stomatogastric import StomatogastricLeak as StomatogastricLeak
from neurojax.channels.stomatogastric import StomatogastricNa as StomatogastricNa
from neurojax.channels.synapse import EndplateAch as EndplateAch
from neurojax.channels.synapse import HippocampusAmpa as HippocampusAmpa
from neurojax.channels.synapse import SynapseAmpa as SynapseAmpa
from neurojax.channels.synapse import SynapseGabaA as SynapseGabaA
from neurojax.channels.synapse import SynapseGabaB as SynapseGabaB
from neurojax.channels.synapse import SynapseNmda as SynapseNmda
from neurojax.channels.thalamus import ThalamusCaT as ThalamusCaT
from neurojax.channels.thalamus import ThalamusCaTs as ThalamusCaTs
from neurojax.channels.thalamus import ThalamusH as ThalamusH
from neurojax.channels.touch import TouchPiezo as TouchPiezo
from neurojax.channels.ventricle import VentricleCa as VentricleCa
from neurojax.channels.ventricle import VentricleK as VentricleK
from neurojax.channels.ventricle import VentricleK1 as VentricleK1
from neurojax.channels.ventricle import VentricleKp as VentricleKp
from neurojax.channels.ventricle import VentricleLeak as VentricleLeak
from neurojax.channels.ventricle import VentricleNa as VentricleNa
from neurojax.membrane.channel import Channel
from neurojax.membrane.ions import Ion

T = TypeVar("T")


def catalogue() -> dict[str, type[Channel]]:
    """Every channel class by name."""
    return _classes(Channel)


def ions_catalogue() -> dict[str, type[Ion]]:
    """By name every class of an ion with more pools than an Ion has, such as stores of calcium."""
    return _classes(Ion)


def _classes(kind: type[T]) -> dict[str, type[T]]:
    """The subclasses of a kind that this package imports, by name."""
    named = sorted((k, x) for k, x in globals().items() if isinstance(x, type))
    return {k: cls for k, cls in named if issubclass(cls, kind) and cls is not kind}
