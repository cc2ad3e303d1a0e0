"""CoreNEURON: the cells of `hay_neuron`, solved by its optimised core."""

from __future__ import annotations

import hay_neuron
import worker
from neuron import coreneuron, h


def variants(job: worker.Job) -> worker.Variants:
    h.CVode().cache_efficient(1)
    coreneuron.enable, coreneuron.verbose = True, 0
    return hay_neuron.variants(job)


if __name__ == "__main__":
    worker.serve(variants, "neuron")
