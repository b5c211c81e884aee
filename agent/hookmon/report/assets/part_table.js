// A table that sorts, searches and opens rows.

/**
 * Draw a table into `box` and return a function that draws it again.
 * Columns: {key, title, value(row), cell(row), text, rank, fixed}; `rank` 1 and 2 go where the page is narrow.
 * Options: rows() at each drawing, sort (a key, "-" before it for the largest first), search (the text of a row),
 * detail(row) for what a row opens, limit, placeholder, noun, tools (elements beside the search), empty (what stands for no rows).
 */
function table(box, columns, options) {
  const state = { sort: options.sort || "", text: "", all: false, open: new Set() };
  const limit = options.limit || 50;
  const holder = el("div", { class: "holder" });
  const counter = el("span", { class: "dim", role: "status" });
  if (options.search) {
    const input = el("input", { type: "search", placeholder: options.placeholder || "Search", "aria-label": options.placeholder || "Search", on: {
      input: () => { state.text = input.value.toLowerCase(); draw(); },
      keydown: (event) => { if (event.key === "Escape") { event.stopPropagation(); input.value = state.text = ""; draw(); input.blur(); } },
    } });
    box.append(el("div", { class: "tools" }, input, counter, ...(options.tools || [])));
  }
  box.append(holder);
  const classes = (column, more = "") => [column.text && "text", column.rank && `r${column.rank}`, more].filter(Boolean).join(" ") || null;

  function head() {
    return el("tr", {}, columns.map((column) => {
      if (column.fixed) return el("th", { class: classes(column), scope: "col" }, el("span", {}, column.title));
      const way = state.sort === column.key ? "ascending" : state.sort === "-" + column.key ? "descending" : null;
      const next = way === "descending" || (way === null && column.text) ? column.key : "-" + column.key;
      return el("th", { class: classes(column), scope: "col", "aria-sort": way }, el("button", { type: "button", "data-key": column.key, on: { click: () => {
        state.sort = next;
        draw();
        holder.querySelector(`[data-key="${column.key}"]`).focus();
      } } }, column.title));
    }));
  }

  function sorted(rows) {
    const isDown = state.sort.startsWith("-");
    const column = columns.find((each) => each.key === state.sort.replace(/^-/, ""));
    if (!column) return rows;
    const sign = isDown ? -1 : 1;
    return rows.map((row, at) => [column.value(row), at, row]).sort(([a, at], [b, bt]) => {
      if (a === null || b === null) return (a === null) - (b === null) || at - bt;
      return (typeof a === "string" ? sign * a.localeCompare(b) : sign * (a - b)) || at - bt;
    }).map(([, , row]) => row);
  }

  function draw() {
    const all = options.rows();
    const found = state.text ? all.filter((row) => options.search(row).toLowerCase().includes(state.text)) : all;
    const rows = sorted(found);
    counter.textContent = found.length === all.length ? count(all.length, options.noun || "row") : `${count(found.length)} of ${count(all.length, options.noun || "row")}`;
    const body = el("tbody");
    for (const row of state.all ? rows : rows.slice(0, limit)) {
      const key = (options.key || keyOf)(row);
      const line = el("tr");
      columns.forEach((column, at) => {
        const content = column.cell ? column.cell(row) : column.value(row);
        const cell = el("td", { class: classes(column, at === 0 && column.text ? "name" : "") });
        if (at === 0 && options.detail) {
          cell.append(el("button", { class: "open", type: "button", "aria-expanded": state.open.has(key) ? "true" : "false", on: { click: () => {
            if (state.open.has(key)) state.open.delete(key); else state.open.add(key);
            draw();
            [...holder.querySelectorAll(".open")].find((each) => each.dataset.row === key)?.focus();
          } }, "data-row": key }, content ?? ""));
        } else cell.append(content ?? "\u2013");
        line.append(cell);
      });
      body.append(line);
      if (options.detail && state.open.has(key)) {
        body.append(el("tr", { class: "detail" }, el("td", { colspan: columns.length }, options.detail(row))));
      }
    }
    if (!rows.length) body.append(el("tr", {}, el("td", { class: "text dim", colspan: columns.length }, state.text ? "Nothing is called that." : options.empty || "Nothing here.")));
    const rest = rows.length - limit;
    holder.replaceChildren(el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head()), body),
      rest > 0 && !state.all && el("div", { class: "more" }, el("button", { class: "plain", type: "button", on: { click: () => { state.all = true; draw(); } } }, `Show ${count(rest)} more`))));
  }
  /** Open a row by its key, and go there. */
  draw.reveal = (key) => {
    state.open.add(key);
    state.all = true;
    draw();
    const row = [...holder.querySelectorAll(".open")].find((each) => each.dataset.row === key);
    row?.scrollIntoView({ block: "start" });
    row?.focus({ preventScroll: true });
  };
  draw();
  return draw;
}

/** A histogram of packed buckets: 4 bars an octave, bucket 120 up to a second, from the fastest to the slowest call. */
function histogram(packed, kind) {
  if (!packed || packed.length < 2) return "\u2013";
  const first = packed[0];
  const last = packed[packed.length - 2];
  const bars = Math.min(26, last - first + 1);
  const heights = new Array(bars).fill(0);
  let whole = 0;
  for (let at = 0; at < packed.length; at += 2) {
    const where = last === first ? 0 : Math.floor((packed[at] - first) / (last - first + 1) * bars);
    heights[where] += packed[at + 1];
    whole += packed[at + 1];
  }
  const most = Math.max(...heights);
  const slot = 104 / Math.max(bars, 12);
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("class", "histogram");
  drawn.setAttribute("viewBox", "0 0 104 22");
  drawn.setAttribute("role", "img");
  const text = `${count(whole, "call")} from ${duration(1e9 * 2 ** ((first - 1) / 4 - 30))} to ${duration(1e9 * 2 ** (last / 4 - 30))}`;
  drawn.setAttribute("aria-label", text);
  drawn.style.setProperty("--tint", tint(kind));
  const title = document.createElementNS(SVG, "title");
  title.textContent = text;
  drawn.append(title);
  heights.forEach((height, at) => {
    if (!height) return;
    const rect = document.createElementNS(SVG, "rect");
    const tall = Math.max(1.5, 21 * Math.sqrt(height / most));
    for (const [key, value] of [["x", at * slot], ["y", 22 - tall], ["width", Math.max(1, slot - 1)], ["height", tall], ["rx", 0.8]]) rect.setAttribute(key, value.toFixed(1));
    drawn.append(rect);
  });
  return drawn;
}

/** A figure with a small bar that says how much of the most it is. */
function shareCell(value, most, text, kind) {
  if (value === null || value === undefined) return "\u2013";
  return el("span", {}, text, el("span", { class: "share", tint: kind }, el("i", { width: `${most > 0 ? Math.max(0, 100 * value / most) : 0}%` })));
}
