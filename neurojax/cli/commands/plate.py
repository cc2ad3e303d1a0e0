"""neurojax plate: what can be asked of the fit of a plate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurojax.cli import console
from neurojax.cli.reading import ExcludeOption, JunctionOption, Reading


def plate(
    folder: Annotated[Path, typer.Argument(help="A folder with a recording for each cell.")],
    model: Annotated[str, typer.Argument(help="A packaged model (see: neurojax models) or .toml.")],
    sweeps: Annotated[
        str, typer.Option(help="Sweeps of each cell to fit, as for fit. Default: all.")
    ] = "",
    exclude: ExcludeOption = "",
    junction_potential: JunctionOption = "",
    own: Annotated[
        str,
        typer.Option(
            help="Free parameters that differ from cell to cell, drawn from one population: "
            "kr.g_bar,leak.g_bar. Default: all conductances; what is left all cells share."
        ),
    ] = "",
    alone: Annotated[bool, typer.Option("--alone", help="Each cell by itself.")] = False,
    seconds: Annotated[float, typer.Option(help="Time for the fit itself, s.")] = 300.0,
    seed: Annotated[int, typer.Option(help="Seed of the random starts.")] = 0,
    output: Annotated[Path, typer.Option(help="A row for each cell, CSV.")] = Path("plate.csv"),
    report: Annotated[Path, typer.Option(help="Report, HTML.")] = Path("plate.html"),
) -> None:
    """Fit all cells of a plate in voltage clamp at once; write a table and a report."""
    from neurojax.cli.plate import PlateJob, run_plate

    reading = Reading("voltage", exclude=exclude, junction=junction_potential)
    job = PlateJob(folder, model, output, report, sweeps, own, alone, seconds, seed, reading)
    raise typer.Exit(run_plate(job, console.out, console.err))
