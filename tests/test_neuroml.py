"""Channels of NeuroML 2: rates against their closed forms, kinds of gates, what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidNa
from neurojax.model import NeuromlError, channels_in, parse_model

HEAD = '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="test">'

SQUID = f"""{HEAD}
<ionChannelHH id="na" conductance="10pS" species="na">
  <notes>of the squid</notes>
  <gateHHrates id="m" instances="3">
    <forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
    <reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/>
  </gateHHrates>
  <gate type="gateHHrates" id="h" instances="1">
    <forwardRate type="HHExpRate" rate="70per_s" midpoint="-0.065V" scale="-20mV"/>
    <reverseRate type="HHSigmoidRate" rate="1per_ms" midpoint="-35mV" scale="10mV"/>
  </gate>
</ionChannelHH>
<ionChannelHH id="k" conductance="10pS" species="k">
  <gateHHrates id="n" instances="4">
    <forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
    <reverseRate type="own" />
  </gateHHrates>
</ionChannelHH>
<ComponentType name="own" extends="baseVoltageDepRate">
  <Constant name="TIME" dimension="time" value="1 s"/>
  <Constant name="VOLT" dimension="voltage" value="1 V"/>
  <Dynamics>
    <DerivedVariable name="V" dimension="none" value="v / VOLT * 10^3"/>
    <ConditionalDerivedVariable name="r" exposure="r" dimension="per_time">
      <Case condition="V .lt. -1000 .or. V .gt. 1000" value="0 / TIME"/>
      <Case value="125 * exp(-(V + 65) / 80) / TIME"/>
    </ConditionalDerivedVariable>
  </Dynamics>
</ComponentType>
</neuroml>"""

V = jnp.linspace(-100.0, 40.0, 29)


@pytest.fixture(scope="module")
def squid(tmp_path_factory):
    path = tmp_path_factory.mktemp("nml") / "squid.nml"
    path.write_text(SQUID)
    return path


def channel(tmp_path, gates, more="", name="one"):
    path = tmp_path / f"{name}.nml"
    path.write_text(f'{HEAD}<ionChannel id="one" species="k">{gates}</ionChannel>{more}</neuroml>')
    return channels_in(path)["one"]


def test_rates_are_those_of_the_squid(squid):
    found = channels_in(squid)
    for name, ours in (("na", SquidNa()), ("k", SquidK())):
        made, known = found[name]().kinetics(V), ours.kinetics(V)
        for gate in known:
            np.testing.assert_allclose(made[gate].inf, known[gate].inf, rtol=2e-5, atol=1e-7)
            np.testing.assert_allclose(made[gate].rate, known[gate].rate, rtol=2e-5)
        assert found[name].powers == ours.powers and found[name].carries == {name: 1.0}
    assert found["na"]().m_alpha_midpoint == -40.0 and "squid" in found["na"].__doc__


def test_a_model_file_names_a_channel(squid):
    text = f"""
[cell]
[channels.na]
type = "{squid.name}:na"
g_bar = "120 mS/cm2"
E_rev = 50
[free]
"na.m_alpha_scale" = true
"""
    model = parse_model(text, folder=squid.parent)
    assert model.cell.channels["na"].g_bar == 120.0 and model.space is not None
    again = parse_model(nj.model.to_toml(model.cell))
    assert type(again.cell.channels["na"]) is type(model.cell.channels["na"])


SIGMOID = '<steadyState type="HHSigmoidVariable" rate="1" midpoint="-30mV" scale="7mV"/>'
FIXED = '<timeCourse type="fixedTimeCourse" tau="2ms"/>'
FORTH = '<forwardRate type="HHExpRate" rate="0.3per_ms" midpoint="-40mV" scale="12mV"/>'
BACK = '<reverseRate type="HHExpRate" rate="0.2per_ms" midpoint="-40mV" scale="-15mV"/>'
ALPHA, BETA = 0.3 * np.exp((V + 40) / 12), 0.2 * np.exp(-(V + 40) / 15)
INF = 1 / (1 + np.exp(-(V + 30) / 7))
HEAT = '<q10Settings type="q10ExpTemp" q10Factor="3" experimentalTemp="22 degC"/>'

KINDS = {
    "gateHHtauInf": (FIXED + SIGMOID, INF, 0.5 + 0 * V),
    "gateHHratesTau": (FORTH + BACK + FIXED, ALPHA / (ALPHA + BETA), 0.5 + 0 * V),
    "gateHHratesInf": (FORTH + BACK + SIGMOID, INF, ALPHA + BETA),
    "gateHHratesTauInf": (FORTH + BACK + FIXED + SIGMOID, INF, 0.5 + 0 * V),
    "gateHHrates": (FORTH + BACK, ALPHA / (ALPHA + BETA), ALPHA + BETA),
}


@pytest.mark.parametrize("kind", KINDS)
def test_gates_by_rates_and_time_courses(kind, tmp_path):
    parts, inf, rate = KINDS[kind]
    made = channel(tmp_path, f'<gate type="{kind}" id="n" instances="2">{HEAT}{parts}</gate>')
    assert made.celsius_ref == pytest.approx(22.0) and made.powers == {"n": 2}
    gate = made().gating(V, temperature=jnp.float32(32.0))["n"]
    np.testing.assert_allclose(gate.inf, inf, rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(gate.rate, 3 * rate, rtol=2e-5)


def test_gates_that_follow_at_once_and_in_parts(tmp_path):
    at_once = f'<gateHHInstantaneous id="m" instances="3">{SIGMOID}</gateHHInstantaneous>'
    parts = "".join(
        f'<subGate id="{k}" fractionalConductance="{f}">{FIXED}{SIGMOID}</subGate>'
        for k, f in (("fast", 0.25), ("slow", 0.75))
    )
    parts = f'<gateFractional id="n" instances="2">{parts}</gateFractional>'
    made = channel(tmp_path, at_once + parts)(g_bar=2.0, E_rev=-80.0)
    x = {"n_fast": 0.2 + 0 * V, "n_slow": 0.4 + 0 * V}
    i = 2.0 * INF**3 * (0.25 * 0.2 + 0.75 * 0.4) ** 2 * (V + 80)
    np.testing.assert_allclose(made.current(V, x), i, rtol=2e-5, atol=1e-6)


def test_a_kinetic_scheme_is_one_here(tmp_path):
    rate = FORTH.replace("forwardRate", "rate"), BACK.replace("reverseRate", "rate")
    gate = f"""<gateKS id="n" instances="1"><closedState id="c"/><openState id="o"/>
    <forwardTransition id="a" from="c" to="o">{rate[0]}</forwardTransition>
    <reverseTransition id="b" from="c" to="o">{rate[1]}</reverseTransition></gateKS>"""
    made = channel(tmp_path, gate)()
    assert made.states == ("n_c", "n_o") and made.conducting == {"n_o": 1.0}
    np.testing.assert_allclose(made.steady_state(V)["n_o"], ALPHA / (ALPHA + BETA), rtol=2e-5)


def test_what_a_file_includes_comes_from_beside_it(squid, tmp_path):
    path = tmp_path / "cell.nml"
    path.write_text(f'{HEAD}<include href="{squid}"/><include href="http://x/y.nml"/></neuroml>')
    assert set(channels_in(path)) == {"na", "k"}


GATE = f'<gate type="gateHHrates" id="n" instances="1">{FORTH}{BACK}</gate>'
REFUSED = {
    "an unknown unit": (GATE.replace("per_ms", "per_fortnight"), "'per_fortnight' is not known"),
    "an unknown rate": (GATE.replace("HHExpRate", "HHExprate"), "did you mean 'HHExpRate'"),
    "a missing rate": (GATE.replace(BACK, ""), "<reverseRate> is missing"),
    "a broken power": (GATE.replace('"1"', '"1.5"'), "expected a whole number"),
    "an unknown gate": (GATE.replace("gateHHrates", "gateMine"), "no kind of gate 'gateMine'"),
    "a stranger": ("<pulseGenerator id='p'/>", "<pulseGenerator> 'p': cannot be done"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_told(what, tmp_path):
    gates, told = REFUSED[what]
    with pytest.raises(NeuromlError, match="line 1") as error:
        channel(tmp_path, gates)
    assert told in str(error.value) and "one.nml" in str(error.value)


OTHERS = {
    "no XML": ("<neuroml", "no XML"),
    "a bomb": ('<!DOCTYPE n [<!ENTITY a "aa">]><neuroml>&a;</neuroml>', "declares an entity"),
    "version 1": ('<neuroml xmlns="http://morphml.org/neuroml/schema"/>', "of another version"),
    "another tree": ("<html/>", "begins with <html>"),
    "too deep": (HEAD + "<a>" * 300 + "</a>" * 300 + "</neuroml>", "nested too deep"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_files_that_are_no_neuroml_are_refused(what, tmp_path):
    path = tmp_path / "wrong.nml"
    path.write_text(OTHERS[what][0])
    with pytest.raises(NeuromlError, match=OTHERS[what][1]):
        channels_in(path)


def test_expressions_of_lems_are_read_as_they_are_written():
    from neurojax.model.formulas.arrays import NUMPY
    from neurojax.model.formulas.graph import Graph, evaluate
    from neurojax.model.neuroml.expressions import node_of

    g, x = Graph(), 0.7
    for text, value in {
        "-x^2": -(x**2), "2 - 3 - x": -1 - x, "2^-x": 2**-x, "-x * 2": -2 * x, "8/2/x": 4 / x,
        "H(x - 1) + H(x)": 1.0, "x .geq. 0.7 .and. x .neq. 1": 1.0, "ln(exp(x)) + 1e-1": x + 0.1,
        "2^3^x": 2 ** (3**x),
    }.items():  # fmt: skip
        (found,) = evaluate([node_of(g, text, {"x": g.symbol("x")})], {"x": x}, NUMPY)
        assert float(found) == pytest.approx(value), text
    for wrong in ("x +", "(x", "y", "x x", "os(x)", "x ? 1", "(" * 200 + "x"):
        with pytest.raises(ValueError):
            node_of(g, wrong, {"x": g.symbol("x")})
