"""A model is a TOML file: a cell, its channels, and which of its parameters a fit may move.

name = "squid"
[cell]
area = "1000 um2"              # a number in the declared unit, or text with a unit
electrode_ion = "k"            # what carries its current into the pools of [ions]
[inputs]
light = 0                      # what channels read beside ions, at rest
[ions.ca]
valence = 2
inside = "100 nM"
outside = 2
depth = 0.1                    # um; without, the concentration inside is held
tau = 200                      # `type` names a class with more pools, if any
[channels.na]
type = "SquidNa"               # a class of the catalogue, or your own: "mine.py:MyNa" (a path from
                               # here), "package.module:MyNa", or NMODL: "Na.mod"; its parameters
                               # by name
g_bar = 120
scheme = true                  # as the Markov scheme of its particles
[channels.ca]
type = "CortexCaL"
E_rev = "nernst"               # of [ions.ca], which it carries
[free]
"na.g_bar" = { low = 20, high = 500, scale = "log" }
"na.E_rev" = true              # the bounds of its declaration
"k.E_rev" = { also = ["m.E_rev"] }   # one value for both
"na.v_shift" = { prior = { mean = 0, sd = "5 mV" } }   # what is known beforehand
"ions.ca.tau" = true

A cell with dendrites has its shape in one of three tables, and then no area; what differs along it
is by region:

[cell]
R_i = 150                      # Ohm cm; this and C_m may be by region, too
electrode_at = 0               # the compartment of the electrode: the first, unless told
[sections.soma]
length = "20 um"
diameter = "20 um"
compartments = 1               # without, as many as NEURON's d_lambda rule says
[sections.dendrite]            # its region has its name, or that of `region`
on = "soma"
at = 0.5                       # where on the soma: its end, 1, unless told
length = 700
diameter = 4
[channels.na]
type = "SquidNa"
g_bar = { soma = 120, dendrite = 10 }    # it is nowhere else
[channels.k]
type = "SquidK"
density = { soma = 1, dendrite = { type = "Exponential", far = 0.1, distance = "100 um" } }
[free]
"na.g_bar.dendrite" = { low = 1, high = 100 }    # one value for a region
"diameter.dendrite" = true
"density.k.dendrite.far" = true

[morphology] has the `file` of a traced neuron (and `part`, how much of a length constant a
compartment may be), whose regions are "soma", "axon", "basal" and "apical"; [compartments] has
lists: parents, length, diameter, regions ... as a fit writes them.
"""

from neurojax.model.document import (
    Model,
    ModelError,
    load_model,
    packaged,
    parse_model,
)
from neurojax.model.neuroml import (
    NeuromlCell,
    NeuromlError,
    channels_in,
    load_neuroml,
    to_neuroml,
)
from neurojax.model.nmodl import NmodlError, load_nmodl, load_nmodl_ion
from neurojax.model.through_jaxley import from_jaxley
from neurojax.model.through_myokit import ForeignCell, MyokitError, load_myokit
from neurojax.model.writing import to_toml

__all__ = [
    "ForeignCell",
    "Model",
    "ModelError",
    "MyokitError",
    "NeuromlCell",
    "NeuromlError",
    "NmodlError",
    "channels_in",
    "from_jaxley",
    "load_model",
    "load_myokit",
    "load_neuroml",
    "load_nmodl",
    "load_nmodl_ion",
    "packaged",
    "parse_model",
    "to_neuroml",
    "to_toml",
]
