"""The header of an Axon Binary Format file of version 1: everything has its place, in bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neurojax.io.abf_fields import (
    BLOCK,
    MODES,
    MULTICLAMP,
    Bytes,
    Epoch,
    Header,
    Input,
    Output,
    Played,
    equal_lengths,
    leak_of,
    plausible,
    step_of,
    timed,
    user_list,
)
from neurojax.recording.trace import RecordingError

_WHOLE = 6144
"""Bytes of a header of version 1.6 and later; older ones end at 2048."""

_EPOCHS = 10  # of an output's table


def version_1(data: Bytes) -> Header:
    """What a header of version 1 says. Raises RecordingError where it is not whole."""
    version, one = data.one("f", 4), data.one
    channels, mode = one("h", 120), one("h", 8)
    float_data = one("h", 100) == 1
    size = 4 if float_data else 2
    at = one("i", 40) * BLOCK + one("h", 14) * size
    lengths = equal_lengths(data, at, one("i", 10), size, one("i", 16), channels, mode)
    interval, second = one("f", 122), one("f", 126)
    if second and second != interval and one("i", 194) > 0:
        raise RecordingError(
            f"{data.path}: sampled every {interval:g} us and then every {second:g} us; expected "
            "one interval"
        )
    table, n = one("i", 92) * BLOCK, one("i", 96)
    inside = table > 0 and 0 < n <= len(lengths) and table + 8 * n <= len(data.raw)
    synch: Any = [data.get("ii", table + 8 * k) for k in range(n)] if inside else []
    starts, lengths = timed(
        synch,
        lengths,
        unit_ms=1e-3 * (one("f", 130) or interval),
        every_ms=1e3 * one("f", 178),
        channels=channels,
        points=one("i", 10),
        mode=mode,
    )
    extended = version >= 1.6 and at >= _WHOLE
    outputs = tuple(_output(data, k, extended) for k in range(4))
    return Header(
        f"{version:.2f}",
        interval * channels * 1e-3,
        mode,
        Path(data.text(4898, 256).replace("\\", "/")).stem if extended else "",
        tuple(_input(data, number, extended) for number in data.get(f"{channels}h", 410)),
        outputs,
        starts,
        lengths,
        one("i", 146) or len(lengths),
        extended and bool(one("h", 5876)),
        at,
        np.dtype("<f4" if float_data else "<i2"),
    )


def _input(data: Bytes, number: int, extended: bool) -> Input:
    if not 0 <= number < 16:
        raise RecordingError(f"{data.path}: records channel {number}; expected one of 0 to 15")
    f = {at: data.one("f", at + 4 * number) for at in (730, 922, 986, 1050, 1114)}
    factor = f[730] * f[922] * f[1050]
    clamp: Any = None
    if extended and data.one("h", 4512 + 2 * number):
        factor *= data.one("f", 4576 + 4 * number)
        if data.one("h", 4544 + 2 * number) == MULTICLAMP:
            clamp = MODES.get(data.one("h", 4768 + 2 * number))
    return Input(
        number,
        data.text(442 + 10 * number, 10),
        data.text(602 + 8 * number, 8),
        step_of(data, number, factor, data.one("f", 244), data.one("i", 252)),
        f[986] - f[1114],
        clamp,
    )


def _output(data: Bytes, k: int, extended: bool) -> Output:
    source, keeps, after, epochs, listed, played = 0, False, None, (), None, None
    leak = 0
    if extended and k < 2:
        enabled, source, keeps = (data.one("h", at + 2 * k) for at in (2296, 2300, 2304))
        source, leak = source if enabled else 0, data.one("h", 4456 + 2 * k)
        if data.one("h", 3260 + 2 * k) and data.one("f", 3304 + 4 * k) > 0:
            after = plausible(data.one("f", 3312 + 4 * k))
        places = ((2308, "h", 2), (2348, "f", 4), (2428, "f", 4))
        places += ((2508, "i", 4), (2588, "i", 4), (2136, "i", 4), (2216, "i", 4))
        epochs = _epochs(data, places, _EPOCHS * k)
        if data.one("h", 3360 + 2 * k):
            parameter, repeats = data.one("h", 3368 + 2 * k), data.one("h", 4400 + 2 * k)
            listed = user_list(_EPOCHS, parameter, data.text(3376 + 256 * k, 256), repeats)
        scale, offset = data.one("f", 2708 + 4 * k), data.one("f", 2716 + 4 * k)
        sweep, channel = data.one("i", 2724 + 4 * k), data.one("h", 2732 + 2 * k)
        played = Played(data.text(2736 + 256 * k, 256), scale, offset, sweep, channel)
    elif not extended and k == data.one("h", 1440):
        source, keeps, leak = data.one("h", 1438), data.one("h", 1442), data.one("h", 1932)
        places = ((1444, "h", 2), (1464, "f", 4), (1504, "f", 4), (1544, "h", 2), (1564, "h", 2))
        epochs = _epochs(data, places, 0)
        if data.one("h", 1966):
            listed = user_list(_EPOCHS, data.one("h", 1762), data.text(1764, 80), False)
        scale, offset = data.get("ff", 1620)
        sweep, channel = data.get("hh", 1630)
        played = Played(data.text(1634, 84), scale, offset, sweep, channel)
    return Output(
        k,
        data.text(1306 + 10 * k, 10),
        data.text(1346 + 8 * k, 8),
        plausible(data.one("f", 1394 + 4 * k)),
        source,
        bool(keeps),
        after,
        epochs,
        listed,
        played if source == 2 else None,
        leak_of(1 if leak else 0, data.one("h", 1938)),
    )


def _epochs(data: Bytes, places: Any, first: int) -> tuple[Epoch, ...]:
    """The epochs from entry `first` of tables on, of which `places` has byte, kind and size."""
    found = []
    for e in range(_EPOCHS):
        told = [data.one(kind, at + size * (first + e)) for at, kind, size in places]
        told += [0] * (7 - len(told))
        found.append(Epoch._make([chr(ord("A") + e % 26), *told]))
    return tuple(found)
