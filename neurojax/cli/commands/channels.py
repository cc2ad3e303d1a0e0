"""neurojax channels: list the channels that models can be made of, or show one."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from neurojax.channels import catalogue
from neurojax.cli import console
from neurojax.explore.symbols import equations, open_probability
from neurojax.membrane.channel import Channel, ParamInfo, params
from neurojax.membrane.markov import Scheme
from neurojax.model.registry import Registry, classes_in
from neurojax.rig.channel_curves import channel_curves
from neurojax.units import parse


def channels(
    name: Annotated[
        str,
        typer.Argument(
            help="A channel class, for its details: SquidNa, mine.py:MyK, Na.mod. Of mine.py "
            "alone, all."
        ),
    ] = "",
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw steady states, time constants and I-V: .png, .svg, .pdf."),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(help="For its curves, what the channel reads: ca_i='1 uM'. Repeatable."),
    ] = None,
) -> None:
    """List the channels that models can be made of, or show one: SquidNa, or mine.py:MyK."""
    if not name or name.endswith(".py"):
        if plot is not None:
            raise ValueError("--plot draws one channel: name it (neurojax channels SquidNa --plot)")
        listed = classes_in(name) if name else catalogue()
        if not listed:
            raise ValueError(f"{name}: defines no channel")
        _list_channels(listed)
        return
    kind: Any = Registry().channel(name)
    _show_channel(kind.__name__, kind)
    if at or not kind.reads:
        _show_curves(kind, _readings(at or [], kind))
    else:
        told = " ".join(f"--at {name}=..." for name in kind.reads)
        console.out.print(f"\nIts curves: {told}", style="dim")
    if plot is not None:
        from neurojax.cli.pictures import save_picture
        from neurojax.plot import channel_curves

        save_picture(channel_curves(kind(), kind.__name__, at=_readings(at or [], kind)), plot)
        console.out.print(f"drawn: {plot}")


def _list_channels(known: dict[str, type[Channel]]) -> None:
    for name, kind in known.items():
        text = inspect.getdoc(kind) or ""
        source = " ".join(text.partition("Source:")[2].partition("Deviates:")[0].split())
        console.out.print(f"[bold]{name}[/]  {' '.join(_gates(kind))}".rstrip())
        what = text.partition(":")[0]
        lines = [what, *_described(kind, without=Channel), *_ties(kind), source]
        console.out.print(Padding("\n".join(map(escape, lines)), (0, 0, 1, 2)))
    shared = "; ".join(_described(Channel))
    console.out.print(Padding(escape(f"Every channel also has {shared}."), (0, 0, 0, 0)))
    console.out.print("Details of one: neurojax channels NAME", style="dim")


def _gates(kind: type[Channel]) -> list[str]:
    """Its gating variables with their powers, or its states, those in brackets that conduct."""
    if issubclass(kind, Scheme):
        return [f"({s})" if s in kind.conducting else s for s in kind.states]
    return [f"{g}{p if p > 1 else ''}" for g, p in kind.powers.items()]


def _described(kind: type[Channel], without: type | None = None) -> list[str]:
    """Each parameter with its default, bounds and unit."""
    known = params(without) if without else {}
    return [
        f"{k} = {_default(k, p)} {'' if p.unit == '1' else p.unit + ' '}[{p.low:g}, {p.high:g}]"
        for k, p in params(kind).items()
        if k not in known
    ]


def _default(key: str, info: ParamInfo) -> str:
    if info.default is None:
        return "nernst" if key == "E_rev" else "none"
    return f"{info.default:.4g}"


def _ties(kind: type[Channel]) -> list[str]:
    """What binds it to the ions and inputs of a cell."""
    ties = [f"reads {', '.join(kind.reads)}"] if kind.reads else []
    shares = [f"{share:g} " if share != 1 else "" for share in kind.carries.values()]
    if shares:
        carried = (share + ion for share, ion in zip(shares, kind.carries, strict=True))
        ties.append(f"carries {', '.join(carried)}")
    return ties


def _show_channel(name: str, kind: Any) -> None:
    console.out.print(f"[bold]{name}[/]")
    console.out.print(escape(inspect.getdoc(kind) or ""))
    console.out.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("parameter", "default", "low", "high", "unit", "scale"):
        table.add_column(
            column, justify="right" if column in ("default", "low", "high") else "left"
        )
    for key, p in params(kind).items():
        table.add_row(key, _default(key, p), f"{p.low:g}", f"{p.high:g}", p.unit, p.scale)
    console.out.print(table)
    if _ties(kind):
        console.out.print("\n" + "; ".join(_ties(kind)))
    console.out.print("\n[bold]equations[/]")
    for line in equations(kind):
        console.out.print(f"  {escape(line)}", soft_wrap=True)
    if part := open_probability(kind):
        console.out.print(f"\nopen probability {escape(part)}")
    if kind.q10 or kind.q10_g != 1:
        warmed = dict(kind.q10) | ({"conductance": kind.q10_g} if kind.q10_g != 1 else {})
        faster = ", ".join(f"{what} {q:g}" for what, q in warmed.items())
        console.out.print(f"\nrates at {kind.celsius_ref:g} degC; q10: {faster}")
    else:
        console.out.print(
            f"\nrates at {kind.celsius_ref:g} degC; no q10, the same at every temperature"
        )


def _show_curves(kind: Any, at: dict[str, float]) -> None:
    """Steady states, time constants and currents at some potentials."""
    curves = channel_curves(kind(), np.arange(-100.0, 41.0, 20.0), at=at)
    table = Table(box=None, pad_edge=False, header_style="bold")
    heads = [f"{k} steady" for k in curves.steady] + [f"tau {k}, ms" for k in curves.tau]
    for head in ("v, mV", *heads, "i steady, uA/cm2", "i peak, uA/cm2"):
        table.add_column(head, justify="right")
    columns = [*curves.steady.values(), *curves.tau.values(), curves.i_steady, curves.i_peak]
    for row, v in enumerate(curves.v):
        table.add_row(f"{v:g}", *(f"{column[row]:.3g}" for column in columns))
    console.out.print()
    console.out.print(table)
    reverses = "" if curves.E_ion is None else f"; it reverses at {curves.E_ion:g} mV here"
    console.out.print(f"Peaks are of steps from {curves.holding:g} mV{reverses}.", style="dim")


def _readings(texts: list[str], kind: type[Channel]) -> dict[str, float]:
    """What a channel reads, from `name=value` texts; concentrations are in mM."""
    values = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or name not in kind.reads:
            have = ", ".join(kind.reads) or "nothing"
            raise ValueError(f"--at {text!r}: expected name=value of what it reads ({have})")
        values[name] = parse(value, "mM" if name[-2:] in ("_i", "_o") else "1", f"--at {name}")
    for name in kind.reads:
        if name not in values:
            raise ValueError(f"{kind.__name__} reads {name}; give its value: --at {name}=...")
    return values
