"""Recordings that a command line names: files, folders, patterns; each once, in order."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from neurojax.io.formats import BY_SUFFIX

IGOR = (".ibw", ".bwav")


def recordings(names: Iterable[str]) -> list[str]:
    """The recordings that names stand for. Of a folder all that it holds, its Igor waves as one.

    Raises ValueError for a folder or a pattern in which there is none; a file that does not exist
    is for its reader to tell.
    """
    found: list[str] = []
    for name in names:
        path = Path(name).expanduser()
        if path.is_dir():
            found += _in_folder(path)
        elif glob.has_magic(name) and not path.exists():
            found += _matching(str(path))
        else:
            found.append(str(path))
    return list(dict.fromkeys(found))


def _in_folder(folder: Path) -> list[str]:
    inside = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in BY_SUFFIX)
    found = [str(p) for p in inside if p.suffix.lower() not in IGOR]
    if len(found) < len(inside):
        found.append(str(folder))
    if not found:
        raise ValueError(f"{folder}: no recording (read are: {', '.join(sorted(BY_SUFFIX))})")
    return found


def _matching(pattern: str) -> list[str]:
    found = sorted(glob.glob(pattern, recursive=True))
    files = [p for p in found if Path(p).suffix.lower() in BY_SUFFIX]
    if not files:
        raise ValueError(f"{pattern}: matches no recording")
    if all(p.lower().endswith(IGOR) for p in files):
        return [pattern]  # pairs of waves are one recording
    return files
