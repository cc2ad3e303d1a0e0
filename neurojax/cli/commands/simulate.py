"""neurojax simulate: what can be asked of a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurojax.cli.reading import (
    ChannelOption,
    ClampOption,
    CommandOption,
    ExcludeOption,
    JunctionOption,
    Reading,
    WindowOption,
)


def simulate(
    model: Annotated[
        str, typer.Argument(help="A packaged model (see: neurojax models), .toml or fitted .h5.")
    ],
    amplitude: Annotated[
        str,
        typer.Option(
            help="With its unit: 170 pA, 10 uA/cm2, or 20 mV for a clamp. Several: '0, 50, 100 "
            "pA', or from:by:to, '-100:50:300 pA'."
        ),
    ] = "",
    shape: Annotated[
        str, typer.Option(help="step, ramp (from holding to the amplitude), sine or noise.")
    ] = "step",
    duration: Annotated[str, typer.Option(help="Length of the run.")] = "300 ms",
    start: Annotated[str, typer.Option(help="Onset of the step.")] = "50 ms",
    stop: Annotated[str, typer.Option(help="End of the step. Default: 50 ms before the end.")] = "",
    holding: Annotated[str, typer.Option(help="Level outside the step, unit as amplitude.")] = "",
    hold: Annotated[
        str, typer.Option(help="Hold the cell at a potential, '-70 mV', by the current it takes.")
    ] = "",
    frequency: Annotated[str, typer.Option(help="Of a sine: 10 Hz.")] = "",
    correlation: Annotated[
        str, typer.Option(help="Time constant of noise, whose sd is the amplitude. Default: 2 ms.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    current: Annotated[
        str, typer.Option(help="A table of time and current (or command), CSV, instead.")
    ] = "",
    dt: Annotated[str, typer.Option(help="Time step.")] = "0.025 ms",
    sets: Annotated[
        list[str] | None, typer.Option("--set", help='Parameter: na.g_bar="60 mS/cm2". Repeatable.')
    ] = None,
    record: Annotated[
        str, typer.Option(help="What to record: v, na.i, na.m, i_ion. Default: what a rig would.")
    ] = "",
    recording: Annotated[
        str, typer.Option(help="Replay the stimulus of this recording instead, data beside model.")
    ] = "",
    sweeps: Annotated[
        str, typer.Option(help="Which of its sweeps: 3, 1-5, IV:2. Default: the first.")
    ] = "",
    exclude: ExcludeOption = "",
    clamp: ClampOption = "",
    channel: ChannelOption = "",
    command: CommandOption = "",
    window: WindowOption = "",
    junction_potential: JunctionOption = "",
    step_error: Annotated[
        bool, typer.Option("--step-error", help="Tell how far off the time step puts spikes.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Write what was recorded, HDF5.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it: .png, .svg or .pdf.")] = None,
) -> None:
    """Simulate a model under currents, or voltages of a clamp: made, of a table, of a recording."""
    from neurojax.cli import simulate
    from neurojax.cli.stimulus import Made, Replay, Table

    made = Made(
        amplitude, duration, start, stop, holding, shape, frequency, correlation, seed
    )  # fmt: skip
    reading = Reading(
        clamp, channel, command, window=window, exclude=exclude, junction=junction_potential
    )
    if (reading != Reading() or sweeps) and not recording:
        raise ValueError(
            "--sweeps, --exclude, --clamp, --channel, --command, --window and "
            "--junction-potential say how a --recording is read: name one"
        )
    if bool(recording) + bool(current) + (made != Made()) > 1:
        raise ValueError(
            "the stimulus is told more than once: expected --recording, or --current, or "
            "--amplitude and what goes with it"
        )
    stimulus = made
    if recording:
        stimulus = Replay(recording, sweeps, reading)
    elif current:
        stimulus = Table(current)
    how = (model, stimulus, dt, tuple(sets or ()), hold, record, step_error, output, plot)
    simulate.run(simulate.SimulateJob(*how))
