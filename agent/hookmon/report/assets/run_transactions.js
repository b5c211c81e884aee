// Transactions: their figures, what is inside, and the slowest ones as waterfalls. Queries: what clients were asked, and from where.

const LOOP = 4; // equal spans in a row, from which on they share one

function drawTransactions() {
  const rows = data.transactions.filter((row) => row.kind || row.children.length);
  const named = rows.filter((row) => row.kind);
  if (!rows.length || !named.length) return;
  const box = section("transactions", "open one for what is inside and its slowest example");
  const range = el("div");
  box.append(range);
  const most = () => Math.max(...brushed(named, true).map((row) => row.total_ns), 1);
  const again = table(box, [
    { key: "name", title: "name", text: true, value: (row) => row.name, cell: (row) => row.name },
    { key: "calls", title: "calls", value: (row) => row.calls, cell: (row) => count(row.calls) },
    { key: "errors", title: "errors", value: (row) => row.errors, cell: errorCell },
    { key: "p50", title: "p50", rank: 1, value: (row) => row.p50_ns, cell: (row) => duration(row.p50_ns) },
    { key: "p95", title: "p95", value: (row) => row.p95_ns, cell: (row) => duration(row.p95_ns) },
    { key: "p99", title: "p99", rank: 1, value: (row) => row.p99_ns, cell: (row) => duration(row.p99_ns) },
    { key: "max", title: "max", rank: 2, value: (row) => row.max_ns, cell: (row) => row.max_ns === null ? "\u2013" : duration(row.max_ns) },
    { key: "total", title: "total", rank: 1, value: (row) => row.total_ns, cell: (row) => shareCell(row.total_ns, most(), duration(row.total_ns), row.kind) },
  ], { rows: () => brushed(named, true), sort: "-total", search: (row) => row.name, placeholder: "Search transactions", noun: "transaction",
    key: transactionKey, detail: (row) => transactionDetail(row.whole || row) });
  whenBrushed(() => { range.replaceChildren(...[rangeBar()].filter(Boolean)); again(); });
  revealTransaction = (row) => { brush(null); again.reveal(transactionKey(row)); };
}

let revealTransaction = () => {};
const transactionKey = (row) => JSON.stringify([row.name, row.kind]);

function errorCell(row) {
  return el("span", { class: row.errors ? "bad" : "dim" }, count(row.errors));
}

function transactionDetail(row) {
  const made = el("div");
  const kinds = Object.entries(row.by_kind);
  if (kinds.length) {
    const whole = kinds.reduce((sum, [, ns]) => sum + Math.max(0, ns), 0) || 1;
    made.append(bar(kinds.map(([kind, ns]) => [kind, ns / whole])), legend(kinds.map(([kind, ns]) => [kind, duration(ns / (row.calls || 1)) + " each"])));
  }
  if (row.computing) made.append(el("p", { class: "note" }, computingText(row)));
  if (row.statuses && row.statuses.some((own) => own.status !== "none")) made.append(statusTable(row));
  const children = el("div");
  children.append(el("h3", {}, "Inside, most self time first"));
  table(children, [
    { key: "name", title: "call", text: true, fixed: true, value: (child) => child.name, cell: childCell },
    { key: "each", title: "each", fixed: true, value: (child) => child.per_call_mean, cell: (child) => perRequest(child.per_call_mean) },
    { key: "most", title: "most", fixed: true, rank: 1, value: (child) => child.per_call_max, cell: (child) => child.per_call_max ? atLeast(child.per_call_max < child.per_call_bound) + count(child.per_call_max) : "\u2013" },
    { key: "self", title: "self", fixed: true, value: (child) => child.self_ns, cell: (child) => shareCell(child.self_ns, row.total_ns, duration(child.self_ns), child.kind) },
    { key: "p95", title: "p95", fixed: true, rank: 1, value: (child) => child.p95_ns, cell: (child) => duration(child.p95_ns) },
  ], { rows: () => row.children, limit: 12, key: (child) => child.name + child.call_site + child.place });
  if (row.children.length) made.append(children);
  if (row.examples.length) made.append(waterfalls(row));
  return made;
}

/** The requests by the status of their responses. */
function statusTable(row) {
  const made = el("div");
  made.append(el("h3", {}, "By status"));
  table(made, [
    { key: "status", title: "status", text: true, fixed: true, value: (own) => own.status, cell: (own) => el("span", { class: own.status[0] === "5" ? "bad" : own.status[0] === "4" ? "warn" : "" }, own.status) },
    { key: "calls", title: "calls", fixed: true, value: (own) => own.calls, cell: (own) => count(own.calls) },
    { key: "errors", title: "errors", fixed: true, value: (own) => own.errors, cell: errorCell },
    { key: "p50", title: "p50", fixed: true, rank: 1, value: (own) => own.p50_ns, cell: (own) => duration(own.p50_ns) },
    { key: "p95", title: "p95", fixed: true, value: (own) => own.p95_ns, cell: (own) => duration(own.p95_ns) },
  ], { rows: () => row.statuses, key: (own) => own.status });
  return made;
}

/** Computing or waiting, as `hookmon report` says it. */
function computingText(row) {
  const own = row.computing;
  const beside = own.beside_ns ? ` (${duration(own.beside_ns)} of it in other threads and tasks)` : "";
  const on = Object.entries(own.waiting_on).filter(([, ns]) => ns >= 0.05 * own.waiting_ns).slice(0, 2)
    .map(([kind, ns]) => `${ns - own.computing_ns < ns / 2 ? "at most " : ""}${kind} ${duration(ns)}`);
  const often = row.calls / own.measured;
  const scale = own.measured >= row.calls ? "on all" : often >= 1.5 ? `on 1 of ${count(Math.round(often))}` : `on ${count(own.measured)} of ${count(row.calls)}`;
  return `computing ${duration(own.computing_ns)}${beside}, waiting ${duration(own.waiting_ns)}${on.length ? `, of which ${on.join(", ")}` : ""}; CPU time was measured ${scale}`;
}

function childCell(child) {
  const site = child.call_site ? el("div", { class: "mono dim" }, place(child.call_site)) : null;
  const aside = [child.place === "concurrent" && "in other threads or tasks", child.place === "after" && "after the end", child.waits && "waits for a pool"].filter(Boolean);
  return el("div", {}, child.name, " ", kindMark(child.kind), aside.length ? el("span", { class: "dim" }, ` ${aside.join(", ")}`) : null, site);
}

function perRequest(mean) {
  return mean >= 99.5 ? count(mean) : Number.isInteger(mean) ? String(mean) : mean.toFixed(mean < 1 ? 2 : 1);
}

/** The kept examples of a transaction, the slowest first, one shown at a time. */
function waterfalls(row) {
  const made = el("div");
  const holder = el("div");
  const buttons = row.examples.map((example, at) => el("button", { type: "button", "aria-pressed": "false", on: { click: () => show(at) } }, [duration(example.duration_ns), failureOf(example)].filter(Boolean).join(" ")));
  const title = row.examples.some((example) => (example.reasons || []).includes("first failed")) ? "Slowest, and first of each failure" : "Slowest";
  made.append(el("div", { class: "examples" }, el("b", {}, title), buttons), holder);
  function show(at) {
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(index === at)));
    holder.replaceChildren(waterfall(row, row.examples[at]));
  }
  show(0);
  return made;
}

/** How an example has failed, "" where it has not: "503", "ValueError". */
function failureOf(example) {
  return !example.has_failed ? "" : example.error ? example.error.split(".").pop() : example.status ? String(example.status) : "failed";
}

function waterfall(row, example) {
  const made = el("div", { class: "waterfall" });
  const whole = Math.max(example.duration_ns, ...example.spans.map((span) => span.start_ns + span.duration_ns), 1);
  const mark = (span) => el("i", { tint: span.kind, left: `${100 * span.start_ns / whole}%`, width: `${100 * span.duration_ns / whole}%`,
    title: `${span.name}: ${duration(span.duration_ns)}, from ${duration(span.start_ns)}` });
  const line = (spans) => {
    const [span] = spans;
    const spent = spans.reduce((sum, each) => sum + each.duration_ns, 0);
    return el("div", { class: span.lane ? "row beside" : "row" },
      el("div", { class: "label", title: [span.name, place(span.call_site || "")].filter(Boolean).join("  ") }, indent(span.depth),
        spans.length > 1 ? el("span", { class: "times" }, `${count(spans.length)} \u00d7 `) : null, span.name),
      el("div", { class: "track" }, spans.map(mark)),
      el("div", { class: "num" }, duration(spent)));
  };
  made.append(line([{ name: row.name, kind: row.kind, depth: 0, lane: 0, start_ns: 0, duration_ns: example.duration_ns }]));
  const spans = [...example.spans].sort((a, b) => a.start_ns - b.start_ns || a.depth - b.depth);
  for (const group of alike(spans)) made.append(line(group));
  const at = data.run.started_ns ? `, ${duration(Math.max(0, example.started_ns - data.run.started_ns))} after the start` : "";
  const status = example.status ? `, status ${example.status}` : "";
  const computed = example.computed_ns === null || example.computed_ns === undefined ? "" : `, computing ${duration(example.computed_ns)}`;
  const rest = example.left_out ? `, ${count(example.left_out, "shorter call")} not kept` : "";
  const when = example.started_at_ns ? `, ${new Date(example.started_at_ns / 1e6).toLocaleString()}` : "";
  const raised = example.error ? `, raised ${example.error}` : "";
  made.append(el("p", { class: "note" }, `process ${example.pid}${status}${raised}${computed}${at}${when}${rest}`));
  if (example.trace_id) {
    const told = example.parent_id ? `, of the caller's span ${example.parent_id}${example.is_sampled ? "" : ", not sampled there"}` : "";
    made.append(el("p", { class: "note" }, "trace ", el("code", {}, example.trace_id), ", span ", el("code", {}, example.span_id), told));
  }
  return made;
}

/** Spans in the order of time, those of one name and line that follow each other directly as one group: a loop is one row. */
function alike(spans) {
  const groups = [];
  for (const span of spans) {
    const last = groups.length ? groups[groups.length - 1] : null;
    if (last && ["name", "kind", "call_site", "depth", "lane"].every((key) => last[0][key] === span[key])) last.push(span);
    else groups.push([span]);
  }
  return groups.flatMap((group) => group.length < LOOP ? group.map((span) => [span]) : [group]);
}

function indent(depth) {
  const made = el("span", { "aria-hidden": "true" });
  made.style.paddingLeft = `${Math.min(depth, 12) * 10}px`;
  return made;
}

function drawQueries() {
  const groups = new Map();
  const byTarget = new Map(data.calls.flatMap((call) => call.targets.map((target) => [keyOf({ ...call, target }), call])));
  for (const row of data.transactions) {
    for (const child of row.children) {
      if (!data.client_kinds.includes(child.kind)) continue;
      const call = byTarget.get(keyOf(child)) || child;
      const key = keyOf(call);
      if (!groups.has(key)) groups.set(key, { name: child.name, kind: child.kind, target: call.target, targets: call.targets, calls: 0, errors: 0, total_ns: 0, most: 0, bound: 0, p95_ns: null, sites: [] });
      const group = groups.get(key);
      group.calls += child.calls;
      group.errors += child.errors;
      group.total_ns += child.total_ns;
      group.sites.push({ transaction: row, child });
    }
    for (const group of groups.values()) { // a transaction may ask from several lines, which are counted line by line
      const own = group.sites.filter((site) => site.transaction === row).map((site) => site.child);
      const sum = (key) => own.reduce((all, child) => all + child[key], 0);
      const mean = Math.ceil(sum("calls") / (row.calls || 1));
      if (own.some((child) => child.per_call_max)) group.most = Math.max(group.most, mean, ...own.map((child) => child.per_call_max));
      group.bound = Math.max(group.bound, sum("per_call_bound"));
    }
  }
  const rows = [...groups.values()];
  if (!rows.length) return;
  for (const row of rows) row.p95_ns = byTarget.get(keyOf(row))?.p95_ns ?? null;
  const box = section("queries", "open one for the lines that ask");
  const range = el("div");
  box.append(range);
  const most = () => Math.max(...brushed(rows).map((row) => row.total_ns), 1);
  const again = table(box, [
    { key: "name", title: "what", text: true, value: (row) => row.name, cell: (row) => el("code", {}, row.name) },
    { key: "kind", title: "kind", text: true, rank: 1, value: (row) => row.kind, cell: (row) => kindMark(row.kind) },
    { key: "calls", title: "calls", value: (row) => row.calls, cell: (row) => count(row.calls) },
    { key: "most", title: "most in one", value: (row) => row.most, cell: (row) => row.most ? el("span", { class: row.most >= 5 ? "warn" : "" }, atLeast(row.most < row.bound) + count(row.most)) : "\u2013" },
    { key: "lines", title: "lines", rank: 1, value: (row) => row.sites.length, cell: (row) => count(row.sites.length) },
    { key: "errors", title: "errors", rank: 1, value: (row) => row.errors, cell: errorCell },
    { key: "p95", title: "p95", rank: 1, value: (row) => row.p95_ns, cell: (row) => row.p95_ns === null ? "\u2013" : duration(row.p95_ns) },
    { key: "total", title: "total", value: (row) => row.total_ns, cell: (row) => shareCell(row.total_ns, most(), duration(row.total_ns), row.kind) },
  ], { rows: () => brushed(rows), sort: "-total", search: (row) => `${row.name} ${row.kind} ${row.sites.map((site) => site.child.call_site).join(" ")}`,
    placeholder: "Search queries and lines", noun: "statement", limit: 30, detail: (row) => querySites(row) });
  whenBrushed(() => { range.replaceChildren(...[rangeBar()].filter(Boolean)); again(); });
}

function querySites(row) {
  const made = el("div");
  table(made, [
    { key: "site", title: "line", text: true, fixed: true, value: (site) => site.child.call_site,
      cell: (site) => el("code", {}, site.child.call_site ? place(site.child.call_site) : "not known") },
    { key: "in", title: "within", text: true, fixed: true, value: (site) => site.transaction.name },
    { key: "each", title: "each", fixed: true, value: (site) => site.child.per_call_mean, cell: (site) => site.transaction.kind ? perRequest(site.child.per_call_mean) : "\u2013" },
    { key: "calls", title: "calls", fixed: true, rank: 1, value: (site) => site.child.calls, cell: (site) => count(site.child.calls) },
    { key: "total", title: "total", fixed: true, value: (site) => site.child.total_ns, cell: (site) => duration(site.child.total_ns) },
  ], { rows: () => row.sites, limit: 20, key: (site) => site.transaction.name + site.child.call_site + site.child.place });
  return made;
}
