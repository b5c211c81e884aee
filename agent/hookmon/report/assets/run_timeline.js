// The run over time: calls and errors, the band of durations, CPU and memory. Brushing one chart brushes the page.

/** The colour that a value of CSS has now: a canvas wants it resolved. */
function resolved(value) {
  const probe = el("span");
  probe.style.color = value;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** What can be drawn: all transactions together where there are any, then each name, most time first. */
function timelineChoices() {
  const entries = new Set(data.transactions.filter((row) => row.kind).map((row) => JSON.stringify([row.name, row.kind])));
  const own = data.series.filter((row) => entries.has(JSON.stringify([row.name, row.kind])));
  const spent = (row) => row.points.reduce((sum, point) => sum + point[3], 0);
  const choices = own.length > 1 ? [{ label: "all transactions", series: own }] : [];
  const inTurn = [...data.series].map((row) => [spent(row), row]).sort((a, b) => b[0] - a[0]).map(([, row]) => row);
  const first = inTurn.filter((row) => own.includes(row));
  for (const row of [...first, ...inTurn.filter((each) => !own.includes(each))]) choices.push({ label: row.name, series: [row] });
  return choices;
}

/** Columns for the charts: one item for each interval of the run. */
function timelineColumns(series, intervals) {
  const step = data.run.interval_ns;
  const grouped = Array.from({ length: intervals }, () => []);
  for (const row of series) for (const point of row.points) if (point[0] < intervals) grouped[point[0]].push(point);
  const columns = { at: [], calls: [], errors: [], p50: [], p95: [], p99: [] };
  grouped.forEach((points, index) => {
    const figures = figuresOf(points);
    columns.at.push((index + 0.5) * step / 1e9);
    columns.calls.push(figures.calls * 1e9 / step);
    columns.errors.push(figures.errors ? figures.errors * 1e9 / step : null);
    for (const key of ["p50", "p95", "p99"]) columns[key].push(figures.calls ? figures[key + "_ns"] / 1e6 : null);
  });
  return columns;
}

function usageColumns(intervals) {
  const step = data.run.interval_ns;
  const columns = { cpu: new Array(intervals).fill(null), rss: new Array(intervals).fill(null) };
  let before = -1; // CPU time belongs to all intervals since the sample before
  for (const row of data.usage) {
    const index = Math.round(row.at_ns / step);
    if (index >= intervals) continue;
    const share = row.cpu_ns / ((index - before) * step);
    for (let at = before + 1; at <= index; at++) {
      columns.cpu[at] = share;
      columns.rss[at] = row.rss_bytes / 1e6;
    }
    before = index;
  }
  return columns;
}

const CLOCK_STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Seconds since midnight at the beginning of a window of a service, by the clock on the wall there. */
function clockBegins() {
  const [, hour, minute, second] = /T(\d+):(\d+):(\d+)/.exec(data.run.started_at) || [0, 0, 0, 0];
  return Number(hour) * 3600 + Number(minute) * 60 + Number(second);
}

function clockOf(seconds) {
  const minutes = Math.floor((clockBegins() + seconds) / 60) % 1440;
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

/** Ticks at whole steps of the clock. */
function clockSplits(plot, axis, from, to, step) {
  const begins = clockBegins();
  const ticks = [];
  for (let at = Math.ceil((begins + from) / step) * step - begins; at <= to; at += step) ticks.push(at);
  return ticks;
}

function drawTimeline() {
  const step = data.run.interval_ns;
  let intervals = 0;
  for (const row of data.series) for (const point of row.points) intervals = Math.max(intervals, point[0] + 1);
  for (const row of data.usage) intervals = Math.max(intervals, Math.round(row.at_ns / step) + 1);
  if (!step || !data.series.length || intervals < 2) return;
  const box = section("timeline", "drag over a chart, or use the arrow keys, to look at a part");
  if (data.run.window) document.querySelector("#timeline h2").firstChild.textContent = "By the clock";
  const choices = timelineChoices();
  const select = el("select", { "aria-label": "What is drawn", on: { change: draw } }, choices.map((choice, at) => el("option", { value: at }, choice.label)));
  select.style.maxWidth = "100%";
  const charts = el("div", { class: "charts panel", tabindex: "0", role: "group",
    "aria-label": "Charts. Arrow keys choose an interval, with Shift they widen the choice, Escape clears it." });
  const shown = el("div");
  box.append(el("div", { class: "tools" }, select, el("span", { class: "dim" }, `${count(intervals, "interval")} of ${duration(step)}`)), shown, charts);
  let plots = [];
  let isSetting = false;

  function draw() {
    for (const plot of plots) plot.destroy();
    charts.replaceChildren();
    const columns = timelineColumns(choices[Number(select.value) || 0].series, intervals);
    const usage = usageColumns(intervals);
    const accent = resolved("var(--accent)");
    const bad = resolved("var(--bad)");
    const band = resolved("color-mix(in srgb, var(--warn) 22%, transparent)");
    const faint = resolved("color-mix(in srgb, var(--accent) 24%, transparent)");
    const warn = resolved("var(--warn)");
    const good = resolved("var(--good)");
    const low = resolved("var(--k-queue)");
    const bars = uPlot.paths.bars({ size: [0.86, 40], align: 0 });
    const line = uPlot.paths.stepped({ align: 0 });
    plots = [
      chart("Each second", [columns.at, columns.calls, columns.errors], [
        { label: "calls", stroke: faint, fill: faint, paths: bars, color: accent },
        { label: "errors", stroke: bad, fill: bad, paths: bars, color: bad },
      ], 120, (value) => rate(value)),
      chart("Duration", [columns.at, columns.p50, columns.p95, columns.p99], [
        { label: "p50", stroke: accent, width: 2, color: accent },
        { label: "p95", stroke: warn, width: 1.5, color: warn },
        { label: "p99", stroke: bad, width: 1, dash: [4, 3], color: bad },
      ], 130, (value) => duration(value * 1e6), [{ series: [2, 1], fill: band }]),
    ];
    if (usage.cpu.some((value) => value !== null)) {
      plots.push(chart("CPU", [columns.at, usage.cpu], [{ label: "cores in use", stroke: good, width: 1.5, color: good, paths: line }], 90, (value) => three(value)));
      plots.push(chart("Memory", [columns.at, usage.rss], [{ label: "RSS of all processes", stroke: low, width: 1.5, color: low, paths: line }], 90, (value) => size(value * 1e6)));
    }
    show();
  }

  function chart(title, columns, series, height, write, bands = []) {
    const readings = el("span", { class: "dim" });
    const holder = el("div", { class: "chart" }, el("h3", {}, title,
      series.map((each) => { const mark = el("i"); mark.style.background = each.color; return el("span", {}, mark, each.label); }), readings));
    charts.append(holder);
    const grid = { stroke: resolved("var(--line)"), width: 1 };
    const axis = { stroke: resolved("var(--dim)"), grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const isPoint = columns[1].filter((value) => value !== null).length < 3;
    return new uPlot({
      width: Math.max(240, charts.clientWidth - 2 * parseFloat(getComputedStyle(charts).paddingLeft)),
      height, bands, legend: { show: false },
      padding: [6, 24, 0, 0],
      cursor: { sync: { key: "run" }, drag: { x: true, y: false, setScale: false }, points: { size: 5 } },
      scales: { x: { time: false, range: [0, intervals * step / 1e9] }, y: { range: (plot, least, most) => [0, most > 0 ? most * 1.12 : 1] } },
      axes: [
        { ...axis, size: 24, ...(data.run.window ? { space: 64, incrs: CLOCK_STEPS, splits: clockSplits } : {}), values: (plot, ticks) => data.run.window ? ticks.map(clockOf) : ticks.map((tick) => tick === 0 ? "0" : duration(tick * 1e9).replace(/(\.\d*?)0+ /, "$1 ").replace(". ", " ")) },
        { ...axis, size: 68, space: 26, values: (plot, ticks) => ticks.map((tick) => tick === 0 ? "0" : write(tick).replace(/(\.\d*?)0+ /, "$1 ").replace(". ", " ")) },
      ],
      series: [{}, ...series.map((each) => ({ ...each, points: { show: isPoint && !each.fill } }))],
      hooks: {
        setCursor: [(plot) => {
          const at = plot.cursor.idx;
          readings.textContent = at === null || at === undefined ? "" :
            `at ${data.run.window ? clockOf(columns[0][at]) : duration(columns[0][at] * 1e9)}: ` + series.map((each, index) => columns[index + 1][at] === null ? null : `${each.label} ${write(columns[index + 1][at])}`).filter(Boolean).join(", ");
        }],
        setSelect: [(plot) => {
          if (isSetting || plot.select.width < 3) return;
          const from = Math.floor(plot.posToVal(plot.select.left, "x") * 1e9 / step);
          const to = Math.ceil(plot.posToVal(plot.select.left + plot.select.width, "x") * 1e9 / step) - 1;
          brush(Math.max(0, Math.min(from, intervals - 1)), Math.max(0, Math.min(Math.max(from, to), intervals - 1)));
        }],
      },
    }, columns, holder);
  }

  function show() {
    shown.replaceChildren(...[rangeBar(true)].filter(Boolean));
    isSetting = true;
    for (const plot of plots) {
      const left = isBrushed() ? plot.valToPos(range.from * step / 1e9, "x") : 0;
      const right = isBrushed() ? plot.valToPos((range.to + 1) * step / 1e9, "x") : 0;
      plot.setSelect({ left, width: right - left, top: 0, height: plot.over.clientHeight }, false);
    }
    isSetting = false;
  }

  charts.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const clamp = (index) => Math.max(0, Math.min(intervals - 1, index));
    if (!isBrushed()) brush(by > 0 ? 0 : intervals - 1, by > 0 ? 0 : intervals - 1);
    else if (event.shiftKey) brush(Math.min(range.from, clamp(range.to + by)), clamp(range.to + by));
    else brush(clamp(range.from + by), clamp(range.from + by));
  });
  whenBrushed(show);
  keepDrawn(charts, draw);
}
