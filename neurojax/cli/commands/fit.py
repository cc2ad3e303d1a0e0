"""neurojax fit: what can be asked of a fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurojax.cli import console
from neurojax.cli.parameters import Edits
from neurojax.cli.reading import (
    ChannelOption,
    ClampOption,
    CommandOption,
    ExcludeOption,
    GainOption,
    JunctionOption,
    Reading,
    UnitOption,
    WindowOption,
)

Recordings = Annotated[
    list[str] | None,
    typer.Argument(
        help="ABF, ATF, NWB, CSV, NPZ, IBW, HEKA, WCP; files, folders, patterns as 'cells/*.abf'."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Value of what is not free: celsius=34. Repeatable."),
]
FixOption = Annotated[
    list[str] | None,
    typer.Option("--fix", help="Not free, at a value or the model's: C_m=1. Repeatable."),
]
FreeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--free",
        help="Free between bounds: na.g_bar=20:200; with bounds wider than declared and why: "
        "'na.g_bar=20:2000 because it is overexpressed'. Repeatable.",
    ),
]


def fit(
    recordings: Recordings = None,
    model: Annotated[
        str,
        typer.Argument(
            help="A packaged model (see: neurojax models), .toml or fitted .h5; or auto, which "
            "chooses among packaged ones of neurons."
        ),
    ] = "",
    sweeps: Annotated[
        str, typer.Option(help="Sweeps to fit: 1,3 or sine_wave or IV:2. Default: chosen for you.")
    ] = "",
    held_out: Annotated[
        str, typer.Option(help="Sweeps to predict only. Default: all that are not fitted.")
    ] = "",
    exclude: ExcludeOption = "",
    clamp: ClampOption = "",
    channel: ChannelOption = "",
    command: CommandOption = "",
    gain: GainOption = 1.0,
    unit: UnitOption = "",
    window: WindowOption = "",
    junction_potential: JunctionOption = "",
    sets: SetOption = None,
    fixes: FixOption = None,
    frees: FreeOption = None,
    pool: Annotated[
        bool, typer.Option("--pool", help="All recordings are of one cell: one fit.")
    ] = False,
    hold: Annotated[
        bool,
        typer.Option("--hold", help="Find the current that holds each sweep where it began."),
    ] = False,
    seconds: Annotated[float, typer.Option(help="Time for the fit itself, s.")] = 120.0,
    method: Annotated[
        str,
        typer.Option(
            help="Stages of the fit in their order, such as search,certify: draw, regress, search "
            "(features of spikes), nudge (least squares led by the data), polish, certify. "
            "Default: what suits the recording."
        ),
    ] = "",
    starts: Annotated[
        int | None,
        typer.Option(help="Random starts, or the population of a search."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random starts.")] = 0,
    precision: Annotated[
        str, typer.Option(help="Simulate in 'single' (float32) or 'exact' (float64, slower).")
    ] = "single",
    stimulus: Annotated[
        str,
        typer.Option(
            help="'auto': a measured current is replaced by its steps. 'measured': it drives the "
            "model as it is, with its noise and artefacts of spikes."
        ),
    ] = "auto",
    pipette: Annotated[
        str,
        typer.Option(
            help="Series resistance and capacitance between amplifier and cell: 'auto', where the "
            "recording shows them, 'yes' or 'no'."
        ),
    ] = "auto",
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with this fit (HDF5), instead of RECORDING and MODEL."),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Results, HDF5; while the fit runs, the best so far.")
    ] = Path("fit.h5"),
    report: Annotated[Path, typer.Option(help="Report, HTML.")] = Path("fit.html"),
    save_model: Annotated[
        Path | None, typer.Option(help="The fitted model, TOML. Default: not written.")
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(help="Of several cells, a row for each, CSV. Default: beside the results."),
    ] = None,
) -> None:
    """Fit a model to a recording; write results (HDF5) and a report (HTML).

    Of several recordings each is a cell: fitted one after the other, each for --seconds, its name
    behind those of its files (fit-cell7.h5), and a table of all. One that cannot be read or fitted
    costs that one; the exit code is then 1. With --pool they are sweeps of one cell.
    """
    from neurojax.cli import batch, fit
    from neurojax.cli.files import recordings as found

    files = found(recordings or ())
    if resume is None and not (files and model):
        raise ValueError("name a RECORDING and a MODEL, or --resume a fit.h5")
    job = fit.Job(
        model=model,
        recordings=tuple(files),
        outputs=fit.Outputs(output, report, save_model),
        sweeps=sweeps,
        held_out=held_out,
        reading=Reading(clamp, channel, command, gain, unit, window, exclude, junction_potential),
        edits=Edits(tuple(sets or ()), tuple(fixes or ()), tuple(frees or ())),
        hold=hold,
        seconds=seconds,
        method=method,
        starts=starts,
        seed=seed,
        precision=precision,
        stimulus=stimulus,
        pipette=pipette,
        resume=resume,
    )
    if len(files) > 1 and not pool:
        raise typer.Exit(batch.run_batch(job, summary, console.out, console.err))
    if summary is not None:
        raise ValueError("--summary is a table of several cells; --output has the results of one")
    raise typer.Exit(fit.exit_code(fit.run_job(job, console.out)))
