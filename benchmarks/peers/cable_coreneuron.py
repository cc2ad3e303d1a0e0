"""CoreNEURON: the cables of NEURON, solved by its optimised core."""

from __future__ import annotations

import cable_neuron
import worker
from neuron import coreneuron, h


def variants(job: worker.Job) -> worker.Variants:
    h.CVode().cache_efficient(1)
    coreneuron.enable, coreneuron.verbose = True, 0
    return cable_neuron.variants(job)


if __name__ == "__main__":
    worker.serve(variants, "neuron")
