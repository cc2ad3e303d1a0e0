"""Stage: what a stage of a fit is, so that anybody can write one."""

from __future__ import annotations

from typing import Protocol

from neurojax.fit.budget import Budget
from neurojax.fit.candidates import Candidates
from neurojax.fit.task import Task


class Stage(Protocol):
    """One stage of a fit: from the candidates of the stage before to better ones.

    A small frozen dataclass whose fields are its options, with units in their names. `fit` calls
    the stages in the order of its list. A stage can be the first (`found` is None: it draws its own
    points from `task.space`), and any may follow it.

        @dataclass(frozen=True)
        class Jitter:
            width: float = 0.01  # of the bounds' distance

            name = "jitter"

            def run(self, task, found, budget):
                with budget.stage(self.name, found.unit) as log:
                    ...
                    log.step(done, total, best, evaluations)
                    log.conclude(errors)
                return Candidates.sorted(z, errors, unit)

    Wall time: `log.hurried` says when to come to an end; without any time a stage still gives back
    what it was given, in its own unit if it can. Ctrl-C ends the `with` block and what was best so
    far is given back. What a stage cannot use (a voltage clamp, a space without conductances) is a
    ValueError that says so before anything is computed.
    """

    @property
    def name(self) -> str:
        """A word: "search"."""
        ...

    def run(self, task: Task, found: Candidates | None, budget: Budget) -> Candidates:
        """The candidates after this stage, best first; never fewer than none that were finite."""
        ...
