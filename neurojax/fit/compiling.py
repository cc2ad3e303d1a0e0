"""How long JAX has been compiling, so that a fit can tell its own work from that."""

from __future__ import annotations

import time

import jax

_KINDS = "/jax/core/compile/"  # of the durations that JAX reports: traced, lowered, compiled


class CompileClock:
    """Seconds that JAX has spent on programs instead of numbers, in this process."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._spans: list[tuple[float, float]] = []  # that are counted, in order of time

    def start(self) -> CompileClock:
        """Listen to JAX from now on."""
        jax.monitoring.register_event_duration_secs_listener(self._note)
        return self

    def _note(self, event: str, duration_secs: float, **_: str | int) -> None:
        if not event.startswith(_KINDS):
            return
        end = time.monotonic()
        begin = end - duration_secs
        # A program that is traced inside another is reported before it, and counts once.
        while self._spans and self._spans[-1][0] >= begin:
            inner = self._spans.pop()
            self.seconds -= inner[1] - inner[0]
        if self._spans:
            begin = max(begin, self._spans[-1][1])
        self._spans.append((begin, end))
        del self._spans[:-1000]
        self.seconds += end - begin


_CLOCKS: list[CompileClock] = []


def compiling_s() -> float:
    """Seconds of compilation since this was first asked."""
    if not _CLOCKS:
        _CLOCKS.append(CompileClock().start())
    return _CLOCKS[0].seconds


def working_s() -> float:
    """The clock by which a fit is timed: it stands still while JAX compiles."""
    return time.monotonic() - compiling_s()
