// What all pages share: sliders, and pictures on a canvas.
const byId = id => document.getElementById(id);
const short = (x, digits = 4) => Number.isFinite(x) ? String(Number(x.toPrecision(digits))) : "-";
const dark = matchMedia("(prefers-color-scheme: dark)");
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const tint = colour => dark.matches ? `color-mix(in srgb, ${colour} 62%, white)` : colour;

// -- sliders: a page says with `changed` what follows from a new value --------------------------
function tell(text) { byId("told").textContent = text; }

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
  const take = x => { set(x); show(); changed(); };
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
  show();
  parent.append(box);
}

function group(parent, title, open, colour) {
  const box = document.createElement("details");
  box.open = open;
  const head = Object.assign(document.createElement("summary"), { textContent: title });
  if (colour) head.style.color = tint(colour);
  box.append(head);
  parent.append(box);
  return box;
}

// -- pictures -----------------------------------------------------------------------------------
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

// The logarithms of 1, 2 and 5 in each decade; of wide ranges, of 1 alone.
function decades([low, high]) {
  const numbers = high - low > 4 ? [1] : [1, 2, 5], found = [];
  for (let k = Math.floor(low); k <= high; k++) {
    found.push(...numbers.map(m => k + Math.log10(m)).filter(v => v >= low && v <= high));
  }
  return found;
}

// Lines {x, y, colour, width, dash, dots, label} on axes with names and units. `bare` has no names
// below, `plain` no scale at the left; with `log` the x are logarithms of base 10.
function picture(canvas, lines, { x, y, xs, ys, bare, plain, log }) {
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
  if (!plain) for (const v of ticks(ys, Math.max(3, H / 45))) {
    pen.beginPath(); pen.moveTo(L, py(v)); pen.lineTo(L + W, py(v)); pen.stroke();
    pen.fillText(short(v), L - 6, py(v));
  }
  pen.textAlign = "center";
  if (!bare) {
    for (const v of log ? decades(xs) : ticks(xs, Math.max(2, W / 90))) {
      pen.fillText(short(log ? 10 ** v : v), px(v), T + H + 11);
    }
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
    if (line.label) {
      pen.textAlign = line.x[1] < xs[0] + (xs[1] - xs[0]) * 0.6 ? "left" : "right";
      pen.fillText(line.label, px(line.x[1]) + (pen.textAlign === "left" ? 6 : -6), py(line.y[1]) + 6);
    }
    if (line.dots) for (let k = 0; k < line.x.length; k++) {
      pen.beginPath(); pen.arc(px(line.x[k]), py(line.y[k]), 2.6, 0, 7); pen.fill();
    }
  }
}
