"""neurojax info: versions, devices, folders, readers."""

from __future__ import annotations

import os
from importlib import metadata, util

import jax
from rich.markup import escape
from rich.table import Table

import neurojax
from neurojax.cli import console
from neurojax.config import cache_dir, cores


def info() -> None:
    """Versions, devices, folders and what optional readers are installed."""
    rows: list[tuple[str, str]] = [("neurojax", neurojax.__version__)]
    for package in ("jax", "jaxlib", "numpy", "optax", "h5py", "matplotlib"):
        try:
            rows.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            rows.append((package, "not installed"))
    devices = jax.devices()
    rows.append(("devices", ", ".join(f"{d.platform} {d.device_kind} {d.id}" for d in devices)))
    rows.append(("cores", f"{cores()} of {os.cpu_count()}"))
    rows.append(("precision", "float64" if jax.config.jax_enable_x64 else "float32"))  # type: ignore
    try:
        rows.append(("cache", str(cache_dir())))
    except FileNotFoundError as error:
        rows.append(("cache", f"none: {error}"))
    rows.append(("XLA_FLAGS", os.environ.get("XLA_FLAGS", "none")))
    readers = {
        "pynwb": ("NWB", "io"),
        "igor2": ("Igor waves", "io"),
        "myokit": ("HEKA, WinWCP", "io-more"),
        "neo": ("AxoGraph, Spike2", "io-more"),
        "morphio": ("Neurolucida", "morphology"),
        "lark": ("NMODL", "nmodl"),
    }
    for package, (what, extra) in readers.items():
        has = util.find_spec(package) is not None
        missing = f"no: pip install neurojax[{extra}]"
        rows.append((f"{what} ({package})", "installed" if has else missing))
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in rows:
        table.add_row(f"[bold]{key}[/]", escape(value))
    console.out.print(table)
