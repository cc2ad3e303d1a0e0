"""Cells of this project as NeuroML 2.

The way of a cell: `cells` (what is where), `morphology` (segments and groups), `channels` (gates
and schemes, traced as formulas), `rates` (standard forms, or ComponentTypes), `text` (LEMS).
"""

from neurojax.model.neuroml.export.cells import to_neuroml

__all__ = ["to_neuroml"]
