// The page of a run: draws its sections, the verdict first.

function legend(items) {
  return el("div", { class: "legend" }, items.map(([kind, text]) => el("span", {}, el("span", { class: "swatch", tint: kind }), `${kind || "program"} `, el("span", { class: "dim" }, text))));
}

const FEW = 5;

function drawVerdict() {
  const run = data.run;
  const named = data.transactions.filter((row) => row.kind);
  const sum = (rows, key) => rows.reduce((total, row) => total + row[key], 0);
  const often = named.filter((row) => row.calls >= FEW); // of a single one, p95 is how long it took, its imports included
  const slowest = [...(often.length ? often : named)].sort((a, b) => b.p95_ns - a.p95_ns)[0];
  const peak = Math.max(0, ...data.usage.map((row) => row.rss_bytes)) || Math.max(0, ...data.processes.map((row) => row.rss_max_bytes));
  const errors = sum(named.length ? named : data.calls, "errors");
  const tiles = [
    [run.duration_ns ? duration(run.duration_ns) : null, run.window ? "length" : "run time"],
    run.window ? null : [run.ending, run.state === "finished" ? "ending" : run.state, run.exit_code ? "bad" : ""],
    named.length ? [count(sum(named, "calls")), "transactions"] : [count(sum(data.kinds, "calls")), "calls"],
    [count(errors), named.length ? "failed transactions" : "calls that raised", errors ? "bad" : ""],
    slowest ? [duration(slowest.p95_ns), `${slowest.calls > 1 ? "p95" : "the only call"} of ${slowest.name}`] : null,
    run.cpu_ns ? [duration(run.cpu_ns), "CPU time"] : null,
    peak ? [size(peak), "memory at most"] : null,
    run.window ? [count(run.processes), run.processes === 1 ? "start" : "starts"] : [count(run.processes), run.processes === 1 ? "process" : "processes"],
    run.window ? null : [finePercent(run.overhead_share), "overhead of watching"],
  ];
  const name = run.window ? `${run.service} \u00b7 ${run.window} \u00b7 ` : run.name ? `${run.name} \u00b7 ` : run.id ? `run ${run.id} \u00b7 ` : "";
  showVerdict(`${name}${run.command.join(" ")}`, data.verdict, tiles);
}

/** What the time is made of, below the verdict. */
function drawAccount() {
  const account = data.account;
  if (!account) return;
  const lines = [el("p", { class: "detail" }, `${account.text}.`)];
  if (account.command) lines.push(el("p", { class: "detail" }, "To see the rest: ", el("code", {}, account.command)));
  if (account.warning) lines.push(el("p", { class: "detail" }, el("span", { class: "warn" }, account.warning)));
  document.querySelector("#verdict .tiles").before(...lines);
}

function drawFindings() {
  if (!data.findings.length) return;
  const whole = new Map(data.transactions.map((row) => [row.name, row.total_ns]));
  findingCards(section("findings", count(data.findings.length)), data.findings, (finding) => {
    const row = data.transactions.find((each) => each.name === finding.transaction && each.kind);
    return {
      whole: whole.get(finding.transaction),
      beside: row ? el("button", { class: "plain", type: "button", on: { click: () => revealTransaction(row) } }, "Show the transaction") : null,
    };
  });
}

function drawTime() {
  const kinds = data.kinds.filter((row) => row.self_ns > 0);
  if (!kinds.length) return;
  const box = section("time", "self time of watched calls: what each took itself, without the watched calls inside it");
  const panel = el("div", { class: "panel" }, bar(kinds.map((row) => [row.kind, row.share]), true), legend(kinds.map((row) => [row.kind, `${duration(row.self_ns)}, ${percent(row.share)}`])));
  const rows = data.transactions.filter((row) => row.kind && row.total_ns > 0);
  if (rows.length) {
    const most = rows[0].total_ns;
    panel.append(el("div", { class: "split" }, rows.slice(0, 10).map((row) => [
      el("div", { class: "name", title: row.name }, row.name),
      bar(Object.entries(row.by_kind).map(([kind, ns]) => [kind, Math.max(0, ns) / most])),
      el("div", { class: "num" }, duration(row.total_ns)),
    ])));
    if (rows.length > 10) panel.append(el("p", { class: "note" }, `and ${count(rows.length - 10)} more, below`));
  }
  box.append(panel);
}

function drawCalls() {
  if (!data.calls.length) return;
  const box = section("calls", "histograms run from the fastest to the slowest call");
  const range = el("div");
  box.append(range);
  const most = Math.max(...data.calls.map((row) => row.self_ns), 1);
  const dash = (ns) => ns === null ? "\u2013" : duration(ns);
  const again = table(box, [
    { key: "name", title: "name", text: true, value: (row) => row.name, cell: (row) => el("span", { title: row.targets.join("\n") }, row.name) },
    ...(data.calls.some((row) => row.location) ? [{ key: "where", title: "where", text: true, rank: 1, value: (row) => row.location, cell: (row) => el("code", { title: row.location }, place(row.location)) }] : []),
    { key: "kind", title: "kind", text: true, rank: 2, value: (row) => row.kind, cell: (row) => kindMark(row.kind) },
    { key: "calls", title: "calls", value: (row) => row.calls, cell: (row) => count(row.calls) },
    { key: "errors", title: "errors", rank: 1, value: (row) => row.errors, cell: errorCell },
    { key: "self", title: "self", value: (row) => row.self_ns ?? row.total_ns, cell: (row) => shareCell(row.self_ns, most, dash(row.self_ns), row.kind) },
    { key: "total", title: "total", rank: 1, value: (row) => row.total_ns, cell: (row) => dash(row.total_ns) },
    { key: "p50", title: "p50", rank: 1, value: (row) => row.p50_ns, cell: (row) => dash(row.p50_ns) },
    { key: "p95", title: "p95", value: (row) => row.p95_ns, cell: (row) => dash(row.p95_ns) },
    { key: "p99", title: "p99", rank: 2, value: (row) => row.p99_ns, cell: (row) => dash(row.p99_ns) },
    { key: "histogram", title: "durations", rank: 1, fixed: true, value: () => 0, cell: (row) => histogram(row.buckets, row.kind) },
  ], { rows: () => brushed(data.calls), sort: "-self", search: (row) => `${row.name} ${row.kind} ${row.targets.join(" ")} ${row.location}`, placeholder: "Search calls", noun: "call name" });
  whenBrushed(() => { range.replaceChildren(...[rangeBar()].filter(Boolean)); again(); });
}

function drawProcesses() {
  if (!data.processes.length) return;
  const box = section("processes", data.run.window ? "each start with all its processes" : "");
  if (data.run.window) document.querySelector("#processes h2").firstChild.textContent = "Starts";
  const step = data.run.interval_ns;
  const alive = (row) => {
    if (!isBrushed() || !row.started_ns || !data.run.started_ns) return true;
    const from = row.started_ns - data.run.started_ns;
    return from < (range.to + 1) * step && from + row.duration_ns >= range.from * step;
  };
  const again = table(box, [
    { key: "command", title: "command", text: true, value: (row) => row.command.join(" "), cell: (row) => row.command.join("") ? el("code", {}, row.command.join(" ")) : el("span", { class: "dim" }, "(ended before it was looked at)") },
    { key: "pid", title: "pid", rank: 1, value: (row) => row.pid, cell: (row) => String(row.pid) },
    { key: "state", title: "end", text: true, value: (row) => row.state, cell: (row) => el("span", { class: row.exit_code ? "bad" : "" }, row.exit_code === null ? (row.state === "gone" ? "end not seen" : row.state) : row.exit_code < 0 ? `signal ${-row.exit_code}` : `exit ${row.exit_code}`) },
    { key: "python", title: "python", text: true, rank: 2, value: (row) => row.python, cell: (row) => row.python || el("span", { class: "dim" }, "not watched") },
    { key: "calls", title: "calls", rank: 1, value: (row) => row.calls, cell: (row) => count(row.calls) },
    { key: "time", title: "time", rank: 1, value: (row) => row.duration_ns, cell: (row) => duration(row.duration_ns) },
    { key: "cpu", title: "CPU", value: (row) => row.cpu_ns, cell: (row) => duration(row.cpu_ns) },
    { key: "rss", title: "memory", value: (row) => row.rss_max_bytes, cell: (row) => row.rss_max_bytes ? size(row.rss_max_bytes) : "\u2013" },
    { key: "threads", title: "threads", rank: 2, value: (row) => row.threads_max, cell: (row) => count(row.threads_max) },
    { key: "files", title: "files", rank: 2, value: (row) => row.files_max, cell: (row) => count(row.files_max) },
  ], { rows: () => data.processes.filter(alive), key: (row) => `${row.pid} ${row.started_ns}`, limit: 20 });
  whenBrushed(again);
}

function drawUnseen() {
  const parts = [];
  const list = (title, items) => items.length && parts.push(el("h3", {}, title), el("ul", { class: "plain" }, items.slice(0, 200).map((item) => el("li", {}, item))));
  list("Calls that had not returned", data.in_flight.map((call) => [
    el("b", {}, call.stack.length ? call.stack[call.stack.length - 1].name : "a call"), ` for ${duration(call.since_ns)}${call.killed ? ", when its process ended" : ""} `,
    el("span", { class: "dim" }, `process ${call.pid}, ${call.lane}: ${call.stack.map((each) => each.name).join(" \u203a ")}`)]));
  list("Still running after the command", data.still_running);
  list("Blind spots", data.blind_spots.map((spot) => [el("b", {}, spot.kind), `: ${spot.detail}`]));
  list("Watches that found nothing to watch", data.watched.filter((row) => ["not found", "refused"].includes(row.status)).map((row) => [
    el("code", {}, row.target), ` ${row.status}${row.detail ? `: ${row.detail}` : ""} `, el("span", { class: "dim" }, row.source || row.pack)]));
  list("To know when reading the figures", data.notes);
  if (parts.length) section("unseen").append(el("div", { class: "panel" }, parts));
}

function drawEnvironment() {
  const run = data.run;
  const facts = [
    ["command", el("code", {}, run.command.join(" "))],
    ["started", run.started_at],
    ["project", run.project && el("code", {}, run.project)],
    ["configuration", data.config ? el("code", {}, place(data.config)) : data.settings.length ? "no file: the defaults, and all packs" : ""],
    ["machine", [data.cpu, data.cores ? count(data.cores, "core") : ""].filter(Boolean).join(", ")],
    ["Python", run.python],
    ["hookmon", `${run.hookmon}, ${run.engine || "no"} engine`],
    ["overhead", run.window ? "" : `${duration(run.overhead_ns)}: ${duration(run.call_cost_ns)} a call, measured on this machine, ${finePercent(run.overhead_share)} of the ${run.cpu_ns ? "CPU" : "run"} time`],
    ["beside it", run.launcher_cpu_ns ? `hookmon run used ${duration(run.launcher_cpu_ns)}${run.launcher_rss_max_bytes ? ` and ${size(run.launcher_rss_max_bytes)}` : ""}` : ""],
    ["not placed", run.unnamed_calls ? `${count(run.unnamed_calls, "call")}: the call tree was full` : ""],
  ].filter(([, value]) => value);
  const box = section("environment");
  box.append(el("div", { class: "panel" }, el("dl", { class: "facts" }, facts.map(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]))));
  drawSettings(box);
  if (!data.watched.length) return;
  const used = data.groups.filter((group) => group.called || group.uncalled);
  const absent = data.groups.filter((group) => !group.called && !group.uncalled && group.pack).map((group) => group.pack);
  const panel = el("div", { class: "panel" }, el("p", {}, used.length ? "In place: " : "Nothing was in place.",
    used.map((group, at) => `${at ? ", " : ""}${group.pack || "your own watches"} (${count(group.called + group.uncalled)}, ${count(group.called)} called)`)));
  if (absent.length) panel.append(el("p", { class: "dim" }, `On, and the program did not load their libraries: ${absent.join(", ")}`));
  const all = el("div");
  let isDrawn = false;
  panel.append(el("details", { on: { toggle: () => {
    if (isDrawn) return;
    isDrawn = true;
    table(all, [
      { key: "target", title: "target", text: true, value: (row) => row.target, cell: (row) => el("code", {}, row.target) },
      { key: "status", title: "status", text: true, value: (row) => row.status, cell: (row) => el("span", { class: ["not found", "refused"].includes(row.status) ? "warn" : "" }, row.status) },
      { key: "source", title: "comes from", text: true, value: (row) => row.source || (row.pack ? `pack ${row.pack}` : ""), cell: (row) => el("code", {}, row.source || (row.pack ? `pack ${row.pack}` : "\u2013")) },
      { key: "detail", title: "why", text: true, rank: 1, value: (row) => row.detail },
    ], { rows: () => data.watched, search: (row) => `${row.target} ${row.status} ${row.source} ${row.pack}`, placeholder: "Search watches", noun: "watch", key: (row) => `${row.target} ${row.source}` });
  } } }, el("summary", {}, `All ${count(data.watched.length)} watches, and where each comes from`), all));
  box.append(panel);
}

/** Each value of the configuration with who decided it. */
function drawSettings(box) {
  if (!data.settings.length) return;
  const panel = el("div");
  table(panel, [
    { key: "key", title: "setting", text: true, fixed: true, value: (row) => row.key, cell: (row) => el("code", {}, row.table ? `${row.table}.${row.key}` : row.key) },
    { key: "value", title: "value", text: true, fixed: true, value: (row) => row.value, cell: (row) => el("code", {}, row.value) },
    { key: "origin", title: "comes from", text: true, fixed: true, value: (row) => row.origin, cell: (row) => el("span", { class: row.origin === "default" ? "dim" : "" }, row.origin) },
  ], { rows: () => data.settings, key: (row) => `${row.table}.${row.key}` });
  panel.style.margin = "12px 0";
  box.append(panel);
}

indexSeries();
for (const draw of [drawVerdict, drawAccount, drawFindings, drawTime, drawTransactions, drawCalls, drawImports, drawSignals, drawQueries, drawFlame, drawSamples, drawProcesses, drawUnseen, drawEnvironment, drawTimeline]) draw();
startPage("#calls input, #transactions input, #flame input, #sampled input", () => brush(null));
