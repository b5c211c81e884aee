// The run over time, and the part of it that is brushed. A point is [interval, calls, errors, total, [bucket, calls, ...]].

const range = { from: null, to: null, watchers: [] };

function isBrushed() {
  return range.from !== null;
}

/** Brush the intervals from..to, both within; null clears. Every part of the page that follows is drawn again. */
function brush(from, to) {
  if (from === range.from && to === range.to) return;
  range.from = from;
  range.to = from === null ? null : to;
  for (const watcher of range.watchers) watcher();
}

function whenBrushed(watcher) {
  range.watchers.push(watcher);
}

function quantile(buckets, share) {
  let whole = 0;
  for (const calls of buckets.values()) whole += calls;
  if (!whole) return 0;
  const rank = Math.max(1, Math.ceil(share * whole - 1e-9));
  let seen = 0;
  for (const bucket of [...buckets.keys()].sort((a, b) => a - b)) {
    seen += buckets.get(bucket);
    if (seen >= rank) return 1e9 * 2 ** ((bucket - 0.5) / 4 - 30); // core/histogram.middle_ns
  }
  return 0;
}

function addBuckets(sum, packed) {
  for (let at = 0; at < packed.length; at += 2) sum.set(packed[at], (sum.get(packed[at]) || 0) + packed[at + 1]);
}

/** Add up points: calls, errors, time and percentiles (within 9 %, as the series are kept). */
function figuresOf(points) {
  const sum = { calls: 0, errors: 0, total_ns: 0, buckets: new Map() };
  for (const [, calls, errors, total, buckets] of points) {
    sum.calls += calls;
    sum.errors += errors;
    sum.total_ns += total;
    addBuckets(sum.buckets, buckets);
  }
  sum.mean_ns = sum.calls ? sum.total_ns / sum.calls : 0;
  for (const [key, share] of [["p50_ns", 0.5], ["p95_ns", 0.95], ["p99_ns", 0.99]]) sum[key] = quantile(sum.buckets, share);
  return sum;
}

/** The points of a series, none where the run file holds something else. */
function pointsOf(text) {
  try {
    return JSON.parse(text).filter((point) => Array.isArray(point) && Array.isArray(point[4]));
  } catch {
    return [];
  }
}

const keyOf = (row) => JSON.stringify([row.name, row.kind, row.target ?? ""]);

/** The points of all targets that a row adds up. */
function pointsOfRow(row) {
  return (row.targets || [row.target]).flatMap((target) => seriesByKey.get(keyOf({ ...row, target }))?.points || []);
}

let seriesByKey = null;
let seriesByName = null;

function indexSeries() {
  for (const row of data.series) row.points = pointsOf(row.points);
  seriesByKey = new Map(data.series.map((row) => [keyOf(row), row]));
  seriesByName = new Map();
  for (const row of data.series) {
    const key = JSON.stringify([row.name, row.kind]);
    seriesByName.set(key, [...(seriesByName.get(key) || []), ...row.points]);
  }
}

const within = (point) => point[0] >= range.from && point[0] <= range.to;

/** Rows as they are, or with the figures of the brushed part; names that did nothing in it, or have no series, are left out. */
function brushed(rows, byName = false) {
  if (!isBrushed()) return rows;
  const found = [];
  for (const row of rows) {
    const points = byName ? seriesByName.get(JSON.stringify([row.name, row.kind])) : pointsOfRow(row);
    const inside = (points || []).filter(within);
    if (!inside.length) continue;
    const figures = figuresOf(inside);
    found.push({ ...row, ...figures, self_ns: null, max_ns: null, buckets: [...figures.buckets].sort((a, b) => a[0] - b[0]).flat(), whole: row });
  }
  return found;
}

/** Say which part is brushed, with the way back. */
function rangeBar(sticky = false) {
  if (!isBrushed()) return null;
  const step = data.run.interval_ns;
  const at = (index) => (data.run.window ? clockOf(index * step / 1e9) : duration(index * step));
  const text = `Only from ${at(range.from)} to ${at(range.to + 1)}. `;
  return el("div", { class: sticky ? "range fixed" : "range" },
    el("b", {}, text),
    sticky ? el("span", { class: "dim" }, "What ended in it; percentiles within 9 %. Self time, findings and the call tree are kept for the whole run only.") : null,
    el("button", { class: "plain", type: "button", on: { click: () => brush(null) } }, "Whole run (Esc)"));
}
