// Elements and texts. Whatever comes from a program reaches the page as a text node, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: attributes, then children; a string becomes a text node, null and false are left out. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (key === "tint") made.style.setProperty("--tint", tint(value));
    else if (key === "width") made.style.width = value;
    else if (key === "left") made.style.left = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const KINDS = ["request", "task", "sql", "cache", "http", "rpc", "process", "queue", "template", "hook", "function", "import", "gc"];

/** The colour of a kind, as a value of CSS. */
function tint(kind) {
  return `var(--k-${KINDS.includes(kind) ? kind : "other"})`;
}

function kindMark(kind) {
  return el("span", { class: "kind", tint: kind }, kind || "program");
}

function three(value) {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

/** A duration with three digits: the same text as on the terminal. */
function duration(ns) {
  if (ns < 0) return "-" + duration(-ns);
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 999.5e3) return `${three(ns / 1e3)} \u00b5s`;
  if (ns < 999.5e6) return `${three(ns / 1e6)} ms`;
  if (ns < 119.5e9) return `${three(ns / 1e9)} s`;
  const seconds = Math.round(ns / 1e9);
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

function size(bytes) {
  let value = bytes;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 999.5) return unit === "B" ? `${Math.round(value)} B` : `${three(value)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} TB`;
}

/** A number with its thousands apart, and with a noun. */
function count(number, noun = "") {
  const text = Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  return noun ? `${text} ${noun}${number === 1 ? "" : noun.endsWith("s") ? "es" : "s"}` : text;
}

/** What stands before the lower bound of a number. */
function atLeast(bounded) {
  return bounded ? "\u2265 " : "";
}

function percent(share) {
  return share > 0 && share < 0.005 ? "<1 %" : `${Math.round(share * 100)} %`;
}

function finePercent(share) {
  const value = share * 100;
  if (!value) return "0 %";
  return value < 0.001 ? "<0.001 %" : value >= 9.95 ? `${value.toFixed(0)} %` : `${Number(value.toPrecision(2))} %`;
}

function rate(perSecond) {
  return perSecond >= 99.5 ? count(perSecond) : perSecond >= 1 ? perSecond.toFixed(1) : perSecond.toPrecision(2);
}

/** A call site, told from the folder of the installed libraries, of the project, or of the standard library. */
function place(site) {
  const project = data.run.project;
  const installed = Math.max(site.lastIndexOf("/site-packages/"), site.lastIndexOf("/dist-packages/"));
  if (installed >= 0) return site.slice(installed + 1);
  if (project && site.startsWith(project + "/")) return site.slice(project.length + 1);
  const library = /^\/.*\/lib(?:32|64)?\/(python3\.\d+t?\/.*)/.exec(site);
  return library ? library[1] : site;
}

/** Show a section, and say what stands beside its heading. */
function section(id, aside = "") {
  const found = document.getElementById(id);
  found.hidden = false;
  if (aside) found.querySelector("h2").append(el("span", { class: "aside" }, aside));
  return found.querySelector(".body");
}

/** A bar of coloured pieces: [[kind, share]], shares of the whole width. */
function bar(pieces, big = false) {
  const made = el("div", { class: big ? "bar big" : "bar", role: "presentation" });
  for (const [kind, share] of pieces) {
    const piece = el("i", { width: `${100 * share}%`, title: `${kind} ${percent(share)}` });
    piece.style.background = tint(kind);
    made.append(piece);
  }
  return made;
}
