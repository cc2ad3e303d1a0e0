"""Channels of stomatogastric neurons against the published equations, written anew."""

import jax.numpy as jnp
import numpy as np

from neurojax import channels
from neurojax.membrane.rest import steady_current
from neurojax.model import cells

V = np.linspace(-99.7, 59.8, 320)


def boltzmann(v, half, slope):
    return 1 / (1 + np.exp((v + half) / slope))


def published(v, ca_uM):
    """Steady states and time constants (ms) of Table 1 of Prinz, Billimoria & Marder 2003."""
    s, e = boltzmann, np.exp
    return {
        "Na": {
            "m": (s(v, 25.5, -5.29), 2.64 - 2.52 * s(v, 120, -25)),
            "h": (s(v, 48.9, 5.18), 1.34 * s(v, 62.9, -10) * (1.5 + s(v, 34.9, 3.6))),
        },
        "CaT": {
            "m": (s(v, 27.1, -7.2), 43.4 - 42.6 * s(v, 68.1, -20.5)),
            "h": (s(v, 32.1, 5.5), 210 - 179.6 * s(v, 55, -16.9)),
        },
        "CaS": {
            "m": (s(v, 33, -8.1), 2.8 + 14 / (e((v + 27) / 10) + e((v + 70) / -13))),
            "h": (s(v, 60, 6.2), 120 + 300 / (e((v + 55) / 9) + e((v + 65) / -16))),
        },
        "Ka": {
            "m": (s(v, 27.2, -8.7), 23.2 - 20.8 * s(v, 32.9, -15.2)),
            "h": (s(v, 56.9, 4.9), 77.2 - 58.4 * s(v, 38.9, -26.5)),
        },
        "Kca": {
            "m": (
                ca_uM / (ca_uM + 3) * s(v, 28.3, -12.6),
                180.6 - 150.2 * s(v, 46, -22.7),
            )
        },
        "Kd": {"m": (s(v, 12.3, -11.8), 14.4 - 12.8 * s(v, 28.3, -19.2))},
        "H": {"m": (s(v, 75, 5.5), 2 / (e((v + 169.7) / -11.6) + e((v - 26.7) / 14.3)))},
    }


def test_gates_are_the_papers(x64):
    for name, gates in published(V, 2.0).items():
        cls = getattr(channels, f"Stomatogastric{name}")
        seen = {"ca_i": 2e-3} if cls.reads else {}
        kinetics = cls().kinetics(jnp.asarray(V), None, **seen)
        assert kinetics.keys() == gates.keys()
        for gate, (inf, tau) in gates.items():
            np.testing.assert_allclose(kinetics[gate].inf, inf, rtol=1e-9)
            np.testing.assert_allclose(1 / kinetics[gate].rate, tau, rtol=1e-9)


def test_currents_and_calcium_are_the_papers(x64):
    """All currents of the pacemaker, and what 1 nA of calcium makes of its calcium."""
    cell = cells.stomatogastric_pacemaker()
    inf = {k: {g: x for g, (x, _) in gates.items()} for k, gates in published(-40.0, 0.05).items()}
    E_Ca = 8.314462618 * 284.15 / (2 * 96485.33212) * 1e3 * np.log(3 / 0.05e-3)
    i_Ca = sum(
        g * inf[k]["m"] ** 3 * inf[k]["h"] * (-40 - E_Ca) for k, g in (("CaT", 2.5), ("CaS", 6.0))
    )
    others = (
        400 * inf["Na"]["m"] ** 3 * inf["Na"]["h"] * (-40 - 50)
        + 50 * inf["Ka"]["m"] ** 3 * inf["Ka"]["h"] * 40
        + (10 * inf["Kca"]["m"] ** 4 + 100 * inf["Kd"]["m"] ** 4) * 40
        + 0.01 * inf["H"]["m"] * -20
    )
    np.testing.assert_allclose(steady_current(cell, jnp.asarray(-40.0)), others + i_Ca, rtol=1e-6)
    ca = cell.ions["ca"]
    of_1_nA = -1.0 / (1e3 * 0.628e-3)  # uA/cm2 that flow into the cell
    found = ca.changes("ca", {"ca_i": jnp.asarray(0.05e-3)}, {"ca": jnp.asarray(of_1_nA)}, 1e-3)
    np.testing.assert_allclose(found["ca_i"], 1e-3 * 14.96e-3 / 200, rtol=1e-5)
