"""A page to explore good solutions: limits of results are moved, and pair plots show who is left.

One HTML file: parameters and results of the cells are in it, and it needs no network.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

CELLS = 20_000
"""Of a page at most."""


@dataclass(frozen=True, eq=False)
class PairsData:
    """What a page shows: parameters and results `[cell]` by label, and the limits to begin with.

    `logs` are the parameters whose axes are logarithmic, `classes` the names of results that are
    classes.
    """

    title: str
    parameters: Mapping[str, np.ndarray]
    results: Mapping[str, np.ndarray]
    logs: Sequence[str]
    classes: Mapping[str, Sequence[str]]
    limits: Mapping[str, tuple[float, float]]


def pairs_page(data: PairsData) -> str:
    """The page."""
    told: dict[str, Any] = {
        "parameters": {k: _packed(a) for k, a in data.parameters.items()},
        "results": {k: _packed(a) for k, a in data.results.items()},
        "logs": list(data.logs),
        "classes": {k: list(v) for k, v in data.classes.items()},
        "limits": {k: list(v) for k, v in data.limits.items()},
    }
    filled = {
        "TITLE": escape(data.title),
        "DATA": json.dumps(told).replace("</", "<\\/"),
    }
    text = _PAGE
    for key, value in filled.items():
        text = text.replace(f"%{key}%", value)
    return text


def _packed(array: np.ndarray) -> str:
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%TITLE%</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; }
.faint { opacity: .75; }
table { border-collapse: collapse; margin: 1rem 0; }
td { padding: .15rem .8rem .15rem 0; }
input { width: 7em; font: inherit; }
canvas { max-width: 100%; }
</style>
</head>
<body>
<h1>%TITLE%</h1>
<div class="faint">Cells whose results are between these limits are blue, the others grey. Numbers
are correlations of the blue ones, of logarithms where an axis is logarithmic.</div>
<table id="limits"></table>
<div id="count"></div>
<canvas id="pairs" role="img" aria-label="Each parameter against each other"></canvas>
<script type="application/json" id="data">%DATA%</script>
<script>
const d = JSON.parse(document.getElementById("data").textContent);
const floats = s => new Float32Array(Uint8Array.from(atob(s), c => c.charCodeAt(0)).buffer);
const unpacked = group => Object.fromEntries(Object.entries(group).map(([k, s]) => [k, floats(s)]));
const P = unpacked(d.parameters), R = unpacked(d.results), names = Object.keys(P);
const n = names.length, cells = P[names[0]].length, BLUE = "#2b7bbd", GREY = "#9995";
const short = x => Number(x.toPrecision(3)).toString();
function extent(a) {
  let low = Infinity, high = -Infinity;
  for (const x of a) if (Number.isFinite(x)) { low = Math.min(low, x); high = Math.max(high, x); }
  return [low, high];
}
const scaled = {}, ends = {};
for (const k of names) {
  scaled[k] = d.logs.includes(k) ? P[k].map(Math.log) : P[k];
  ends[k] = extent(scaled[k]);
}
const limits = {};
for (const [k, a] of Object.entries(R)) {
  const row = document.getElementById("limits").insertRow();
  row.insertCell().textContent = k;
  const own = d.limits[k] || extent(a);
  limits[k] = own.map((x, j) => {
    let field;
    if (d.classes[k]) {
      field = document.createElement("select");
      d.classes[k].forEach((c, i) => field.add(new Option(c, i)));
      field.value = Math.min(Math.max(Math.round(x), 0), d.classes[k].length - 1);
    } else {
      field = document.createElement("input");
      field.type = "number"; field.step = "any";
      field.value = d.limits[k] ? x : j ? Math.ceil(x * 1e4) / 1e4 : Math.floor(x * 1e4) / 1e4;
    }
    field.setAttribute("aria-label", `${k}, ${j ? "highest" : "lowest"}`);
    field.addEventListener("input", draw);
    row.insertCell().append(j ? "to " : "from ", field);
    return field;
  });
  // A result that some cells do not have counts only where its limits were narrowed.
  limits[k].all = d.limits[k] ? null : limits[k].map(f => f.value);
}
function isGood() {
  const good = new Uint8Array(cells).fill(1);
  for (const [k, [from, to]] of Object.entries(limits)) {
    const all = limits[k].all;
    if (all && all[0] === from.value && all[1] === to.value) continue;
    const low = from.value === "" ? -Infinity : +from.value;
    const high = to.value === "" ? Infinity : +to.value;
    R[k].forEach((x, c) => { if (!(x >= low && x <= high)) good[c] = 0; });
  }
  return good;
}
function correlation(a, b, good) {
  let m = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  for (let c = 0; c < cells; c++) if (good[c]) {
    m++; x += a[c]; y += b[c]; xx += a[c] ** 2; yy += b[c] ** 2; xy += a[c] * b[c];
  }
  return (xy - x * y / m) / Math.sqrt((xx - x * x / m) * (yy - y * y / m));
}
const canvas = document.getElementById("pairs"), pen = canvas.getContext("2d");
const S = Math.max(90, Math.floor(900 / (n + .5))), L = 70, B = 46, G = 8;
const sharp = window.devicePixelRatio || 1;
canvas.width = sharp * (L + n * S); canvas.height = sharp * (n * S + B);
canvas.style.width = `${L + n * S}px`;
pen.scale(sharp, sharp);
function draw() {
  const good = isGood(), ink = getComputedStyle(document.body).color;
  let count = 0;
  good.forEach(g => { count += g; });
  document.getElementById("count").textContent =
    `${count.toLocaleString()} of ${cells.toLocaleString()} cells`;
  pen.clearRect(0, 0, L + n * S, n * S + B);
  pen.font = "11px system-ui";
  const at = (k, c) => (scaled[k][c] - ends[k][0]) / ((ends[k][1] - ends[k][0]) || 1);
  names.forEach((y, j) => names.forEach((x, i) => {
    const left = L + i * S, top = j * S, w = S - G, h = S - G;
    if (i > j) {
      const r = correlation(scaled[x], scaled[y], good);
      if (count > 2 && Number.isFinite(r)) {
        pen.textAlign = "center"; pen.fillStyle = Math.abs(r) > .3 ? BLUE : "#999";
        pen.font = `${Math.round(12 + 8 * Math.abs(r))}px system-ui`;
        pen.fillText((r < 0 ? "" : "+") + r.toFixed(2), left + w / 2, top + h / 2 + 5);
        pen.font = "11px system-ui";
      }
      return;
    }
    pen.strokeStyle = "#8886"; pen.strokeRect(left, top, w, h);
    if (i === j) {
      for (const [which, colour] of [[null, GREY], [good, BLUE]]) {
        const bars = new Array(16).fill(0);
        let m = 0;
        for (let c = 0; c < cells; c++) if (!which || which[c]) {
          bars[Math.min(15, Math.floor(16 * at(x, c)))]++; m++;
        }
        const tall = 0.9 * h / Math.max(...bars, 1);
        pen.fillStyle = colour;
        if (m) bars.forEach((b, k) =>
          pen.fillRect(left + k * w / 16, top + h - b * tall, w / 16 - 1, b * tall));
      }
    } else for (const [kind, colour, size] of [[0, GREY, 2], [1, BLUE, 3]]) {
      pen.fillStyle = colour;
      for (let c = 0; c < cells; c++) if (good[c] === kind)
        pen.fillRect(left + at(x, c) * (w - size), top + (1 - at(y, c)) * (h - size), size, size);
    }
    pen.fillStyle = ink;
    const told = (k, which) =>
      short(d.logs.includes(k) ? Math.exp(ends[k][which]) : ends[k][which]);
    if (j === n - 1) {
      pen.textAlign = "left"; pen.fillText(told(x, 0), left, n * S + 8);
      pen.textAlign = "right"; pen.fillText(told(x, 1), left + w, n * S + 8);
      pen.textAlign = "center"; pen.fillText(x, left + w / 2, n * S + 24, S);
    }
    if (i === 0 && j) {
      pen.textAlign = "right";
      pen.fillText(told(y, 0), left - 4, top + h); pen.fillText(told(y, 1), left - 4, top + 10);
      pen.save(); pen.translate(14, top + h / 2); pen.rotate(-Math.PI / 2);
      pen.textAlign = "center"; pen.fillText(y, 0, 0, S); pen.restore();
    }
  }));
}
draw();
</script>
</body>
</html>
"""
