// Equilibrium potentials, live: where each ion rests, and where the membrane does.

const { potentials } = new Function(`${byId("engine").textContent}; return { potentials };`)();
const first = Object.fromEntries(DATA.controls.map(c => [c.name, c.value]));
const values = { ...first };
const found = given => potentials(DATA.order.map(name => given[name]));

function build() {
  groups.replaceChildren();
  const boxes = {};
  for (const c of DATA.controls) {
    boxes[c.group] ??= group(groups, c.group, true, c.colour);
    control(boxes[c.group], c, () => values[c.name], x => { values[c.name] = x; }, first[c.name]);
  }
}
const groups = document.createElement("div");
byId("controls").append(groups);

// The marks on one line of potentials, names above it, one row for each.
function scale(at) {
  const marks = DATA.marks.map((mark, k) => ({ ...mark, at: at[k] }));
  const xs = [-160, 190];
  const lines = marks.map((mark, k) => ({
    x: [mark.at, mark.at], y: [-1, marks.length - k], colour: tint(mark.colour), width: 3,
    label: `${mark.name} ${short(mark.at, 3)} mV`,
  }));
  picture(byId("scale"), lines, { x: "potential (mV)", y: "", xs, ys: [-1, marks.length + 0.7], plain: true });
}

function curve(at) {
  const c = DATA.controls.find(one => one.name === byId("against").value);
  const x = Array.from({ length: 201 }, (_, k) => valued(c, 5 * k));
  const rows = x.map(value => found({ ...values, [c.name]: value }));
  const lines = DATA.marks.map((mark, k) => ({
    x: c.log ? x.map(Math.log10) : x, y: rows.map(row => row[k]), colour: tint(mark.colour), width: 2,
  }));
  const here = c.log ? Math.log10(values[c.name]) : values[c.name];
  DATA.marks.forEach((mark, k) => lines.push(
    { x: [here], y: [at[k]], colour: tint(mark.colour), dots: true }));
  const unit = c.unit === "1" ? "" : ` (${c.unit})`;
  picture(byId("curve"), lines, { x: `${c.name}${unit}`, y: "potential (mV)", ys: [-160, 190], log: c.log });
  byId("legend").replaceChildren(...DATA.marks.map(mark => {
    const key = document.createElement("span");
    key.innerHTML = `<i style="border-color:${tint(mark.colour)}"></i>`;
    key.append(mark.name);
    return key;
  }));
}

function changed() {
  const at = found(values);
  byId("facts").replaceChildren(...DATA.marks.map((mark, k) => {
    const item = document.createElement("li");
    item.append(`${mark.name} `, Object.assign(document.createElement("b"),
      { textContent: Number.isFinite(at[k]) ? `${at[k].toFixed(1)} mV` : "none" }));
    return item;
  }));
  scale(at);
  curve(at);
}

byId("reset").addEventListener("click", () => { Object.assign(values, first); build(); changed(); });
for (const c of DATA.controls) byId("against").add(new Option(c.name, c.name));
byId("against").value = DATA.against;
byId("against").addEventListener("change", changed);
addEventListener("resize", changed);
dark.addEventListener("change", () => { build(); changed(); });
build();
changed();
