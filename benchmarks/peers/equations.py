"""The models as published, for peers that do not bring them: text that Python and NMODL both read.

Written from the papers, apart from neurojax's own channels: a peer with these equations that comes
to the same spike times says that both are right. Units are mV, ms, mS/cm2, uA/cm2 and mM; the
capacitance is 1 uF/cm2. Beside `exp` and `log` the text may use `exp_linear(x)`, which is
x / (1 - exp(-x)), and `smaller(a, b)`.

Sources: Hodgkin & Huxley 1952; Pospischil et al. 2008; Connor, Walter & McKown 1977 in the form of
Dayan & Abbott 2001; Wang & Buzsaki 1996; Hay et al. 2011.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

FARADAY, GAS = 96485.33212, 8.314462618  # C/mol, J/(mol K)


# -- what a model is made of ----------------------------------------------------------------------
class Gate(NamedTuple):
    """A gating variable to a power; its lines end in `inf` and, unless it follows v, `rate`."""

    power: int
    lines: tuple[tuple[str, str], ...]


def by_rates(power: int, opening: str, closing: str, faster: float = 1.0) -> Gate:
    """By opening and closing rates, both so many times faster."""
    rate = f"{faster}*(a + b)"
    return Gate(power, (("a", opening), ("b", closing), ("inf", "a/(a + b)"), ("rate", rate)))


def by_tau(power: int, inf: str, tau: str, faster: float = 1.0) -> Gate:
    """By steady state and time constant."""
    return Gate(power, (("inf", inf), ("rate", f"{faster}/({tau})")))


def at_once(power: int, opening: str, closing: str) -> Gate:
    """Where its rates balance at v, without delay."""
    return Gate(power, by_rates(power, opening, closing).lines[:3])


class Current(NamedTuple):
    """i = g product(gate^power) (v - E); E a number, or "E_ca"."""

    g: float
    E: float | str
    gates: Mapping[str, Gate] = {}


class Calcium(NamedTuple):
    """A shell: ca' = -gamma i / (2 F depth) - (ca - rest) / decay, with i of the currents named."""

    carried_by: tuple[str, ...]
    gamma: float
    decay: float
    depth: float = 0.1  # um
    rest: float = 1e-4
    outside: float = 2.0
    celsius: float = 34.0

    @property
    def target(self) -> str:
        """The text of where it goes while the current is held."""
        return f"{self.rest} - {self.decay * self.gamma * 5 / (FARADAY * self.depth)}*i_ca"

    @property
    def E(self) -> str:
        """The text of its Nernst potential."""
        slope = 1e3 * GAS * (self.celsius + 273.15) / (2 * FARADAY)
        return f"{slope}*log({self.outside}/ca)"


class Model(NamedTuple):
    """The currents of a compartment by name, and its calcium if it has any."""

    currents: Mapping[str, Current]
    calcium: Calcium | None = None

    @property
    def gates(self) -> dict[str, Gate]:
        """All gates, by names of their own ("na_m")."""
        of = self.currents.items()
        return {f"{name}_{key}": gate for name, c in of for key, gate in c.gates.items()}

    @property
    def moving(self) -> list[str]:
        """Those with a time course."""
        return [name for name, gate in self.gates.items() if gate.lines[-1][0] == "rate"]

    def density(self, *names: str) -> str:
        """The text of these currents' sum, or of all; conductances are named "g_na"."""
        return " + ".join(self._one(name) for name in names or self.currents)

    def _one(self, name: str) -> str:
        c = self.currents[name]
        open_ = [f"{name}_{key}" for key, gate in c.gates.items() for _ in range(gate.power)]
        return "*".join([f"g_{name}", *open_, f"(v - ({c.E}))"])


# -- the same in JAX ------------------------------------------------------------------------------
def exp_linear(x):
    """x / (1 - exp(-x)); 1 at x = 0."""
    near = jnp.abs(x) < 1e-2
    safe = jnp.where(near, 1.0, x)
    return jnp.where(near, 1 + x / 2, safe / (1 - jnp.exp(-safe)))


FUNCTIONS = {"exp": jnp.exp, "log": jnp.log, "exp_linear": exp_linear, "smaller": jnp.minimum}


def evaluate(text: str, known: Mapping[str, Any]) -> Any:
    """The value of a text."""
    return eval(text, {**FUNCTIONS, **known})


def gating(model: Model, v: Any, ca: Any = 0.0) -> dict[str, dict[str, Any]]:
    """`inf` and `rate` of every gate."""
    found = {}
    for name, gate in model.gates.items():
        known = {"v": v, "ca": ca}
        for variable, text in gate.lines:
            known[variable] = evaluate(text, known)
        found[name] = known
    return found


def current(model: Model, state: Mapping[str, Any], g: Mapping[str, Any], *names: str) -> Any:
    """Sum of the currents named, or of all; `state` has v, the moving gates and ca."""
    at = gating(model, state["v"], state.get("ca", 0.0))
    known = {name: x["inf"] for name, x in at.items()} | {f"g_{k}": x for k, x in g.items()}
    if model.calcium:
        known["E_ca"] = evaluate(model.calcium.E, state)
    return evaluate(model.density(*names), known | dict(state))


def settled(model: Model, v: Any) -> dict[str, Any]:
    """The state at a potential that was held for ever; calcium is at its rest."""
    rest = {"ca": jnp.asarray(model.calcium.rest)} if model.calcium else {}
    at = gating(model, v, **rest)
    return {"v": v, **{name: at[name]["inf"] for name in model.moving}, **rest}


def relaxations(model: Model, state: Mapping[str, Any], g: Mapping[str, Any]) -> dict[str, tuple]:
    """Target and rate (1/ms) of every part of the state but v: x' = rate (target - x)."""
    at = gating(model, state["v"], state.get("ca", 0.0))
    found = {name: (at[name]["inf"], at[name]["rate"]) for name in model.moving}
    if ca := model.calcium:
        i_ca = current(model, state, g, *ca.carried_by)
        found["ca"] = evaluate(ca.target, {"i_ca": i_ca}), 1 / ca.decay
    return found


# -- the models -----------------------------------------------------------------------------------
SQUID = Model(
    {
        "na": Current(
            120.0, 50.0,
            {
                "m": by_rates(3, "exp_linear((v + 40)/10)", "4*exp(-(v + 65)/18)"),
                "h": by_rates(1, "0.07*exp(-(v + 65)/20)", "1/(1 + exp(-(v + 35)/10))"),
            },
        ),
        "k": Current(
            36.0, -77.0,
            {"n": by_rates(4, "0.1*exp_linear((v + 55)/10)", "0.125*exp(-(v + 65)/80)")},
        ),
        "leak": Current(0.3, -54.387),
    }
)  # fmt: skip


def _cortex(kdr: float, leak: float, **more: Current) -> Model:
    """The spike of Pospischil et al. 2008, with V_T = -55 mV, and what else a cell has."""
    return Model(
        {
            "na": Current(
                50.0, 50.0,
                {
                    "m": by_rates(3, "1.28*exp_linear((v + 42)/4)", "1.4*exp_linear(-(v + 15)/5)"),
                    "h": by_rates(1, "0.128*exp(-(v + 38)/18)", "4/(1 + exp(-(v + 15)/5))"),
                },
            ),
            "kdr": Current(
                kdr, -100.0,
                {"n": by_rates(4, "0.16*exp_linear((v + 40)/5)", "0.5*exp(-(v + 45)/40)")},
            ),
            "leak": Current(leak, -70.0),
            **more,
        }
    )  # fmt: skip


CORTEX_FS = _cortex(kdr=10.0, leak=0.15)
CORTEX_RS = _cortex(
    kdr=5.0, leak=0.1,
    km=Current(
        0.07, -100.0,
        {
            "p": by_tau(
                1, "1/(1 + exp(-(v + 35)/10))", "1000/(3.3*exp((v + 35)/20) + exp(-(v + 35)/20))"
            )
        },
    ),
)  # fmt: skip

CONNOR_STEVENS = Model(
    {
        "na": Current(
            120.0, 55.0,
            {
                "m": by_rates(
                    3, "3.8*exp_linear((v + 29.7)/10)", "15.2*exp(-0.0556*(v + 54.7))"
                ),
                "h": by_rates(1, "0.266*exp(-(v + 48)/20)", "3.8/(1 + exp(-(v + 18)/10))"),
            },
        ),
        "k": Current(
            20.0, -72.0,
            {"n": by_rates(4, "0.2*exp_linear((v + 45.7)/10)", "0.25*exp(-0.0125*(v + 55.7))")},
        ),
        "ka": Current(
            47.7, -75.0,
            {
                "a": by_tau(
                    3,
                    "exp(log(0.0761*exp(0.0314*(v + 94.22))/(1 + exp(0.0346*(v + 1.17))))/3)",
                    "0.3632 + 1.158/(1 + exp(0.0497*(v + 55.96)))",
                ),
                "b": by_tau(
                    1,
                    "exp(-4*log(1 + exp(0.0688*(v + 53.3))))",
                    "1.24 + 2.678/(1 + exp(0.0624*(v + 50)))",
                ),
            },
        ),
        "leak": Current(0.3, -17.0),
    }
)  # fmt: skip

WANG_BUZSAKI = Model(
    {
        "na": Current(
            35.0, 55.0,
            {
                "m": at_once(3, "exp_linear((v + 35)/10)", "4*exp(-(v + 60)/18)"),
                "h": by_rates(
                    1, "0.07*exp(-(v + 58)/20)", "1/(1 + exp(-(v + 28)/10))", faster=5.0
                ),
            },
        ),
        "k": Current(
            9.0, -90.0,
            {
                "n": by_rates(
                    4, "0.1*exp_linear((v + 34)/10)", "0.125*exp(-(v + 44)/80)", faster=5.0
                )
            },
        ),
        "leak": Current(0.1, -65.0),
    }
)  # fmt: skip

_WARM = 2.3**1.3  # from 21 to 34 degC
_OPENING, _CLOSING = "1.092*exp_linear((v + 38)/6)", "0.744*exp_linear(-(v + 38)/6)"
_NAP_H = "1.33344e-5*exp_linear(-(v + 17)/4.63) + 1.82522e-5*exp_linear((v + 64.4)/2.63)"
HAY_SOMA = Model(
    {
        "na": Current(
            2040.0, 50.0,
            {
                "m": by_rates(3, _OPENING, _CLOSING, _WARM),
                "h": by_rates(
                    1, "0.09*exp_linear(-(v + 66)/6)", "0.09*exp_linear((v + 66)/6)", _WARM
                ),
            },
        ),
        "nap": Current(
            1.72, 50.0,
            {
                "m": by_tau(
                    3, "1/(1 + exp(-(v + 52.6)/4.6))", f"6/({_OPENING} + {_CLOSING})", _WARM
                ),
                "h": by_tau(1, "1/(1 + exp((v + 48.8)/10))", f"1/({_NAP_H})", _WARM),
            },
        ),
        "kt": Current(
            81.2, -85.0,
            {
                "m": by_tau(
                    4,
                    "1/(1 + exp(-(v + 10)/19))",
                    "0.34 + 0.92*exp(-(v + 81)*(v + 81)/3481)",
                    _WARM,
                ),
                "h": by_tau(
                    1, "1/(1 + exp((v + 76)/10))", "8 + 49*exp(-(v + 83)*(v + 83)/529)", _WARM
                ),
            },
        ),
        "kp": Current(
            2.23, -85.0,
            {
                "m": by_tau(
                    2,
                    "1/(1 + exp(-(v + 11)/12))",
                    "1.25 + smaller(175.03*exp(0.026*(v + 10)), 13*exp(-0.026*(v + 10)))",
                    _WARM,
                ),
                "h": by_tau(
                    1,
                    "1/(1 + exp((v + 64)/11))",
                    "360 + (1010 + 24*(v + 65))*exp(-(v + 85)*(v + 85)/2304)",
                    _WARM,
                ),
            },
        ),
        "kv3": Current(
            693.0, -85.0,
            {"m": by_tau(1, "1/(1 + exp(-(v - 18.7)/9.7))", "4/(1 + exp(-(v + 46.56)/44.14))")},
        ),
        "h": Current(
            0.2, -45.0,
            {"m": by_rates(1, "0.076517*exp_linear(-(v + 154.9)/11.9)", "0.193*exp(v/33.1)")},
        ),
        "ca_t": Current(
            3.43, "E_ca",
            {
                "m": by_tau(
                    2, "1/(1 + exp(-(v + 40)/6))", "5 + 20/(1 + exp((v + 35)/5))", _WARM
                ),
                "h": by_tau(
                    1, "1/(1 + exp((v + 90)/6.4))", "20 + 50/(1 + exp((v + 50)/7))", _WARM
                ),
            },
        ),
        "ca_l": Current(
            0.992, "E_ca",
            {
                "q": by_rates(2, "0.209*exp_linear((v + 27)/3.8)", "0.94*exp(-(v + 75)/17)"),
                "r": by_rates(
                    1, "0.000457*exp(-(v + 13)/50)", "0.0065/(1 + exp(-(v + 15)/28))"
                ),
            },
        ),
        "sk": Current(44.1, -85.0, {"z": by_tau(1, "1/(1 + exp(4.8*log(4.3e-4/ca)))", "1")}),
        "leak": Current(0.0338, -90.0),
    },
    Calcium(("ca_t", "ca_l"), gamma=0.000501, decay=460.0),
)  # fmt: skip

MODELS = {
    "squid": SQUID,
    "cortex_rs": CORTEX_RS,
    "cortex_fs": CORTEX_FS,
    "crab_connor_stevens": CONNOR_STEVENS,
    "interneuron_wang_buzsaki": WANG_BUZSAKI,
    "cortex_l5_hay_soma": HAY_SOMA,
}
"""By the names of neurojax's packaged cells."""
