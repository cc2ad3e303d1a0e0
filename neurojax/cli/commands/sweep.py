"""neurojax sweep: plan, run, resume, look at and merge sweeps over parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from neurojax.cli import console
from neurojax.cli.strict import Command

if TYPE_CHECKING:
    from neurojax.sweep.document import Document

commands = typer.Typer(no_args_is_help=True, help="Sweep parameters of a model: see sweep run.")

Folder_ = Annotated[Path, typer.Argument(help="The output folder of a sweep.")]
File_ = Annotated[Path, typer.Argument(help="A sweep file, TOML.")]
Output_ = Annotated[Path | None, typer.Option(help="Folder of results, instead of the file's.")]
Shard_ = Annotated[
    str,
    typer.Option(
        help="Compute each n-th shard as the i-th of n processes: 3/8. Default: what SLURM, Open "
        "MPI or Kubernetes tell, else all."
    ),
]


@commands.command(cls=Command)
def run(file: File_, output: Output_ = None, shard: Shard_ = "") -> None:
    """Compute the sweep of a file, or what is missing of it."""
    from neurojax.sweep import document

    asked = document.read_sweep(file, output)
    _compute(asked, shard, asked.store)


@commands.command(cls=Command)
def resume(folder: Folder_, shard: Shard_ = "") -> None:
    """Go on with a sweep that was interrupted, killed or damaged."""
    from neurojax.sweep import document, storage

    manifest = storage.Folder(folder).read()
    _compute(document.again(manifest, folder), shard, manifest.how)


def _compute(document: Document, shard: str, how: dict[str, Any]) -> None:
    """Run a sweep with a bar, and say what was done, or how to go on."""
    from neurojax.sweep import run as run_sweep
    from neurojax.sweep import tasks

    found = None if shard else tasks.detected()
    part = tasks.part_of(shard) if shard else found[0] if found else (1, 1)
    if found:
        console.out.print(f"part {part[0]}/{part[1]}, as {found[1]} says", soft_wrap=True)
    bar = Progress(
        TextColumn("cells"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console.out,
        disable=not console.out.is_terminal,
    )
    task = bar.add_task("cells", total=None)

    def progress(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    try:
        with bar:
            done = run_sweep(
                document.sweep,
                document.output,
                part=part,
                progress=progress,
                source=document.source,
                **how,
            )
    except KeyboardInterrupt:
        console.err.print(
            f"interrupted; go on with: neurojax sweep resume {document.output}", soft_wrap=True
        )
        raise typer.Exit(130) from None
    if done.damaged:
        console.out.print(f"{len(done.damaged)} damaged shards were computed again")
    console.out.print(
        f"{done.computed} shards computed, {done.found} were there: {document.output}"
    )
    if done.failed:
        console.out.print(
            f"{done.failed} cells left the finite numbers: see `neurojax sweep status`"
        )
    if done.missing:
        console.out.print(f"{done.missing} shards are still to come, from other processes")
    else:
        console.out.print(
            f"all results as one array: {document.output / 'sweep.h5'}", soft_wrap=True
        )


@commands.command(cls=Command)
def plan(file: File_, output: Output_ = None) -> None:
    """Cells, shards, bytes and time of a sweep, from a short run that is timed."""
    from neurojax.sweep import document
    from neurojax.sweep.plan import plan

    asked = document.read_sweep(file, output or Path("sweep"))
    for line in plan(asked.sweep, **asked.store).sentences():
        console.out.print(line, soft_wrap=True)


@commands.command(cls=Command)
def status(folder: Folder_) -> None:
    """Which shards are there, and which cells failed."""
    _tell(folder, verify=False)


@commands.command(cls=Command)
def verify(folder: Folder_) -> None:
    """Read every shard and compare its checksum; exit code 1 where one is damaged or missing."""
    if not _tell(folder, verify=True):
        raise typer.Exit(1)


def _tell(folder: Path, verify: bool) -> bool:
    from neurojax.sweep import status
    from neurojax.sweep.document import again
    from neurojax.sweep.storage import Folder

    manifest = Folder(folder).read()
    found = status.status(Folder(folder), manifest, verify)
    for line in found.sentences():
        console.out.print(line, soft_wrap=True)
    if found.first_failed is not None and manifest.source:
        sweep = again(manifest, folder).sweep
        told = status.described(sweep, found.first_failed)
        console.out.print(f"cell {found.first_failed}: {told}", soft_wrap=True)
    return not (found.damaged or found.missing)


@commands.command(cls=Command)
def merge(folder: Folder_) -> None:
    """Present the shards that are whole as one array, sweep.h5; the cells of others are NaN."""
    from neurojax.sweep.document import again
    from neurojax.sweep.merge import merge
    from neurojax.sweep.status import listed
    from neurojax.sweep.storage import Folder

    room = Folder(folder)
    manifest = room.read()
    whole = room.whole(manifest)
    merge(again(manifest, folder).sweep, room, manifest, whole)
    if damaged := room.there(manifest) - whole:
        console.out.print(f"left out as damaged: {listed(sorted(damaged))}", soft_wrap=True)
    console.out.print(f"all results as one array: {room.merged}", soft_wrap=True)


@commands.command(cls=Command)
def plot(
    folder: Folder_,
    output: Annotated[
        Path, typer.Argument(help="A picture (.png, .svg, .pdf), or .html, a page to explore.")
    ],
    of: Annotated[
        str, typer.Option(help="The result, as step.rate. Default: behaviour, or rate.")
    ] = "",
    x: Annotated[str, typer.Option(help="The axis to the right. Default: the first.")] = "",
    y: Annotated[str, typer.Option(help="The axis upwards. Default: the second.")] = "",
    at: Annotated[
        list[str] | None,
        typer.Option(help="Value of another axis, as 'k.g_bar=36 mS/cm2'. Repeatable."),
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Lines over x, one for each y, as f-I curves.")
    ] = False,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Each parameter against each other, of --good cells.")
    ] = False,
    good: Annotated[
        list[str] | None,
        typer.Option(
            help="With --pairs: what a good cell has, as 'step.rate=40:60 Hz' or "
            "step.behaviour=tonic. Repeatable."
        ),
    ] = None,
) -> None:
    """Draw a map of a result in two parameters; as .html, a click shows the trace of a cell.

    With --pairs FOLDER may be the file of a fit, too: of its starts those near the best are good.
    """
    from neurojax.cli.sweep_pairs import draw_pairs
    from neurojax.cli.sweep_plot import draw

    if pairs:
        if of or x or y or at or lines:
            raise ValueError("--pairs shows all parameters: give it --good, and no other option")
        draw_pairs(folder, output, good or [])
    elif good:
        raise ValueError("--good chooses the cells of --pairs: give both")
    else:
        draw(folder, output, of=of, x=x, y=y, at=at or [], lines=lines)
    console.out.print(f"drawn: {output}", soft_wrap=True)


@commands.command(cls=Command)
def script(
    file: File_,
    tasks: Annotated[int, typer.Option(help="Tasks of the array.")] = 10,
    hours: Annotated[float, typer.Option(help="Time limit of a task.")] = 4.0,
    cores: Annotated[int, typer.Option(help="CPU cores of a task.")] = 4,
    gpus: Annotated[int, typer.Option(help="GPUs of a task.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Write it here instead of showing it.")
    ] = None,
) -> None:
    """A script for SLURM's sbatch that computes the sweep as an array of tasks."""
    from neurojax.io.files import write_whole
    from neurojax.sweep.document import read_sweep
    from neurojax.sweep.tasks import sbatch_script

    asked = read_sweep(file)
    command = ["neurojax", "sweep", "run", str(file.resolve())]
    text = sbatch_script(command, asked.sweep.name, tasks, hours, cores, gpus)
    if output is None:
        console.out.print(text, soft_wrap=True, markup=False, end="")
    else:
        write_whole(output, text)
        console.out.print(f"submit it with: sbatch {output}", soft_wrap=True)
