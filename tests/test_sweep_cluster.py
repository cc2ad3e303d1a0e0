"""Sweeps as tasks of others: each computes its part, and together they are the whole."""

import os
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
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
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
