"""configure: the process-wide switches of JAX, thrown only when a user asks."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
from jax._src.xla_bridge import backends_are_initialized  # there is no public way to ask

_EXTRA_OPTIONS = "--xla_backend_extra_options="
# Lets XLA compile the whole time loop to one kernel; jaxlib 0.12 does so by itself.
_HOIST = "xla_cpu_small_while_loop_byte_threshold=1000000000"
# Of few cells LLVM unrolls loops before it sees vectors in them: their exponentials were scalar.
_ROLLED = "xla_cpu_disable_loop_unrolling"
# XLA uses half of a 512-bit vector unit unless told: the loop is then nearly twice as slow.
_WIDE = "--xla_cpu_prefer_vector_width=512"


def cache_dir() -> Path:
    """Where recordings and programs are kept: $NEUROJAX_CACHE, or the platform's cache folder.

    Raises FileNotFoundError for a user without a home, as there are in containers.
    """
    try:
        if chosen := os.environ.get("NEUROJAX_CACHE"):
            return Path(chosen).expanduser()
        if sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        elif sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # pathlib's, where nobody knows the home
        raise FileNotFoundError(
            "this user has no home folder to keep files in; name a folder: NEUROJAX_CACHE=/a/folder"
        ) from None
    return base / "neurojax"


def _programs(chosen: bool | str | Path) -> Path | None:
    """Where compiled programs are kept; nowhere for a user without a home, who named no folder."""
    if chosen is not True:
        return Path(chosen) if chosen is not False else None
    try:
        return cache_dir() / "xla"
    except FileNotFoundError:
        return None


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_wide_vectors() -> bool:
    """Whether the processor has 512-bit vectors (AVX-512), as far as the system tells."""
    info = Path("/proc/cpuinfo")
    return info.exists() and " avx512f " in info.read_text(encoding="utf-8", errors="replace")


def configure(
    *,
    cpu_devices: int | None = None,
    x64: bool | None = None,
    hoist_loops: bool = True,
    wide_vectors: bool = True,
    compilation_cache: bool | str | Path = True,
) -> None:
    """Set JAX up for neurojax. Call it once, before anything is computed; importing never does.

    cpu_devices: how many CPU devices JAX shows (default: one per core, so that fits use all of
    them). x64: float64 by default. hoist_loops: the XLA flag that compiles a time loop to one
    kernel, wide_vectors: those that use whole vectors for few cells too, and all of the vectors of
    a processor with AVX-512; they are added to XLA_FLAGS. compilation_cache: keep compiled programs
    across runs, here or at a given path.

    Warns (RuntimeWarning) when JAX has started already, naming what could no longer be set.
    """
    late = []
    started = backends_are_initialized()
    wanted: list[tuple[str, str]] = []
    if hoist_loops and jax.__version_info__ < (0, 12):
        wanted.append(("hoist_loops", _HOIST))
    if wide_vectors:
        wanted += [("wide_vectors", _ROLLED)] + [("wide_vectors", _WIDE)] * has_wide_vectors()
    for asked, flag in wanted:
        flags = os.environ.get("XLA_FLAGS", "")
        if flag.split("=")[0] not in flags:
            if started:
                late.append(asked)
            else:
                os.environ["XLA_FLAGS"] = _with_flag(flags, flag)
    devices = cpu_devices if cpu_devices is not None else cores()
    if started:
        if jax.local_device_count("cpu") != devices:
            late.append("cpu_devices")
    else:
        jax.config.update("jax_num_cpu_devices", devices)
    if x64 is not None:
        jax.config.update("jax_enable_x64", x64)
    if (path := _programs(compilation_cache)) is not None:
        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    if late:
        warnings.warn(
            f"JAX has already started: {', '.join(dict.fromkeys(late))} had no effect. "
            "Call neurojax.configure() before the first computation.",
            RuntimeWarning,
            stacklevel=2,
        )


def _with_flag(flags: str, flag: str) -> str:
    """XLA_FLAGS with one more; of two flags for extra options XLA would hear only the last."""
    if flag.startswith("--"):
        return f"{flags} {flag}".strip()
    if _EXTRA_OPTIONS in flags:
        return flags.replace(_EXTRA_OPTIONS, f"{_EXTRA_OPTIONS}{flag},")
    return f"{flags} {_EXTRA_OPTIONS}{flag}".strip()


def float64(on: bool = True) -> AbstractContextManager[Any]:
    """JAX computes and traces in float64 inside the `with` block, or in float32."""
    return jax.enable_x64(on)
