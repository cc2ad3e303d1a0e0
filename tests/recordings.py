"""Finds the recordings that tests use; they are not part of the project."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def recording(name: str) -> Path:
    """A file of the recordings' folder, such as `raw/File_axon_5.abf`; skips the test without it.

    The folder is `$NEUROJAX_RECORDINGS`, else `../shared/data` from the project's root.
    """
    folder = Path(os.environ.get("NEUROJAX_RECORDINGS") or ROOT.parent / "shared" / "data")
    path = folder / name
    if not path.exists():
        pytest.skip(f"no recording {path}; set NEUROJAX_RECORDINGS to their folder")
    return path


def case(name: str) -> Path:
    """A small input of the folder `cases`, beside that of the recordings; skips without it."""
    folder = Path(os.environ.get("NEUROJAX_RECORDINGS") or ROOT.parent / "shared" / "data")
    path = folder.parent / "cases" / name
    if not path.exists():
        pytest.skip(f"no case {path}")
    return path
