"""A channel of one's own goes where those of the catalogue go: model files, fits, command line."""

import pkgutil

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import neurojax as nj
from neurojax import channels
from neurojax.channels import SquidLeak
from neurojax.cli import app, console
from neurojax.membrane.channel import param, pytree
from neurojax.model import ModelError, load_model, parse_model, to_toml
from neurojax.model.registry import classes_in, registry

MINE = '''
"""Channels of a user."""
import jax.numpy as jnp
import neurojax as nj
from neurojax.membrane.rates import from_inf


@nj.pytree
class SlowK(nj.Channel):
    """A slow potassium channel: i = g_bar n (v - E_rev).

    Source: made up.
    """

    powers = {"n": 1}
    carries = {"k": 1.0}
    g_bar: float = nj.param(0.5, "mS/cm2", 0.0, 10.0)
    E_rev: float = nj.param(-80.0, "mV", -110.0, -50.0)

    def gating(self, v, **_):
        return {"n": from_inf(1 / (1 + jnp.exp(-(v + 40) / 8)), 0.01 + 0 * v)}


class Bare(nj.Channel):
    """Without its decorator."""
'''

MODEL = """
[channels.slow]
type = "mine.py:SlowK"
g_bar = "0.2 mS/cm2"
[channels.leak]
type = "SquidLeak"
[free]
"slow.g_bar" = { low = 0.1, high = 5 }
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A model file in a folder, and beside it the Python file that it names; run from elsewhere."""
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "mine.py").write_text(MINE)
    (tmp_path / "cells" / "slow.toml").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "out", Console(width=200, highlight=False, soft_wrap=True))
    monkeypatch.setattr(console, "err", Console(stderr=True, width=200, soft_wrap=True))
    return tmp_path / "cells"


def run(*arguments):
    return CliRunner().invoke(app.app, [str(a) for a in arguments])


def test_a_class_in_a_file_reaches_the_cell_of_a_fit(files):
    model = load_model(files / "slow.toml")
    assert float(nj.parameters(model.cell)["slow.g_bar"][0]) == 0.2
    assert model.space.names == ["slow.g_bar"] and model.space.free[0].high == 5
    cell = model.space.apply(model.cell, {"slow.g_bar": np.array([0.2, 2.0])})
    r = nj.simulate(cell, nj.current_clamp(np.full(40, 5.0)), 0.1, record=("slow.i",))
    assert r.data["slow.i"].shape == (40, 2) and bool(r.ok.all())
    # Read twice it is one class, so that nothing is compiled twice.
    assert type(load_model(files / "slow.toml").cell.channels["slow"]) is type(
        model.cell.channels["slow"]
    )


def test_it_is_written_so_that_it_is_found_again(files, tmp_path):
    model = load_model(files / "slow.toml")
    for as_scheme in (False, True):
        cell = model.cell
        if as_scheme:
            slow = nj.as_scheme(cell.channels["slow"])
            cell = nj.Cell(channels={"slow": slow, "leak": SquidLeak()})
        (tmp_path / "fitted.toml").write_text(to_toml(cell, model.space))
        again = load_model(tmp_path / "fitted.toml")
        assert type(again.cell.channels["slow"]) is type(cell.channels["slow"])
        assert again.space == model.space


def test_the_command_line_takes_it(files):
    told = run("channels", "cells/mine.py:SlowK").output
    assert "A slow potassium channel" in told and "g_bar" in told and "carries" in told
    assert "SlowK" in run("channels", "cells/mine.py").output
    done = run("simulate", "cells/slow.toml", "--amplitude", "1 uA/cm2", "--output", "made.h5")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("mine.py:SlowNa", r"mine.py: no channel class 'SlowNa'; did you mean 'SlowK'"),
        ("mine.py", r'expected the name of a class, as "mine.py:MyK" \(have: SlowK, Bare\)'),
        ("mine.py:Bare", "write @nj.pytree above the class"),
        ("yours.py:SlowK", "yours.py: no such Python file"),
        ("no.such.module:SlowK", "no.such.module: no such module"),
        ("SlowK", r'no channel class \'SlowK\'.*your own: "file.py:SlowK"'),
        ("SquidNA", "no channel class 'SquidNA'; did you mean 'SquidNa'"),
        (3, "type = 3; expected the name of a class"),
    ],
)
def test_what_is_not_found_is_told(files, kind, message):
    text = MODEL.replace('"mine.py:SlowK"', repr(kind).replace("'", '"'))
    with pytest.raises(ModelError, match=message):
        parse_model(text, folder=files)


def test_a_file_that_fails_is_told_with_its_error(files):
    (files / "wrong.py").write_text("1 / 0\n")
    with pytest.raises(ModelError, match=r"wrong.py: ZeroDivisionError: division by zero"):
        parse_model(MODEL.replace("mine.py", "wrong.py"), folder=files)


def test_a_class_of_an_installed_module_is_named_by_it():
    text = '[channels.leak]\ntype = "neurojax.channels.squid:SquidLeak"\n'
    assert type(parse_model(text).cell.channels["leak"]) is SquidLeak
    assert set(classes_in("neurojax.channels.squid")) == {"SquidK", "SquidLeak", "SquidNa"}


@pytree
class OwnLeak(SquidLeak):
    """A leak that is at hand."""

    g_bar: float = param(0.1, "mS/cm2", 0.0, 1.0)


def test_the_catalogue_lists_every_class_of_its_files():
    files = [f"neurojax.channels.{m.name}" for m in pkgutil.iter_modules(channels.__path__)]
    there = {name for f in files for kind in (nj.Channel, nj.Ion) for name in classes_in(f, kind)}
    assert there == {*channels.catalogue(), *channels.ions_catalogue()}


def test_a_class_at_hand_is_passed():
    text = '[channels.leak]\ntype = "OwnLeak"\ng_bar = 0.2\n'
    with pytest.raises(ModelError, match="no channel class 'OwnLeak'"):
        parse_model(text)
    model = parse_model(text, channels=[OwnLeak])
    assert type(model.cell.channels["leak"]) is OwnLeak
    written = to_toml(model.cell, channels=[OwnLeak])
    assert 'type = "OwnLeak"' in written
    assert type(parse_model(written, channels=[OwnLeak]).cell.channels["leak"]) is OwnLeak


def test_two_classes_of_one_name_are_refused():
    other = pytree(type("SquidLeak", (nj.Channel,), {"__annotations__": {}}))
    with pytest.raises(ValueError, match=r"'SquidLeak': neurojax.channels.squid has one of this"):
        registry([other])
    with pytest.raises(ValueError, match="is no subclass of Channel"):
        registry([nj.Ion])
