"""CoreNEURON: the cells of NEURON, solved by its optimised core."""

from __future__ import annotations

import worker
from neuron import coreneuron, h
from neuron_hh import recorded


def variants(job: worker.Job) -> worker.Variants:
    h.CVode().cache_efficient(1)
    coreneuron.enable, coreneuron.verbose = True, 0
    return {"Vector.record": lambda: recorded(job)}  # it has no other way to record


if __name__ == "__main__":
    worker.serve(variants, "neuron")
