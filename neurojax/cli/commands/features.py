"""neurojax features: what can be asked of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurojax.cli.reading import (
    ChannelOption,
    ClampOption,
    CommandOption,
    ExcludeOption,
    GainOption,
    JunctionOption,
    Reading,
    SweepsOption,
    UnitOption,
    WindowOption,
)


def features(
    files: Annotated[
        list[str], typer.Argument(help="Recordings: files, folders, patterns as 'cells/*.abf'.")
    ],
    sweeps: SweepsOption = "",
    exclude: ExcludeOption = "",
    window: WindowOption = "",
    junction_potential: JunctionOption = "",
    criterion: Annotated[
        str, typer.Option(help="A spike begins where V rises so fast, as '20 mV/ms' (V/s).")
    ] = "10 mV/ms",
    clamp: ClampOption = "",
    channel: ChannelOption = "",
    command: CommandOption = "",
    gain: GainOption = 1.0,
    unit: UnitOption = "",
    pool: Annotated[bool, typer.Option("--pool", help="All files are of one cell.")] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print the sweeps as CSV, with step and rate of each.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="A row for each sweep, CSV.")] = None,
    fi: Annotated[Path | None, typer.Option("--fi", help="The f-I curve, CSV.")] = None,
    summary: Annotated[Path | None, typer.Option(help="A row for each cell, CSV.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw sweeps and f-I curve.")] = None,
) -> None:
    """Read off recordings what a person would: spikes, f-I curve, rest, resistance, sag.

    One file is told sweep by sweep, several cell by cell. One that cannot be read does not stop
    the others; the exit code is then 1.
    """
    from neurojax.cli.features import FeaturesJob, run_features

    reading = Reading(clamp, channel, command, gain, unit, window, exclude, junction_potential)
    job = FeaturesJob(
        files, reading, sweeps, criterion, pool, csv, output, fi, summary, plot
    )  # fmt: skip
    raise typer.Exit(run_features(job))
