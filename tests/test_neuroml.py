"""NeuroML 2: channels and pools against their closed forms, shapes of cells, what is refused."""

import pickle

import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidNa
from neurojax.membrane.rest import steady_current
from neurojax.model import NeuromlError, channels_in, load_neuroml, parse_model

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


def test_a_kinetic_scheme_may_read_calcium(tmp_path):
    bound = """<ComponentType name="bound" extends="baseVoltageConcDepRate">
    <Constant name="PER" dimension="none" value="30"/>
    <Constant name="CA" dimension="concentration" value="1 uM"/>
    <Constant name="TIME" dimension="time" value="1 ms"/><Dynamics>
    <DerivedVariable name="r" value="PER * caConc / CA / TIME"/></Dynamics></ComponentType>"""
    back = BACK.replace("reverseRate", "rate")
    steps = "".join(
        f"""<forwardTransition id="f{a}" from="{a}" to="{b}"><rate type="bound"/>
    </forwardTransition><reverseTransition id="b{a}" from="{a}" to="{b}">{back}
    </reverseTransition>"""
        for a, b in (("c", "d"), ("d", "o"))
    )
    states = '<closedState id="c"/><closedState id="d"/><openState id="o"/>'
    made = channel(tmp_path, f'<gateKS id="n" instances="1">{states}{steps}</gateKS>', bound)()
    assert made.reads == ("ca_i",) and made.stiff  # 30 per ms at 1 uM
    x = made.steady_state(V, ca_i=2e-3)
    np.testing.assert_allclose(x["n_d"] / x["n_c"], 60 / BETA, rtol=2e-4)


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
    "an outer entity": (
        '<!DOCTYPE n [<!ENTITY % a SYSTEM "file:///etc/passwd">]><neuroml/>',
        "declares an entity",
    ),
    "an unknown entity": ('<!DOCTYPE n SYSTEM "n.dtd"><neuroml>&a;</neuroml>', "an entity, 'a'"),
    "a million tags": (HEAD + "<a>" * 10**6, "nested too deep"),
    "a chain of groups": (
        f"{HEAD}<cell id='c'><morphology id='m'><segment id='0'><proximal x='0' y='0' z='0' "
        "diameter='1'/><distal x='1' y='0' z='0' diameter='1'/></segment>"
        + "".join(
            f"<segmentGroup id='g{k}'><include segmentGroup='g{k + 1}'/></segmentGroup>"
            for k in range(5000)
        )
        + "</morphology><biophysicalProperties id='b'/></cell></neuroml>",
        "nested too deep",
    ),
    "too deep": (HEAD + "<a>" * 300 + "</a>" * 300 + "</neuroml>", "nested too deep"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_files_that_are_no_neuroml_are_refused(what, tmp_path):
    path = tmp_path / "wrong.nml"
    path.write_text(OTHERS[what][0])
    with pytest.raises(NeuromlError, match=OTHERS[what][1]):
        load_neuroml(path)


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
    for wrong in (
        "x +",
        "(x",
        "y",
        "x x",
        "os(x)",
        "x ? 1",
        "(" * 200 + "x",
        "1e999",
        "1+" * 20_000 + "1",
    ):
        with pytest.raises(ValueError):
            node_of(g, wrong, {"x": g.symbol("x")})


def cell_file(folder, segments, groups="", densities="", inside="", more=""):
    path = folder / "cell.nml"
    path.write_text(f"""{HEAD}<include href="squid.nml"/>
<ionChannelPassive id="pas" conductance="10pS"/>{more}
<cell id="one"><morphology id="m">{segments}{groups}</morphology>
<biophysicalProperties id="b"><membraneProperties>
<channelDensity id="leak" ionChannel="pas" condDensity="3.0 S_per_m2" erev="-54.387mV"/>
{densities}
<specificCapacitance value="1.0 uF_per_cm2"/><initMembPotential value="-65mV"/>
</membraneProperties><intracellularProperties>{inside}<resistivity value="0.15 kohm_cm"/>
</intracellularProperties></biophysicalProperties></cell></neuroml>""")
    return path


SOMA = """<segment id="0" name="soma"><proximal x="0" y="0" z="0" diameter="17.841242"/>
<distal x="0" y="0" z="0" diameter="17.841242"/></segment>"""
SPIKES = """<channelDensity id="na" ionChannel="na" condDensity="120.0 mS_per_cm2" erev="50.0 mV"
ion="na"/><channelDensity id="k" ionChannel="k" condDensity="360 S_per_m2" erev="-77mV" ion="k"/>"""


def test_a_cell_of_one_segment_fires_as_the_squid(squid):
    made = load_neuroml(cell_file(squid.parent, SOMA, densities=SPIKES))
    assert made.cell.area == pytest.approx(1000e-8, rel=1e-5) and made.initial == -65.0
    again = pickle.loads(pickle.dumps(made.cell))
    assert type(again.channels["na"]) is type(made.cell.channels["na"])
    ours = nj.replace(nj.cells.squid_axon(), {"area": 1000e-8, "leak.E_rev": -54.387})
    ours = nj.replace(ours, {"na.E_rev": 50.0, "k.E_rev": -77.0, "celsius": 6.3})
    v = jnp.array([-65.0, -20.0, 10.0])
    np.testing.assert_allclose(
        steady_current(made.cell, v), steady_current(ours, v), rtol=1e-4, atol=1e-3
    )


TREE = """<segment id="0"><proximal x="0" y="0" z="0" diameter="20"/>
<distal x="20" y="0" z="0" diameter="20"/></segment>
<segment id="2"><parent segment="1"/><distal x="300" y="0" z="0" diameter="1"/></segment>
<segment id="1"><parent segment="0"/><proximal x="20" y="0" z="0" diameter="3"/>
<distal x="200" y="0" z="0" diameter="2"/></segment>
<segment id="3"><parent segment="0" fractionAlong="0.5"/>
<proximal x="10" y="0" z="0" diameter="2"/><distal x="10" y="150" z="0" diameter="2"/></segment>"""
GROUPS = """<segmentGroup id="soma"><member segment="0"/></segmentGroup>
<segmentGroup id="far"><path><from segment="1"/><to segment="2"/></path></segmentGroup>
<segmentGroup id="dendrites"><include segmentGroup="far"/><member segment="3"/></segmentGroup>"""


def test_a_cell_with_dendrites_has_regions(squid):
    densities = SPIKES.replace('id="na"', 'id="na" segmentGroup="soma"').replace(
        'id="k"', 'id="k" segmentGroup="far"'
    )
    made = load_neuroml(cell_file(squid.parent, TREE, GROUPS, densities)).cell
    area = np.asarray(made.area)
    regions = np.asarray(made.regions)
    assert set(regions) == {"soma", "far", "rest"}
    assert area[regions == "soma"].sum() == pytest.approx(np.pi * 20 * 20 * 1e-8)
    far = np.pi / 2 * (5 * np.hypot(180, 0.5) + 3 * np.hypot(100, 0.5)) * 1e-8
    assert area[regions == "far"].sum() == pytest.approx(far, rel=1e-6)
    assert area[regions == "rest"].sum() == pytest.approx(np.pi * 2 * 150 * 1e-8)
    np.testing.assert_array_equal(np.asarray(made.density["na"]) > 0, regions == "soma")
    np.testing.assert_array_equal(np.asarray(made.density["k"]) > 0, regions == "far")
    assert made.R_i == pytest.approx(150.0)


POOL = """<decayingPoolConcentrationModel id="shell" ion="ca" restingConc="5e-5 mM"
decayConstant="20 ms" shellThickness="0.2 um"/>"""
SPECIES = """<species id="ca" ion="ca" concentrationModel="shell" initialConcentration="1e-4 mM"
initialExtConcentration="2 mM"/>"""


def test_a_pool_is_filled_and_decays_to_its_rest(squid):
    made = load_neuroml(cell_file(squid.parent, SOMA, inside=SPECIES, more=POOL)).cell
    ca, r = made.ions["ca"], 17.841242 / 2
    volume = 4 / 3 * np.pi * (r**3 - (r - 0.2) ** 3)
    i = -3.0  # uA/cm2, inward
    carried, c = {"ca": jnp.array([i])}, {"ca_i": jnp.array([1e-4])}
    grown = float(ca.changes("ca", c, carried, 1e-3)["ca_i"][0]) / 1e-3
    flux = -i * 4 * np.pi * r**2 / (2 * 96485.33 * volume) * 10
    assert grown == pytest.approx(flux - (1e-4 - 5e-5) / 20, rel=1e-4)
    assert float(ca.inside) == pytest.approx(1e-4)


OWN_POOL = """<ComponentType name="hay" extends="concentrationModel">
<Parameter name="gamma" dimension="none"/><Parameter name="rest" dimension="concentration"/>
<Parameter name="decay" dimension="time"/><Parameter name="depth" dimension="length"/>
<Constant name="F" dimension="charge_per_mole" value="96485.3C_per_mol"/>
<Dynamics><StateVariable name="concentration" dimension="concentration"/>
<DerivedVariable name="density" dimension="currentDensity" value="iCa / surfaceArea"/>
<TimeDerivative variable="concentration"
value="density * gamma / (2 * F * depth) - (concentration - rest) / decay"/></Dynamics>
</ComponentType>
<concentrationModel id="shell" type="hay" ion="ca" gamma="0.05" rest="5e-5 mM" decay="20 ms"
depth="0.1 um"/>"""


def test_a_pool_of_its_own_type(squid):
    ca = load_neuroml(cell_file(squid.parent, SOMA, inside=SPECIES, more=OWN_POOL)).cell.ions["ca"]
    assert (ca.depth, ca.tau) == (pytest.approx(2.0, rel=1e-5), pytest.approx(20.0))
    assert ca.rest == pytest.approx(5e-5)
    wrong = OWN_POOL.replace("density * gamma", "density * density * gamma")
    with pytest.raises(NeuromlError, match="no pool that a current density fills"):
        load_neuroml(cell_file(squid.parent, SOMA, inside=SPECIES, more=wrong))


@pytest.mark.parametrize("inf", ['select="steadyState/x"', 'value="alpha / (alpha + beta)"'])
def test_a_gate_type_that_follows_v_at_once(inf, tmp_path):
    parts = SIGMOID if "select" in inf else FORTH + BACK
    base = "gateHHtauInf" if "select" in inf else "gateHHrates"
    own = f"""<ComponentType name="quick" extends="{base}"><Dynamics>
    <DerivedVariable name="inf" {inf}/>
    <DerivedVariable name="q" value="inf"/></Dynamics></ComponentType>"""
    made = channel(tmp_path, f'<gate type="quick" id="m" instances="2">{parts}</gate>', own)()
    inf = INF if parts is SIGMOID else ALPHA / (ALPHA + BETA)
    np.testing.assert_allclose(made.current(V, {}), inf**2 * (V + 77), rtol=3e-5, atol=1e-5)
    with pytest.raises(NeuromlError, match="a gate with dynamics of its own"):
        slow = own.replace('value="inf"', 'value="inf / 2"')
        channel(tmp_path, f'<gate type="quick" id="m">{parts}</gate>', slow, "slow")


def test_a_density_may_vary_with_the_path_and_sections_hang_anywhere(squid):
    groups = GROUPS.replace(
        '<segmentGroup id="far">',
        '<segmentGroup id="far"><inhomogeneousParameter id="path" variable="p" '
        'metric="Path Length from root"><proximal translationStart="0"/></inhomogeneousParameter>',
    )
    varies = SPIKES.replace('id="na" ionChannel', 'id="x" ionChannel').replace(
        "<channelDensity ", "<channelDensityNonUniform ", 1
    )
    first = (
        varies.split("/>")[0]
        + """><variableParameter parameter="condDensity"
    segmentGroup="far"><inhomogeneousValue inhomogeneousParameter="path"
    value="10 * (1 + H(p - 180) * p)"/></variableParameter></channelDensityNonUniform>"""
    )
    tree = TREE.replace('fractionAlong="0.5"', 'fractionAlong="0.31"')
    made = load_neuroml(cell_file(squid.parent, tree, groups, first)).cell
    far, density = np.asarray(made.regions) == "far", np.asarray(made.density["x"])
    p = (made.paths(origin=0) + 10 - 20)[far]
    np.testing.assert_allclose(density[far], np.where(p < 180, 1.0, 1.0 + p), rtol=1e-6)
    assert not density[~far].any() and made.attached.count(0.5) == 1


def test_channels_may_be_counted_in_a_group(squid):
    counted = """<channelPopulation id="few" ionChannel="k" number="1000" segmentGroup="soma"
    erev="-77mV"/>"""
    made = load_neuroml(cell_file(squid.parent, TREE, GROUPS, counted)).cell
    soma = np.asarray(made.regions) == "soma"
    g = float(made.channels["few"].g_bar) * np.asarray(made.area)[soma].sum()
    assert g == pytest.approx(1000 * 10e-9) and not made.density["few"][~soma].any()  # mS


def test_a_section_has_the_compartments_that_the_file_says(squid):
    divided = GROUPS.replace(
        '<segmentGroup id="far">',
        '<segmentGroup id="far"><property tag="numberInternalDivisions" value="7"/>',
    )
    densities = SPIKES.replace('id="k"', 'id="k" segmentGroup="far"')
    path = cell_file(squid.parent, TREE, divided, densities)
    assert load_neuroml(path).cell.regions.count("far") == 7
    assert load_neuroml(path, part=0.02).cell.regions.count("far") > 7


def test_the_temperature_is_that_of_the_network(squid):
    network = """<network id="n" type="networkWithTemperature" temperature="307.15 K">
    <population id="p" component="one" size="1"/></network>"""
    path = cell_file(squid.parent, SOMA, densities=SPIKES, more=network)
    assert load_neuroml(path).cell.celsius == pytest.approx(34.0)
    assert load_neuroml(path, celsius=20.0).cell.celsius == 20.0


def test_a_channel_of_quick_gates_reverses_at_a_nernst_potential(squid):
    quick = f"""<ionChannelHH id="cav" species="ca"><gateHHInstantaneous id="m" instances="1">
    {SIGMOID}</gateHHInstantaneous></ionChannelHH>{POOL}"""
    density = '<channelDensityNernst id="cav" ionChannel="cav" condDensity="9 S_per_m2" ion="ca"/>'
    made = load_neuroml(cell_file(squid.parent, SOMA, "", density, SPECIES, quick)).cell
    assert float(steady_current(made, jnp.array(0.0))) < 0


WRONG_CELLS = {
    "a circle": ({"segments": TREE.replace('<parent segment="0"/>', '<parent segment="2"/>')},
                 "hangs on no segment"),
    "no such group": ({"segments": TREE, "densities": SPIKES.replace('id="na"',
                       'id="na" segmentGroup="tuft"')}, "no segmentGroup 'tuft'"),
    "a GHK current": ({"segments": SOMA, "densities": '<channelDensityGHK id="x"/>'},
                      "a channelDensityGHK cannot be done"),
    "no such pool": ({"segments": SOMA, "inside": SPECIES}, "no concentration model 'shell'"),
    "no such channel": ({"segments": SOMA, "densities": SPIKES.replace('nel="k"', 'nel="kv"')},
                        "no channel 'kv'"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_CELLS)
def test_cells_that_cannot_be_made_are_refused(what, squid):
    parts, told = WRONG_CELLS[what]
    with pytest.raises(NeuromlError) as error:
        load_neuroml(cell_file(squid.parent, **parts))
    assert told in str(error.value)
