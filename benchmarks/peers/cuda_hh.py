"""Our own CUDA, compiled on the spot: the ceiling of this GPU for this step."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import worker

SOURCE = Path(__file__).with_name("hh.cu")
NVCC = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
HOPPER = ["-gencode", "arch=compute_90a,code=sm_90a", "-cubin"]
BLOCKS, RUNS = (64, 128, 256), 5  # as in hh.cu
WAYS = {
    "accurate": [],
    "fast math": ["-use_fast_math"],
}


def told(command: list[Any]) -> subprocess.CompletedProcess[str]:
    """What a command prints; its own last words are this program's where it breaks."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit((done.stderr.strip().splitlines() or [f"{command[0]} broke"])[-1])
    return done


def built(job: worker.Job, flags: list[str]) -> tuple[Path, dict[str, Any]]:
    """The program in the job's folder, compiled if it is not there, and what the compiler says.

    Without a GPU it is compiled for one all the same, and what runs is the same source for the CPU.
    """
    folder = Path(job["folder"])
    program = folder / "_".join(["hh", *(flag.lstrip("-") for flag in flags)])
    defines = [f"-DDT={job['dt']}", f"-DEVERY={worker.steps(job)[1]}"]
    log = program.with_suffix(".log")
    if not log.exists():
        target = HOPPER if job["on"] == "cpu" else ["-arch=native"]
        output = program.with_suffix(".cubin") if job["on"] == "cpu" else program
        options = ["-O3", *target, "-Xptxas", "-v", *defines, *flags]
        found = told([NVCC, *options, SOURCE, "-o", output]).stderr
        if job["on"] == "cpu":
            own = [flag for flag in flags if flag.startswith("-D")]
            told(["g++", "-O2", "-x", "c++", *defines, *own, SOURCE, "-o", program, "-lm"])
        log.write_text(found)
    found = log.read_text().split("'population'")[-1]
    numbers = {
        "registers": r"Used (\d+) registers",
        "spilled_bytes": r"(\d+) bytes spill stores",
    }
    return program, {k: int(re.search(x, found)[1]) for k, x in numbers.items()}  # type: ignore[index]


def cells(job: worker.Job) -> tuple[np.ndarray, np.ndarray]:
    """A sodium conductance for each cell, and the current, sample by sample."""
    total, every = worker.steps(job)
    current = np.full(total // every * every, worker.CURRENT, np.float32)
    return worker.g_na(job).astype(np.float32), current


def by_nvcc(job: worker.Job, flags: list[str]) -> worker.Run:
    """A program of its own, which uses the GPU's clock."""
    program, compiled = built(job, flags)
    total, every = worker.steps(job)
    given, result = (Path(job["folder"]) / f"{x}.bin" for x in ("cells", "v"))
    np.concatenate(cells(job)).tofile(given)
    numbers = [job["n"], total // every, worker.stride(job), worker.V_START]
    nvcc = re.search(r"release ([\d.]+)", told([NVCC, "--version"]).stdout)

    def run():
        answer = json.loads(told([program, *map(str, numbers), given, result]).stdout)
        run.seconds = answer.pop("seconds")
        run.also = answer | compiled | {"nvcc": nvcc[1] if nvcc else "?"}
        return lambda: np.fromfile(result, np.float32).reshape(total // every, -1)

    return run


def by_cupy(job: worker.Job, flags: list[str]) -> worker.Run:
    """The same kernel, compiled by NVRTC."""
    import cupy

    total, every = worker.steps(job)
    records, n = total // every, job["n"]
    options = [f"-DDT={job['dt']}", f"-DEVERY={every}", *flags, "-std=c++14"]
    options = tuple(x.replace("-use_fast_math", "--use_fast_math") for x in options)
    kernel = cupy.RawModule(code=SOURCE.read_text(), options=options).get_function("population")
    g_na, current = (cupy.asarray(x) for x in cells(job))
    v = cupy.empty((records, n), np.float32)
    numbers = np.int32(n), np.int32(records), np.float32(worker.V_START)

    def launched(block: int) -> float:
        began, ended = cupy.cuda.Event(), cupy.cuda.Event()
        began.record()
        kernel((-(-n // block),), (block,), (*numbers, g_na, current, v))
        ended.record()
        ended.synchronize()
        return 1e-3 * cupy.cuda.get_elapsed_time(began, ended)

    def run():
        seconds = {}
        for block in BLOCKS:
            launched(block)
            seconds[block] = statistics.median(launched(block) for _ in range(RUNS))
        best = min(seconds, key=lambda block: seconds[block])
        megabytes = (v.nbytes + g_na.nbytes + current.nbytes) / 2**20
        run.seconds = seconds[best]
        run.also = {"block": best, "device_MB": megabytes, "cupy": cupy.__version__}
        return lambda: cupy.asnumpy(v[:, :: worker.stride(job)])

    return run


def variants(job: worker.Job) -> worker.Variants:
    if NVCC:
        way = by_nvcc
    elif job["on"] == "gpu" and importlib.util.find_spec("cupy"):
        way = by_cupy
    else:
        sys.exit("neither nvcc nor cupy is here")
    return {name: partial(way, job, flags) for name, flags in WAYS.items()}


if __name__ == "__main__":
    worker.serve(variants)
