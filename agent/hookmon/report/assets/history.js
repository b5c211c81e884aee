// The page of a service's days: curves of a day, of the day before and of the same day of the week before, over each other.
// A point is [minute since midnight, seconds, calls, errors, p50, p95, p99].

const [MINUTE, SECONDS, CALLS, ERRORS, P50, P95, P99] = [0, 1, 2, 3, 4, 5, 6];
const DAY_MINUTES = 1440;

/** The colour that a value of CSS has now: a canvas wants it resolved. */
function resolved(value) {
  const probe = el("span");
  probe.style.color = value;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const clock = (minute) => `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(Math.floor(minute % 60)).padStart(2, "0")}`;
const dash = (ns) => (ns ? duration(ns) : "\u2013");
const kept = data.days.map((day, at) => at).filter((at) => data.days[at].is_kept);
const nounOf = (number) => count(number, data.noun);

/** How a number differs from an earlier one, the same text as on the terminal. */
function change(now, then) {
  if (!then) return now ? "new" : "\u2013";
  const ratio = now / then;
  if (ratio >= 2) return `\u00d7${ratio < 9.95 ? ratio.toFixed(1) : count(ratio)}`;
  return Math.abs(ratio - 1) < 0.005 ? "=" : `${ratio > 1 ? "+" : "-"}${percent(Math.abs(ratio - 1))}`;
}

function drawVerdict() {
  const [now, then] = data.whole.curves.map((curve) => curve.figures);
  const last = data.last_start;
  showVerdict(el("div", {}, el("b", {}, data.service), ` \u00b7 ${data.when} \u00b7 ${data.state}`), data.verdict, [
    [count(now.calls), data.noun === "call" ? "calls" : `${data.noun}s`],
    data.days[1].is_kept ? [change(now.calls, then.calls), `calls against ${data.days[1].name}`] : null,
    [count(now.errors), now.errors === 1 ? "error" : "errors", now.errors ? "bad" : ""],
    now.p50_ns ? [duration(now.p50_ns), "p50"] : null,
    now.p95_ns ? [duration(now.p95_ns), "p95", data.whole.is_slower ? "bad" : ""] : null,
    data.days[1].is_kept && then.p95_ns ? [duration(then.p95_ns), `p95 ${data.days[1].name}`] : null,
    last ? [last.clock, last.version ? `last start, version ${last.version}` : "last start"] : null,
  ]);
}

let show = () => {};

function drawCurves() {
  if (!kept.length) return;
  const wide = Math.max(...kept.map((at) => data.days[at].minutes_apart));
  const fine = Math.min(...kept.map((at) => data.days[at].minutes_apart));
  const box = section("curves", `by the clock on the wall, ${data.days[0].name} in front; ${fine === wide ? `points are ${fine} minutes apart` : `points are ${fine} minutes apart, ${wide} where only hours are kept`}`);
  const rows = [{ ...data.whole, name: data.transaction || (data.noun === "call" ? "all calls" : `all ${data.noun}s`) }, ...data.rows];
  const select = el("select", { id: "what", "aria-label": "What is drawn", on: { change: () => draw() } }, rows.map((row, at) => el("option", { value: at }, row.name)));
  select.style.maxWidth = "100%";
  const hidden = new Set();
  const legend = el("div", { class: "days", role: "group", "aria-label": "Days that are drawn" }, kept.map((at) => el("label", { class: `day-${at}` },
    el("input", { type: "checkbox", checked: true, on: { change: (event) => { if (event.target.checked) hidden.delete(at); else hidden.add(at); draw(); } } }),
    el("i"), `${data.days[at].name}${data.days[at].starts.length ? `, ${count(data.days[at].starts.length, "start")}` : ""}`)));
  const charts = el("div", { class: "charts panel" });
  box.append(el("div", { class: "tools" }, select, legend), charts);
  let plots = [];

  /** Columns of a figure: minutes, then a column for each day that is drawn, null where nothing ran. */
  function columnsOf(row, value) {
    const days = kept.filter((at) => !hidden.has(at));
    const minutes = new Set();
    const values = days.map((at) => {
      const half = data.days[at].minutes_apart / 2;
      return new Map(row.curves[at].points.map((point) => { minutes.add(point[MINUTE] + half); return [point[MINUTE] + half, value(point)]; }));
    });
    const at = [...minutes].sort((a, b) => a - b);
    const columns = days.map((day, index) => at.map((minute) => {
      if (values[index].has(minute)) return values[index].get(minute);
      const width = data.days[day].minutes_apart; // a finer day has points here that this one has not: uPlot goes on over undefined
      const before = row.curves[day].points.some((point) => Math.abs(point[MINUTE] + width / 2 - minute) < width);
      return before ? undefined : null;
    }));
    return { days, columns: [at, ...columns] };
  }

  function draw() {
    for (const plot of plots) plot.destroy();
    charts.replaceChildren();
    const row = rows[Number(select.value) || 0];
    plots = [
      chart(row, data.noun === "call" ? "Calls a second" : `${data.noun[0].toUpperCase()}${data.noun.slice(1)}s a second`, (point) => (point[SECONDS] ? point[CALLS] / point[SECONDS] : 0), 170, (value) => rate(value)),
      chart(row, "p95", (point) => (point[CALLS] ? point[P95] / 1e6 : null), 150, (value) => duration(value * 1e6)),
      chart(row, "p50", (point) => (point[CALLS] ? point[P50] / 1e6 : null), 110, (value) => duration(value * 1e6)),
      chart(row, "Errors a minute", (point) => (point[SECONDS] ? point[ERRORS] * 60 / point[SECONDS] : 0), 90, (value) => three(value)),
    ];
  }

  function chart(row, title, value, height, write) {
    const { days, columns } = columnsOf(row, value);
    const readings = el("span", { class: "dim" });
    const holder = el("div", { class: "chart" }, el("h3", {}, title, readings));
    charts.append(holder);
    const grid = { stroke: resolved("var(--line)"), width: 1 };
    const axis = { stroke: resolved("var(--dim)"), grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const colours = days.map((at) => resolved(`var(--day-${at})`));
    const few = columns[0].length < 3;
    const series = days.map((at, index) => ({ label: data.days[at].name, stroke: colours[index], width: at === 0 ? 2.5 : 1.5, dash: at === 2 ? [5, 4] : [], points: { show: few || row.curves[at].points.length < 3 } }));
    const inFront = days.map((at, index) => index).reverse(); // uPlot draws what comes last in front
    return new uPlot({
      width: Math.max(240, charts.clientWidth - 2 * parseFloat(getComputedStyle(charts).paddingLeft)),
      height, legend: { show: false }, padding: [10, 24, 0, 0],
      cursor: { sync: { key: "days" }, drag: { x: false, y: false }, points: { size: 5 } },
      scales: { x: { time: false, range: [0, DAY_MINUTES] }, y: { range: (plot, least, most) => [0, most > 0 ? most * 1.12 : 1] } },
      axes: [
        { ...axis, size: 24, splits: () => (charts.clientWidth < 560 ? [0, 360, 720, 1080, 1440] : [0, 180, 360, 540, 720, 900, 1080, 1260, 1440]), values: (plot, ticks) => ticks.map(clock) },
        { ...axis, size: 68, space: 26, values: (plot, ticks) => ticks.map((tick) => tick === 0 ? "0" : write(tick).replace(/(\.\d*?)0+ /, "$1 ").replace(". ", " ")) },
      ],
      series: [{}, ...inFront.map((index) => series[index])],
      hooks: {
        draw: [(plot) => drawMarks(plot, days)],
        setCursor: [(plot) => {
          const at = plot.cursor.idx;
          if (at === null || at === undefined) { readings.textContent = ""; return; }
          const told = days.map((day, index) => (columns[index + 1][at] === null || columns[index + 1][at] === undefined ? null : `${data.days[day].name} ${write(columns[index + 1][at])}`));
          readings.textContent = `${clock(columns[0][at])}: ${told.filter(Boolean).join(", ")}`;
        }],
      },
    }, [columns[0], ...inFront.map((index) => columns[index + 1])], holder);
  }

  /** Draw each start as a line with a triangle at its foot, in the colour of its day. */
  function drawMarks(plot, days) {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const day of [...days].reverse()) {
      ctx.strokeStyle = ctx.fillStyle = resolved(`var(--day-${day})`);
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
      for (const mark of data.days[day].starts) {
        const x = Math.round(plot.valToPos(mark.minute, "x", true));
        if (day === 0) {
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
        }
        const size = 5 * devicePixelRatio;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top + bbox.height - 2 * size);
        ctx.lineTo(x - size, bbox.top + bbox.height);
        ctx.lineTo(x + size, bbox.top + bbox.height);
        ctx.fill();
      }
    }
    ctx.restore();
  }

  show = (row) => {
    select.value = String(rows.findIndex((each) => each.name === row.name && each.kind === row.kind));
    draw();
    document.getElementById("curves").scrollIntoView();
    select.focus({ preventScroll: true });
  };
  keepDrawn(charts, draw);
}

/** A small curve of each day, by the hour, the first in front. */
function spark(row) {
  const most = Math.max(1e-9, ...kept.flatMap((at) => row.curves[at].points.map((point) => (point[SECONDS] ? point[CALLS] / point[SECONDS] : 0))));
  const drawn = document.createElementNS(SVG, "svg");
  for (const [key, value] of [["class", "spark"], ["viewBox", "0 0 168 24"], ["role", "img"], ["preserveAspectRatio", "none"]]) drawn.setAttribute(key, value);
  drawn.setAttribute("aria-label", kept.map((at) => `${data.days[at].name} ${nounOf(row.curves[at].whole_calls)}`).join(", "));
  for (const at of [...kept].reverse()) {
    let path = "";
    let before = -Infinity;
    for (const point of row.curves[at].points) {
      const x = (point[MINUTE] + data.days[at].minutes_apart / 2) / DAY_MINUTES * 168;
      const y = 23 - 22 * (point[SECONDS] ? point[CALLS] / point[SECONDS] : 0) / most;
      path += `${point[MINUTE] - before > data.days[at].minutes_apart ? `M${(x - 0.5).toFixed(1)} ${y.toFixed(1)}L` : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
      before = point[MINUTE];
    }
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("class", `day-${at}`);
    line.setAttribute("d", path || "M0 0");
    drawn.append(line);
  }
  return drawn;
}

function drawNames() {
  if (!data.rows.length) return;
  const until = data.days[0].until_clock;
  const box = section("names", `${until === "24:00" ? "the whole day" : `figures to ${until}`}; press a name to draw its curves`);
  if (data.transaction) document.querySelector("#names h2").firstChild.textContent = `Inside ${data.transaction}`;
  const of = (row, at) => row.curves[at].figures;
  const beside = kept.filter((at) => at > 0);
  table(box, [
    { key: "name", title: "name", text: true, value: (row) => row.name, cell: (row) => el("button", { class: "plain", type: "button", on: { click: () => show(row) } }, row.name) },
    ...(new Set(data.rows.map((row) => row.kind)).size > 1 ? [{ key: "kind", title: "kind", text: true, rank: 2, value: (row) => row.kind, cell: (row) => kindMark(row.kind) }] : []),
    { key: "day", title: "calls over the day", rank: 1, fixed: true, value: () => 0, cell: spark },
    { key: "calls", title: "calls", value: (row) => of(row, 0).calls, cell: (row) => count(of(row, 0).calls) },
    ...(beside.includes(1) ? [{ key: "change", title: `against ${data.days[1].name}`, rank: 1, value: (row) => (of(row, 1).calls ? of(row, 0).calls / of(row, 1).calls : null), cell: (row) => change(of(row, 0).calls, of(row, 1).calls) }] : []),
    { key: "errors", title: "errors", value: (row) => of(row, 0).errors, cell: (row) => el("span", { class: of(row, 0).errors ? "bad" : "dim" }, count(of(row, 0).errors)) },
    { key: "total", title: "total", rank: 2, value: (row) => of(row, 0).total_ns, cell: (row) => dash(of(row, 0).total_ns) },
    { key: "p50", title: "p50", rank: 2, value: (row) => of(row, 0).p50_ns, cell: (row) => dash(of(row, 0).p50_ns) },
    { key: "p95", title: "p95", value: (row) => of(row, 0).p95_ns, cell: (row) => el("span", { class: row.is_slower ? "bad" : "" }, dash(of(row, 0).p95_ns)) },
    ...beside.map((at) => ({ key: `p95-${at}`, title: `p95 ${data.days[at].name}`, rank: at, value: (row) => of(row, at).p95_ns, cell: (row) => el("span", { class: "dim" }, dash(of(row, at).p95_ns)) })),
  ], { rows: () => data.rows, sort: "-total", search: (row) => `${row.name} ${row.kind}`, placeholder: "Search names", noun: "name", key: (row) => `${row.name} ${row.kind}` });
}

function drawStarts() {
  const starts = data.days.flatMap((day) => day.starts.map((mark) => ({ ...mark, day: day.name })));
  const gaps = data.days.filter((day) => day.gaps);
  if (!starts.length && !gaps.length) return;
  const box = section("starts", "each start is a mark in the curves");
  if (gaps.length) box.append(el("div", { class: "panel" }, el("ul", { class: "plain" }, gaps.map((day) => el("li", { class: "warn" }, `Nothing ran ${day.name} from ${day.gaps}`)))));
  if (!starts.length) return;
  const holder = el("div", { class: "started" });
  box.append(holder);
  table(holder, [
    { key: "at", title: "started", text: true, value: (row) => row.at, cell: (row) => `${row.day} ${row.clock}` },
    { key: "version", title: "version", text: true, value: (row) => row.version, cell: (row) => row.told || "\u2013" },
    { key: "command", title: "command", text: true, fixed: true, rank: 1, value: (row) => row.command.join(" "), cell: (row) => el("code", {}, row.command.join(" ")) },
  ], { rows: () => starts, sort: "-at", limit: 20, noun: "start", key: (row) => String(row.at) });
}

function drawUsed() {
  const rows = data.days.filter((day) => day.used);
  if (!rows.length || data.transaction) return;
  section("used").append(el("div", { class: "panel" }, el("dl", { class: "facts" }, rows.map((day) => [el("dt", {}, day.name), el("dd", {}, day.used)]))));
}

function drawNotes() {
  if (!data.notes.length) return;
  section("known").append(el("div", { class: "panel" }, el("ul", { class: "plain" }, data.notes.map((note) => el("li", {}, `${note}.`)))));
}

for (const draw of [drawVerdict, drawCurves, drawNames, drawStarts, drawUsed, drawNotes]) draw();
startPage("#names input");
