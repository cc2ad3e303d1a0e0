"""Many machines: which part of a sweep a process computes, and scripts that start all of them.

Any scheduler that starts tasks with an index will do: each computes its shards of the same folder,
and what a dead one leaves the next run finds missing.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping

from neurojax.sweep.run import Part


def part_of(text: str) -> Part:
    """A part from text as "3/8". Raises ValueError for any other."""
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if match is None:
        raise ValueError(f"--shard {text!r}: expected i/n, such as 3/8 for the third of eight")
    part = Part(int(match[1]), int(match[2]))
    part.check()
    return part


def detected(environment: Mapping[str, str] | None = None) -> tuple[Part, str] | None:
    """This process's part as its scheduler tells it, and which that is; None without one.

    SLURM array jobs, several tasks of `srun` or of Open MPI, and indexed jobs of Kubernetes,
    for which the number of completions is in NEUROJAX_TASKS. Raises ValueError for one that tells
    its index but not how many there are.
    """
    told = os.environ if environment is None else environment

    def number(key: str) -> int:
        try:
            return int(told[key])
        except ValueError:
            raise ValueError(f"{key} = {told[key]!r}: expected a whole number") from None

    if "SLURM_ARRAY_TASK_ID" in told:
        if "SLURM_ARRAY_TASK_COUNT" not in told:
            raise ValueError("SLURM_ARRAY_TASK_ID is set, SLURM_ARRAY_TASK_COUNT is not")
        first = number("SLURM_ARRAY_TASK_MIN") if "SLURM_ARRAY_TASK_MIN" in told else 0
        apart = number("SLURM_ARRAY_TASK_STEP") if "SLURM_ARRAY_TASK_STEP" in told else 1
        index = (number("SLURM_ARRAY_TASK_ID") - first) // apart
        return _part(index, number("SLURM_ARRAY_TASK_COUNT")), "SLURM array"
    for index, count, name in (
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "Open MPI"),
        ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "srun"),
    ):
        if index in told and count in told:
            return _part(number(index), number(count)), name
    if "JOB_COMPLETION_INDEX" in told:
        if "NEUROJAX_TASKS" not in told:
            raise ValueError(
                "JOB_COMPLETION_INDEX is set: set NEUROJAX_TASKS to the job's completions, too"
            )
        return _part(number("JOB_COMPLETION_INDEX"), number("NEUROJAX_TASKS")), "Kubernetes"
    return None


def _part(index: int, count: int) -> Part:
    part = Part(index + 1, count)
    part.check()
    return part


def sbatch_script(
    command: list[str], name: str, tasks: int, hours: float, cores: int, gpus: int = 0
) -> str:
    """A script for `sbatch` that runs a command as an array of tasks.

    Raises ValueError for no tasks, no cores, or no time.
    """
    if tasks < 1 or cores < 1 or gpus < 0 or not hours * 60 >= 1:
        raise ValueError(
            f"tasks = {tasks}, cores = {cores}, gpus = {gpus}, hours = {hours:g}: expected a task, "
            "a core and a minute, or more"
        )
    name = re.sub(r"[^\w.-]+", "-", name)
    time = "{:02d}:{:02d}:00".format(*divmod(round(hours * 60), 60))
    gpu = f"#SBATCH --gpus-per-task={gpus}\n" if gpus else ""
    return f"""#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=1-{tasks}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cores}
{gpu}#SBATCH --time={time}
#SBATCH --output={name}-%A_%a.log

# Each task computes every {tasks}th shard. A task that dies leaves its shards missing:
# submit this script again, or run `neurojax sweep resume` on the folder.
{shlex.join(command)}
"""
