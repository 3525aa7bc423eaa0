// Tables sort by their headers: numbers as numbers (the bold one, where a cell has several), the unknown always last.
const key = cell => {
  const text = ($("b", cell) || cell).textContent.trim().replaceAll(",", "").replaceAll("−", "-");
  const found = cell.matches(".n, .num") ? text.match(/[-+]?\d+(\.\d+)?/) : null;
  return found ? +found[0] : cell.matches(".n, .num") ? null : text.toLowerCase();
};
const sortBy = (table, th) => {
  const up = th.getAttribute("aria-sort") !== "ascending", at = th.cellIndex;
  $$("th[aria-sort]", table.tHead).forEach(other => other.removeAttribute("aria-sort"));
  th.setAttribute("aria-sort", up ? "ascending" : "descending");
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter(row => row.cells.length > at && !row.matches(".famhead")).map(row => [key(row.cells[at]), row]);
    rows.sort(([x], [y]) => x === null || y === null ? (x === null) - (y === null) : (x < y ? -1 : x > y) * (up ? 1 : -1));
    body.append(...rows.map(([, row]) => row));
  }
};
$$("table[data-sortable]").forEach(table => $$("thead tr:last-child th", table).forEach(th => {
  const button = element("button", null, "sort");
  button.type = "button";
  button.append(...th.childNodes);
  button.onclick = () => sortBy(table, th);
  th.append(button);
}));

// Every table of the page can be saved; a cell that a spreadsheet would run begins with an apostrophe.
const cell = value => {
  const plain = Array.isArray(value) || value && typeof value === "object" ? JSON.stringify(value) : value == null ? "" : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
const csv = table => [table.columns, ...table.rows].map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";
const save = (file, text, type) => {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
$$("[data-save]").forEach(button => button.onclick = () => {
  const table = button.dataset.save;
  if (table) return save(`${table}.csv`, csv(data.tables[table]), "text/csv");
  const whole = { ...data, tables: Object.fromEntries(Object.entries(data.tables).map(([each, rows]) => [each, records(rows)])) };
  save("summary.json", JSON.stringify(whole, null, 1) + "\n", "application/json");
});

// Of many classes only some are drawn; the search finds the others.
const search = $("#class-search");
if (search) {
  const rows = records(data.tables.classes);
  const share = value => value == null ? "–" : `${number(100 * value, 1)}\u202f%`;
  search.oninput = () => {
    const asked = search.value.trim().toLowerCase();
    const found = asked ? rows.filter(row => legible(row.name).toLowerCase().includes(asked)) : [];
    $("#class-found").replaceChildren(...found.slice(0, 12).map(row => {
      const line = element("li");
      const interval = row.weak_share == null ? "" : `, [${number(100 * row.weak_lower, 1)}, ${number(100 * row.weak_upper, 1)}]`;
      line.append(name(row.name), ` ${share(row.weak_share)} weak${interval}, ${row.n_weak} of ${row.n_scored}`);
      return line;
    }));
    $("#class-count").textContent = !asked ? "" : found.length > 12 ? `12 of ${found.length} that fit` : found.length ? "" : "no class fits";
  };
}
