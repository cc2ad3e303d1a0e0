"""What every test shares: JAX set up as a user's would be, float32, no network."""

import gc
import os
import socket
from collections import Counter

# The drawing backend is chosen before anything can import matplotlib: tests have no screen.
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import jaxlib
import pytest
from jaxtyping import install_import_hook

# Rooms whose functions are called a few times a run: shapes and dtypes of what goes in and comes
# out are checked, where a function does not check them itself, as a `Trace` does. Subprocesses, and
# a user's programs, run without.
install_import_hook(
    [
        "neurojax.theory",
        "neurojax.recording.features",
        "neurojax.rig",
        "neurojax.run",
        "neurojax.loss",
        "neurojax.fit.candidates",
        "neurojax.fit.problem",
        "neurojax.fit.result",
        "neurojax.fit.uncertainty",
    ],
    "checked.checked",
)

import neurojax  # noqa: E402
from neurojax.config import cache_dir  # noqa: E402

# Two CPU devices on any machine, so that what is spread over devices is tested too. Compiled
# programs are kept from run to run, small ones too: apart from a user's, and for each jaxlib.
neurojax.configure(
    cpu_devices=2, compilation_cache=cache_dir() / f"tests-jaxlib-{jaxlib.__version__}"
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture
def x64():
    """float64 for one test; everything else runs in the float32 that users get."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that reaches out of the machine fails at once, not in a minute."""
    connect = socket.socket.connect

    def local_only(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            if host not in ("localhost", "::1") and not host.startswith("127."):
                raise OSError(f"tests have no network (connection to {host})")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


# -- where the time goes ---------------------------------------------------------------------------
CLOCK = pytest.StashKey[float]()


def cpu_s() -> float:
    """CPU seconds of this process and those it has waited for."""
    return sum(os.times()[:4])


def pytest_addoption(parser):
    parser.addoption("--cpu", action="store_true", help="tell the CPU seconds of each file")


def pytest_collection_finish(session):
    # What is there before the first test stays to the end: it need not be looked through again.
    gc.collect()
    gc.freeze()
    session.config.stash[CLOCK] = cpu_s()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.cpu_s = cpu_s() - item.config.stash[CLOCK]  # since the report before, on this worker
    item.config.stash[CLOCK] += report.cpu_s
    return report


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--cpu"):
        return
    files = Counter()
    for report in (r for reports in terminalreporter.stats.values() for r in reports):
        if hasattr(report, "cpu_s"):
            files[report.nodeid.split("::")[0]] += report.cpu_s
    terminalreporter.section(f"{files.total():.0f} CPU seconds")
    for name, seconds in files.most_common():
        if seconds >= 1:
            terminalreporter.write_line(f"{seconds:6.1f} {name}")
