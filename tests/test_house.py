"""The house rules: who may import whom, what importing may not do, what a file may not hold."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from scripts import loaded

import neurojax

ROOT = Path(neurojax.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if "experiments" not in path.parts)
EXPERIMENTS = sorted((Path(__file__).parents[1] / "experiments").glob("*/*.py"))

# The floors, the ground first: a room imports from lower floors only. Inside a room the files may
# import each other, without a cycle; `fit` has floors of its own. A new room takes its place here.
FLOORS = [
    {"units", "config"},
    {"recording", "morphology"},
    {"io", "membrane"},
    {"channels", "theory", "engine"},
    {"run", "loss", "model"},
    {"rig", "fit", "sweep", "genealogy"},
    {"plot"},
    {"neurojax", "report", "explore"},  # neurojax: the public names; nobody below imports them
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}

# The floors inside `fit`: its files and its rooms. "fit" is the file that gives the public names.
FIT_FLOORS = [
    {"candidates", "holding", "precision", "compiling"},
    {"problem", "preparation", "budget"},
    {"task"},
    {"stage", "scoring"},
    {"optimisers"},
    {"uncertainty"},
    {"stages", "saving", "verdict"},
    {"result"},
    {"recipe", "hierarchical"},
    {"compare"},
    {"fit"},
]
FIT_LEVEL = {room: level for level, rooms in enumerate(FIT_FLOORS) for room in rooms}

# A guide, not a law: what is past it deserves a look, and twice that a reason.
LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 400, 60


with loaded("architecture", "docs") as house:
    MODULES, room_of = house.modules(), house.room_of

# Read by the first test that asks: a worker that has others needs no second for it.
imports = cache(house.imports)


def test_every_room_has_a_floor():
    homeless = {room_of(m) for m in MODULES} - set(LEVEL)
    assert not homeless, f"give {sorted(homeless)} a place in FLOORS"
    gone = set(LEVEL) - {room_of(m) for m in MODULES}
    assert not gone, f"{sorted(gone)} are in FLOORS but not in the project"


def check_points_down(module, others, room_of, level):
    """Fails where a module imports from a room that is not below its own."""
    here = room_of(module)
    for other in others:
        there = room_of(other)
        if there != here:
            assert level[there] < level[here], f"{module} imports {other}, which is not below it"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    check_points_down(module, imports()[module], room_of, LEVEL)


def test_there_are_at_most_ten_floors():
    """Prints them, so that `pytest -s -k floors` shows the house."""
    built = house.floors(house.between_rooms())
    for number, rooms in reversed(list(enumerate(built, 1))):
        print(f"floor {number}: {', '.join(rooms)}")
    assert len(built) <= 10


def test_the_picture_of_the_rooms_is_current():
    drawn = house.PICTURE.read_text(encoding="utf-8")
    assert drawn == house.picture(), "draw it anew: python docs/architecture.py"


def fit_room_of(module: str) -> str:
    """The file or room of `fit` on a floor of it that a module belongs to."""
    return module.removeprefix("neurojax.fit.").split(".")[0] if module.count(".") > 1 else "fit"


FIT_MODULES = [module for module in MODULES if room_of(module) == "fit"]


def test_every_room_of_fit_has_a_floor():
    assert {fit_room_of(m) for m in FIT_MODULES} == set(FIT_LEVEL)


@pytest.mark.parametrize("module", FIT_MODULES)
def test_imports_inside_fit_point_down(module):
    of_fit = {other for other in imports()[module] if room_of(other) == "fit"}
    check_points_down(module, of_fit, fit_room_of, FIT_LEVEL)


def test_there_is_no_cycle():
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for other in sorted(imports()[module]):
            visit(other)
        path.pop()
        done.add(module)

    for module in MODULES:
        visit(module)


def test_what_is_tested_reads_the_imports_right():
    assert "neurojax.membrane.compartment" in imports()["neurojax.engine.scan"]
    assert "neurojax.membrane.electrode" in imports()["neurojax"]
    assert room_of("neurojax.channels.squid") == "channels" and room_of("neurojax") == "neurojax"


def test_importing_changes_nothing():
    """No switch of JAX is thrown, no backend started, no heavy optional package loaded."""
    program = """
import warnings, sys
warnings.simplefilter("error")
import jax
before = dict(jax.config.values)
import os
environment = dict(os.environ)
import neurojax
after = dict(jax.config.values)
assert before == after, {k: after[k] for k in after if before.get(k) != after[k]}
assert dict(os.environ) == environment
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
heavy = {"pynwb", "myokit", "neo", "typer", "matplotlib", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_configure_throws_switches():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if path.name != "config.py":
            assert "jax.config.update" not in text, path
            assert not re.search(r"environ\[[^]]+\] =|setdefault\(.XLA", text), path
            assert "enable_x64(" not in text, path


def test_only_engines_know_devices():
    names = re.compile(r"device_put|pallas|shard_map|NamedSharding|make_mesh|custom_vjp")
    for path in FILES:
        if "engine" not in path.parts:
            assert not names.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("path", FILES + EXPERIMENTS, ids=lambda p: "/".join(p.parts[-3:]))
def test_a_file_says_what_it_is_and_leaves_nothing_undone(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no docstring in the first line"
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            size = node.end_lineno - node.lineno + 1
            assert size <= 2 * LINES_OF_A_FUNCTION, f"{node.name} has {size} lines"
    assert len(text.splitlines()) <= 2 * LINES_OF_A_FILE
    for node in tree.body:
        public = isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_"
        if public and node.end_lineno - node.lineno > 4:
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_public_names_are_sorted_documented_and_there():
    assert neurojax.__all__ == sorted(neurojax.__all__)
    for name in neurojax.__all__:
        thing = getattr(neurojax, name)
        if name != "Leaf":
            assert (thing.__doc__ or "").strip(), f"{name} has no docstring"
    source = MODULES["neurojax"].read_text(encoding="utf-8")
    imported = {
        alias.asname or alias.name
        for node in ast.parse(source).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("neurojax")
        for alias in node.names
    }
    assert imported == set(neurojax.__all__)


def test_tests_mirror_modules():
    """Every file of the lower floors and of the membrane has a test file of its name."""
    tests = {path.stem for path in Path(__file__).parent.glob("test_*.py")}
    for module in MODULES:
        room, _, name = module.removeprefix("neurojax.").partition(".")
        if room in ("units", "config") or (room == "membrane" and name):
            assert f"test_{name or room}" in tests, module
