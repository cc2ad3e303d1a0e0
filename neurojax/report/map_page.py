"""A page to explore a sweep: a map of a result, and the trace of the cell that is clicked.

One HTML file: numbers and traces are in it, and it needs no network.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from neurojax.plot.maps import CLASSES, evenly_log
from neurojax.plot.pairs import logarithmic

POINTS = 500
"""Of a trace: pairs of its lowest and highest potential in equal parts of the run."""

NONE = -(2**15)
"""What is not a finite number, or no potential of a cell."""


@dataclass(frozen=True, eq=False)
class MapData:
    """What a page shows: two axes, results `[y, x]` or `[point]`, and traces of some cells.

    `x` and `y` are `[x]` and `[y]` of a grid, or `[point]` of points. `traced` are the places of
    the cells with a trace in the flat results, under a protocol, and v is `[record, cell]`, in
    `unit`: a potential, or the current of a voltage clamp.
    """

    title: str
    x: np.ndarray
    y: np.ndarray
    labels: tuple[str, str]
    results: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    classes: Mapping[str, Sequence[str]]  # of results that are classes
    fixed: Mapping[str, str]
    traced: np.ndarray
    protocol: str
    t_ms: np.ndarray
    v: np.ndarray
    unit: str = "mV"


def map_page(data: MapData) -> str:
    """The page."""
    scale = 0.01 if data.unit == "mV" else _finest(data.v)
    envelope = _envelope(data.v, scale)
    grid = next(iter(data.results.values())).ndim == 2
    log = evenly_log if grid else logarithmic
    told: dict[str, Any] = {
        "x": _packed(data.x),
        "y": _packed(data.y),
        "logs": [log(np.unique(a)) for a in (data.x, data.y)],
        "grid": grid,
        "labels": list(data.labels),
        "results": {k: _packed(np.asarray(a).ravel()) for k, a in data.results.items()},
        "units": {k: "" if u == "1" else u for k, u in data.units.items()},
        "classes": {k: list(v) for k, v in data.classes.items()},
        "colours": CLASSES,
        "traced": data.traced.tolist(),
        "protocol": data.protocol,
        "none": NONE,
        "unit": data.unit,
        "scale": scale,
        "duration": float(data.t_ms[-1]),
        "points": int(envelope.shape[0]),
        "v": base64.b64encode(envelope.T.astype("<i2").tobytes()).decode(),
    }
    fixed = ", ".join(f"{k} = {v}" for k, v in data.fixed.items())
    filled = {
        "TITLE": escape(data.title),
        "FIXED": escape(f"at {fixed}" if fixed else ""),
        "DATA": json.dumps(told).replace("</", "<\\/"),
    }
    text = _PAGE
    for key, value in filled.items():
        text = text.replace(f"%{key}%", value)
    return text


def _packed(array: np.ndarray) -> str:
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()


def _finest(v: np.ndarray) -> float:
    """The unit in which the largest of v is a whole number that a trace can hold."""
    finite = np.abs(v[np.isfinite(v)])
    return float(finite.max(initial=1.0)) / (-NONE - 1)


def _envelope(v: np.ndarray, scale: float = 0.01) -> np.ndarray:
    """v `[record, cell]` in units of `scale`, of long runs extremes of parts, `[point, cell]`."""
    if len(v) > POINTS:
        v = np.concatenate([_extremes(part) for part in np.array_split(v, POINTS // 2)])
    v = np.round(v / scale)
    return np.where(np.abs(v) < -NONE, v, NONE)


def _extremes(v: np.ndarray) -> np.ndarray:
    """The lowest and the highest of `[record, cell]` in the order in which they came."""
    rows = np.sort([v.argmin(0), v.argmax(0)], axis=0)
    return np.take_along_axis(v, rows, axis=0)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%TITLE%</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; }
h1 { font-size: 1.3rem; margin: 0; }
.row { display: flex; gap: 1.5rem; flex-wrap: wrap; align-items: flex-start; margin-top: 1rem; }
canvas { cursor: crosshair; }
svg { width: 100%; height: 15rem; }
path { fill: none; stroke: currentColor; stroke-width: 1; vector-effect: non-scaling-stroke; }
.faint, text { opacity: .75; }
text { font-size: 12px; fill: currentColor; }
#told { flex: 1; min-width: 20rem; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .9em; }
</style>
</head>
<body>
<h1>%TITLE%</h1>
<div class="faint">%FIXED%</div>
<div class="row">
<div>
<label>Result <select id="which"></select></label>
<div id="scale" class="faint"></div>
<canvas id="map" width="480" height="420" tabindex="0" aria-label="Map of the result"></canvas>
</div>
<div id="told"><div class="faint">Click a cell to see its trace.</div>
<div id="cell"></div>
<svg id="trace" viewBox="0 0 600 240" preserveAspectRatio="none" role="img"
 aria-label="Trace"></svg>
<div id="range" class="faint"></div></div>
</div>
<script type="application/json" id="data">%DATA%</script>
<script>
const d = JSON.parse(document.getElementById("data").textContent);
const bytes = s => Uint8Array.from(atob(s), c => c.charCodeAt(0)).buffer;
const floats = s => new Float32Array(bytes(s));
const x = floats(d.x), y = floats(d.y), v = new Int16Array(bytes(d.v));
const map = document.getElementById("map"), pen = map.getContext("2d");
const which = document.getElementById("which");
const L = 64, B = 44, W = map.width - L - 8, H = map.height - B - 8;
const stops = [[68,1,84],[59,82,139],[33,145,140],[94,201,98],[253,231,37]];
let chosen = -1;
for (const name of Object.keys(d.results)) which.add(new Option(name));
const short = n => Number(n.toPrecision(4)).toString();

const results = {};
for (const name of Object.keys(d.results)) results[name] = floats(d.results[name]);
function extent(a) {
  let low = Infinity, high = -Infinity;
  for (const n of a) if (Number.isFinite(n)) { low = Math.min(low, n); high = Math.max(high, n); }
  return [low, high];
}
function colour(name, value, low, high) {
  if (!Number.isFinite(value)) return "transparent";
  if (d.classes[name]) return d.colours[value] || "#999";
  const at = high > low ? (value - low) / (high - low) * 4 : 0, k = Math.min(3, Math.floor(at));
  return "rgb(" + stops[k].map((c, j) => Math.round(c + (at - k) * (stops[k + 1][j] - c))) + ")";
}
// Where values are along an axis, from 0 to 1: of points themselves, of a grid the cells' edges.
function along(a, log) {
  const s = Array.from(a, n => log ? Math.log(n) : n), n = s.length;
  const e = d.grid ? [1.5 * s[0] - .5 * s[1], ...s.slice(1).map((m, k) => (m + s[k]) / 2),
    1.5 * s[n - 1] - .5 * s[n - 2]] : s;
  const [low, high] = extent(e);
  return e.map(m => (m - low) / ((high - low) || 1));
}
const ex = along(x, d.logs[0]), ey = along(y, d.logs[1]);
function place(k) {
  if (d.grid) {
    const i = k % x.length, j = Math.floor(k / x.length);
    return [L + W * ex[i], 8 + H * (1 - ey[j + 1]),
      W * (ex[i + 1] - ex[i]), H * (ey[j + 1] - ey[j])];
  }
  return [L + W * ex[k] - 3, 8 + H * (1 - ey[k]) - 3, 6, 6];
}
function draw() {
  const name = which.value, values = results[name], [low, high] = extent(values);
  const [xs, ys] = [extent(x), extent(y)];
  pen.clearRect(0, 0, map.width, map.height);
  values.forEach((value, k) => {
    const [a, b, w, h] = place(k);
    pen.fillStyle = colour(name, value, low, high);
    pen.fillRect(a, b, w + (d.grid ? 0.6 : 0), h + (d.grid ? 0.6 : 0));
  });
  const ink = getComputedStyle(document.body).color;
  pen.fillStyle = pen.strokeStyle = ink;
  pen.font = "12px system-ui";
  pen.lineWidth = 1; pen.strokeRect(L, 8, W, H);
  pen.textAlign = "left"; pen.fillText(short(xs[0]), L, 8 + H + 16);
  pen.textAlign = "right"; pen.fillText(short(xs[1]), L + W, 8 + H + 16);
  pen.fillText(short(ys[0]), L - 6, 8 + H); pen.fillText(short(ys[1]), L - 6, 20);
  pen.textAlign = "center"; pen.fillText(d.labels[0], L + W / 2, 8 + H + 34);
  pen.save(); pen.translate(16, 8 + H / 2); pen.rotate(-Math.PI / 2);
  pen.fillText(d.labels[1], 0, 0); pen.restore();
  const legend = document.getElementById("scale");
  legend.textContent = "";
  if (d.classes[name]) d.classes[name].forEach((c, k) => {
    const key = document.createElement("span");
    key.className = "key"; key.style.background = d.colours[k];
    legend.append(key, c);
  });
  else if (low > high) legend.textContent = "no cell has this result";
  else legend.textContent = `from ${short(low)} (dark) to ${short(high)} ${d.units[name]} (light)` +
    (values.every(Number.isFinite) ? "" : "; where it is empty, cells have no such result");
  if (chosen >= 0) {
    const [a, b, w, h] = place(d.traced[chosen]);
    pen.lineWidth = 2; pen.strokeRect(a - 1, b - 1, w + 2, h + 2);
  }
}
function show(px, py) {
  let best = Infinity;
  d.traced.forEach((k, n) => {
    const [a, b, w, h] = place(k), far = (a + w / 2 - px) ** 2 + (b + h / 2 - py) ** 2;
    if (far < best) { best = far; chosen = n; }
  });
  const k = d.traced[chosen], line = v.subarray(chosen * d.points, (chosen + 1) * d.points);
  const [low, high] = extent(line.filter(n => n !== d.none)).map(n => n * d.scale);
  const tall = Math.max(high - low, 1);
  const path = Array.from(line, (n, j) => n === d.none ? "" :
    (j && line[j - 1] !== d.none ? "L" : "M") + (600 * j / (d.points - 1)).toFixed(1) + " " +
    (5 + 230 * (high - n * d.scale) / tall).toFixed(1)).join("");
  document.getElementById("trace").innerHTML = `<path d="${path}"/>`;
  const i = d.grid ? k % x.length : k, j = d.grid ? Math.floor(k / x.length) : k;
  const told = Object.keys(d.results).map(name => {
    const n = results[name][k], c = d.classes[name];
    const value = c ? c[n] : `${short(n)} ${d.units[name]}`.trim();
    return `${name}: ${Number.isFinite(n) ? value : "none"}`;
  });
  document.getElementById("cell").textContent =
    `${d.labels[0]} = ${short(x[i])}, ${d.labels[1]} = ${short(y[j])}; ${told.join("; ")}`;
  document.getElementById("range").textContent =
    (low > high ? "nothing finite" : `${short(low)} to ${short(high)} ${d.unit}`) +
    ` in ${short(d.duration)} ms of ${d.protocol}`;
  draw();
}
map.addEventListener("click", e => {
  const r = map.getBoundingClientRect();
  show((e.clientX - r.left) * map.width / r.width, (e.clientY - r.top) * map.height / r.height);
});
which.addEventListener("change", draw);
show(L + W / 2, 8 + H / 2);
</script>
</body>
</html>
"""
