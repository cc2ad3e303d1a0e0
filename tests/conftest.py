"""What every test shares: JAX set up as a user's would be, float32, no network."""

import os
import socket

# The drawing backend is chosen before anything can import matplotlib: tests have no screen.
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import jaxlib
import pytest

import neurojax
from neurojax.config import cache_dir

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
