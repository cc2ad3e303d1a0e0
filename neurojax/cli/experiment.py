"""The experiments that come with the package: which there are, and one run with other parameters.

A parameter of an experiment is a constant in capitals at the head of its script, a number or a list
of them. To change one, its line is written anew before the script runs, so that what is worked out
of it follows.
"""

from __future__ import annotations

import ast
import io
import sys
import tempfile
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

import neurojax
from neurojax.cli.deliver import check_writable
from neurojax.io.files import write_whole
from neurojax.plot import number
from neurojax.units import check_known

Value = ast.expr


@dataclass(frozen=True)
class Constant:
    """A constant of a script that may be changed."""

    name: str
    value: Value
    note: str  # the comment beside it: its unit, and what it is

    @property
    def is_list(self) -> bool:
        return not isinstance(self.value, ast.Constant | ast.UnaryOp)


def folders() -> dict[str, Path]:
    """The folder of every experiment by its number: of the installed package, or of the clone."""
    inside = Path(neurojax.__file__).parent
    for place in (inside / "experiments", inside.parent / "experiments"):
        if place.is_dir():
            found = sorted(p for p in place.glob("[0-9][0-9][0-9]-*") if (p / "run.py").exists())
            return {path.name[:3]: path for path in found}
    raise OSError(f"{inside / 'experiments'}: no such folder; install neurojax anew")


def list_experiments(out: Console) -> None:
    """Number and title of each."""
    for key, folder in folders().items():
        out.print(f"[bold]{key}[/]  {escape(_text(folder)[0].partition(': ')[2])}")
    out.print("\nRun one: neurojax experiment 009; what can be changed in it: --list", style="dim")


def describe(name: str, out: Console) -> None:
    """What an experiment asks and shows, and the parameters that can be changed."""
    folder = _folder(name)
    title, *text = _text(folder)
    out.print(f"[bold]{escape(title)}[/]")
    out.print(escape("\n".join(text)).strip(), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("parameter", "value", "unit, and what it is"):
        table.add_column(head)
    for c in constants(_source(folder)).values():
        table.add_row(c.name, escape(_short(c.value)), escape(c.note))
    out.print(Padding(table, (1, 0)))
    out.print(f"Change one: neurojax experiment {name} --set NAME=VALUE", style="dim")


def run_experiment(name: str, sets: Sequence[str], output: Path | None, out: Console) -> None:
    """Run one, with parameters changed; prints its numbers and writes its figure.

    Raises ValueError or OSError for an experiment or parameter that is not there, for a value that
    cannot be one, and where the script does not run with it.
    """
    folder = _folder(name)
    output = output or Path(f"{folder.name}.png")
    check_writable(output, (".png",))
    program = changed(_source(folder), sets)
    script = ModuleType(folder.name)
    script.__file__ = str(folder / "run.py")
    with tempfile.TemporaryDirectory() as drawn:
        sys.modules[script.__name__] = script  # a class looks for the module that it is from
        try:
            exec(compile(program, script.__file__, "exec"), script.__dict__)
            found = script.__dict__["main"](Path(drawn))
        except (OSError, MemoryError):
            raise
        except Exception as error:
            if not sets:
                raise
            with_ = ", ".join(sets)
            raise ValueError(f"{folder.name} does not run with {with_}: {error}") from error
        finally:
            del sys.modules[script.__name__]
        picture = (Path(drawn) / "figure.png").read_bytes()
    out.print(f"[bold]{escape(_text(folder)[0])}[/]")
    for told, value in lines_of(found):
        out.print(f"{told:28s} {value}")
    out.print(f"figure  {write_whole(output, picture)}", soft_wrap=True)
    out.print(f"What it shows: neurojax experiment {name} --list", style="dim")


def constants(source: str) -> dict[str, Constant]:
    """The numbers and lists of numbers in capitals at the head of a script."""
    notes = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for name, value in _assigned(ast.parse(source)):
        if name.isupper() and _is_numeric(value):
            found[name] = Constant(name, value, notes.get(value.end_lineno or 0, ""))
    return found


def changed(source: str, sets: Sequence[str]) -> ast.Module:
    """The program of a script with constants set anew, from texts `NAME=VALUE`.

    A list is numbers with commas. Raises ValueError for what is no constant of it, or no value.
    """
    known, anew = constants(source), dict[str, Value]()
    for text in sets:
        name, equals, value = (part.strip() for part in text.partition("="))
        name = name.upper()
        if not equals:
            raise ValueError(f"--set {text!r}: expected NAME=VALUE, such as DT=0.01")
        check_known(name, known, "parameter", "--set: ")
        if name in anew:
            raise ValueError(f"--set {name}: is given twice; expected it once")
        anew[name] = _given(known[name], value)
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.Assign):
            _replace(node, anew)
    return ast.fix_missing_locations(tree)


def _given(constant: Constant, text: str) -> Value:
    """A value as an expression, in the form that the constant has."""
    told = f"--set {constant.name}={text}"
    try:
        numbers = [ast.literal_eval(part.strip()) for part in text.strip("()[]").split(",")]
        if not all(type(x) in (int, float) for x in numbers):
            raise ValueError
    except (ValueError, SyntaxError):
        raise ValueError(f"{told}: expected a number, or numbers with commas between") from None
    if not constant.is_list:
        if len(numbers) > 1:
            raise ValueError(f"{told}: expected one number")
        whole = isinstance(ast.literal_eval(constant.value), int)
        if whole and not isinstance(numbers[0], int):
            raise ValueError(f"{told}: expected a whole number")
        return ast.parse(repr(numbers[0]), mode="eval").body
    if isinstance(constant.value, ast.Tuple):
        return ast.parse(repr(tuple(numbers)), mode="eval").body
    return ast.parse(f"np.array({[float(x) for x in numbers]!r})", mode="eval").body


def _assigned(tree: ast.Module) -> Iterator[tuple[str, Value]]:
    """Names and the expressions that they are assigned, `A, B = 1, 2` too."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for one, value in zip(target.elts, node.value.elts, strict=True):
                    yield ast.unparse(one), value


def _replace(node: ast.Assign, anew: Mapping[str, Value]) -> None:
    (target,) = node.targets
    if isinstance(target, ast.Name):
        node.value = anew.get(target.id, node.value)
    elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        pairs = zip(target.elts, node.value.elts, strict=True)
        node.value.elts = [anew.get(ast.unparse(one), value) for one, value in pairs]


def _is_numeric(value: Value) -> bool:
    """Whether it is a number, a tuple of numbers or an array of NumPy."""
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) in (
            "np.array",
            "np.arange",
            "np.linspace",
            "np.geomspace",
        )
    try:
        known = ast.literal_eval(value)
    except ValueError:
        return False
    return all(type(x) in (int, float) for x in (known if isinstance(known, tuple) else (known,)))


def _short(value: Value) -> str:
    text = ast.unparse(value).removeprefix("np.array([").removesuffix("])")
    return text.removeprefix("np.")


def lines_of(found: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """What an experiment found, a line each."""
    for key, value in found.items():
        name = f"{before}{key:g}" if isinstance(key, float) else f"{before}{key}"
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, list | tuple) and any(isinstance(x, list | tuple) for x in value):
            value = dict(enumerate(value))
        if isinstance(value, Mapping):
            yield from lines_of(value, f"{name} ")
        elif isinstance(value, list | tuple):
            yield name, "  ".join(_number(x) for x in value)
        else:
            yield name, _number(value)


def _number(value: Any) -> str:
    return str(value) if isinstance(value, int | str) else number(float(value), 5)


def _folder(name: str) -> Path:
    known = folders()
    key = name.partition("-")[0].zfill(3)
    check_known(key, known, "experiment")
    return known[key]


def _source(folder: Path) -> str:
    return (folder / "run.py").read_text(encoding="utf-8")


def _text(folder: Path) -> list[str]:
    """The lines of its text, without picture and without how to run it."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith(("![", "Run it", "    "))]
    return [kept[0].removeprefix("# "), *(line.replace("**", "") for line in kept[1:])]
