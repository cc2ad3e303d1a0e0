"""Tables of published channels: their standard form in one population, and what looks like them."""

import json
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recordings import recording

import neurojax as nj
from neurojax.genealogy import (
    ChannelTable,
    Curves,
    TabledChannel,
    like_curves,
    like_recording,
    read_table,
    standard_channels,
)
from neurojax.genealogy.curves import fit_inf, fit_tau, inf_of, tau_of
from neurojax.genealogy.table import V
from neurojax.membrane.markov import as_scheme
from neurojax.recording.trace import Trace


def members(n, seed=3):
    """Steady states and time constants (ms) of members of the family, [n, v]."""
    random = np.random.default_rng(seed)
    a, b = random.choice([-1, 1], n) / random.uniform(3, 15, n), random.uniform(-5, 5, n)
    inf = np.stack([np.zeros(n), np.ones(n), a, b], axis=1)
    few = random.uniform(-1, 1, (4, n)) * np.array([0.1, 0.02, 0.1, 0.02])[:, None]
    b1, b2 = random.uniform(0.3, 1.2, (2, n))
    A, vh = 10 ** random.uniform(0, 2, n), random.uniform(-60, 0, n)
    tau = np.stack([A, vh, b1, few[0], few[1], b2, few[2], few[3]], axis=1)
    return inf_of(inf, V), tau_of(tau, V)


def table_of(n=6):
    """A table of n channels m^3 h."""
    inf, tau = members(2 * n)
    rising = inf[:, -1] > inf[:, 0]
    inf[:n] = np.where(rising[:n, None], inf[:n], 1 - inf[:n])
    inf[n:] = np.where(rising[n:, None], 1 - inf[n:], inf[n:])
    channels = {
        f"{k}.mod": TabledChannel(
            f"{k}.mod",
            "x",
            {"b": 1, "a": 3},
            {"b": Curves(V, inf[n + k], tau[n + k]), "a": Curves(V, inf[k], tau[k])},
            3.0,
        )
        for k in range(n)
    }
    return ChannelTable(channels, {})


def test_members_of_the_family_are_found_again():
    inf, tau = members(40)
    np.testing.assert_allclose(inf_of(fit_inf(V, inf), V), inf, atol=1e-5)
    off = tau_of(fit_tau(V, tau), V)[tau > 0.1] / tau[tau > 0.1] - 1
    assert np.sqrt((off**2).mean()) < 0.01 and np.abs(off).max() < 0.1


def test_the_squids_gates_are_near_the_family():
    v = jnp.asarray(V)
    gates = {**nj.channels.SquidNa().gating(v), **nj.channels.SquidK().gating(v)}
    inf = np.array([g.inf for g in gates.values()], float)
    tau = np.array([1 / g.rate for g in gates.values()], float)
    np.testing.assert_allclose(inf_of(fit_inf(V, inf), V), inf, atol=0.04)
    wide = tau > 0.05
    np.testing.assert_allclose(tau_of(fit_tau(V, tau), V)[wide], tau[wide], rtol=0.08)


def test_channels_of_a_table_are_one_population():
    table = table_of()
    made = standard_channels(table, E_rev=-80.0)
    assert made.files == tuple(table.channels) and not made.left_out
    channel, v = made.channel, jnp.asarray(V)[:, None]
    gates = channel.gating(v)
    for k, one in enumerate(table.channels.values()):
        for gate, state in (("m", "a"), ("h", "b")):  # a opens with depolarisation
            curves = one.gates[state]
            np.testing.assert_allclose(gates[gate].inf[:, k], curves.inf, atol=1e-4)
            np.testing.assert_allclose(1 / gates[gate].rate[:, k], curves.tau, rtol=0.03, atol=0.01)
    np.testing.assert_array_equal(channel.p_m, 3.0)
    half = {"m": jnp.full(6, 0.5), "h": jnp.full(6, 0.5)}
    np.testing.assert_allclose(channel.conductance(half), 0.5**4, rtol=1e-5)
    ratio = channel.speed("m", 16.3) / channel.speed("m", 6.3)
    np.testing.assert_allclose(ratio, 3.0, rtol=1e-6)


def test_what_is_not_of_the_form_is_left_out_with_a_reason():
    table = table_of(3)
    (first, *_) = table.channels.values()
    bell = replace(
        first,
        file="bell",
        powers={"a": 1},
        gates={"a": Curves(V, np.exp(-(V**2) / 900), first.gates["a"].tau)},
    )
    three = replace(
        first,
        file="three",
        powers={"a": 1, "b": 1, "c": 1},
        gates=dict.fromkeys("abc", first.gates["a"]),
    )
    more = {**table.channels, "bell": bell, "three": three}
    made = standard_channels(ChannelTable(more, {}), E_rev=0.0)
    assert made.files == tuple(table.channels)
    assert "off by" in made.left_out["bell"] and "two gates" in made.left_out["three"]
    with pytest.raises(ValueError, match="within the errors"):
        standard_channels(ChannelTable({"bell": bell}, {}), E_rev=0.0)


def test_exponents_that_differ_make_no_states_of_particles():
    with pytest.raises(ValueError, match="otherwise than by a product"):
        as_scheme(nj.channels.StandardForm())


def page(inf, tau):
    return (
        "# a.mod\n\n## SUFFIX\n\nka\n\n## GATES\n\n- **n**: 4\n- **z**: 0\n\n## Q10 TAU\n\n3.0\n\n"
        f"## RATE VALS TAU\n\n```json\n{json.dumps({'n': tau.tolist()})}\n```\n\n"
        f"## RATE VALS SS\n\n```json\n{json.dumps({'n': inf.tolist()})}\n```\n"
    )


def test_a_clone_and_its_arrays_are_one_table(tmp_path):
    (inf,), (tau,) = members(1)
    for name, text in (("a.mod", page(inf, tau)), ("b.mod", "## GATES\n\n- **n**: 1\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "omnimodel.md").write_text(text)
    facts = {
        "a.mod": {"suffix": "ka", "powers": {"n": "4", "z": "0"}, "q10_tau": "3.0"},
        "b.mod": {"suffix": "", "powers": {"n": "1"}, "q10_tau": ""},
    }
    (tmp_path / "t.json").write_text(json.dumps(facts))
    np.savez(
        tmp_path / "t.npz", **{f"a.mod|n|{k}": x for k, x in (("V", V), ("inf", inf), ("tau", tau))}
    )
    for path in (tmp_path, tmp_path / "t.npz"):
        table = read_table(path)
        (channel,) = table.channels.values()
        assert (channel.suffix, channel.powers, channel.q10_tau) == ("ka", {"n": 4}, 3.0)
        np.testing.assert_array_equal(channel.gates["n"].tau, tau)
        assert table.left_out == {"b.mod": "no steady state of n"}
    with pytest.raises(ValueError, match="expected a clone"):
        read_table(tmp_path / "t.json")


def test_measured_curves_name_their_channel():
    table = table_of()
    curves = table.channels["4.mod"].gates
    v = np.arange(-60.0, 41.0, 20.0)
    inf = {
        name: np.interp(v, V, c.inf) for name, c in (("act", curves["a"]), ("inact", curves["b"]))
    }
    tau = {"act": np.where(v < 0, np.interp(v, V, curves["a"].tau), np.nan)}
    first, second, *_ = like_curves(table, v, inf=inf, tau=tau)
    assert first.file == "4.mod" and first.distance < 1e-12 < 0.05 < second.distance
    assert first.gates == {"act": "a", "inact": "b"}
    for wrong, said in (
        ({}, "expected curves"),
        ({"inf": {"a": [1.0]}}, "expected the same"),
        ({"tau": {"a": v}}, "above 0"),
    ):
        with pytest.raises(ValueError, match=said):
            like_curves(table, v, **wrong)
    with pytest.raises(ValueError, match="the table has -100 to 100"):
        like_curves(table, 4 * v, inf={k: x for k, x in inf.items()})


def clamped(channel, steps=(-30.0, 0.0, 30.0), noise=0.02):
    """Sweeps of one channel under a voltage clamp, with noise: a step of 40 ms from -80 mV."""
    random, sweeps = np.random.default_rng(1), []
    for k, step in enumerate(steps):
        v = np.where((np.arange(600) >= 100) & (np.arange(600) < 500), step, -80.0)
        run = nj.simulate(
            nj.Cell(channels={"c": channel}),
            nj.voltage_clamp(v),
            0.1,
            initial=-80.0,
            record=("c.i",),
        )
        i = np.asarray(run.data["c.i"])
        i = np.concatenate([i[:1], i[:-1]])
        i = i + noise * np.abs(i).max() * random.normal(size=i.size)
        sweeps.append(Trace(clamp="voltage", dt_ms=0.1, v_mV=v, i_pA=7.0 * i, sweep=k))
    return sweeps


def test_currents_under_a_clamp_name_their_channel():
    made = standard_channels(table_of(), E_rev=-80.0)
    one = jax.tree.map(lambda x: float(x[2]) if np.ndim(x) else x, made.channel)
    sweeps = clamped(replace(one, E_rev=-65.0))
    first, second, *_ = like_recording(made, sweeps)
    assert first.file == "2.mod" and first.distance < 0.1 < second.distance
    quiet = like_recording(made, clamped(replace(one, E_rev=-65.0), noise=1e-3))[0]
    assert quiet.file == "2.mod" and quiet.E_rev == pytest.approx(-65.0, abs=3.0)
    known = like_recording(made, sweeps, E_rev=-65.0)[0]
    assert known.file == "2.mod" and known.g == pytest.approx(7.0, rel=0.05)
    upside_down = [replace(s, i_pA=-s.i_pA) for s in sweeps]
    assert like_recording(made, upside_down, E_rev=-65.0)[0].distance == 1.0
    with pytest.raises(ValueError, match="expected a voltage clamp"):
        like_recording(made, [replace(sweeps[0], clamp="current")])


def test_a_thousand_published_channels_are_one_program():
    tables = [read_table(recording(f"icg/icg_{name}.npz")) for name in ("K", "Na", "Ca")]
    channels = {file: x for table in tables for file, x in table.channels.items()}
    made = standard_channels(ChannelTable(channels, {}), E_rev=-80.0)
    assert len(made.files) > 1800 and np.median(made.error_inf) < 0.005
    assert np.median(made.error_tau) < 0.1
    channel = jax.tree.map(lambda x: x[:1000] if np.ndim(x) else x, made.channel)

    def run(channel, v):
        cell = nj.Cell(channels={"c": channel})
        return nj.simulate(cell, nj.voltage_clamp(v), 0.1, initial=-80.0, record=("c.i",)).data[
            "c.i"
        ]

    v = np.where(np.arange(300) < 50, -80.0, 20.0).astype(np.float32)
    begin = time.process_time()
    program = jax.jit(run).lower(channel, v).compile()
    assert time.process_time() - begin < 5.0
    i = program(channel, v)
    assert i.shape == (300, 1000) and np.isfinite(i).all()
    assert len(np.unique(np.asarray(i[200]))) > 250  # published files repeat each other
