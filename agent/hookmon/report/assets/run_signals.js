// What was measured that is no call, and the imports as a tree.

/** A value with its unit: the same text as on the terminal. */
function quantity(value, unit) {
  if (unit === "s" && Math.abs(value) < 1e15) return duration(value * 1e9);
  if (unit === "By" && value >= 0 && value < 1e15) return size(value);
  const text = Number.isInteger(value) && Math.abs(value) < 1e15 ? count(value) : String(Number(value.toPrecision(3)));
  return unit === "" || unit === "1" ? text : `${text} ${unit}`;
}

function drawSignals() {
  if (!data.signals.length) return;
  const box = section("signals", "the value is the sum, of a gauge what was set last");
  const figure = (key, title, rank, kinds) => ({
    key, title, rank, value: (row) => kinds.includes(row.kind) ? row[key] : null,
    cell: (row) => kinds.includes(row.kind) ? quantity(row[key], row.unit) : "\u2013",
  });
  const all = ["counter", "gauge", "histogram"];
  table(box, [
    { key: "name", title: "name", text: true, value: (row) => row.name },
    { key: "kind", title: "kind", text: true, rank: 1, value: (row) => row.kind },
    { key: "count", title: "count", rank: 1, value: (row) => row.count, cell: (row) => count(row.count) },
    figure("value", "value", 0, all),
    figure("mean", "mean", 2, ["histogram"]),
    figure("p50", "p50", 2, ["histogram"]),
    figure("p95", "p95", 1, ["histogram"]),
    figure("p99", "p99", 2, ["histogram"]),
    figure("max", "max", 0, ["gauge", "histogram"]),
  ], { rows: () => data.signals, search: (row) => `${row.name} ${row.kind}`, placeholder: "Search signals", noun: "signal", key: (row) => `${row.name} ${row.unit} ${row.kind}`, limit: 20 });
}

function drawImports() {
  if (!data.imports.length) return;
  const whole = data.imports.reduce((sum, row) => sum + (row.parent < 0 ? row.total_ns : 0), 0);
  const most = Math.max(...data.imports.map((row) => row.self_ns), 1);
  const box = section("imports", `${duration(whole)}; what Python imports at its start, before hookmon, is not among them`);
  const indented = (row) => {
    const name = el("span", {}, row.name);
    name.style.paddingLeft = `${Math.min(row.depth, 12)}em`;
    return name;
  };
  table(box, [
    { key: "name", title: "module", text: true, value: (row) => row.name, cell: indented },
    { key: "total", title: "total", value: (row) => row.total_ns, cell: (row) => duration(row.total_ns) },
    { key: "self", title: "self", value: (row) => row.self_ns, cell: (row) => shareCell(row.self_ns, most, duration(row.self_ns), "import") },
    { key: "imports", title: "imports", rank: 1, value: (row) => row.imports, cell: (row) => count(row.imports) },
    { key: "errors", title: "errors", rank: 1, value: (row) => row.errors, cell: errorCell },
  ], { rows: () => data.imports, search: (row) => row.name, placeholder: "Search imports", noun: "module", key: (row) => String(data.imports.indexOf(row)), limit: 20 });
}
