"""Fitting: free parameters, stages, and what a fit gives back.

`fit(cell, traces, space)` runs the stages that suit a recording; `stages=[Search(), Polish()]` the
ones you name. Each is a small object, alone in a file of `stages/`; anything that has a `name` and
`run(task, found, budget) -> Candidates` may stand among them (`Stage`).

`prepare_recording` makes a recording ready as `neurojax fit` does, and `default_sweeps` chooses
what is fitted and what is held out.

From the bottom up: `problem` and `task` (what is minimised, over the free parameters of a
`model.space`), `scoring` (how good a cell is), `optimisers`, `uncertainty` (what the data
determine), `stages`, and on top `recipe` (one cell) and `hierarchical` (many cells at once).
"""

from neurojax.fit.budget import Budget, Progress, StageRecord
from neurojax.fit.candidates import Candidates
from neurojax.fit.compare import Compared, Comparison, compare
from neurojax.fit.hierarchical.cohort import cohort
from neurojax.fit.hierarchical.drug_block import Block
from neurojax.fit.hierarchical.drugs import DrugFit, drug_binding
from neurojax.fit.hierarchical.outcome import CohortFit, CohortWarning, Pool
from neurojax.fit.optimisers.levenberg import levenberg_marquardt
from neurojax.fit.preparation import Prepared, prepare_recording
from neurojax.fit.problem import Objective
from neurojax.fit.recipe import STAGES, default_stages, fit, minimise, resume
from neurojax.fit.result import Fit
from neurojax.fit.scoring.agreement import Agreement, agreement, free_run
from neurojax.fit.scoring.select_sweeps import default_sweeps, every_second, select_sweeps
from neurojax.fit.stage import Stage
from neurojax.fit.stages.certify import Certify
from neurojax.fit.stages.draw import Draw
from neurojax.fit.stages.minimise import Minimise
from neurojax.fit.stages.nudge import NUDGES, Nudge
from neurojax.fit.stages.polish import Polish
from neurojax.fit.stages.regress import Regress
from neurojax.fit.stages.search import Search
from neurojax.fit.stages.shoot import Shoot
from neurojax.fit.task import Task
from neurojax.fit.uncertainty.certificate import Certificate
from neurojax.model.space import Free, Space, free

__all__ = [
    "NUDGES",
    "STAGES",
    "Agreement",
    "Block",
    "Budget",
    "Candidates",
    "Certificate",
    "Certify",
    "CohortFit",
    "CohortWarning",
    "Compared",
    "Comparison",
    "Draw",
    "DrugFit",
    "Fit",
    "Free",
    "Minimise",
    "Nudge",
    "Objective",
    "Polish",
    "Pool",
    "Prepared",
    "Progress",
    "Regress",
    "Search",
    "Shoot",
    "Space",
    "Stage",
    "StageRecord",
    "Task",
    "agreement",
    "cohort",
    "compare",
    "default_stages",
    "default_sweeps",
    "drug_binding",
    "every_second",
    "fit",
    "free",
    "free_run",
    "levenberg_marquardt",
    "minimise",
    "prepare_recording",
    "resume",
    "select_sweeps",
]
