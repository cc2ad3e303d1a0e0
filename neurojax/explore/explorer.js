// The page: sliders of a cell, what it does, and beside it in grey what it did before.
const byId = id => document.getElementById(id);
const short = (x, digits = 4) => Number.isFinite(x) ? String(Number(x.toPrecision(digits))) : "-";
const dark = matchMedia("(prefers-color-scheme: dark)");
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const tint = colour => dark.matches ? `color-mix(in srgb, ${colour} 62%, white)` : colour;

// -- what can be moved ------------------------------------------------------------------------
const values = Object.fromEntries(DATA.parameters.map(p => [p.name, p.value]));
const stimulus = { ...DATA.stimulus };
const first = { values: { ...values }, stimulus: { ...stimulus } };

// Places of a slider from 0 to 1000, even in the value or in its logarithm.
function placed(p, value) {
  const f = p.log ? Math.log : x => x;
  return 1000 * (f(value) - f(p.low)) / (f(p.high) - f(p.low));
}
function valued(p, place) {
  const at = place / 1000;
  const x = p.log ? p.low * (p.high / p.low) ** at : p.low + (p.high - p.low) * at;
  return Number(x.toPrecision(3));
}

const shown = []; // of each control, what brings it up to date

function control(parent, p, get, set, start) {
  const box = document.createElement("div");
  box.className = "control";
  box.innerHTML = `<label></label><span><input type="number" step="any"> <span class="unit"></span>
    </span><input type="range" min="0" max="1000" step="1">`;
  const label = box.querySelector("label"), number = box.querySelector("[type=number]");
  const range = box.querySelector("[type=range]");
  label.textContent = p.label ?? p.name;
  number.id = `of-${p.name}`;
  label.htmlFor = number.id;
  range.setAttribute("aria-label", p.name);
  box.querySelector(".unit").textContent = p.unit === "1" ? "" : p.unit;
  const show = () => {
    number.value = short(get(), 6);
    range.value = placed(p, get());
    label.classList.toggle("changed", get() !== start);
  };
  const take = x => { set(x); show(); simulate(); };
  range.addEventListener("input", () => take(valued(p, Number(range.value))));
  range.addEventListener("dblclick", () => take(start));
  number.addEventListener("change", () => {
    const x = Number(number.value);
    const good = number.value !== "" && x >= p.low && x <= p.high;
    if (!good) {
      const unit = p.unit === "1" ? "" : ` ${p.unit}`;
      tell(`${p.name}: expected ${short(p.low)} to ${short(p.high)}${unit}`);
    }
    take(good ? x : get());
  });
  shown.push(show);
  show();
  parent.append(box);
}

function group(title, open) {
  const box = document.createElement("details");
  box.open = open;
  box.append(Object.assign(document.createElement("summary"), { textContent: title }));
  byId("controls").append(box);
  return box;
}

function build() {
  const stim = group("Stimulus", true);
  if (DATA.inputs.length > 1) {
    const row = document.createElement("div");
    row.className = "choice";
    row.innerHTML = `<label>A step of <select id="which"></select></label>`;
    stim.append(row);
    DATA.inputs.forEach((input, k) => byId("which").add(new Option(input.name, k)));
    byId("which").addEventListener("change", () => {
      Object.assign(stimulus, DATA.inputs[byId("which").value].step);
      stimulus.which = Number(byId("which").value);
      scales();
      simulate();
    });
  }
  const sizes = document.createElement("div");
  stim.append(sizes);
  scales = () => {
    shown.length = 0;
    sizes.replaceChildren();
    const input = DATA.inputs[stimulus.which];
    const bound = { unit: input.unit, log: false };
    const [amplitude, holding] = input.bounds;
    control(sizes, { name: "step", ...bound, low: amplitude[0], high: amplitude[1] },
      () => stimulus.amplitude, x => { stimulus.amplitude = x; }, input.step.amplitude);
    control(sizes, { name: "holding", ...bound, low: holding[0], high: holding[1] },
      () => stimulus.holding, x => { stimulus.holding = x; }, input.step.holding);
    for (const [name, low, high] of DATA.times) {
      control(sizes, { name, unit: "ms", low, high, log: name === "duration" },
        () => stimulus[name], x => { stimulus[name] = x; }, first.stimulus[name]);
    }
    groups.replaceChildren();
    const boxes = {};
    for (const p of DATA.parameters) {
      if (!boxes[p.group]) {
        const box = boxes[p.group] = document.createElement("details");
        box.open = p.open;
        const head = Object.assign(document.createElement("summary"), { textContent: p.group });
        const j = DATA.seen.findIndex(s => s.name === p.current);
        if (j >= 0) head.style.color = tint(DATA.seen[j].colour);
        box.append(head);
        groups.append(box);
      }
      control(boxes[p.group], p, () => values[p.name], x => { values[p.name] = x; },
        first.values[p.name]);
    }
  };
  const groups = document.createElement("div");
  byId("controls").append(groups);
  scales();
}
let scales;

function tell(text) { byId("told").textContent = text; }

byId("reset").addEventListener("click", () => {
  Object.assign(values, first.values);
  Object.assign(stimulus, first.stimulus);
  if (byId("which")) byId("which").value = stimulus.which;
  scales();
  simulate();
});
byId("keep").addEventListener("click", () => { ghost = { ...now }; draw(); tell("kept in grey"); });
byId("copy").addEventListener("click", async () => {
  const changed = DATA.parameters.filter(p => values[p.name] !== first.values[p.name]);
  const told = changed.map(p => `"${p.name}": ${short(values[p.name], 6)}`).join(", ");
  const text = changed.length ? `cell = nj.replace(cell, {${told}})` : "cell  # nothing is changed";
  try { await navigator.clipboard.writeText(text); tell(`copied: ${text}`); }
  catch { tell(text); }
});

// -- the run ------------------------------------------------------------------------------------
const source = byId("engine").textContent;
const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
let asked = 0, now = {}, ghost = null;

function simulate() {
  const input = DATA.inputs[stimulus.which], f = input.factor;
  const { duration } = stimulus;
  const every = Math.max(1, Math.round(0.05 / DATA.dt), Math.ceil(duration / DATA.dt / 20000));
  const top = Math.max(Math.abs(input.bounds[0][1]), Math.abs(stimulus.amplitude));
  const amplitudes = Array.from({ length: 15 }, (_, k) => f * top * k / 14);
  runs.set(++asked, { ...stimulus, stop: Math.min(stimulus.stop, duration) });
  worker.postMessage({
    id: asked, every, duration, amplitudes: stimulus.which === 0 ? amplitudes : null,
    parameters: DATA.order.map(name => values[name]), which: stimulus.which,
    holding: f * stimulus.holding, amplitude: f * stimulus.amplitude,
    start: stimulus.start, stop: Math.min(stimulus.stop, duration),
    resting: DATA.inputs.slice(1).map(i => i.resting),
  });
}
const runs = new Map();

worker.onerror = event => tell(`the equations failed: ${event.message}`);
worker.onmessage = ({ data }) => {
  if (data.kind === "run") {
    const used = runs.get(data.id);
    for (const id of runs.keys()) if (id < data.id) runs.delete(id);
    now = { ...data, stimulus: used, dt: data.every * DATA.dt, rates: data.id === now.id ? now.rates : null };
    if (!ghost) ghost = now;
  } else if (data.id === now.id) {
    const s = now.stimulus, seconds = 1e-3 * (s.stop - s.start);
    const f = DATA.inputs[0].factor;
    now.rates = [data.amplitudes.map(a => a / f), data.counts.map(n => n / seconds)];
    if (ghost.id === now.id) ghost = now;
  } else return;
  draw();
};

// -- pictures -----------------------------------------------------------------------------------
const index = name => DATA.seen.findIndex(s => s.name === name);
const times = run => Float64Array.from(run.seen[0], (_, k) => k * run.dt);

function extent(lists) {
  let low = Infinity, high = -Infinity;
  for (const list of lists) for (const x of list) if (Number.isFinite(x)) {
    if (x < low) low = x;
    if (x > high) high = x;
  }
  if (low > high) return [0, 1];
  const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}

function ticks([low, high], most) {
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(m => m >= raw);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
  return found;
}

// Lines {x, y, colour, width, dots} on axes with names and units.
function picture(canvas, lines, { x, y, xs, ys, bare }) {
  const scale = devicePixelRatio || 1, { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const L = 62, R = 16, T = 8, B = bare ? 6 : 38, W = width - L - R, H = height - T - B;
  xs ??= extent(lines.map(l => l.x));
  ys ??= extent(lines.map(l => l.y));
  const px = v => L + W * (v - xs[0]) / (xs[1] - xs[0]);
  const py = v => T + H * (1 - (v - ys[0]) / (ys[1] - ys[0]));
  pen.font = "12px system-ui, sans-serif";
  pen.fillStyle = css("--soft");
  pen.strokeStyle = css("--rule");
  pen.lineWidth = 1;
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const v of ticks(ys, Math.max(3, H / 45))) {
    pen.beginPath(); pen.moveTo(L, py(v)); pen.lineTo(L + W, py(v)); pen.stroke();
    pen.fillText(short(v), L - 6, py(v));
  }
  pen.textAlign = "center";
  if (!bare) {
    for (const v of ticks(xs, Math.max(2, W / 90))) pen.fillText(short(v), px(v), T + H + 11);
    pen.fillText(x, L + W / 2, T + H + 28);
  }
  pen.save(); pen.translate(11, T + H / 2); pen.rotate(-Math.PI / 2);
  pen.fillText(y, 0, 0, H + T + B); pen.restore();
  pen.beginPath(); pen.rect(L, T - 3, W, H + 6); pen.clip();
  for (const line of lines) {
    pen.strokeStyle = pen.fillStyle = line.colour;
    pen.lineWidth = line.width ?? 1.4;
    pen.lineJoin = "round";
    pen.setLineDash(line.dash ?? []);
    pen.beginPath();
    let lifted = true;
    for (let k = 0; k < line.x.length; k++) {
      if (!Number.isFinite(line.y[k]) || !Number.isFinite(line.x[k])) { lifted = true; continue; }
      if (lifted) pen.moveTo(px(line.x[k]), py(line.y[k]));
      else pen.lineTo(px(line.x[k]), py(line.y[k]));
      lifted = false;
    }
    pen.stroke();
    if (line.dots) for (let k = 0; k < line.x.length; k++) {
      pen.beginPath(); pen.arc(px(line.x[k]), py(line.y[k]), 2.6, 0, 7); pen.fill();
    }
  }
}

function both(make) {
  const lines = [];
  if (ghost && ghost.id !== now.id) lines.push({ ...make(ghost), colour: css("--ghost") });
  lines.push(make(now));
  return lines;
}

function slopes(run) {
  const v = run.seen[0], d = new Float64Array(v.length);
  for (let k = 1; k + 1 < v.length; k++) d[k] = (v[k + 1] - v[k - 1]) / (2 * run.dt);
  return d;
}

function draw() {
  if (!now.seen) return;
  const accent = css("--accent"), s = now.stimulus, xs = [0, s.duration];
  picture(byId("trace"), both(run => ({ x: times(run), y: run.seen[0], colour: accent })),
    { y: "potential (mV)", xs, bare: true });
  const input = DATA.inputs[s.which];
  const course = run => {
    const t = run.stimulus, on = t.holding + t.amplitude;
    return { x: [0, t.start, t.start, t.stop, t.stop, t.duration],
      y: [t.holding, t.holding, on, on, t.holding, t.holding], colour: accent };
  };
  picture(byId("stimulus"), both(course),
    { x: "time (ms)", y: input.unit === "1" ? input.name : input.unit, xs });
  beside(xs);
  phase();
  rate();
  facts();
}

function beside(xs) {
  const chosen = DATA.seen.map((one, j) => [one, j]).filter(([one]) => one.kind === byId("lower").value);
  const t = times(now);
  const lines = chosen.map(([one, j]) =>
    ({ x: t, y: now.seen[j], colour: tint(one.colour), dash: one.dash }));
  const unit = chosen[0][0].unit;
  const name = byId("lower").selectedOptions[0].textContent;
  picture(byId("second"), lines,
    { x: "time (ms)", y: unit === "1" ? name : `${name} (${unit})`, xs, ys: unit === "1" ? [-0.03, 1.03] : undefined });
  byId("legend").replaceChildren(...chosen.map(([one]) => {
    const key = document.createElement("span");
    key.innerHTML = `<i style="border-top-style:${one.dash.length ? "dashed" : "solid"};
      border-color:${tint(one.colour)}"></i>`;
    key.append(one.name);
    return key;
  }));
}

function phase() {
  const j = Number(byId("phase").value), one = DATA.seen[j];
  const y = run => j < 0 ? slopes(run) : run.seen[j];
  const name = j < 0 ? "dv/dt (mV/ms)" : one.unit === "1" ? one.name : `${one.name} (${one.unit})`;
  picture(byId("plane"), both(run => ({ x: run.seen[0], y: y(run), colour: css("--accent"), width: 1 })),
    { x: "potential (mV)", y: name });
}

function rate() {
  const lines = [];
  if (ghost?.rates && ghost.id !== now.id) {
    lines.push({ x: ghost.rates[0], y: ghost.rates[1], colour: css("--ghost"), dots: true });
  }
  if (now.rates) {
    lines.push({ x: now.rates[0], y: now.rates[1], colour: css("--accent"), dots: true });
  }
  const most = Math.max(1, ...lines.flatMap(l => l.y));
  picture(byId("rate"), lines, { x: `step (${DATA.inputs[0].unit})`, y: "spikes per second (Hz)",
    xs: lines.length ? undefined : [0, 1], ys: [-0.04 * most, 1.06 * most] });
}

function facts() {
  const v = now.seen[0], [low, high] = [Math.min(...v), Math.max(...v)];
  const told = [["at rest", `${v[0].toFixed(1)} mV`], ["spikes", String(now.spikes)]];
  if (now.spikes > 0) told.push(["first at", `${short(now.first)} ms`]);
  if (now.spikes > 1) {
    told.push(["rate", `${short(1e3 * (now.spikes - 1) / (now.last - now.first), 3)} Hz`]);
  }
  told.push(["from", `${low.toFixed(1)} to ${high.toFixed(1)} mV`]);
  byId("facts").replaceChildren(...told.map(([name, text]) => {
    const item = document.createElement("li");
    item.append(`${name} `, Object.assign(document.createElement("b"), { textContent: text }));
    return item;
  }));
  if (!now.ok || !Number.isFinite(v[0])) {
    const item = document.createElement("li");
    item.className = "lost";
    item.textContent = Number.isFinite(v[0]) ? "left the finite numbers" : "has no resting potential";
    byId("facts").append(item);
  }
}

for (const [kind, name] of DATA.kinds) byId("lower").add(new Option(name, kind));
byId("phase").add(new Option("dv/dt", -1));
DATA.seen.forEach((one, j) => { if (one.kind !== "v") byId("phase").add(new Option(one.name, j)); });
byId("lower").addEventListener("change", draw);
byId("phase").addEventListener("change", draw);
addEventListener("resize", draw);
dark.addEventListener("change", () => { scales(); draw(); });
build();
simulate();
