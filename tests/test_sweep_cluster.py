"""Sweeps as tasks of others: each computes its part, and together they are the whole."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sweeps import check_same, results
from test_sweep_document import FILE

from neurojax.sweep import cluster, document, run

slow = pytest.mark.slow  # processes that each load JAX; parts of one process are in test_sweep


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE.replace("points = 5", "points = 25"))
    return path


@pytest.fixture
def whole(file, tmp_path):
    asked = document.read_sweep(file, tmp_path / "whole")
    run(asked.sweep, asked.output, **asked.store)
    return results(asked.output)


def test_tasks_together_are_the_whole(file, tmp_path, whole, monkeypatch):
    monkeypatch.setattr(cluster, "configure", lambda **_: None)  # these tests have done so
    where, to, parts = cluster._parts(file, tmp_path / "parts", 2)
    for part in reversed(parts):
        done = cluster.work(where, to, tuple(part))
    assert done.missing == 0
    check_same(tmp_path / "parts", whole)
    with pytest.raises(ValueError, match=r'pip install "neurojax\[cluster\]"'):
        cluster._needed("no_such_scheduler")
    with pytest.raises(ValueError, match="expected"):
        cluster._parts(file, tmp_path / "none", 0)


def test_each_job_of_an_array_gets_its_part(file, tmp_path, monkeypatch):
    asked = {}

    class Executor:
        def __init__(self, **how):
            asked.update(how)

        def update_parameters(self, **slurm):
            asked.update(slurm)

        def map_array(self, work, *columns):
            return [(work, *row) for row in zip(*columns, strict=True)]

    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(AutoExecutor=Executor))
    where, to = str(file), tmp_path / "s"
    jobs = cluster.submit(where, to, tasks=2, logs="here", timeout_min=5)
    assert jobs == [(cluster.work, where, str(to), (k, 2)) for k in (1, 2)]
    assert asked == {"folder": "here", "cluster": None, "timeout_min": 5}


@slow
def test_submitit_runs_a_sweep(file, tmp_path, whole, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), *sys.path]))
    jobs = cluster.submit(
        file, tmp_path / "s", tasks=2, logs=tmp_path / "logs", cluster="local", timeout_min=5
    )
    assert sum(job.result().computed for job in jobs) == 3
    check_same(tmp_path / "s", whole)


RAY = """
import sys
import ray
ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
from neurojax.sweep import cluster
print(sum(one.computed for one in cluster.on_ray(*sys.argv[1:], tasks=2)))
"""


@slow
def test_ray_runs_a_sweep(file, tmp_path, whole):
    pytest.importorskip("ray")
    done = subprocess.run(  # Ray forks, which a process in which JAX has computed may not
        [sys.executable, "-c", RAY, str(file), str(tmp_path / "s")],
        capture_output=True,
        text=True,
        env=os.environ | {"RAY_AUTH_MODE": "disabled"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "3"
    check_same(tmp_path / "s", whole)


# -- the README's commands -------------------------------------------------------------------------
SBATCH = """#!/bin/sh
n=$(sed -n 's/^#SBATCH --array=1-//p' "$1")
for i in $(seq "$n"); do
  SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=$n SLURM_ARRAY_TASK_MIN=1 sh "$1" || exit 1
done
"""


@pytest.fixture
def printed(tmp_path):
    """The README's sweep, smaller, in a folder; a shell that has its commands, and those lines."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    of_sweeps = text[text.index("## Sweep parameters") :]
    document_text = re.search(r"```toml\n(.*?)```", of_sweeps, re.DOTALL)[1]
    for size in ("points = 100", "points = 61", "points = 256"):
        assert size in document_text
        document_text = document_text.replace(size, "points = 8" if "256" in size else "points = 3")
    (tmp_path / "map.toml").write_text(document_text)
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, script in (
        ("sbatch", SBATCH),
        ("neurojax", f'#!/bin/sh\nexec {sys.executable} -m neurojax "$@"\n'),
        ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n'),
    ):
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    paths = os.pathsep.join([str(Path.cwd()), *sys.path])
    environment = os.environ | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": paths,
        "RAY_AUTH_MODE": "disabled",
    }

    def shell(begins: str) -> str:
        (line,) = (x for x in of_sweeps.splitlines() if x.startswith(begins))
        assert "50" in line
        few = line.replace("tasks 50", "tasks 3").replace("tasks=50", "tasks=3")
        done = subprocess.run(
            few, shell=True, cwd=tmp_path, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    asked = document.read_sweep(tmp_path / "map.toml", tmp_path / "whole")
    run(asked.sweep, asked.output, **asked.store)
    return shell, tmp_path / "rs-map", results(asked.output)


@slow
def test_the_readme_s_array_of_slurm(printed):
    shell, folder, expected = printed
    told = shell("neurojax sweep script")
    assert all(f"part {k}/3, as SLURM array says" in told for k in (1, 2, 3))
    check_same(folder, expected)


@slow
def test_the_readme_s_run_of_ray(printed):
    pytest.importorskip("ray")
    shell, folder, expected = printed
    shell("python -c")
    check_same(folder, expected)
