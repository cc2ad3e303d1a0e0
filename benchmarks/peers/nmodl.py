"""The models of `equations.py` as mechanisms of NEURON and CoreNEURON, compiled once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from equations import MODELS, Gate

TEMPLATE = """
NEURON {{ SUFFIX {name} NONSPECIFIC_CURRENT i RANGE {ranges} THREADSAFE }}
PARAMETER {{ {parameters} }}
STATE {{ {states} }}
ASSIGNED {{ v i {assigned} }}
INITIAL {{
    {rest}
    rates(v)
    {settle}
}}
BREAKPOINT {{
    SOLVE change METHOD cnexp
    at_once(v)
    {calcium}
    i = 1e-3*({current})
}}
DERIVATIVE change {{
    rates(v)
    {changes}
}}
PROCEDURE rates(v) {{ LOCAL a, b
    {rates}
}}
PROCEDURE at_once(v) {{ LOCAL a, b
    {at_once}
}}
FUNCTION exp_linear(x) {{
    IF (fabs(x) < 1e-4) {{ exp_linear = 1 + x/2 }} ELSE {{ exp_linear = x/(1 - exp(-x)) }}
}}
FUNCTION smaller(a, b) {{
    IF (a < b) {{ smaller = a }} ELSE {{ smaller = b }}
}}
"""


def mechanism(name: str) -> str:
    """The text of a model's .mod file, with all of its currents; conductances are in mS/cm2."""
    model = MODELS[name]
    moving = {k: gate for k, gate in model.gates.items() if k in model.moving}
    at_once = {k: gate for k, gate in model.gates.items() if k not in moving}
    changes = [f"{k}' = ({k}_inf - {k})*{k}_rate" for k in moving]
    assigned = [f"{k}_{x}" for k in moving for x in ("inf", "rate")] + list(at_once)
    rest, calcium, states = [], [], list(moving)
    if ca := model.calcium:
        changes.append(f"ca' = ({ca.target} - ca)/{ca.decay}")
        calcium = [f"E_ca = {ca.E}", f"i_ca = {model.density(*ca.carried_by)}"]
        rest, assigned, states = [f"ca = {ca.rest}"], [*assigned, "E_ca", "i_ca"], [*states, "ca"]
    return TEMPLATE.format(
        name=name,
        ranges=", ".join(f"g_{k}" for k in model.currents),
        parameters=" ".join(f"g_{k} = {c.g}" for k, c in model.currents.items()),
        states=" ".join(states),
        assigned=" ".join(assigned),
        rest=_lines(rest),
        settle=_lines(f"{k} = {k}_inf" for k in moving),
        calcium=_lines(calcium),
        current=model.density(),
        changes=_lines(changes),
        rates=_gating(moving, "{}_inf"),
        at_once=_gating(at_once, "{}"),
    )


def _gating(gates: Mapping[str, Gate], inf: str) -> str:
    """The lines of gates, their steady states under this name, their rates under "..._rate"."""
    return _lines(
        f"{ {'inf': inf, 'rate': '{}_rate'}.get(x, x).format(k) } = {text}"
        for k, gate in gates.items()
        for x, text in gate.lines
    )


def _lines(lines: Iterable[str]) -> str:
    return "\n    ".join(lines)


def compiled() -> Path:
    """The folder of the compiled mechanisms; told to CoreNEURON, whose library has another name."""
    texts = {name: mechanism(name) for name in MODELS if name != "squid"}  # hh comes with NEURON
    print_ = hashlib.sha256("".join([sys.version, *texts.values()]).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"neurojax-benchmarks-{print_}"
    library = folder / os.uname().machine
    if not (library / "libcorenrnmech.so").exists():
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / f"{name}.mod").write_text(text)
        tools = Path(sys.executable).parent
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            [tools / "nrnivmodl", "-coreneuron", "."], cwd=folder, check=True,
            env=os.environ | {"PATH": path}, stdout=sys.stderr,
        )  # fmt: skip
    os.environ["CORENEURONLIB"] = str(library / "libcorenrnmech.so")
    return library


if __name__ == "__main__":
    print(compiled())
