"""The shape of a neuron: sections of cylinders and frusta, and how they hang together; no membrane.

Lengths are in um. What a section is and how it is cut into compartments stands in `section`, what
traced points mean in `points`, what a soma's outline means in `outline`.
"""

from neurojax.morphology.points import Morphology, MorphologyError, MorphologyWarning, Points
from neurojax.morphology.section import CENTRE, END, START, Section, enough

__all__ = [
    "CENTRE",
    "END",
    "START",
    "Morphology",
    "MorphologyError",
    "MorphologyWarning",
    "Points",
    "Section",
    "enough",
]
