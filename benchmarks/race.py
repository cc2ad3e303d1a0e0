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
    env: dict[str, str] = {}
    ways: tuple[Contestant, ...] = ()  # each in its own process; the fastest stands for all


class Failed(Exception):
    """A contestant that is not there, broke, or took too long; the message is the reason."""


class Worker:
    """One contestant's process: stopped, except while it is asked something."""

    def __init__(
        self, script: str, job: dict[str, Any], limit: float, env: dict[str, str] | None = None
    ):
        self.limit = limit
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed with the process
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, PEERS / f"{script}.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True, start_new_session=True,
            env=os.environ | {"JAX_TRACEBACK_FILTERING": "off"} | (env or {}),
        )  # fmt: skip
        try:
            self._answer()
            self.import_seconds = time.perf_counter() - began
            self.take(job)
        except BaseException:
            self.close()
            raise

    def take(self, job: dict[str, Any]) -> None:
        """The first job, or the next one in the same process."""
        self.first = self.ask(json.dumps(job))

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


def start(
    contestant: Contestant, job: dict[str, Any], limit: float, kept: dict[str, Worker]
) -> tuple[Worker, Row]:
    """A contestant at the line, with its fastest variant, and what its first run told.

    In the process that is kept from the race before, if there is one.
    """
    if contestant.ways:
        return _fastest(contestant, job, limit, kept)
    name, job = contestant.name, {**job, **contestant.job}

    def begin(job):
        worker = kept.pop(name, None)
        if worker is None:
            worker = Worker(contestant.script, job, limit, contestant.env)
        else:
            worker.limit = limit
            try:
                worker.take(job)
            except BaseException:
                worker.close()
                raise
        kept[name] = worker
        return worker

    worker = begin(job)
    tried = worker.first.get("tried")
    if tried:
        kept.pop(name).close()
        worker = begin({**job, "variant": min(tried, key=tried.get)})
    row = {"name": name, "job": job, "import_seconds": worker.import_seconds}
    return worker, row | worker.first | {"tried": tried or {}, "seconds": []}


def _fastest(
    contestant: Contestant, job: dict[str, Any], limit: float, kept: dict[str, Worker]
) -> tuple[Worker, Row]:
    """The way with the shortest second run."""
    tried: dict[str, float] = {}
    broke: dict[str, str] = {}
    at_line = {}
    end = time.monotonic() + limit
    for way in contestant.ways:
        left = max(end - time.monotonic(), 1.0)
        try:
            worker, row = start(way, {**job, **contestant.job}, left, kept)
            tried[way.name] = worker.ask()["seconds"]
            at_line[way.name] = worker, row
        except Failed as failure:
            broke[way.name] = str(failure)
            if way.name in kept:
                kept.pop(way.name).close()
    if not tried:
        raise Failed(next(iter(broke.values())))
    best = min(tried, key=lambda name: tried[name])
    worker, row = at_line[best]
    return worker, row | {"name": contestant.name, "variant": best, "tried": tried, "broke": broke}


def race(
    contestants: Iterable[Contestant],
    job: dict[str, Any],
    *,
    rounds: int = ROUNDS,
    limit: float = LIMIT,
    budget: float = BUDGET,
    kept: dict[str, Worker] | None = None,
    deadline: float = math.inf,
) -> list[Row]:
    """One row per contestant, in their order: all rounds' `seconds`, or the `reason` for none.

    With `kept`, processes are left for the next race, by their contestants' names; whoever gave it
    closes them. From `deadline` on (of `time.monotonic`) nobody begins anything.
    """
    rows: list[Row] = []
    running: list[tuple[Worker, Row, dict[str, Worker]]] = []
    own: list[dict[str, Worker]] = []  # without `kept`, nobody takes another's process
    try:
        for contestant in contestants:
            left = deadline - time.monotonic()
            if left <= 0:
                rows.append(absent(contestant, "skipped: no time left"))
                continue
            if contestant.needs_MB > SHARE * available_MB():
                rows.append(absent(contestant, f"would need {contestant.needs_MB / 1e3:.0f} GB"))
                continue
            processes = {} if kept is None else kept
            own.append(processes)
            try:
                worker, row = start(contestant, job, min(limit, left), processes)
                running.append((worker, row, processes))
                rows.append(row)
            except Failed as failure:
                rows.append(absent(contestant, str(failure)))
        for number in range(rounds):
            for worker, row, processes in running:
                late = number and time.monotonic() > deadline
                if "reason" in row or sum(row["seconds"]) > budget or late:
                    continue
                try:
                    answer = worker.ask()
                except Failed as failure:
                    row["reason"] = str(failure)
                    for name in [name for name, w in processes.items() if w is worker]:
                        processes.pop(name).close()
                    continue
                row["seconds"].append(answer.pop("seconds"))
                row.update(answer)
    finally:
        if kept is None:
            for worker in [w for processes in own for w in processes.values()]:
                worker.close()
    for row in rows:
        if row["seconds"]:
            row["median_seconds"] = statistics.median(row["seconds"])
            warm = min(row["median_seconds"], row["first_seconds"])
            row["compile_seconds"] = row["prepare_seconds"] + row["first_seconds"] - warm
    return rows


def raced(field: Sequence[Contestant | Row], job: dict[str, Any], **how: Any) -> list[Row]:
    """A row for each: of those who race, and of those who stay out of it, as `scaled` has it."""
    ran = iter(race([c for c in field if isinstance(c, Contestant)], job, **how))
    return [next(ran) if isinstance(c, Contestant) else c for c in field]


def absent(contestant: Contestant, reason: str) -> Row:
    """The row of a contestant that does not run."""
    return {"name": contestant.name, "reason": reason, "seconds": []}


def available_MB() -> float:
    """Memory that is still free on this machine."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith("MemAvailable")) / 1024


def scaled(
    contestant: Contestant, row: Row, cells: float, work: float, most: float = 3 * BUDGET
) -> Contestant | Row:
    """The contestant for a job of so many times the cells and the work of this row.

    Or the row that says why it is not worth trying: `most` seconds for a run.
    """
    if "reason" in row:
        return absent(contestant, row["reason"])
    prepare = row["prepare_seconds"]
    run = work * min(row["seconds"])
    if prepare > LIMIT / 10 and cells * prepare > LIMIT:  # what is short may be a compiler's
        return absent(contestant, f"skipped: would prepare for {cells * prepare:.0f} s")
    if run > most:
        return absent(contestant, f"skipped: would run for {run:.0f} s")
    if "device_MB" in row:  # what is on a GPU grows there
        return contestant
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
                f"{row.get('device_MB', row['peak_MB']):.0f}", verdict(row), row["variant"],
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


def throughputs(contestants: Sequence[Contestant], races: Sequence[dict]) -> dict[str, tuple]:
    """Of each contestant the cells of the races that it ran, and its throughput in them."""
    lines = {}
    for k, contestant in enumerate(contestants):
        ran = [(r["n"], throughput(r["rows"][k])) for r in races if r["rows"][k]["seconds"]]
        lines[contestant.name] = tuple(zip(*ran, strict=True)) or ((), ())
    return lines
