// The gallery: filters that combine, sort, one tab stop, and all of its state in the address, so that a view can be mailed.
const grid = $("#thumbs"), form = $("#filters");
const thumbs = $$(".thumb"), samples = records(data.tables.samples);
const sampleOf = thumb => samples[+thumb.dataset.at];
const fields = new Map(form ? [...form.elements].filter(field => field.name).map(field => [field.name, field]) : []);
const WRONG = /[fbwm]/;
const few = () => matchMedia("(max-width:720px)").matches ? 24 : 36;
let open = false, order = thumbs, shown = thumbs;

const chosen = field => { // of a text field with suggestions, the option that was typed
  const options = field.list ? [...field.list.options] : [];
  const text = field.value.trim();
  if (!field.list || !text) return text;
  const found = options.find(option => option.value === text) || options.find(option => option.value.toLowerCase().startsWith(text.toLowerCase()));
  return found ? found.dataset.key : "none";
};
const asked = () => Object.fromEntries([...fields].map(([field, input]) => [field, chosen(input)]).filter(([, value]) => value !== "" && value !== "rank"));
const fits = (sample, want) => {
  const outcome = want.type ? sample.outcomes[data.outcome_types.indexOf(want.type)] || "-" : sample.outcome;
  return (!want.class || String(sample.class) === want.class)
    && (!want.read || String(sample.neighbor_class) === want.read)
    && (!want.kind || sample.kind === want.kind)
    && (!want.type || want.after || WRONG.test(outcome))
    && (!want.after || want.after.includes(outcome))
    && (!want.low || sample.score >= +want.low)
    && (!want.high || sample.score <= +want.high);
};
const compare = by => (one, other) => {
  const [x, y] = [sampleOf(one), sampleOf(other)];
  const known = (x[by] == null) - (y[by] == null);
  return known || (x[by] < y[by] ? -1 : x[by] > y[by] ? 1 : 0) || x.rank - y.rank;
};
const address = hash => { try { history.replaceState(null, "", hash); } catch { /* some browsers forbid it for files */ } };
const query = () => { const text = new URLSearchParams(asked()).toString(); return text && `?${text}`; };

const draw = () => {
  const want = asked(), more = $("#more");
  order = thumbs.filter(thumb => fits(sampleOf(thumb), want)).sort(compare(want.sort || "rank"));
  shown = open ? order : order.slice(0, few());
  const visible = new Set(shown);
  thumbs.forEach(thumb => { thumb.hidden = !visible.has(thumb); thumb.tabIndex = -1; });
  grid.append(...order);
  if (shown[0]) shown[0].tabIndex = 0;
  const whole = order.length < thumbs.length ? ` that fit, of ${thumbs.length}` : "";
  $("#count").textContent = order.length ? `${shown.length} of ${order.length}${whole}` : "no sample fits";
  more.hidden = shown.length === order.length;
  more.textContent = `Show all ${order.length}`;
  $("#clear").hidden = !Object.keys(want).length;
  brushed(want);
};
const filter = want => { // from outside: a cell, a brush, an address
  fields.forEach((input, field) => {
    const value = want[field] ?? "";
    const option = input.list && [...input.list.options].find(each => each.dataset.key === value);
    input.value = option ? option.value : input.list ? "" : value || (field === "sort" ? "rank" : "");
  });
  open = false;
  draw();
};

// Brushing the histogram asks for a range of scores; the two fields do the same for a keyboard.
const histogram = $("#histogram"), brush = $("#brush");
const ends = histogram ? [+histogram.dataset.low, +histogram.dataset.high] : [0, 1];
const brushed = want => {
  if (!brush) return;
  const share = value => Math.min(1, Math.max(0, (value - ends[0]) / (ends[1] - ends[0])));
  const [from, to] = [want.low ? share(+want.low) : 0, want.high ? share(+want.high) : 1];
  brush.hidden = !want.low && !want.high;
  brush.style.left = `${100 * from}%`;
  brush.style.width = `${100 * Math.max(0, to - from)}%`;
  $("#brush-note").textContent = brush.hidden ? "" : `${order.length} of the ${thumbs.length} shown samples have a score in this range.`;
};
if (histogram && form) {
  let start = null;
  const at = event => {
    const box = histogram.getBoundingClientRect();
    return ends[0] + (ends[1] - ends[0]) * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const digits = Math.min(12, Math.max(3, 3 - Math.floor(Math.log10(ends[1] - ends[0] || 1)))); // distances are small
  const range = event => [start, at(event)].sort((x, y) => x - y).map(value => value.toFixed(digits));
  histogram.classList.add("brushable");
  histogram.onpointerdown = event => { start = at(event); histogram.setPointerCapture(event.pointerId); event.preventDefault(); };
  histogram.onpointermove = event => { if (start !== null) { const [low, high] = range(event); brushed({ low, high }); } };
  histogram.onpointerup = event => {
    if (start === null) return;
    const [low, high] = range(event), none = +high - +low < (ends[1] - ends[0]) / 200; // a click clears
    start = null;
    filter({ ...asked(), low: none ? "" : low, high: none ? "" : high });
    address(`#samples${query()}`);
  };
  histogram.onpointercancel = () => { start = null; draw(); };
}

if (form) {
  const rest = $("#rest");
  if (rest) { grid.append(...$$(".thumb", rest)); rest.remove(); }
  grid.setAttribute("role", "group");
  thumbs.forEach(thumb => {
    thumb.setAttribute("role", "button");
    thumb.setAttribute("aria-haspopup", "dialog");
    thumb.setAttribute("aria-label", legible(thumb.dataset.label));
  });
  form.oninput = () => { open = false; draw(); address(`#samples${query()}`); };
  form.onsubmit = event => event.preventDefault();
  $("#clear").onclick = () => { filter({}); address("#samples"); $("#count").focus(); };
  $("#more").onclick = () => { const next = shown.length; open = true; draw(); shown[next]?.focus(); };
  $$("[data-filter]").forEach(link => link.addEventListener("click", () => {
    filter(Object.fromEntries(new URLSearchParams(link.dataset.filter)));
    setTimeout(() => address(`#samples${query()}`));
  }));
  grid.onkeydown = event => {
    const at = shown.indexOf(document.activeElement);
    if (at < 0) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); return shown[at].click(); }
    const across = shown.filter(thumb => thumb.offsetTop === shown[0].offsetTop).length;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + across, ArrowUp: at - across, Home: 0, End: shown.length - 1 }[event.key];
    if (to === undefined || !shown[to]) return;
    event.preventDefault();
    shown[at].tabIndex = -1;
    shown[to].tabIndex = 0;
    shown[to].focus();
  };
}
