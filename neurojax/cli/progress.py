"""A progress bar for fits: pass a FitProgress as `progress`."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from neurojax.plot import number


class FitProgress:
    """What a fit is doing: a bar for each stage on a terminal, else a line when a stage ends."""

    def __init__(self, console: Console):
        self.console = console
        self.stage, self.task = "", TaskID(0)
        self.done, self.last, self.began = 0, "", time.monotonic()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("best {task.fields[best]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> FitProgress:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()
        self.bar.stop()

    def __call__(self, stage: str, done: int, total: int, best: float, unit: str) -> None:
        told = f"{number(best)} {'' if unit == '1' else unit}".strip()
        if stage != self.stage:
            self._end()
            self.stage, self.began = stage, time.monotonic()
            self.task = self.bar.add_task(stage, total=total, best=told)
        self.bar.update(self.task, completed=done, total=total, best=told)
        self.done, self.last = done, f"{stage}: {done} of {total}, best error {told}"

    def _end(self) -> None:
        if self.last:  # a stage may end early, when nothing gains any more
            self.bar.update(self.task, total=self.done)
            self.bar.stop_task(self.task)
        if self.last and not self.console.is_terminal:
            self.console.print(f"{self.last}, {time.monotonic() - self.began:.1f} s")
        self.last = ""
