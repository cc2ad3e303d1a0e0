// Runs the cell's equations: the functions of the cell stand before this text, in a worker.

// The lowest potential where the steady current turns outward, in mV, as neurojax finds it.
function rest(parameters, i) {
  const { low, high, points, halvings } = REST;
  const total = v => imbalance(parameters, [v, i])[0];
  const at = k => low + (high - low) * k / (points - 1);
  let before = total(low);
  for (let k = 1; k < points; k++) {
    const here = total(at(k));
    if (before < 0 && here >= 0) {
      let a = at(k - 1), b = at(k);
      for (let n = 0; n < halvings; n++) {
        const m = 0.5 * (a + b);
        if (total(m) < 0) a = m; else b = m;
      }
      return 0.5 * (a + b);
    }
    before = here;
  }
  return NaN;
}

// One run of a step in one of the inputs, 0 for the current; all else is as at rest.
function* steps({ parameters, which, holding, amplitude, start, stop, duration, resting }) {
  const known = constants(parameters);
  const tick = [0, ...resting];
  tick[which] = holding;
  let state = settled(parameters, [rest(parameters, which === 0 ? holding : 0)]);
  yield state;
  const n = Math.round(duration / DT);
  for (let k = 0; k < n; k++) {
    const middle = (k + 0.5) * DT;
    tick[which] = holding + (middle >= start && middle < stop ? amplitude : 0);
    state = step(known, state, tick);
    yield state;
  }
}

// What is seen at every few steps, a row for each name, and the spikes of the whole run.
function record(request) {
  const n = Math.round(request.duration / DT), every = request.every;
  const rows = 1 + Math.floor(n / every);
  const seen = SEEN.map(() => new Float64Array(rows));
  let k = 0, count = null, ok = true, first = NaN, last = NaN, before = 0;
  for (const state of steps(request)) {
    if (k % every === 0) {
      observed(request.parameters, state).forEach((x, j) => { seen[j][k / every] = x; });
    }
    count = k === 0 ? spikesBegin(state) : spikesCount(count, state);
    const number = spikesEnd(count)[0];
    if (number > before) { last = k * DT; if (before === 0) first = last; before = number; }
    ok = state.every(Number.isFinite);
    if (!ok) break;
    k++;
  }
  return { seen, spikes: before, first, last, ok, every };
}

// Only how many spikes there are during the step.
function spikes(request) {
  let count = null, k = 0, before = 0;
  for (const state of steps(request)) {
    if (k * DT > request.stop) break;
    count = count === null ? spikesBegin(state) : spikesCount(count, state);
    if (k * DT <= request.start) before = spikesEnd(count)[0];
    k++;
  }
  return spikesEnd(count)[0] - before;
}

// The newest request counts: one that came before it and is not begun is dropped.
let waiting = null, family = null;

function work() {
  if (waiting) {
    const request = waiting;
    waiting = null;
    const found = record(request);
    postMessage({ id: request.id, kind: "run", ...found }, found.seen.map(row => row.buffer));
    family = request.amplitudes ? { request, at: 0, counts: [] } : null;
  } else if (family) {
    const { request, counts } = family;
    counts.push(spikes({ ...request, amplitude: request.amplitudes[family.at++] }));
    if (family.at === request.amplitudes.length) {
      postMessage({ id: request.id, kind: "family", amplitudes: request.amplitudes, counts });
      family = null;
    }
  }
  if (waiting || family) setTimeout(work, 0);
}

if (typeof onmessage !== "undefined") {
  onmessage = event => {
    const idle = !waiting && !family;
    waiting = event.data;
    family = null;
    if (idle) setTimeout(work, 0);
  };
}
