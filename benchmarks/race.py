"""A race: contestants in processes of their own, one running at a time, in interleaved rounds.

What the machine does meanwhile hits all of them alike, and one that is missing or breaks is a row
with the reason in it. `peers/worker.py` is the other end of the conversation.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

PEERS = Path(__file__).parent / "peers"
ROUNDS = 5
LIMIT = 180.0  # seconds for import, for preparation with the first run, and for each further run
BUDGET = 20.0  # seconds of runs after which a contestant has no more rounds
SHARE = 0.6  # of the memory still free, at most for one contestant

Row = dict[str, Any]


class Contestant(NamedTuple):
    """A script in `peers/`, under the name that tables show, and what it is told beside the job."""

    name: str
    script: str
    job: dict[str, Any] = {}
    needs_MB: float = 0.0  # what it is expected to hold


class Failed(Exception):
    """A contestant that is not there, broke, or took too long; the message is the reason."""


class Worker:
    """One contestant's process: stopped, except while it is asked something."""

    def __init__(self, script: str, job: dict[str, Any], limit: float):
        self.limit = limit
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed with the process
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, PEERS / f"{script}.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True, start_new_session=True, env=os.environ | {"JAX_TRACEBACK_FILTERING": "off"},
        )  # fmt: skip
        try:
            self._answer()
            self.import_seconds = time.perf_counter() - began
            self.first = self.ask(json.dumps(job))
        except BaseException:
            self.close()
            raise

    def ask(self, line: str = "run") -> dict[str, Any]:
        """One line in, one answer out."""
        try:
            self._signal(signal.SIGCONT)
            print(line, file=self.process.stdin, flush=True)
        except OSError:
            raise Failed(self._last_words()) from None
        answer = self._answer()
        self._signal(signal.SIGSTOP)
        return answer

    def close(self) -> None:
        """End the process and those that it started."""
        self._signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def _answer(self) -> dict[str, Any]:
        out = self.process.stdout
        assert out is not None
        if not select.select([out], [], [], self.limit)[0]:
            raise Failed(f"no answer within {self.limit:g} s")
        line = out.readline()
        if not line:
            raise Failed(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        code = self.process.wait()
        self.log.seek(0)
        lines = [x.strip() for x in self.log.read().splitlines() if x.strip()]
        ended = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return lines[-1][:200] if lines and code > 0 else ended

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def start(contestant: Contestant, job: dict[str, Any], limit: float) -> tuple[Worker, Row]:
    """A contestant at the line, with its fastest variant, and what its first run told."""
    job = {**job, **contestant.job}
    worker = Worker(contestant.script, job, limit)
    tried = worker.first.get("tried")
    if tried:
        worker.close()
        worker = Worker(contestant.script, {**job, "variant": min(tried, key=tried.get)}, limit)
    row = {"name": contestant.name, "job": job, "import_seconds": worker.import_seconds}
    return worker, row | worker.first | {"tried": tried or {}, "seconds": []}


def race(
    contestants: Iterable[Contestant],
    job: dict[str, Any],
    *,
    rounds: int = ROUNDS,
    limit: float = LIMIT,
    budget: float = BUDGET,
) -> list[Row]:
    """One row per contestant, in their order: all rounds' `seconds`, or the `reason` for none."""
    rows: list[Row] = []
    running: list[tuple[Worker, Row]] = []
    try:
        for contestant in contestants:
            if contestant.needs_MB > SHARE * available_MB():
                rows.append(absent(contestant, f"would need {contestant.needs_MB / 1e3:.0f} GB"))
                continue
            try:
                running.append(start(contestant, job, limit))
                rows.append(running[-1][1])
            except Failed as failure:
                rows.append(absent(contestant, str(failure)))
        for _ in range(rounds):
            for worker, row in running:
                if "reason" in row or sum(row["seconds"]) > budget:
                    continue
                try:
                    answer = worker.ask()
                except Failed as failure:
                    row["reason"] = str(failure)
                    continue
                row["seconds"].append(answer.pop("seconds"))
                row.update(answer)
    finally:
        for worker, _ in running:
            worker.close()
    for row in rows:
        if row["seconds"]:
            row["median_seconds"] = statistics.median(row["seconds"])
            warm = min(row["median_seconds"], row["first_seconds"])
            row["compile_seconds"] = row["prepare_seconds"] + row["first_seconds"] - warm
    return rows


def absent(contestant: Contestant, reason: str) -> Row:
    """The row of a contestant that does not run."""
    return {"name": contestant.name, "reason": reason, "seconds": []}


def available_MB() -> float:
    """Memory that is still free on this machine."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith("MemAvailable")) / 1024


def scaled(contestant: Contestant, row: Row, cells: float, work: float) -> Contestant | Row:
    """The contestant for a job of so many times the cells and the work of this row.

    Or the row that says why it is not worth trying.
    """
    if "reason" in row:
        return absent(contestant, row["reason"])
    prepare = row["prepare_seconds"]
    run = work * min(row["seconds"])
    if prepare > LIMIT / 10 and cells * prepare > LIMIT:  # what is short may be a compiler's
        return absent(contestant, f"skipped: would prepare for {cells * prepare:.0f} s")
    if run > 3 * BUDGET:
        return absent(contestant, f"skipped: would run for {run:.0f} s")
    return contestant._replace(needs_MB=work * (row["peak_MB"] - row["imported_MB"]))


def agree(rows: Sequence[Row], key: str = "spikes", within: float = 0.01) -> None:
    """Mark the rows whose check value is that of the median contestant."""
    values = [row[key] for row in rows if key in row]
    for row in rows:
        if key in row:
            middle = statistics.median(values)
            row["agrees"] = abs(row[key] - middle) <= within * abs(middle)


def table(rows: Sequence[Row], console: Console, title: str) -> None:
    """Compartment-steps per second, beside the first row's; what it took to get there."""
    drawn = Table(title=title)
    for column in ("contestant", "steps/s", "ratio", "seconds", "compile s", "MB"):
        drawn.add_column(column, no_wrap=True)
    drawn.add_column("spikes")
    drawn.add_column("how")
    for row in rows:
        if row["seconds"]:
            ratio = throughput(row) / throughput(rows[0]) if rows[0]["seconds"] else math.nan
            drawn.add_row(
                row["name"], f"{throughput(row):.2g}", f"{ratio:.2g}",
                f"{row['median_seconds']:.2g}", f"{row['compile_seconds']:.2g}",
                f"{row['peak_MB']:.0f}", verdict(row), row["variant"],
            )  # fmt: skip
        else:
            drawn.add_row(row["name"], *["-"] * 6, row["reason"])
    console.print(drawn)


def verdict(row: Row) -> str:
    """Spikes, and what is wrong with them."""
    wrong = "" if row["agrees"] else ", disagrees"
    lost = f", {row['not_finite']} cells lost" if row["not_finite"] else ""
    return f"{row['spikes']}{wrong}{lost}"


def throughput(row: Row) -> float:
    """Compartment-steps per second of the median round."""
    job = row["job"]
    return job["n"] * job["ms"] / job["dt"] / row["median_seconds"]
