"""The command line: what a user asks for, and what they did wrong, as one red line.

What one command alone needs (matplotlib, HDF5) is imported inside it: 0.3 s less for `--help`.
"""

from __future__ import annotations

import inspect
import os
from importlib import metadata, util
from pathlib import Path
from typing import Annotated, Any

import jax
import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from typer.core import TyperGroup

import neurojax
from neurojax.channels import catalogue
from neurojax.cli.reading import (
    ChannelOption,
    ClampOption,
    CommandOption,
    GainOption,
    Reading,
    UnitOption,
    WindowOption,
)
from neurojax.cli.sweep import commands as sweep_commands
from neurojax.config import cache_dir, configure, cores
from neurojax.membrane.channel import Channel, ParamInfo, params
from neurojax.membrane.markov import Scheme
from neurojax.model import load_model, packaged
from neurojax.model.registry import Registry, classes_in
from neurojax.units import parse

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class _Commands(TyperGroup):
    """Commands whose errors are told in one line, unless --debug asks for the traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (ValueError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            complain(error)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            err.print("interrupted", style="red")
            raise typer.Exit(130) from None


def complain(error: Exception) -> None:
    """One clear red line on stderr."""
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        said = str(error) or type(error).__name__
    err.print(f"[bold red]error:[/] [red]{escape(said)}[/]", soft_wrap=True)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(sweep_commands, name="sweep")


def _version(asked: bool) -> None:
    if asked:
        out.print(f"neurojax {neurojax.__version__}")
        raise typer.Exit


@app.callback()
def start(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Simulate neurons and fit their ion channels to recordings. Begin with: neurojax demo"""


@app.command()
def demo(
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Make a recording with known parameters instead.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="Time for the fit itself, s.")] = 75.0,
    output_dir: Annotated[Path, typer.Option(help="Folder for results.")] = Path("neurojax-demo"),
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
) -> None:
    """Fit some steps of a real recording, predict the others, and write a report of it."""
    from neurojax.cli.demo import run_demo

    raise typer.Exit(
        run_demo(out, err, synthetic=synthetic, seconds=seconds, folder=output_dir, seed=seed)
    )


@app.command()
def fit(
    recording: Annotated[
        str, typer.Argument(help="ABF, ATF, NWB, CSV, NPZ, IBW, HEKA, WCP, or a folder of IBW.")
    ] = "",
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
    clamp: ClampOption = "",
    channel: ChannelOption = "",
    command: CommandOption = "",
    gain: GainOption = 1.0,
    unit: UnitOption = "",
    window: WindowOption = "",
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
) -> None:
    """Fit a model to a recording; write results (HDF5) and a report (HTML)."""
    from neurojax.cli import fit

    if resume is None and not (recording and model):
        raise ValueError("name a RECORDING and a MODEL, or --resume a fit.h5")
    job = fit.Job(
        model=model,
        recording=recording,
        outputs=fit.Outputs(output, report, save_model),
        sweeps=sweeps,
        held_out=held_out,
        reading=Reading(clamp, channel, command, gain, unit, window),
        seconds=seconds,
        method=method,
        starts=starts,
        seed=seed,
        precision=precision,
        stimulus=stimulus,
        pipette=pipette,
        resume=resume,
    )
    raise typer.Exit(fit.run_job(job, out, err))


@app.command()
def plate(
    folder: Annotated[Path, typer.Argument(help="A folder with a recording for each cell.")],
    model: Annotated[str, typer.Argument(help="A packaged model (see: neurojax models) or .toml.")],
    sweeps: Annotated[
        str, typer.Option(help="Sweeps of each cell to fit, as for fit. Default: all.")
    ] = "",
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

    job = PlateJob(folder, model, output, report, sweeps, own, alone, seconds, seed)
    raise typer.Exit(run_plate(job, out, err))


@app.command()
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
        out,
        model=model,
        stimulus=replay or step,
        dt=dt,
        sets=sets or [],
        record=record,
        step_error=step_error,
        output=output,
        picture=plot,
    )


@app.command()
def explore(
    model: Annotated[
        str,
        typer.Argument(
            help="A packaged model (see: neurojax models), .toml or fitted .h5; or nernst, or "
            "goldman, the equations of equilibrium."
        ),
    ],
    amplitude: Annotated[
        str, typer.Option(help="The first step: 170 pA. Default: one with which the cell fires.")
    ] = "",
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="What else a step can be made of: light=0:1000. Repeatable."),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help='Parameter: na.g_bar="60 mS/cm2". Repeatable.')
    ] = None,
    output: Annotated[Path, typer.Option(help="The page, HTML.")] = Path("explore.html"),
) -> None:
    """Write a page with sliders of all parameters, live traces, phase plane and firing rate."""
    from neurojax.cli.explore import run_explore

    run_explore(model, amplitude, inputs or [], sets or [], output, out)


@app.command()
def channels(
    name: Annotated[
        str,
        typer.Argument(
            help="A channel class, for its details: SquidNa, mine.py:MyK, Na.mod. Of mine.py "
            "alone, all."
        ),
    ] = "",
    plot: Annotated[
        Path | None, typer.Option(help="Draw steady states and time constants: .png, .svg, .pdf.")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(help="For --plot, what the channel reads: ca_i='1 uM'. Repeatable."),
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
    if plot is not None:
        from neurojax.cli.simulate import save_picture
        from neurojax.plot import channel_curves

        save_picture(channel_curves(kind(), kind.__name__, at=_readings(at or [], kind)), plot)
        out.print(f"drawn: {plot}")


def _list_channels(known: dict[str, type[Channel]]) -> None:
    for name, kind in known.items():
        text = inspect.getdoc(kind) or ""
        source = " ".join(text.partition("Source:")[2].partition("Deviates:")[0].split())
        out.print(f"[bold]{name}[/]  {' '.join(_gates(kind))}".rstrip())
        what = text.partition(":")[0]
        lines = [what, *_described(kind, without=Channel), *_ties(kind), source]
        out.print(Padding("\n".join(map(escape, lines)), (0, 0, 1, 2)))
    shared = "; ".join(_described(Channel))
    out.print(Padding(escape(f"Every channel also has {shared}."), (0, 0, 0, 0)))
    out.print("Details of one: neurojax channels NAME", style="dim")


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
    out.print(f"[bold]{name}[/]")
    out.print(escape(inspect.getdoc(kind) or ""))
    out.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("parameter", "default", "low", "high", "unit", "scale"):
        table.add_column(
            column, justify="right" if column in ("default", "low", "high") else "left"
        )
    for key, p in params(kind).items():
        table.add_row(key, _default(key, p), f"{p.low:g}", f"{p.high:g}", p.unit, p.scale)
    out.print(table)
    if _ties(kind):
        out.print("\n" + "; ".join(_ties(kind)))
    if kind.q10 or kind.q10_g != 1:
        warmed = dict(kind.q10) | ({"conductance": kind.q10_g} if kind.q10_g != 1 else {})
        faster = ", ".join(f"{what} {q:g}" for what, q in warmed.items())
        out.print(f"\nrates at {kind.celsius_ref:g} degC; q10: {faster}")
    else:
        out.print(f"\nrates at {kind.celsius_ref:g} degC; no q10, the same at every temperature")


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
            raise ValueError(
                f"--plot: {kind.__name__} reads {name}; give its value: --at {name}=..."
            )
    return values


@app.command()
def convert(
    mod: Annotated[Path, typer.Argument(help="An NMODL file: Ca_HVA.mod.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Python file. Default: printed.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the class. Default: from SUFFIX.")] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Tabulate its current under voltage steps.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw its current under voltage steps: .png, .svg, .pdf.")
    ] = None,
) -> None:
    """Make a Python file of an NMODL channel, to read and to change; models take .mod, too."""
    from neurojax.cli.convert import run_convert

    run_convert(mod, output, name, check, plot, out)


@app.command()
def models() -> None:
    """List the packaged models: cells that simulate and fit take by name."""
    for name in packaged():
        out.print(f"[bold]{name}[/]")
        out.print(Padding(escape(load_model(name).description), (0, 0, 1, 2)))


@app.command()
def info() -> None:
    """Versions, devices, folders and what optional readers are installed."""
    rows: list[tuple[str, str]] = [("neurojax", neurojax.__version__)]
    for package in ("jax", "jaxlib", "numpy", "optax", "h5py", "matplotlib"):
        try:
            rows.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            rows.append((package, "not installed"))
    devices = jax.devices()
    rows.append(("devices", ", ".join(f"{d.platform} {d.device_kind} {d.id}" for d in devices)))
    rows.append(("cores", f"{cores()} of {os.cpu_count()}"))
    rows.append(("precision", "float64" if jax.config.jax_enable_x64 else "float32"))  # type: ignore
    rows.append(("cache", str(cache_dir())))
    rows.append(("XLA_FLAGS", os.environ.get("XLA_FLAGS", "none")))
    readers = {
        "pynwb": ("NWB", "io"),
        "igor2": ("Igor waves", "io"),
        "myokit": ("HEKA, WinWCP", "io-more"),
        "neo": ("AxoGraph, Spike2", "io-more"),
        "morphio": ("Neurolucida", "morphology"),
        "lark": ("NMODL", "nmodl"),
    }
    for package, (what, extra) in readers.items():
        has = util.find_spec(package) is not None
        missing = f"no: pip install neurojax[{extra}]"
        rows.append((f"{what} ({package})", "installed" if has else missing))
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in rows:
        table.add_row(f"[bold]{key}[/]", escape(value))
    out.print(table)


def main() -> None:
    """Set JAX up, then do what the command line says."""
    configure()
    app()
