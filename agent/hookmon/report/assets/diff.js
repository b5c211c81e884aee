// The page of a diff: what changed and what is noise, counts and times apart.

const CHANGED = ["slower", "faster", "mixed"];
const ONLY = ["only in A", "only in B"];
const FOLDED = ["within noise", "too few calls", "not comparable"];
const FAR = Math.log(16); // beyond which the axis does not reach, however far a bar does

/** A ratio as people say it, the same text as on the terminal. */
function change(ratio) {
  if (ratio >= 100) return `\u00d7${Math.round(ratio)}`;
  if (ratio >= 2) return `\u00d7${Number(ratio.toPrecision(2))}`;
  const value = Math.round((ratio - 1) * 100);
  return `${value < 0 ? "-" : "+"}${Math.abs(value)} %`;
}

/** A number of calls, with up to three digits behind the point. */
function per(number) {
  const [whole, rest = ""] = number.toFixed(3).replace(/\.?0+$/, "").split(".");
  return count(Number(whole)) + (rest && `.${rest}`);
}

const signed = (ns) => (ns > 0 ? "+" : "") + duration(ns);
const tone = (verdict) => `verdict-${CHANGED.includes(verdict) ? verdict : "noise"}`;

function sideName(side) {
  if (side.window) return `${side.service} \u00b7 ${side.window}`;
  return [side.id ? `run ${side.id}` : "", side.name].filter(Boolean).join(" \u00b7 ") || "a run";
}

function drawVerdict() {
  const of = (verdict) => data.times.filter((row) => row.verdict === verdict).length;
  const counts = data.counts.filter((row) => row.changed).length;
  const tile = (number, label, kind) => [count(number), label, number ? kind : ""];
  const apart = data.apart.length > 0;
  const sides = [["A", data.a], ["B", data.b]].map(([letter, side]) => el("div", { class: "side" },
    el("b", {}, letter), `${sideName(side)}: ${side.command.join(" ")}`));
  showVerdict(el("div", { class: "sides" }, sides), data.verdict, [
    tile(counts, counts === 1 ? "count changed" : "counts changed", "warn"),
    apart ? ["\u2013", "times: not comparable"] : tile(of("slower"), "slower", "bad"),
    apart ? null : tile(of("faster"), "faster", "good"),
    of("mixed") ? tile(of("mixed"), "faster and slower", "bad") : null,
    tile(data.new_findings.length, data.new_findings.length === 1 ? "new finding" : "new findings", "bad"),
    tile(data.gone_findings.length, data.gone_findings.length === 1 ? "finding gone" : "findings gone", "good"),
    [duration(data.a.duration_ns), data.a.window ? "length of A" : "run time of A"],
    [duration(data.b.duration_ns), data.b.window ? "length of B" : "run time of B"],
  ]);
}

function drawApart() {
  if (!data.apart.length && !data.notes.length) return;
  const panel = el("div", { class: "panel" });
  const list = (items) => el("ul", { class: "plain" }, items.map((item) => el("li", {}, item)));
  if (data.apart.length) panel.append(el("p", { class: "warn" }, "Times are not comparable. Counts are."), list(data.apart));
  if (data.notes.length) panel.append(list(data.notes));
  section("apart").append(panel);
}

function drawFindings() {
  if (!data.new_findings.length && !data.gone_findings.length) return;
  const box = section("findings");
  const group = (title, rows, more) => {
    if (!rows.length) return;
    const cards = el("div");
    findingCards(cards, rows, () => more);
    box.append(el("h3", {}, `${title} (${count(rows.length)})`), cards);
  };
  group("New in B", data.new_findings, {});
  group("Gone since A", data.gone_findings, { tone: "good", saves: "cost up to" });
}

/** A table of rows that changed, with a button that shows the rest as well; `rest` says what that is. */
function foldedTable(box, columns, rows, isShown, rest, options) {
  const shown = rows.filter(isShown);
  let all = false;
  const button = el("button", { type: "button", class: "push", "aria-pressed": "false", on: { click: () => {
    all = !all;
    button.setAttribute("aria-pressed", String(all));
    button.textContent = all ? "Only what changed" : `Show also ${rest}`;
    again();
  } } }, `Show also ${rest}`);
  const again = table(box, columns, { ...options, rows: () => all ? rows : shown, tools: shown.length < rows.length ? [button] : [] });
}

function drawCounts() {
  if (!data.counts.length) return;
  const rows = data.counts;
  const same = rows.filter((row) => !row.changed).length;
  const box = section("counts", "exact: calls in one transaction, in (main) in the whole run");
  const beside = { concurrent: "in other threads or tasks", after: "after the end" };
  const words = (row) => row.calls_a ? row.calls_b ? row.changed ? "changed" : "the same" : "only in A" : "only in B";
  const figure = (row, side) => row.per_a !== row.per_b || !row.changed
    ? el("span", { class: row.changed ? "changed" : null }, per(row[`per_${side}`]))
    : el("span", {}, per(row[`per_${side}`]), el("span", { class: "changed" }, `, ${count(row[`errors_${side}`], "error")}`));
  const itself = (row) => row.name || `the ${row.kind || "transaction"} itself`;
  const errors = (row, key) => el("span", { class: row.errors_a * row.calls_b !== row.errors_b * row.calls_a ? "bad" : "dim" }, count(row[key]));
  foldedTable(box, [
    { key: "in", title: "in", text: true, value: (row) => row.transaction },
    { key: "call", title: "call", text: true, value: itself, cell: (row) => el("span", { class: "call" }, el("span", { class: row.name ? null : "dim", title: row.target }, itself(row)), row.place ? el("span", { class: "dim" }, ` ${beside[row.place]}`) : null) },
    { key: "kind", title: "kind", text: true, rank: 2, value: (row) => row.kind, cell: (row) => kindMark(row.kind) },
    { key: "a", title: "A", value: (row) => row.per_a, cell: (row) => figure(row, "a") },
    { key: "b", title: "B", value: (row) => row.per_b, cell: (row) => figure(row, "b") },
    { key: "difference", title: "difference", rank: 1, value: (row) => row.per_b - row.per_a, cell: (row) => row.per_a === row.per_b ? "\u2013" : (row.per_b > row.per_a ? "+" : "-") + per(Math.abs(row.per_b - row.per_a)) },
    { key: "errors_a", title: "errors A", rank: 1, value: (row) => row.errors_a, cell: (row) => errors(row, "errors_a") },
    { key: "errors_b", title: "errors B", rank: 1, value: (row) => row.errors_b, cell: (row) => errors(row, "errors_b") },
    { key: "word", title: "", text: true, rank: 1, fixed: true, value: words, cell: (row) => el("span", { class: row.changed ? "warn" : "dim" }, words(row)) },
  ], rows, (row) => row.changed, `${count(same)} that ${same === 1 ? "is" : "are"} the same`, {
    search: (row) => `${row.transaction} ${itself(row)} ${row.kind} ${row.target}`, placeholder: "Search counts", noun: "count", empty: "All counts are the same.",
    key: (row) => JSON.stringify([row.transaction, row.name, row.kind, row.target, row.place]),
  });
}

const place100 = (ratio, reach) => 50 + 50 * Math.max(-1, Math.min(1, Math.log(ratio) / reach));

/** What a ratio says, drawn around no change: the line is all of its interval, the thick piece the scatter of the calls. */
function intervalBar(ratio, verdict, reach) {
  if (!ratio) return "\u2013";
  const piece = (name, low, high) => {
    const [left, right] = [place100(low, reach), place100(high, reach)];
    return el("i", { class: name, left: `${left}%`, width: `${right - left}%` });
  };
  const text = `B is ${change(ratio.value)}, between ${change(ratio.low)} and ${change(ratio.high)}; from ${change(ratio.band_low)} to ${change(ratio.band_high)} may be chance of the whole run`;
  const made = el("div", { class: `interval ${tone(verdict)}`, role: "img", "aria-label": text, title: text },
    piece("band", ratio.band_low, ratio.band_high), el("i", { class: "one" }), piece("line", ratio.low, ratio.high));
  const [low, high] = [ratio.low * ratio.band_high, ratio.high * ratio.band_low];
  if (low < high) made.append(piece("scatter", low, high));
  made.append(el("i", { class: "dot", left: `${place100(ratio.value, reach)}%` }));
  return made;
}

function axis(reach) {
  const far = Math.exp(reach);
  const most = far >= 2 ? 2 ** Math.floor(Math.log2(far) + 0.01) : Number(far.toPrecision(2));
  const text = far >= 2 ? [`\u00f7${most}`, `\u00d7${most}`] : [change(1 / most), change(most)];
  return el("span", { class: "axis" }, [[1 / most, text[0]], [1, "same"], [most, text[1]]].map(([at, label]) => el("i", { left: `${Math.max(9, Math.min(91, place100(at, reach)))}%` }, label)));
}

function timeDetail(row, reach) {
  const lines = [["typical", row.typical, row.typical_a_ns, row.typical_b_ns], ["p95", row.tail, row.p95_a_ns, row.p95_b_ns]];
  const made = el("div");
  table(made, [
    { key: "figure", title: "of one call", text: true, fixed: true, value: ([name]) => name },
    { key: "a", title: "A", fixed: true, value: (line) => line[2], cell: (line) => row.calls_a ? duration(line[2]) : "\u2013" },
    { key: "b", title: "B", fixed: true, value: (line) => line[3], cell: (line) => row.calls_b ? duration(line[3]) : "\u2013" },
    { key: "between", title: "between", fixed: true, value: () => 0, cell: (line) => line[1] ? `${change(line[1].low)} to ${change(line[1].high)}` : "\u2013" },
    { key: "bar", title: "", rank: 1, fixed: true, value: () => 0, cell: (line) => intervalBar(line[1], line[1] && (line[1].low > 1 ? "slower" : line[1].high < 1 ? "faster" : ""), reach) },
  ], { rows: () => lines, key: ([name]) => name });
  made.append(el("p", { class: "note" }, `${row.verdict}. ${count(row.calls_a, "call")} in A, ${count(row.calls_b)} in B; ${duration(row.total_a_ns)} and ${duration(row.total_b_ns)} in all. `, el("code", {}, row.target)));
  return made;
}

function drawTimes() {
  if (!data.times.length) return;
  const rows = data.times;
  const apart = data.apart.length > 0;
  const box = section("times", apart ? "not comparable, as told above" : "of a typical call, or p95 where that tells more");
  const isShown = (row) => CHANGED.includes(row.verdict) || ONLY.includes(row.verdict);
  const ratioOf = (row) => row.shown === "p95" ? row.tail : row.typical;
  const most = Math.max(...rows.flatMap((row) => [row.typical, row.tail]).filter(Boolean).flatMap((ratio) => [Math.log(ratio.high), -Math.log(ratio.low)]), 0);
  const reach = Math.min(FAR, Math.max(Math.log(1.3), most) * 1.08);
  const figure = (row, side) => row[`${row.shown}_${side}_ns`];
  const cell = (row, side) => row[`calls_${side}`] ? el("span", {}, duration(figure(row, side)), row.shown === "p95" ? el("span", { class: "dim" }, " p95") : null) : "\u2013";
  const rest = FOLDED.map((verdict) => [verdict, rows.filter((row) => row.verdict === verdict).length]).filter(([, number]) => number);
  const compared = [
    { key: "change", title: "change", value: (row) => ratioOf(row)?.value ?? null, cell: (row) => ratioOf(row) ? el("span", { class: `change ${tone(row.verdict)}` }, change(ratioOf(row).value)) : "\u2013" },
    { key: "interval", title: axis(reach), fixed: true, value: () => 0, cell: (row) => intervalBar(ratioOf(row), row.verdict, reach) },
  ];
  foldedTable(box, [
    { key: "name", title: "name", text: true, value: (row) => row.name, cell: (row) => el("span", { class: row.is_transaction ? "changed" : null, title: row.target }, row.name) },
    { key: "kind", title: "kind", text: true, rank: 2, value: (row) => row.kind, cell: (row) => kindMark(row.kind) },
    { key: "a", title: "A", rank: apart ? 0 : 1, value: (row) => row.calls_a ? figure(row, "a") : null, cell: (row) => cell(row, "a") },
    { key: "b", title: "B", rank: apart ? 0 : 1, value: (row) => row.calls_b ? figure(row, "b") : null, cell: (row) => cell(row, "b") },
    ...(apart ? [] : compared),
    { key: "total", title: "total B \u2212 A", rank: 1, value: (row) => row.total_b_ns - row.total_a_ns, cell: (row) => signed(row.total_b_ns - row.total_a_ns) },
    { key: "verdict", title: "", text: true, rank: 1, fixed: true, value: (row) => row.verdict, cell: (row) => el("span", { class: CHANGED.includes(row.verdict) ? null : "dim" }, row.verdict) },
  ], rows, isShown, rest.map(([verdict, number]) => `${count(number)} ${verdict}`).join(", "), {
    search: (row) => `${row.name} ${row.kind} ${row.target}`, placeholder: "Search times", noun: "time",
    empty: apart ? "Nothing was called in one run only." : "No time changed beyond noise.",
    key: (row) => JSON.stringify([row.name, row.kind, row.target]), detail: (row) => timeDetail(row, reach),
  });
  if (!apart) box.append(intervalKey());
}

function intervalKey() {
  const sample = (...pieces) => el("span", { class: "interval" }, pieces.map(([name, left, width]) => el("i", { class: name, left, width })));
  return el("div", { class: "key" },
    el("span", {}, sample(["dot", "50%", null]), "B \u00f7 A, on a logarithmic scale"),
    el("span", {}, sample(["scatter", "10%", "80%"]), "scatter of the calls"),
    el("span", {}, sample(["band", "10%", "80%"]), `what the name may differ by with nothing changed: noise${data.b.window ? "" : ", and what the rest of the program did"}`),
    el("span", {}, sample(["line", "5%", "90%"]), "both together: a line that does not reach \u201csame\u201d is a change, with 95 % certainty for all rows together"));
}

function drawRuns() {
  const { a, b } = data;
  const busy = (side) => [side.waits === null ? "" : `waited ${side.waits.toFixed(2)} s for each second of a processor`, side.window ? "" : `others used ${percent(side.others)}`].filter(Boolean).join(", ");
  const facts = [
    ["run", sideName], ["command", (side) => el("code", {}, side.command.join(" "))], ["started", (side) => side.started_at], ["time", (side) => duration(side.duration_ns)],
    ["its time", (side) => side.account],
    ["version", (side) => side.version], ["ending", (side) => (side.window ? "" : side.ending)], ["machine", (side) => side.host], ["processor", (side) => [side.cpu, side.cores ? count(side.cores, "core") : ""].filter(Boolean).join(", ")],
    ["processors were", busy], ["Python", (side) => side.python], ["engine", (side) => side.engine], ["hookmon", (side) => side.hookmon],
  ];
  const matters = ["command", "version", "ending", "machine", "processor", "Python", "engine", "hookmon"];
  const text = (value) => typeof value === "string" ? value : value.textContent;
  const lines = facts.filter(([name, of]) => !["version", "ending"].includes(name) || of(a) || of(b)).map(([name, of]) => {
    const [one, other] = [of(a), of(b)];
    return el("tr", { class: matters.includes(name) && text(one) !== text(other) ? "differs" : null }, el("td", {}, name), el("td", {}, one || "\u2013"), el("td", {}, other || "\u2013"));
  });
  const head = el("tr", {}, ["", "A", "B"].map((title) => el("th", { scope: "col" }, el("span", {}, title))));
  section("runs", "what differs is bold").append(el("div", { class: "scroll" }, el("table", { class: "facts" }, el("thead", {}, head), el("tbody", {}, lines))));
}

for (const draw of [drawVerdict, drawApart, drawFindings, drawCounts, drawTimes, drawRuns]) draw();
startPage("#times input, #counts input");
