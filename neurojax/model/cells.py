"""Whole cells, ready made: one function each, and its numbers in the model file of the same name.

A cell of your own is one of these with `nj.replace`, or a copy of its file in `neurojax/models`.
"""

from __future__ import annotations

from neurojax.membrane.compartment import Cell
from neurojax.membrane.path_names import replace
from neurojax.model import load_model

__all__ = [
    "astrocyte",
    "barnacle_morris_lecar",
    "cortex_fs",
    "cortex_ib",
    "cortex_ibr",
    "cortex_l5_hay_soma",
    "cortex_lts",
    "cortex_mainen_sejnowski",
    "cortex_mainen_sejnowski_two",
    "cortex_rs",
    "crab_connor_stevens",
    "hair_cell",
    "hippocampus_traub_miles",
    "human_ventricle_ten_tusscher",
    "interneuron_wang_buzsaki",
    "purkinje_fibre_noble",
    "rod",
    "sinus_fabbri",
    "squid_axon",
    "stomatogastric_pacemaker",
    "thalamus_relay",
    "touch_receptor",
    "ventricle_luo_rudy",
]


def squid_axon() -> Cell:
    """The squid giant axon at 6.3 degC, 1 cm2 of it: currents are densities, uA/cm2.

    The model file "squid" is a smaller patch of it, whose currents come in pA.

    Source: Hodgkin & Huxley 1952, J Physiol 117:500, doi:10.1113/jphysiol.1952.sp004764.
    """
    return replace(load_model("squid").cell, {"area": 1.0})


def cortex_rs() -> Cell:
    """A regular-spiking cortical pyramidal cell: spikes, and an M current that spaces them.

    Source: Pospischil et al. 2008, Biol Cybern 99:427, doi:10.1007/s00422-008-0263-8.
    """
    return load_model("cortex_rs").cell


def cortex_fs() -> Cell:
    """A fast-spiking cortical interneuron, which does not adapt.

    Source: Pospischil et al. 2008, Biol Cybern 99:427, doi:10.1007/s00422-008-0263-8.
    """
    return load_model("cortex_fs").cell


def cortex_lts() -> Cell:
    """A low-threshold-spiking cortical cell: a T current fires it after hyperpolarisation.

    Source: Pospischil et al. 2008, Biol Cybern 99:427, doi:10.1007/s00422-008-0263-8, after
    Destexhe, Contreras & Steriade 2001, Neurocomputing 38:555.
    """
    return load_model("cortex_lts").cell


def cortex_ib() -> Cell:
    """An intrinsically bursting cortical cell: an L current makes a burst of its first spikes.

    Source: Pospischil et al. 2008, Biol Cybern 99:427, doi:10.1007/s00422-008-0263-8.
    """
    return load_model("cortex_ib").cell


def cortex_ibr() -> Cell:
    """A repetitively bursting cortical cell: `cortex_ib` with a larger L current.

    Source: Pospischil et al. 2008, Biol Cybern 99:427, doi:10.1007/s00422-008-0263-8.
    """
    return load_model("cortex_ibr").cell


def cortex_l5_hay_soma() -> Cell:
    """The soma of a thick-tufted pyramidal cell of layer 5, with all of its ten currents.

    It is one compartment: without the dendrites, which load it and burst, it is no model of the
    whole cell.

    Source: Hay et al. 2011, PLoS Comput Biol 7:e1002107, doi:10.1371/journal.pcbi.1002107, the
    somatic densities of their cell with back-propagating action potentials (L5PCbiophys3).
    """
    return load_model("cortex_l5_hay_soma").cell


def cortex_mainen_sejnowski() -> Cell:
    """An adapting neocortical pyramidal cell: calcium of its spikes opens potassium channels.

    Source: Mainen & Sejnowski 1996, Nature 382:363, doi:10.1038/382363a0.
    Deviates: the two compartments of the reduced model are one, the densities their means; so it
    has no bursts, which need them apart.
    """
    return load_model("cortex_mainen_sejnowski").cell


def cortex_mainen_sejnowski_two() -> Cell:
    """The same as soma with axon, and dendrite, whose areas are as 1 to 165: it bursts.

    With other ratios of the areas it fires fast and evenly (15) or adapts (110); see
    `equivalent_diameter` for the dendrite that keeps their coupling of 10 MOhm.

    Source: Mainen & Sejnowski 1996, Nature 382:363, doi:10.1038/382363a0, their reduced model.
    """
    return load_model("cortex_mainen_sejnowski_two").cell


def hippocampus_traub_miles() -> Cell:
    """A hippocampal pyramidal cell with fast sodium and delayed-rectifier channels only.

    Source: Traub & Miles 1991, Neuronal Networks of the Hippocampus, as in Brette et al. 2007,
    J Comput Neurosci 23:349, doi:10.1007/s10827-007-0038-6, benchmark 3.
    """
    return load_model("hippocampus_traub_miles").cell


def interneuron_wang_buzsaki() -> Cell:
    """A fast-spiking hippocampal interneuron, 1 cm2 of it: currents are densities, uA/cm2.

    Source: Wang & Buzsaki 1996, J Neurosci 16:6402, doi:10.1523/JNEUROSCI.16-20-06402.1996.
    """
    return load_model("interneuron_wang_buzsaki").cell


def crab_connor_stevens() -> Cell:
    """A crab's axon, whose A current lets it fire slowly; 1 cm2 of it: currents in uA/cm2.

    Source: Connor, Walter & McKown 1977, Biophys J 18:81, doi:10.1016/S0006-3495(77)85598-7, in the
    form of Dayan & Abbott 2001, chapter 6.
    """
    return load_model("crab_connor_stevens").cell


def stomatogastric_pacemaker() -> Cell:
    """The pacemaker (AB/PD) of the pyloric rhythm of crabs and lobsters: bursts without a current.

    Source: Prinz, Billimoria & Marder 2003, J Neurophysiol 90:3998, doi:10.1152/jn.00641.2003;
    conductances of AB/PD 1 of Prinz, Bucher & Marder 2004, Nat Neurosci 7:1345,
    doi:10.1038/nn1352.
    Deviates: calcium reverses at the Nernst potential of 11 degC, at which such cells are recorded.
    """
    return load_model("stomatogastric_pacemaker").cell


def barnacle_morris_lecar() -> Cell:
    """A barnacle's giant muscle fibre, two variables in all; 1 cm2 of it: currents in uA/cm2.

    Source: Morris & Lecar 1981, Biophys J 35:193, doi:10.1016/S0006-3495(81)84782-0, with the
    values of Rinzel & Ermentrout 1989.
    """
    return load_model("barnacle_morris_lecar").cell


def thalamus_relay() -> Cell:
    """A thalamic relay cell: after hyperpolarisation its T current fires a burst of spikes.

    Source: Destexhe, Bal, McCormick & Sejnowski 1996, J Neurophysiol 76:2049,
    doi:10.1152/jn.1996.76.3.2049.
    Deviates: calcium does not hold its h current open (see ThalamusH), so nothing ends its
    oscillations.
    """
    return load_model("thalamus_relay").cell


def purkinje_fibre_noble() -> Cell:
    """A Purkinje fibre of the heart, its own pacemaker; 1 cm2 of it: currents in uA/cm2.

    Source: Noble 1962, J Physiol 160:317, doi:10.1113/jphysiol.1962.sp006849.
    """
    return load_model("purkinje_fibre_noble").cell


def ventricle_luo_rudy() -> Cell:
    """Mammalian ventricle, with the calcium that its slow current lets in; 1 cm2 of it.

    Source: Luo & Rudy 1991, Circ Res 68:1501, doi:10.1161/01.RES.68.6.1501.
    """
    return load_model("ventricle_luo_rudy").cell


def human_ventricle_ten_tusscher() -> Cell:
    """Human epicardium, with its calcium stores, at the concentrations of 60 beats a minute.

    Source: ten Tusscher & Panfilov 2006, Am J Physiol Heart 291:H1088,
    doi:10.1152/ajpheart.00109.2006.
    """
    return load_model("human_ventricle_ten_tusscher").cell


def sinus_fabbri() -> Cell:
    """A pacemaker cell of the human sinus node, with its calcium stores.

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259.
    """
    return load_model("sinus_fabbri").cell


def hair_cell() -> Cell:
    """A hair cell of the bullfrog's sacculus, which resonates; its input is `displacement` (um).

    Source: Hudspeth & Lewis 1988, J Physiol 400:275, doi:10.1113/jphysiol.1988.sp017120, with the
    adaptation of Stauffer et al. 2005, Neuron 47:541, doi:10.1016/j.neuron.2005.07.024.
    """
    return load_model("hair_cell").cell


def rod() -> Cell:
    """A rod photoreceptor; its input is `light`, in photoisomerisations per second.

    Source: Kamiyama, Wu & Usui 2009, Vision Res 49:970, doi:10.1016/j.visres.2009.03.003, with the
    cascade of Torre, Forti, Menini & Campani 1990, Cold Spring Harb Symp Quant Biol 55:563.
    """
    return load_model("rod").cell


def touch_receptor() -> Cell:
    """The ending of a rapidly adapting touch receptor; its input is `indentation` (um).

    Source: Frankenhaeuser & Huxley 1964, J Physiol 171:302, doi:10.1113/jphysiol.1964.sp007378, the
    node; Gerling et al. 2018, PLoS Comput Biol 14:e1006264, doi:10.1371/journal.pcbi.1006264, the
    time constant of the current that touch opens.
    Deviates: how much of that current there is, is a round number with which 4 um fire it.
    """
    return load_model("touch_receptor").cell


def astrocyte() -> Cell:
    """A glial cell whose potential tells the potassium outside, its input `k_o` (mM).

    Source: Kuffler, Nicholls & Orkand 1966, J Neurophysiol 29:768, doi:10.1152/jn.1966.29.4.768, of
    Necturus at 24 degC, to whose potentials its few numbers were fitted.
    """
    return load_model("astrocyte").cell
