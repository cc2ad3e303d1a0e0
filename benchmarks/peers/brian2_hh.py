"""Brian 2: C++ standalone with OpenMP; the compiled program is run again for every round."""

from __future__ import annotations

import resource
import tempfile

import brian2 as b
import numpy as np
import worker

EQUATIONS = """
dv/dt = (CURRENT - i_na - i_k - G_LEAK * (v - E_LEAK)) / ms : 1
i_na = g_na * m**3 * h * (v - E_NA) : 1
i_k = G_K * n**4 * (v - E_K) : 1
dm/dt = (alpha_m * (1 - m) - beta_m * m) / ms : 1
dh/dt = (alpha_h * (1 - h) - beta_h * h) / ms : 1
dn/dt = (alpha_n * (1 - n) - beta_n * n) / ms : 1
alpha_m = 1 / exprel(-(v + 40) / 10) : 1
beta_m = 4 * exp(-(v + 65) / 18) : 1
alpha_h = 0.07 * exp(-(v + 65) / 20) : 1
beta_h = 1 / (1 + exp(-(v + 35) / 10)) : 1
alpha_n = 0.1 / exprel(-(v + 55) / 10) : 1
beta_n = 0.125 * exp(-(v + 65) / 80) : 1
g_na : 1 (constant)
"""


def population(job: worker.Job) -> worker.Run:
    """A program that is built once, in a folder of its own."""
    folder = tempfile.TemporaryDirectory()
    b.prefs.core.default_float_dtype = np.dtype(job["dtype"]).type
    b.prefs.devices.cpp_standalone.openmp_threads = worker.cores()
    b.device.reinit()
    b.set_device("cpp_standalone", directory=folder.name, build_on_run=False)
    b.defaultclock.dt = job["dt"] * b.ms
    constants = {
        k: getattr(worker, k) for k in ("CURRENT", "G_K", "G_LEAK", "E_NA", "E_K", "E_LEAK")
    }
    cells = b.NeuronGroup(
        job["n"], EQUATIONS, method="exponential_euler",
        namespace={"ms": b.ms, **constants},
    )  # fmt: skip
    cells.g_na, cells.v = worker.g_na(job), worker.V_START
    for gate in "mhn":
        setattr(cells, gate, f"alpha_{gate} / (alpha_{gate} + beta_{gate})")
    monitor = b.StateMonitor(cells, "v", record=True, dt=job["record_ms"] * b.ms)
    network = b.Network(cells, monitor)
    network.run((job["ms"] + job["dt"]) * b.ms)  # it records the start of a step
    b.device.build(directory=folder.name, run=False)

    class Program:
        """Writes its records to a file; its own clock leaves that out."""

        def __call__(self):
            b.device.run(folder.name, with_output=False, run_args=[])
            self.seconds = b.device._last_run_time
            self.peak_MB = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            return lambda: monitor.v[:, 1:].T

    return Program()


def variants(job: worker.Job) -> worker.Variants:
    return {"exponential_euler": lambda: population(job)}


if __name__ == "__main__":
    worker.serve(variants, "brian2")
