"""Files as rigs write them, made by tests byte by byte."""

import struct

import h5py
import numpy as np

HOLD = {"name": "Cmd", "unit": "pA", "holding": 0.0, "source": 0, "epochs": ()}


def abf1(path, sweeps, channels, outputs=(), dt_us=100.0, starts=None, floats=False, **told):
    """An ABF 1.83 file. `sweeps` is `[sweep, channel, sample]` in the channels' units.

    A channel is (name, unit, number); an output a dictionary: name, unit, holding, source, epochs
    as (type, level, step, samples, samples step, period, width), list (parameter, text), file.
    """
    sweeps = np.asarray(sweeps, float)
    n_sweeps, n_channels, n = sweeps.shape
    head = bytearray(6144)

    def put(kind, at, *values):
        struct.pack_into("<" + kind, head, at, *values)

    def text(at, size, words):
        head[at : at + size] = words.encode("latin-1").ljust(size, b" ")[:size]

    head[:4] = b"ABF "
    put("f", 4, 1.83)
    put("h", 8, told.get("mode", 5))
    put("i", 10, sweeps.size)
    lengths = told.get("lengths", [n] * n_sweeps)
    put("i", 16, len(lengths))
    put("i", 40, 12)
    put("h", 100, int(floats))
    put("h", 120, n_channels)
    put("f", 122, dt_us / n_channels)
    put("i", 138, n * n_channels)
    put("i", 146, n_sweeps)
    put("f", 244, 10.0)
    put("i", 252, 32768)
    for k in range(16):
        put("f", 730 + 4 * k, 1.0)
        put("f", 922 + 4 * k, 1.0)
        put("f", 1050 + 4 * k, 1.0)
        put("h", 410 + 2 * k, -1)
    scale = []
    for place, (name, unit, number) in enumerate(channels):
        largest = float(np.abs(sweeps[:, place]).max()) or 1.0
        put("h", 410 + 2 * place, number)
        text(442 + 10 * number, 10, name)
        text(602 + 8 * number, 8, unit)
        gain = 10.0 / largest / 1.05
        put("f", 922 + 4 * number, gain)
        scale.append(10.0 / (gain * 32768))
    for k, output in enumerate(outputs):
        told_of = HOLD | output
        text(1306 + 10 * k, 10, told_of["name"])
        text(1346 + 8 * k, 8, told_of["unit"])
        put("f", 1394 + 4 * k, told_of["holding"])
        if k > 1:
            continue
        put("h", 2296 + 2 * k, int(told_of["source"] > 0))
        put("h", 2300 + 2 * k, told_of["source"])
        for e, (kind, level, step, samples, more, period, width) in enumerate(told_of["epochs"]):
            at = 10 * k + e
            put("h", 2308 + 2 * at, kind)
            put("f", 2348 + 4 * at, level)
            put("f", 2428 + 4 * at, step)
            for base, value in ((2508, samples), (2588, more), (2136, period), (2216, width)):
                put("i", base + 4 * at, value)
        if "leak" in told_of:
            put("h", 4456 + 2 * k, 1)
            put("h", 1938, told_of["leak"])
        if "list" in told_of:
            parameter, words = told_of["list"]
            put("h", 3360 + 2 * k, 1)
            put("h", 3368 + 2 * k, parameter)
            head[3376 + 256 * k : 3376 + 256 * k + len(words)] = words.encode()
        if "file" in told_of:
            name, factor, offset = told_of["file"]
            put("f", 2708 + 4 * k, factor)
            put("f", 2716 + 4 * k, offset)
            head[2736 + 256 * k : 2736 + 256 * k + len(name)] = name.encode()
    if floats:
        data = sweeps.transpose(0, 2, 1).astype("<f4")
    else:
        data = np.rint(sweeps / np.array(scale)[:, None]).transpose(0, 2, 1).astype("<i2")
    tail = b""
    if starts is not None:  # in samples of the converter
        put("i", 92, 12 + -(-data.nbytes // 512))
        put("i", 96, len(lengths))
        tail = bytes(-data.nbytes % 512)
        pairs = zip(starts, lengths, strict=True)
        tail += b"".join(struct.pack("<ii", s, length * n_channels) for s, length in pairs)
    path.write_bytes(bytes(head) + data.tobytes() + tail)
    return path


def abf2(path, sweeps, channels, outputs=(), version=(2, 6), dt_us=100.0):
    """An ABF2 file of float32. `sweeps`, channels and outputs are as those of `abf1`.

    The list of an output is written as Clampex does: not "enabled". `trained` is (period, level)
    after a train of conditioning pulses.
    """
    sweeps = np.asarray(sweeps, float)
    strings, sections = ["Clampex"], {}

    def word(text):
        strings.append(text)
        return len(strings)

    def packed(size, *fields):
        raw = bytearray(size)
        for kind, at, *values in fields:
            struct.pack_into("<" + kind, raw, at, *values)
        return bytes(raw)

    protocol = (("h", 0, 5), ("f", 2, dt_us), ("i", 30, len(sweeps)), ("f", 110, 10.0))
    sections[76] = [packed(512, *protocol, ("i", 118, 32768))]
    sections[92] = [
        packed(128, ("h", 0, number), *(("f", at, 1.0) for at in (28, 40, 48)),
               ("ii", 74, word(name), word(unit)))
        for name, unit, number in channels
    ]  # fmt: skip
    sections[108], sections[156], sections[172] = [], [], []
    for k, output in enumerate(outputs):
        told = HOLD | output
        fields = [("h", 0, k), ("f", 12, told["holding"])]
        fields += [("ii", 24, word(told["name"]), word(told["unit"]))]
        fields += [("hh", 40, int(told["source"] > 0), told["source"])]
        if "trained" in told:
            fields += [("h", 60, 1), ("ff", 82, *told["trained"])]
        if "leak" in told:
            fields += [("h", 92, 1), ("h", 104, told["leak"])]
        sections[108].append(packed(256, *fields))
        rows = enumerate(told["epochs"])
        sections[156] += [packed(48, ("hhhffiiii", 0, e, k, *epoch)) for e, epoch in rows]
        if "list" in told:
            parameter, text = told["list"]
            sections[172].append(packed(64, ("hhhhi", 0, k, 0, parameter, 0, word(text))))
    sections[220] = [b"SSCH" + bytes(40) + "\0".join(strings).encode() + b"\0"]
    sections[236] = [v.tobytes() for v in sweeps.transpose(0, 2, 1).reshape(-1).astype("<f4")]
    head = bytearray(packed(512, ("I", 12, len(sweeps)), ("h", 30, 1)))
    head[:8] = b"ABF2\0\0" + bytes(version[::-1])
    body = b""
    for at, rows in sections.items():
        size = len(rows[0]) if rows else 0
        struct.pack_into("<IIq", head, at, (512 + len(body)) // 512 if rows else 0, size, len(rows))
        body += b"".join(rows) + bytes(-sum(map(len, rows)) % 512)
    path.write_bytes(bytes(head) + body)
    return path


def igor(path, samples, unit, dt=2.5e-4):
    """A version 5 Igor binary wave of float32, little-endian."""
    samples = np.asarray(samples, dtype="<f4")
    wave = bytearray(320)
    struct.pack_into("<i", wave, 12, samples.size)
    struct.pack_into("<h", wave, 16, 2)
    struct.pack_into("<h", wave, 26, 1)
    wave[28:33] = b"wave0"
    struct.pack_into("<i", wave, 68, samples.size)
    struct.pack_into("<d", wave, 84, dt)
    wave[148 : 148 + len(unit)] = unit.encode("mac_roman")
    size = len(wave) + samples.nbytes
    header = bytearray(struct.pack("<hHi", 5, 0, size) + bytes(56))
    words = np.frombuffer(bytes(header) + bytes(wave), dtype="<i2").sum(dtype=np.int64)
    struct.pack_into("<H", header, 2, int(-words) & 0xFFFF)
    path.write_bytes(bytes(header) + bytes(wave) + samples.tobytes())
    return path


def wcp(path, sweeps, channels, dt_ms=0.1):
    """A WinWCP 9 file. `sweeps` is `[sweep, channel, sample]`, a channel (name, unit)."""
    sweeps = np.asarray(sweeps, float)
    n_sweeps, n_channels, n = sweeps.shape
    largest = 1.05 * np.abs(sweeps).max(axis=(0, 2))
    head = ["VER=9", f"NC={n_channels}", f"NR={n_sweeps}", "NBH=1024", "NBA=2", f"NP={n}"]
    head += [f"NBD={-(-2 * n_channels * n // 512)}", "ADCMAX=32767", f"DT={1e-3 * dt_ms}", "AD=5"]
    for k, (name, unit) in enumerate(channels):
        told = {"YN": name, "YU": unit, "YO": k, "YG": 5 / largest[k], "YZ": 0, "YR": 0}
        head += [f"{key}{k}={value}" for key, value in told.items()]
    raw = "\r\n".join([*head, ""]).encode().ljust(1024, b"\0")
    for sweep in sweeps:
        block = b"ACCEPTEDTEST" + struct.pack("<fff", 0, 0, 1e-3 * dt_ms)
        block += struct.pack(f"<{n_channels}f", *[5.0] * n_channels)
        data = np.rint(sweep.T / largest * 32767).astype("<i2").tobytes()
        raw += block.ljust(1024, b"\0") + data + bytes(-len(data) % 512)
    path.write_bytes(raw)
    return path


def axograph(path, columns):
    """An AxoGraph X file of a time column (start, interval; s) and columns (title, samples)."""
    (start, interval), *signals = columns
    n = len(signals[0][1])

    def column(kind, title, content):
        name = title.encode("utf-16-be")
        return struct.pack(">iii", n, kind, len(name)) + name + content

    raw = b"axgx" + struct.pack(">ii", 6, len(columns))
    raw += column(9, "Time (s)", struct.pack(">dd", start, interval))
    for title, samples in signals:
        raw += column(7, title, np.asarray(samples, ">f8").tobytes())
    path.write_bytes(raw)
    return path


def heka(path, series):
    """A HEKA PatchMaster bundle, version 9, little-endian, of one group.

    A series is a dictionary: mode (1 voltage clamp, 2 current clamp), unit ("V" or "A"), holding,
    flags (bits: 1 standard scale, 2 relative, 4 from a file), segments as (kind, stored, level,
    level step, s), channels as (name, unit), sweeps `[sweep, channel, sample]` or lists of unequal
    ones, planned (how many sweeps were to be), dt (s).
    """

    def record(size, *fields, below=()):
        raw = bytearray(size)
        for kind, at, *values in fields:
            struct.pack_into("<" + kind, raw, at, *values)
        return bytes(raw) + struct.pack("<i", len(below)) + b"".join(below)

    def tree(sizes, root):
        return b"eerT" + struct.pack(f"<{1 + len(sizes)}i", len(sizes), *sizes) + root

    def name(text):
        return text.encode()

    data, stimuli, recorded = b"", [], []
    for number, told in enumerate(series, 1):
        dt = told.get("dt", 1e-4)
        segments = [
            record(80, ("bb", 4, kind, stored), ("d", 8, level), ("dd", 20, 1.0, step),
                   ("d", 36, seconds), ("dd", 48, 1.0, 0.0))
            for kind, stored, level, step, seconds in told["segments"]
        ]  # fmt: skip
        channel = record(
            400, ("b", 25, told["mode"]), ("8s", 40, name(told["unit"])),
            ("d", 48, told["holding"]), ("H", 76, told.get("flags", 1)), below=segments,
        )  # fmt: skip
        planned = told.get("planned", len(told["sweeps"]))
        fields = ("32s", 4, b"stim"), ("dd", 112, dt, 0.5), ("i", 144, planned)
        stimuli.append(record(280, *fields, below=[channel]))
        sweeps = []
        for k, sweep in enumerate(told["sweeps"]):
            traces = []
            for (label, unit), samples in zip(told["channels"], sweep, strict=True):
                samples = np.asarray(samples, "<f8")
                traces.append(
                    record(512, ("32s", 4, name(label)), ("ii", 40, 256 + len(data), samples.size),
                           ("b", 70, 3), ("d", 72, 1.0), ("8s", 96, name(unit)), ("d", 104, dt),
                           ("8s", 120, b"s"))
                )  # fmt: skip
                data += samples.tobytes()
            fields = ("32s", 4, b"sweep"), ("i", 40, number), ("d", 48, 1e9 + 10 * number + k)
            sweeps.append(record(288, *fields, below=traces))
        recorded.append(
            record(1408, ("32s", 4, name(f"IV{number}")), ("d", 136, 1e9), below=sweeps)
        )
    group = record(144, ("32s", 4, b"E-1"), below=recorded)
    pul = tree((544, 144, 1408, 288, 512), record(544, ("d", 520, 1e9), below=[group]))
    pgf = tree((584, 280, 400, 80), record(584, below=stimuli))
    head = bytearray(256)
    head[:13] = b"DAT2\0\0\0\0v2x90"
    struct.pack_into("<di?", head, 40, 1e9, 3, True)
    start = 256
    for k, (kind, body) in enumerate(((b".dat", data), (b".pgf", pgf), (b".pul", pul))):
        struct.pack_into("<ii8s", head, 64 + 16 * k, start, len(body), kind)
        start += len(body)
    path.write_bytes(bytes(head) + data + pgf + pul)
    return path


def nwb_1(path, sweeps):
    """A file as the Allen Institute wrote it. A sweep is (number, clamp, response, stimulus)."""
    with h5py.File(path, "w") as file:
        file["nwb_version"] = b"NWB-1.0.5"
        for number, clamp, *pair in sweeps:
            units = ("V", "A") if clamp == "Current" else ("A", "V")
            parts = zip(("response", "stimulus"), pair, units, strict=True)
            for name, samples, unit in parts:
                part = file.create_group(f"epochs/Sweep_{number}/{name}")
                part["idx_start"], part["count"] = 10, len(samples) - 10
                series = part.create_group("timeseries")
                series.attrs["ancestry"] = np.array(["TimeSeries", f"{clamp}ClampSeries"], "S")
                series.create_dataset("data", data=samples).attrs.update(unit=unit, conversion=1.0)
                series.create_dataset("starting_time", data=2.0 * number).attrs["rate"] = 2e4
                if name == "response":
                    series["bias_current"] = -2e-11 if number == 9 else np.nan
        file["epochs/Experiment_4/description"] = b"no sweep"
    return path
