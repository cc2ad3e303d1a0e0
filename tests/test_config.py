"""configure, in a process of its own each time: what it sets can be set only once."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from neurojax.config import _programs, cache_dir, cores, has_wide_vectors

pytestmark = pytest.mark.smoke


def run(program, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "NEUROJAX_CACHE")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=clean | environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_devices_precision_and_cache(tmp_path):
    program = f"""
import jax, jax.numpy as jnp, neurojax
neurojax.configure(cpu_devices=3, x64=True, compilation_cache={str(tmp_path / "xla")!r})
print(jax.local_device_count("cpu"), jnp.ones(1).dtype)
jax.jit(lambda x: jax.lax.scan(lambda c, _: (jnp.sin(c), None), x, None, length=50)[0])(1.0)
"""
    assert run(program) == "3 float64"


def test_defaults_use_every_core_and_single_precision(tmp_path):
    program = """
import jax, jax.numpy as jnp, neurojax
from neurojax.config import cache_dir
neurojax.configure()
print(jax.local_device_count("cpu"), jnp.ones(1).dtype, jax.config.jax_compilation_cache_dir)
"""
    expected = f"{cores()} float32 {tmp_path / 'xla'}"
    assert run(program, NEUROJAX_CACHE=str(tmp_path)) == expected


def test_flags_of_the_user_are_kept():
    program = """
import os, neurojax
neurojax.configure(compilation_cache=False)
neurojax.configure(compilation_cache=False)
print(os.environ["XLA_FLAGS"])
"""
    mine = "--xla_cpu_enable_fast_math=false"
    flags = run(program, XLA_FLAGS=mine).split()
    assert flags[0] == mine
    hoists = sum("small_while_loop_byte_threshold" in flag for flag in flags)
    assert hoists == (1 if jax.__version_info__ < (0, 12) else 0)
    assert sum("disable_loop_unrolling" in flag for flag in flags) == 1
    assert sum("xla_backend_extra_options" in flag for flag in flags) == 1
    assert sum("prefer_vector_width" in flag for flag in flags) == has_wide_vectors()


def test_a_vector_width_of_the_user_is_kept():
    program = """
import os, neurojax
neurojax.configure(compilation_cache=False)
print(os.environ["XLA_FLAGS"])
"""
    mine = "--xla_cpu_prefer_vector_width=128"
    flags = run(program, XLA_FLAGS=mine).split()
    assert [flag for flag in flags if "prefer_vector_width" in flag] == [mine]


def test_too_late_is_said():
    program = """
import warnings, jax.numpy as jnp, neurojax
jnp.ones(1).block_until_ready()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    neurojax.configure(cpu_devices=5, compilation_cache=False)
print(*[f"{w.category.__name__}: {w.message}" for w in caught])
"""
    said = run(program)
    assert said.startswith("RuntimeWarning: JAX has already started: ")
    assert "cpu_devices had no effect" in said
    assert ("hoist_loops" in said) == (jax.__version_info__ < (0, 12))
    assert said.count("wide_vectors") == 1


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"NEUROJAX_CACHE": "/a/b"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/neurojax"),
        ({"HOME": "/home/me"}, "/home/me/.cache/neurojax"),
    ],
)
def test_cache_folder(environment, folder, monkeypatch):
    for name in ("NEUROJAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "linux")
    assert str(cache_dir()) == folder


def test_a_user_without_a_home_has_no_cache_and_works_on(monkeypatch):
    """As in containers and on clusters, where a number is all there is of a user."""

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    for name in ("NEUROJAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(FileNotFoundError, match=r"no home folder.*NEUROJAX_CACHE="):
        cache_dir()
    assert _programs(True) is None and _programs("/a") == Path("/a")


def test_cache_folder_of_a_mac(monkeypatch):
    monkeypatch.delenv("NEUROJAX_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/Users/me")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert str(cache_dir()) == "/Users/me/Library/Caches/neurojax"
