// One sample: original, what went wrong beside it, and their exact difference, from the lossless sheets.
const box = $("#sample");
const sheets = Object.fromEntries($$("image[data-tile]").map(image => [image.id.replace("sheet-", ""), image]));
const ACROSS = 10;
const BRIGHTER = [123, 50, 148], DARKER = [0, 110, 60]; // neither the orange nor the blue, which judge
const decoded = {};
const pixels = sheet => decoded[sheet] ||= new Promise((done, failed) => {
  const image = new Image();
  image.onload = () => {
    const canvas = element("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    done(context);
  };
  image.onerror = failed;
  image.src = sheets[sheet].getAttribute("href");
});
const tile = async (sheet, at) => {
  const [width, height] = sheets[sheet].dataset.tile.split(" ").map(Number);
  return (await pixels(sheet)).getImageData(at % ACROSS * width, Math.floor(at / ACROSS) * height, width, height);
};
const difference = (one, other, amplify, mode) => {
  const made = new ImageData(one.width, one.height);
  for (let at = 0; at < made.data.length; at += 4) {
    const change = [0, 1, 2].map(channel => other.data[at + channel] - one.data[at + channel]);
    const mean = (change[0] + change[1] + change[2]) / 3, strength = Math.min(1, Math.abs(mean) * amplify / 255);
    const hue = mean > 0 ? BRIGHTER : DARKER;
    for (let channel = 0; channel < 3; channel++)
      made.data[at + channel] = mode === "sign" ? 246 + strength * (hue[channel] - 246) : 128 + amplify * change[channel] / 2;
    made.data[at + 3] = 255;
  }
  return made;
};
const view = (kind, picture) => {
  const figure = $(`[data-view=${kind}]`, box);
  figure.hidden = !picture;
  if (!picture) return;
  const canvas = $("canvas", figure);
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").putImageData(picture, 0, 0);
};
let place = 0;
const paint = async at => {
  const paired = sheets.original && at < +box.dataset.pairs;
  const whole = sheets.thumb || !paired ? await tile(sheets.thumb ? "thumb" : "original", at) : null;
  const [one, other] = paired ? await Promise.all([tile("original", at), tile("neighbor", at)]) : [null, null];
  if (+order[place]?.dataset.at !== at) return; // stepped on meanwhile
  view("thumb", whole);
  view("original", one);
  view("neighbor", other);
  view("difference", paired ? difference(one, other, +$("#d-amplify").value, $("#d-mode").value) : null);
};

const outcomes = { f: "fixed: right at this neighbor", b: "broken", r: "right, as before", w: "still wrong", m: "partly right", "-": null };
const facts = sample => [
  ["Score", number(sample.score, 3)],
  ["Flipped", sample.neighbors ? `${sample.flips} of ${sample.neighbors} neighbors` : null],
  ["Change shown, L∞", sample.change_linf == null ? null : `${number(255 * sample.change_linf, 0)}/255`],
  ["Change shown, L2", sample.change_l2 == null ? null : number(sample.change_l2, 3)],
  ["Margin", sample.margin == null ? null : number(sample.margin, 2)],
  ["Adversarial distance", sample.adversarial_distance == null ? null : number(sample.adversarial_distance, 4)],
  ["Certified radius", sample.certified_radius == null ? null : number(sample.certified_radius, 4)],
  ["Kind", sample.kind === "mislabelled" ? "label?" : sample.kind && legible(sample.kind)],
  ["Role", { tune: "tuned on", held_out: "held out" }[sample.role]],
  ["After fine-tuning", sample.role === "tune" && box.dataset.after ? "not judged: training saw it" : outcomes[sample.outcome]],
  ["Neighbor", sample.beside === "neighbor" && sample.worst_neighbor != null ? `number ${sample.worst_neighbor}, seed ${legible(box.dataset.seed)}` : null],
  ["File", sample.path && legible(sample.path)],
].filter(([, value]) => value != null);
const chances = sample => {
  const columns = [0, 1, 2, 3].filter(at => sample.chances.some(row => row.p[at] != null));
  const most = columns.map(at => Math.max(...sample.chances.map(row => row.p[at] ?? -1)));
  const heads = ["original, before", `${sample.beside || "neighbor"}, before`, "original, after", `${sample.beside || "neighbor"}, after`];
  $("#d-heads").replaceChildren(element("td"), ...columns.map(at => { const th = element("th", box.dataset.after ? heads[at] : heads[at].split(",")[0]); th.scope = "col"; return th; }));
  $("#d-chances").replaceChildren(...sample.chances.map((row, line) => {
    const made = element("tr", null, line === 0 ? "own" : "other"), head = element("th");
    head.scope = "row";
    head.append(name(row.name));
    made.append(head, ...columns.map((at, column) => {
      const value = row.p[at], held = element("td", null, value === most[column] ? "top" : ""), bar = element("i"), fill = element("b");
      fill.style.width = `${100 * (value ?? 0)}%`;
      bar.append(fill);
      const pair = element("div", null, "pb");
      pair.append(bar, element("span", number(value, 2)));
      held.append(pair);
      return held;
    }));
    return made;
  }));
};
const show = to => {
  if (!order.length) return;
  place = (to + order.length) % order.length;
  const at = +order[place].dataset.at, sample = samples[at];
  const title = sample.label == null ? ["Label unknown"] : [name(sample.label)];
  if (sample.neighbor_prediction != null) title.push(" read as ", name(sample.neighbor_prediction));
  $("#d-title").replaceChildren(...title, element("small", `rank ${sample.rank} of ${samples.length} kept, sample ${sample.index}`));
  $("#d-beside").textContent = sample.beside === "adversarial" ? "adversarial" : "most damaging neighbor";
  $("#d-facts").replaceChildren(...facts(sample).map(([term, text]) => { const pair = element("div"); pair.append(element("dt", term), element("dd", text)); return pair; }));
  chances(sample);
  const command = $("#d-command code");
  if (command) command.textContent = box.dataset.command.replace("INDEX", sample.index);
  $("#d-place").textContent = `${place + 1} of ${order.length}`;
  paint(at).catch(() => {}); // a picture that cannot be read leaves the figures standing
  address(`#sample-${sample.index}${query()}`);
};
const reveal = to => { show(to); if (!box.open) box.showModal(); };
const follow = () => { // an address that was mailed: #samples?class=3&after=f, #sample-1234?class=3
  const [, path, text] = location.hash.match(/^#(samples|sample-\d+)(?:\?(.*))?$/) || [];
  if (!path) return;
  if (text !== undefined) filter(Object.fromEntries(new URLSearchParams(text)));
  if (path === "samples") { if (text) $("#samples").scrollIntoView(); return; }
  const at = order.findIndex(thumb => thumb.id === path);
  if (at >= 0) reveal(at);
};
if (box) {
  thumbs.forEach(thumb => { thumb.onclick = () => reveal(order.indexOf(thumb)); });
  $("#d-close").onclick = () => box.close();
  $$("[data-step]", box).forEach(button => { button.onclick = () => show(place + +button.dataset.step); });
  ["amplify", "mode"].forEach(field => { $(`#d-${field}`).onchange = () => paint(+order[place].dataset.at); });
  box.onclick = event => { if (event.target === box) box.close(); };
  box.onkeydown = event => {
    if (event.target.tagName === "SELECT") return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { event.preventDefault(); show(place + step); }
  };
  box.onclose = () => {
    address(`#samples${query()}`);
    const thumb = order[place];
    if (thumb?.hidden) { open = true; draw(); }
    thumb?.focus();
  };
  draw();
  follow();
  addEventListener("hashchange", follow);
}
