"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write a file in one step: readers see the old one or the new, never a half.

    Raises OSError that names the file and the reason (no such folder, no permission, disk full); an
    older file is then unchanged.
    """
    path = Path(path).expanduser()
    raw = content.encode() if isinstance(content, str) else content
    part = None
    try:
        handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~mask)
        os.replace(part, path)
    except BaseException as error:  # Ctrl-C too must not leave the part behind
        if part is not None:
            Path(part).unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise OSError(error.errno, f"was not written: {reason}", str(path)) from error
        raise
    return path
