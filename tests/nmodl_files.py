"""NMODL texts that tests use, written for them, and where published files are."""

import os
from pathlib import Path

import pytest

DELAYED = """
TITLE delayed rectifier of the tests
NEURON {
    SUFFIX kd
    USEION k READ ek WRITE ik
    RANGE gbar, g
    GLOBAL ninf, ntau
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gbar = 0.036 (S/cm2) <0, 1> : maximal conductance
    vh = -55 (mV)
    q10 = 3
}
ASSIGNED { v (mV) ek (mV) ik (mA/cm2) g (S/cm2) celsius (degC) ninf ntau (ms) tadj }
STATE { n FROM 0 TO 1 }
BREAKPOINT {
    SOLVE states METHOD cnexp
    g = gbar * n^4
    ik = g * (v - ek)
}
INITIAL { tadj = q10^((celsius - 6.3)/10 (degC)) rates(v) n = ninf }
DERIVATIVE states { rates(v) n' = (ninf - n)/ntau }
PROCEDURE rates(u (mV)) {
    LOCAL a, b
    TABLE ninf, ntau DEPEND celsius FROM -100 TO 100 WITH 200
UNITSOFF
    if (u == vh) { u = u + 0.0001 }
    a = 0.01 * vtrap(vh - u, 10)
    b = 0.125 * exp(-(u + 65)/80)
    ninf = a/(a + b)
    ntau = 1/(a + b)/tadj
UNITSON
}
FUNCTION vtrap(x, y) {
    if (fabs(x/y) < 1e-6) { vtrap = y*(1 - x/y/2) } else { vtrap = x/(exp(x/y) - 1) }
}
"""
"""The squid's potassium channel, in the manner of many files."""

STEPPED = """
NEURON { SUFFIX old USEION na READ ena WRITE ina RANGE gbar }
PARAMETER { gbar = 10 (pS/um2) dt (ms) v (mV) }
ASSIGNED { ina (mA/cm2) ena (mV) inf[2] fac[2] tau[2] }
STATE { m h }
INITIAL { m = 0 h = 1 states() }
BREAKPOINT { SOLVE states ina = (1e-4)*gbar*m*m*m*h*(v - ena) }
PROCEDURE states() {
    mh(v)
    m = m + fac[0]*(inf[0] - m)
    h = h + fac[1]*(inf[1] - h)
    VERBATIM
    return 0;
    ENDVERBATIM
}
PROCEDURE mh(v) {
    FROM i = 0 TO 1 {
        tau[i] = time(v, i)
        inf[i] = 1/(1 + exp((v + 40 + 20*i)/(-5 + 12*i)))
        fac[i] = 1 - exp(-dt/tau[i])
    }
}
FUNCTION time(v, i) { if (i == 0) { time = 0.1 } else { time = 1 + 2*exp(-(v/30)^2) } }
"""
"""Hand-written steps, arrays and a loop, as old files have them."""

SCHEME = """
NEURON { SUFFIX kin USEION k READ ek WRITE ik RANGE gbar }
PARAMETER { gbar = 0.01 (S/cm2) }
ASSIGNED { v (mV) ek (mV) ik (mA/cm2) a b }
STATE { c o i }
BREAKPOINT { SOLVE kin METHOD sparse ik = gbar*o*(v - ek) }
INITIAL { SOLVE kin STEADYSTATE sparse }
KINETIC kin {
    rates(v)
    ~ c <-> o (a, b)
    ~ o <-> i (0.2, 0.05*b)
    CONSERVE c + o + i = 1
}
PROCEDURE rates(v) { a = exp(v/25) b = exp(-v/20) }
"""
"""A Markov scheme of three states."""

COUPLED = """
NEURON { SUFFIX nl NONSPECIFIC_CURRENT i RANGE g, e }
PARAMETER { g = 0.001 (S/cm2) e = -20 (mV) k = 0.5 (/ms) }
ASSIGNED { v (mV) i (mA/cm2) }
STATE { x y }
BREAKPOINT { SOLVE states METHOD derivimplicit i = g*x*y*(v - e) }
INITIAL { x = 0.2 y = 0.1 }
DERIVATIVE states {
    x' = k*(1/(1 + exp(-(v + 30)/8)) - x) - 0.3*x*y
    y' = x*x - y/5
}
"""
"""Two states that act on each other, not linearly."""

POOL = """
NEURON { SUFFIX cad USEION ca READ ica, cai WRITE cai RANGE depth, decay, rest }
UNITS { FARADAY = (faraday) (coulomb) }
PARAMETER { depth = 0.1 (um) decay = 80 (ms) rest = 1e-4 (mM) }
ASSIGNED { ica (mA/cm2) }
STATE { cai (mM) }
INITIAL { cai = rest }
BREAKPOINT { SOLVE states METHOD cnexp }
DERIVATIVE states { cai' = -(10000)*ica/(2*FARADAY*depth) - (cai - rest)/decay }
"""
"""A pool of calcium that fills and decays."""


DIMER = """
NEURON { SUFFIX dim NONSPECIFIC_CURRENT i }
PARAMETER { g = 0.001 (S/cm2) }
ASSIGNED { v (mV) i (mA/cm2) }
STATE { m d }
BREAKPOINT { SOLVE kin METHOD sparse i = g*d*v }
INITIAL { m = 1 d = 0 }
KINETIC kin {
    ~ 2 m <-> d (0.5, 0.2)
}
"""
"""Two molecules that become one."""

SYNAPSE = """
NEURON { POINT_PROCESS syn RANGE tau1, tau2, e, i NONSPECIFIC_CURRENT i }
PARAMETER { tau1 = 0.5 (ms) tau2 = 5 (ms) e = -5 (mV) }
ASSIGNED { v (mV) i (nA) g (uS) factor }
STATE { A (uS) B (uS) }
INITIAL {
    LOCAL tp
    A = 0 B = 0
    tp = (tau1*tau2)/(tau2 - tau1)*log(tau2/tau1)
    factor = 1/(-exp(-tp/tau1) + exp(-tp/tau2))
}
BREAKPOINT { SOLVE state METHOD cnexp g = B - A i = g*(v - e) }
DERIVATIVE state { A' = -A/tau1 B' = -B/tau2 }
NET_RECEIVE(weight (uS)) { A = A + weight*factor B = B + weight*factor }
"""
"""A synapse of two exponentials."""


def published(name: str) -> Path:
    """A published .mod file; skips the test without it.

    `$NEUROJAX_NMODL` is a folder with, somewhere in it, the files of the source distribution of
    bluepyopt (examples/l5pc/mechanisms) and of NEURON (hh.mod, passive.mod).
    """
    folder = os.environ.get("NEUROJAX_NMODL")
    found = sorted(Path(folder).rglob(name)) if folder else []
    if not found:
        pytest.skip(f"no {name}; set NEUROJAX_NMODL to a folder with published .mod files")
    return found[0]
