"""What befalls sweeps in earnest: processes that are killed, machines that are lost, full disks.

Each goes on with the same numbers, and computes nothing again that was finished. What these tests
show with processes of their own, `test_sweep` shows within one.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from sweeps import UNIT, check_same, command, kill, process, results, squid
from test_sweep_document import FILE

from neurojax import sweep
from neurojax.sweep import document
from neurojax.sweep.storage import Folder

pytestmark = pytest.mark.slow  # processes that each load JAX


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of the sweep in one go."""
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    sweep.run(squid(), folder, shard=320, unit=UNIT)
    return results(folder)


def until(there, *workers, seconds=120):
    """Wait for something, as long as these processes live."""
    end = time.monotonic() + seconds
    while not there():
        assert all(worker.poll() is None for worker in workers) and time.monotonic() < end
        time.sleep(0.02)


def told(worker) -> tuple[int, ...]:
    """How many shards a process computed, found, and left to others."""
    out = worker.communicate(timeout=120)[0]
    assert worker.returncode == 0, out
    return tuple(int(word) for word in out.split())


def test_two_processes_at_once_of_which_one_is_killed(whole, tmp_path):
    room = Folder(tmp_path / "s")
    first, second = (process(room.path, (k, 2), pause=1.0) for k in (1, 2))
    until(lambda: room.shard(1).exists(), second)
    kill(second)
    computed, found, missing = told(first)
    assert (computed, found) == (3, 0) and missing == 1
    assert told(process(room.path, (2, 2))) == (1, 1, 0)
    check_same(room.path, whole)


def test_two_processes_at_once(whole, tmp_path):
    room = Folder(tmp_path / "s")
    both = [process(room.path, (k, 2), devices=k) for k in (1, 2)]
    assert [told(worker)[:2] for worker in both] == [(3, 0), (2, 0)]
    check_same(room.path, whole)


@pytest.fixture
def file(tmp_path):
    """A sweep file of some hundred shards."""
    path = tmp_path / "mine.toml"
    path.write_text(FILE.replace("points = 5", "points = 2000"))
    return path


def neurojax(*arguments, **how):
    asked = [sys.executable, "-m", "neurojax", *map(str, arguments)]
    return subprocess.Popen(asked, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how)


def test_control_c_at_the_terminal(file, tmp_path):
    one = document.read_sweep(file, tmp_path / "one")
    sweep.run(one.sweep, one.output, **one.store)
    room = Folder(tmp_path / "out")
    worker = neurojax("sweep", "run", file)
    until(lambda: room.shard(3).exists(), worker)
    worker.send_signal(signal.SIGINT)
    message = worker.communicate(timeout=60)[1]
    assert worker.returncode == 130 and f"neurojax sweep resume {room.path}" in message
    done = room.whole(room.read())
    assert 4 <= len(done) < 188 and len(done) == len(room.there(room.read()))
    assert not list((room.path / "shards").glob(".*"))
    again = neurojax("sweep", "resume", room.path)
    out = again.communicate(timeout=120)[0]
    assert f"{188 - len(done)} shards computed, {len(done)} were there" in out
    check_same(room.path, results(one.output))


DISK = """
mount -t tmpfs -o size=60k none {disk} || exit 77
{run}; test $? -eq 1 || exit 1
ls -A {disk}/s/shards > {out}/left
mount -o remount,size=16m {disk}
{run} > {out}/told && cp -r {disk}/s {out}/s
"""


def test_a_disk_that_is_full(whole, tmp_path):
    """A small file system in memory, which is made larger afterwards."""
    if not shutil.which("unshare"):
        pytest.skip("no unshare, by which a test may have a file system of its own")
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    out.mkdir()
    script = DISK.format(disk=disk, out=out, run=shlex.join(command(disk / "s")))
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
    )
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip("this system lets no user mount a file system")
    assert done.returncode == 0, done.stderr
    assert "was not written: No space left on device" in done.stderr
    left = (out / "left").read_text().split()
    shards = [name for name in left if name.endswith(".h5")]
    assert 1 <= len(shards) < 5 and not [name for name in left if name[0] == "."]
    computed, found, missing = map(int, (out / "told").read_text().split())
    assert (computed, found, missing) == (5 - len(shards), len(shards), 0)
    check_same(out / "s", whole)


RAY = """
import os, signal, sys, threading, time
from pathlib import Path
import ray
from neurojax.sweep import cluster
from neurojax.sweep.storage import Folder

file, output, mark, how = sys.argv[1:]
mark = Path(mark)

def work(*asked):
    # The first that has written a shard: it is killed, or waits until its node or driver is.
    write = Folder.write
    def written(room, number, content):
        write(room, number, content)
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return
        mark.write_text(ray.get_runtime_context().get_node_id())
        if how == "worker":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)
    Folder.write = written
    return own(*asked)

own, cluster.work = cluster.work, work
if how == "node":
    from ray.cluster_utils import Cluster
    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = {node.node_id: node for node in (machines.add_node(num_cpus=1) for _ in range(2))}
    ray.init(address=machines.address, log_to_driver=False)
    def lose():
        while not (mark.exists() and mark.read_text()):
            time.sleep(0.05)
        machines.remove_node(nodes[mark.read_text()], allow_graceful=False)
    threading.Thread(target=lose, daemon=True).start()
else:
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
done = cluster.on_ray(file, output, tasks=2)
print("shards:", sum(one.computed for one in done), sum(one.found for one in done))
if how == "node":
    ray.shutdown()
    machines.shutdown()
"""


def ray(*arguments):
    pytest.importorskip("ray")
    return subprocess.Popen(  # Ray forks, which a process in which JAX has computed may not
        [sys.executable, "-c", RAY, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"RAY_AUTH_MODE": "disabled"},
    )


def shards(driver) -> tuple[int, int]:
    """How many were computed and found, as a driver of Ray tells."""
    out = driver.communicate(timeout=240)[0]
    assert driver.returncode == 0, out
    (line,) = (line for line in out.splitlines() if line.startswith("shards:"))
    _, computed, found = line.split()
    return int(computed), int(found)


@pytest.fixture
def of_three(tmp_path):
    """A sweep file of three shards, and its results in one go."""
    path = tmp_path / "three.toml"
    path.write_text(FILE.replace("points = 5", "points = 25"))
    asked = document.read_sweep(path, tmp_path / "one")
    sweep.run(asked.sweep, asked.output, **asked.store)
    return path, results(asked.output)


@pytest.mark.parametrize("lost", ["worker", "node"])
def test_ray_goes_on_without_a_worker_or_a_node(of_three, tmp_path, lost):
    path, whole = of_three
    driver = ray(path, tmp_path / "s", tmp_path / "mark", lost)
    computed, found = shards(driver)
    assert (computed, found) == (2, 1)  # of three, one was written before
    check_same(tmp_path / "s", whole)


def test_ray_s_driver_is_killed(of_three, tmp_path):
    path, whole = of_three
    mark = tmp_path / "mark"
    driver = ray(path, tmp_path / "s", mark, "driver")
    room = Folder(tmp_path / "s")
    until(lambda: mark.exists() and mark.read_text(), driver)
    kill(driver)
    there = len(room.there(room.read()))
    assert 1 <= there < 3
    driver = ray(path, tmp_path / "s", mark, "again")
    computed, found = shards(driver)
    assert computed + found >= 3 and found >= there
    check_same(tmp_path / "s", whole)


def test_shards_of_a_thousand_and_of_a_hundred_thousand_cells(tmp_path):
    """The large ones on two devices, the small ones on one."""
    many = sweep.Sweep(
        squid().cell,
        squid().protocols,
        axes={"step.amplitude": np.linspace(0.0, 250.0, 250)},
        samples=sweep.as_table({"k.g_bar": np.linspace(20.0, 50.0, 480)}),
    )
    large = sweep.run(many, tmp_path / "large", shard=100_000, unit=512)
    with jax.default_device(jax.local_devices()[0]):
        small = sweep.run(many, tmp_path / "small", shard=1_000, unit=512)
    assert (large.computed, small.computed) == (2, 118)
    check_same(tmp_path / "small", results(tmp_path / "large"))
