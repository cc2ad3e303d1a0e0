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
                               # here), "package.module:MyNa"; its parameters by name
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
"""

from neurojax.model.document import (
    Model,
    ModelError,
    load_model,
    packaged,
    parse_model,
)
from neurojax.model.writing import to_toml

__all__ = ["Model", "ModelError", "load_model", "packaged", "parse_model", "to_toml"]
