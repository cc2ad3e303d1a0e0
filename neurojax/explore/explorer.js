// The page: sliders of a cell, what it does, and beside it in grey what it did before.

// -- what can be moved ------------------------------------------------------------------------
const values = Object.fromEntries(DATA.parameters.map(p => [p.name, p.value]));
const stimulus = { ...DATA.stimulus };
const first = { values: { ...values }, stimulus: { ...stimulus } };

function build() {
  const stim = group(byId("controls"), "Stimulus", true);
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
      changed();
    });
  }
  const sizes = document.createElement("div");
  stim.append(sizes);
  scales = () => {
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
      const j = index(p.current);
      boxes[p.group] ??= group(groups, p.group, p.open, j < 0 ? null : DATA.seen[j].colour);
      control(boxes[p.group], p, () => values[p.name], x => { values[p.name] = x; },
        first.values[p.name]);
    }
  };
  const groups = document.createElement("div");
  byId("controls").append(groups);
  scales();
}
let scales;

byId("reset").addEventListener("click", () => {
  Object.assign(values, first.values);
  Object.assign(stimulus, first.stimulus);
  if (byId("which")) byId("which").value = stimulus.which;
  scales();
  changed();
});
byId("keep").addEventListener("click", () => { ghost = { ...now }; draw(); tell("kept in grey"); });
byId("copy").addEventListener("click", async () => {
  const moved = DATA.parameters.filter(p => values[p.name] !== first.values[p.name]);
  const told = moved.map(p => `"${p.name}": ${short(values[p.name], 6)}`).join(", ");
  const text = moved.length ? `cell = nj.replace(cell, {${told}})` : "cell  # nothing is changed";
  try { await navigator.clipboard.writeText(text); tell(`copied: ${text}`); }
  catch { tell(text); }
});

// -- the run ------------------------------------------------------------------------------------
const source = byId("engine").textContent;
const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
let asked = 0, now = {}, ghost = null;

function changed() {
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
    now = { ...data, stimulus: used, dt: data.every * DATA.dt, rates: null };
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
changed();
