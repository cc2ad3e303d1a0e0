"""Our own C, compiled on the spot: the ceiling of this machine for this step."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import worker

FLAGS = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC"]


def population(job: worker.Job, *options: str) -> worker.Run:
    """The compiled loop on arrays of numpy."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "hh.so"
        source = Path(__file__).with_name("hh.c")
        command = ["gcc", *FLAGS, *options, source, "-o", library, "-lmvec", "-lm"]
        subprocess.run(command, check=True)
        function = ctypes.CDLL(str(library)).population
    pointer = np.ctypeslib.ndpointer(np.float32, flags="C")
    function.argtypes = [*[ctypes.c_int] * 3, *[ctypes.c_float] * 3, pointer, pointer]
    total, every = worker.steps(job)
    g_na = worker.g_na(job).astype(np.float32)
    v = np.empty((total // every, job["n"]), np.float32)

    def run():
        function(job["n"], len(v), every, job["dt"], worker.CURRENT, worker.V_START, g_na, v)
        return v

    return run


def variants(job: worker.Job) -> worker.Variants:
    inline = ["-DINLINE_EXP"]
    ways = {"libmvec": [], "inline exp": inline, "fewer exp": [*inline, "-DFEW_EXP"]}
    return {
        f"{way}, {bits} bits": partial(population, job, *options, f"-mprefer-vector-width={bits}")
        for way, options in ways.items()
        for bits in (256, 512)
    }


if __name__ == "__main__":
    worker.serve(variants)
