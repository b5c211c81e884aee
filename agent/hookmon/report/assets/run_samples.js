// Samples: where transactions and calls compute, line by line, and the sampled stacks as a flame graph. No counted figure stands here.

const LINES = 12; // of one call

const sampledCall = (row) => row.names.length ? oneOf(row.names) : "(no watched call)";
const oneOf = (names) => names.length < 2 ? names.join("") : `one of ${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${names.length - 3} more` : ""}`;

function drawSamples() {
  const sampled = data.sampled;
  if (!sampled.samples) return;
  const box = section("sampled", `${count(sampled.samples, "sample")} at ${sampled.rate} a second; what waits is in none`);
  const flaws = [];
  if (sampled.lost > sampled.samples / 100) flaws.push(`${percent(sampled.lost / (sampled.samples + sampled.lost))} of the samples could not be read`);
  if (sampled.mended > sampled.samples / 100) flaws.push(`of ${percent(sampled.mended / sampled.samples)} a part of the stack was lost, and is put back as the others have it`);
  if (sampled.cpu_ns && sampled.ready_ns > 1.5 * sampled.cpu_ns) flaws.push(`they stand for ${duration(sampled.ready_ns)}, of which ${duration(sampled.cpu_ns)} had a processor`);
  if (flaws.length) box.append(el("p", { class: "note" }, flaws.join("; ")));
  const most = Math.max(...sampled.calls.map((row) => row.samples));
  table(box, [
    { key: "name", title: "innermost watched call", text: true, value: sampledCall, cell: (row) => el("div", {}, sampledCall(row), " ", row.kind ? kindMark(row.kind) : null) },
    { key: "transaction", title: "transaction", text: true, rank: 1, value: (row) => oneOf(row.transactions), cell: (row) => oneOf(row.transactions) },
    { key: "samples", title: "samples", value: (row) => row.samples, cell: (row) => shareCell(row.samples, most, count(row.samples), row.kind) },
    { key: "share", title: "share", value: (row) => row.share, cell: (row) => percent(row.share) },
    { key: "line", title: "most at", text: true, fixed: true, rank: 1, value: (row) => row.lines[0].location, cell: (row) => el("span", { class: "mono" }, `${place(row.lines[0].location)} ${percent(row.lines[0].share)}`) },
  ], { rows: () => sampled.calls, sort: "-samples", search: (row) => `${sampledCall(row)} ${oneOf(row.transactions)} ${row.lines.map((line) => line.location).join(" ")}`,
    placeholder: "Search samples", noun: "row", key: (row) => JSON.stringify([row.transactions, row.names, row.target]), detail: sampledLines });
  const tree = sampled.tree;
  flameGraph(box, tree, {
    label: "Sampled stacks", width: tree.width, value: (samples) => count(samples, "sample"), all: "of what computed",
    figures: (index) => `, itself ${count(tree.self[index], "sample")}`,
  });
}

function sampledLines(row) {
  const made = el("div");
  table(made, [
    { key: "line", title: "line", text: true, fixed: true, value: (line) => line.location, cell: (line) => el("div", {}, el("span", { class: "mono" }, place(line.location)),
      line.caller ? el("div", { class: "mono dim" }, `from ${place(line.caller)}`) : null) },
    { key: "function", title: "function", text: true, fixed: true, rank: 1, value: (line) => line.function, cell: (line) => line.function },
    { key: "samples", title: "samples", fixed: true, value: (line) => line.samples, cell: (line) => count(line.samples) },
    { key: "share", title: "of the row", fixed: true, value: (line) => line.share, cell: (line) => percent(line.share) },
    { key: "calls", title: "watched calls made there", text: true, fixed: true, rank: 2, value: (line) => line.calls.join(", "), cell: (line) => line.calls.join(", ") },
  ], { rows: () => row.lines, limit: LINES, key: (line) => line.location + line.function + line.caller });
  return made;
}
