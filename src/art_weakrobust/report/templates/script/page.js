// The page is whole without this script, which only filters, sorts, opens and saves.
// Text from data is only ever set with textContent; names from data pass legible() as they pass shown() in Python.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const element = (tag, text, css) => {
  const made = document.createElement(tag);
  if (text != null) made.textContent = text;
  if (css) made.className = css;
  return made;
};
const legible = text => String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, c => `\\u{${c.codePointAt(0).toString(16)}}`);
const name = text => { const made = element("bdi", legible(text), "nm"); made.title = made.textContent; return made; };
const number = (value, digits) => value == null ? "–" : value.toFixed(digits).replace("-", "−");

const data = JSON.parse($("#data").textContent);
const records = table => table.rows.map(row => Object.fromEntries(table.columns.map((column, at) => [column, row[at]])));
document.documentElement.classList.add("js");

// Which section is on screen.
const links = new Map($$(".rail nav a").map(link => [link.hash.slice(1), link]));
if ("IntersectionObserver" in window) {
  const seen = new Set();
  const watch = new IntersectionObserver(entries => {
    entries.forEach(entry => entry.isIntersecting ? seen.add(entry.target.id) : seen.delete(entry.target.id));
    const first = [...links.keys()].find(id => seen.has(id));
    if (first) links.forEach((link, id) => id === first ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current"));
  }, { rootMargin: "-12% 0px -60%" });
  links.forEach((_, id) => { const section = document.getElementById(id); if (section) watch.observe(section); });
}

// Commands can be copied, where the browser lets us and where it does not.
const copy = async text => {
  try { await navigator.clipboard.writeText(text); } catch {
    const field = element("textarea", text);
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
};
$$(".cmd").forEach(line => {
  const button = element("button", "Copy", "copy");
  button.type = "button";
  button.onclick = async () => {
    await copy($("code", line).textContent);
    button.focus();
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1400);
  };
  line.append(button);
});

// A figure of the flips opens its samples, also from an address that was mailed: the set is chosen, the fold is opened.
const strip = () => {
  const found = /^#flips?-([a-c])/.exec(location.hash), place = found && document.getElementById(location.hash.slice(1));
  if (!place) return;
  const set = $(`input[name=s][value=${found[1]}]`);
  if (set) set.checked = true;
  for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  place.scrollIntoView();
};
addEventListener("hashchange", strip);
strip();

// On paper nothing stays folded.
let folded = [];
addEventListener("beforeprint", () => { folded = $$("details:not([open])"); folded.forEach(one => { one.open = true; }); });
addEventListener("afterprint", () => folded.forEach(one => { one.open = false; }));
