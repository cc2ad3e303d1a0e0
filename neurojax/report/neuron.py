"""A neuron that the reader of a page turns with the mouse, its compartments coloured by a value."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from neurojax.membrane.cable import Cable
from neurojax.plot.look import INK, number
from neurojax.plot.morphology import SHADES, capped, ends, of_compartments, region_colours
from neurojax.report.page import text

Numbers = list[Any]


def turning(
    cell: Cable, values: Any = None, label: str = "", times: Any = None, unit: str = "ms"
) -> str:
    """HTML of a neuron to turn and to zoom, which needs no other file and no network.

    `values` are `[comp]`, or `[comp, time]` with a slider for the `times`; without them colours are
    those of regions. `label` is what the values are, with their unit. Raises ValueError for values
    that are not one for each compartment, or times that are not one for each of them.
    """
    shown = None if values is None else of_compartments(cell, values)
    frames = 1 if shown is None else shown.shape[1]
    told = [] if times is None else np.asarray(times, float).tolist()
    if told and len(told) != frames:
        raise ValueError(f"times: {len(told)}, but {frames} values of each compartment")
    data: dict[str, Any] = {
        "lines": _rounded(capped(cell).reshape(len(cell.parents), 9), 2),
        "wide": _rounded(np.broadcast_to(np.asarray(cell.diameter), (len(cell.parents),)), 3),
        "times": told,
        "unit": unit,
    }
    if shown is None:
        colours = region_colours(cell)
        data["colours"] = [colours[r] for r in cell.regions]
        legend = _regions(colours)
    else:
        low, high = ends(shown)
        data |= {"values": _rounded(shown.T, 4), "low": low, "high": high, "shades": SHADES}
        legend = _bar(low, high, label)
    slider = (
        f'<input type="range" min="0" max="{frames - 1}" value="0" aria-label="time"><output>'
        "</output>"
        if frames > 1
        else ""
    )
    # No text within the data may end the script.
    packed = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<figure class="neuron"><style>{_STYLE}</style>'
        f'<canvas role="img" aria-label="{text(label or "regions")} of a neuron"></canvas>'
        f"<div>{slider}{legend}</div>"
        "<figcaption>Drag to turn, turn the wheel to zoom.</figcaption>"
        f"<script>({_SCRIPT})({packed})</script></figure>"
    )


def _rounded(array: np.ndarray, digits: int) -> Numbers:
    return np.round(np.asarray(array, float), digits).tolist()


def _regions(colours: dict[str, str]) -> str:
    """The names of regions; that of ink is left to the page, which may be dark."""
    shown = {r: "currentColor" if c == INK else c for r, c in colours.items()}
    return "".join(
        f'<span><i style="background:{c}"></i>{text(r)}</span>' for r, c in shown.items()
    )


def _bar(low: float, high: float, label: str) -> str:
    gradient = f"linear-gradient(to right, {', '.join(SHADES)})"
    return (
        f'<span>{number(low, 3)}<b style="background:{gradient}"></b>{number(high, 3)} '
        f"{text(label)}</span>"
    )


_STYLE = """
.neuron canvas { width: 100%; height: min(70vh, 36rem); touch-action: none; cursor: grab; }
.neuron div { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: center;
  font-size: .9rem; }
.neuron input { flex: 1 1 14rem; } .neuron output { min-width: 5rem; }
.neuron i, .neuron b { display: inline-block; height: .6rem; border-radius: .3rem; }
.neuron i { width: .6rem; margin-right: .4rem; } .neuron b { width: 9rem; margin: 0 .5rem; }
"""

# The neuron turns about the middle of what it spans; what is nearer is drawn later.
_SCRIPT = """d => {
  const box = document.currentScript.parentElement, canvas = box.querySelector("canvas");
  const ink = canvas.getContext("2d"), slider = box.querySelector("input");
  const told = box.querySelector("output"), n = d.wide.length;
  const middle = [0, 1, 2].map(a => {
    const all = d.lines.flatMap(l => [l[a], l[a + 3], l[a + 6]]);
    return (Math.min(...all) + Math.max(...all)) / 2; });
  const reach = Math.max(1e-9, ...d.lines.flatMap(l => [0, 3, 6].map(k =>
    Math.hypot(...middle.map((m, a) => l[k + a] - m)))));
  const shades = (d.shades || []).map(c => [1, 3, 5].map(k => parseInt(c.slice(k, k + 2), 16)));
  const colour = (k, own) => {
    if (d.colours) return d.colours[k] == "%INK%" ? own : d.colours[k];
    const u = (d.values[slider ? +slider.value : 0][k] - d.low) / (d.high - d.low);
    if (!(u > -1e9)) return "transparent";
    const x = Math.min(Math.max(u, 0), 1) * (shades.length - 1);
    const i = Math.min(Math.floor(x), shades.length - 2);
    return `rgb(${shades[i].map((c, j) => Math.round(c + (x - i) * (shades[i + 1][j] - c)))})`; };
  let turn = 0, tilt = 0, zoom = 1;
  const draw = () => {
    const fine = devicePixelRatio || 1, own = getComputedStyle(box).color;
    const w = canvas.width = canvas.clientWidth * fine;
    const h = canvas.height = canvas.clientHeight * fine;
    const per = 0.47 * Math.min(w, h) / reach * zoom;
    const [c, s, ct, st] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
    const seen = d.lines.map(l => [0, 3, 6].map(k => {
      const [x, y, z] = middle.map((m, a) => l[k + a] - m), far = c * z - s * x;
      return [w / 2 + per * (c * x + s * z), h / 2 - per * (ct * y - st * far), st * y + ct * far];
    }));
    const order = [...Array(n).keys()].sort((i, j) => seen[i][1][2] - seen[j][1][2]);
    ink.lineCap = "round";
    for (const k of order) {
      ink.lineWidth = Math.max(d.wide[k] * per, 1.2 * fine);
      ink.strokeStyle = colour(k, own);
      ink.beginPath();
      seen[k].forEach(([x, y], i) => i ? ink.lineTo(x, y) : ink.moveTo(x, y));
      ink.stroke();
    }
    const about = 0.2 * w / per, ten = 10 ** Math.floor(Math.log10(about));
    const long = ten * [5, 2, 1].find(m => m * ten <= about);
    ink.strokeStyle = ink.fillStyle = own; ink.lineWidth = 1.5 * fine; ink.lineCap = "butt";
    ink.beginPath(); ink.moveTo(8 * fine, h - 8 * fine);
    ink.lineTo(8 * fine + long * per, h - 8 * fine); ink.stroke();
    ink.font = `${12 * fine}px sans-serif`;
    ink.fillText(`${long} \u00b5m`, 8 * fine, h - 14 * fine);
    if (told) told.value = d.times.length ? `${d.times[slider.value]} ${d.unit}` : slider.value;
  };
  canvas.onpointerdown = e => canvas.setPointerCapture(e.pointerId);
  canvas.onpointermove = e => { if (e.buttons) {
    turn += e.movementX / 150; tilt += e.movementY / 150; draw(); } };
  canvas.onwheel = e => { e.preventDefault(); zoom *= Math.exp(-e.deltaY / 500); draw(); };
  if (slider) slider.oninput = draw;
  addEventListener("resize", draw); draw();
}""".replace("%INK%", INK)
