"""Fitting: free parameters, stages, and what a fit gives back.

`fit(cell, traces, space)` runs the stages that suit a recording; `stages=[Search(), Polish()]` the
ones you name. Each is a small object, alone in a file of its name; anything that has a `name` and
`run(task, found, watch) -> Candidates` may stand among them (`Method`).
"""

from neurojax.fit.agreement import Agreement, agreement, free_run
from neurojax.fit.candidates import Candidates
from neurojax.fit.certificate import Certificate
from neurojax.fit.certify import Certify
from neurojax.fit.choose import every_second, telling
from neurojax.fit.cohort import CohortFit, Pool, cohort
from neurojax.fit.draw import Draw
from neurojax.fit.levenberg import levenberg_marquardt
from neurojax.fit.method import Method
from neurojax.fit.nudge import NUDGES, Nudge
from neurojax.fit.parameters import Free, Space, free
from neurojax.fit.polish import Polish
from neurojax.fit.problem import Objective
from neurojax.fit.recipe import STAGES, default_stages, fit
from neurojax.fit.regress import Regress
from neurojax.fit.result import Fit, Progress, Stage
from neurojax.fit.search import Search
from neurojax.fit.shoot import Shoot
from neurojax.fit.task import Task
from neurojax.fit.watch import Watch

__all__ = [
    "NUDGES",
    "STAGES",
    "Agreement",
    "Candidates",
    "Certificate",
    "Certify",
    "CohortFit",
    "Draw",
    "Fit",
    "Free",
    "Method",
    "Nudge",
    "Objective",
    "Polish",
    "Pool",
    "Progress",
    "Regress",
    "Search",
    "Shoot",
    "Space",
    "Stage",
    "Task",
    "Watch",
    "agreement",
    "cohort",
    "default_stages",
    "every_second",
    "fit",
    "free",
    "free_run",
    "levenberg_marquardt",
    "telling",
]
