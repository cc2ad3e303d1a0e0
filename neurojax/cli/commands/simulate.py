"""neurojax simulate: what can be asked of a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurojax.cli import console
from neurojax.cli.reading import ChannelOption, ClampOption, CommandOption, Reading


def simulate(
    model: Annotated[
        str, typer.Argument(help="A packaged model (see: neurojax models), .toml or fitted .h5.")
    ],
    amplitude: Annotated[
        str, typer.Option(help="Step with its unit: 170 pA, 10 uA/cm2, or 20 mV for a clamp.")
    ] = "",
    duration: Annotated[str, typer.Option(help="Length of the run.")] = "300 ms",
    start: Annotated[str, typer.Option(help="Onset of the step.")] = "50 ms",
    stop: Annotated[str, typer.Option(help="End of the step. Default: 50 ms before the end.")] = "",
    holding: Annotated[str, typer.Option(help="Level outside the step, unit as amplitude.")] = "",
    dt: Annotated[str, typer.Option(help="Time step.")] = "0.025 ms",
    sets: Annotated[
        list[str] | None, typer.Option("--set", help='Parameter: na.g_bar="60 mS/cm2". Repeatable.')
    ] = None,
    record: Annotated[
        str, typer.Option(help="What to record: v, na.i, na.m, i_ion. Default: what a rig would.")
    ] = "",
    recording: Annotated[
        str, typer.Option(help="Replay the stimulus of this recording instead of a step.")
    ] = "",
    sweep: Annotated[str, typer.Option(help="Which of its sweeps. Default: the first.")] = "",
    clamp: ClampOption = "",
    channel: ChannelOption = "",
    command: CommandOption = "",
    step_error: Annotated[
        bool, typer.Option("--step-error", help="Tell how far off the time step puts spikes.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Write what was recorded, HDF5.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it: .png, .svg or .pdf.")] = None,
) -> None:
    """Simulate a model under a step of current or voltage, or a recording's stimulus."""
    from neurojax.cli import simulate

    step = simulate.Step(amplitude, duration, start, stop, holding)
    how = Reading(clamp, channel, command)
    if how != Reading() and not recording:
        raise ValueError("--clamp, --channel and --command say how a --recording is read: name one")
    replay = simulate.Replay(recording, sweep, how) if recording else None
    simulate.run(
        console.out,
        model=model,
        stimulus=replay or step,
        dt=dt,
        sets=sets or [],
        record=record,
        step_error=step_error,
        output=output,
        picture=plot,
    )
