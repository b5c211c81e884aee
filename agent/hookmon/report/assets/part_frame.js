// What every page has around its sections: the data, light and dark, keys, and the way from section to section.

const data = JSON.parse(document.getElementById("data").textContent);
const themed = [];

function whenThemed(watcher) {
  themed.push(watcher);
}

/** Draw into a box now, and again when its width or the theme has changed. */
function keepDrawn(box, draw) {
  draw();
  let width = box.clientWidth;
  new ResizeObserver(() => {
    if (box.clientWidth === width) return;
    width = box.clientWidth;
    draw();
  }).observe(box);
  whenThemed(draw);
}

/** Say it all in one sentence: `above` stands over it, `tiles` below are [figure, label, tone]; without a figure there is none. */
function showVerdict(above, verdict, tiles) {
  document.getElementById("verdict").append(el("div", { class: `panel verdict tone-${verdict.state}` },
    el("div", { class: "command" }, above),
    el("h1", {}, verdict.title),
    el("p", { class: "detail" }, verdict.detail),
    el("div", { class: "tiles" }, tiles.filter((tile) => tile && tile[0]).map(([figure, label, tone]) => el("div", { class: "tile" }, el("b", { class: tone || null }, figure), el("span", {}, label)))),
  ));
}

/** Light or dark: what the system says, until the button says otherwise. */
function startTheme() {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const tell = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    for (const watcher of themed) watcher();
  };
  const turn = (theme) => { root.dataset.theme = theme; tell(); };
  button.addEventListener("click", () => turn(isDark() ? "light" : "dark"));
  system.addEventListener("change", tell);
  let before;
  addEventListener("beforeprint", () => { before = root.dataset.theme; turn("light"); });
  addEventListener("afterprint", () => { if (before) root.dataset.theme = before; else delete root.dataset.theme; tell(); });
  tell();
}

function startKeys(sections, searched, escape) {
  let current = -1;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "/") { event.preventDefault(); document.querySelector(searched)?.focus(); }
    if (event.key === "t") document.getElementById("theme").click();
    if (event.key === "Escape") escape();
    if (event.key === "j" || event.key === "k") {
      current = Math.max(0, Math.min(sections.length - 1, current + (event.key === "j" ? 1 : -1)));
      sections[current].scrollIntoView();
      sections[current].focus({ preventScroll: true });
    }
  });
}

/** Begin, when all sections are drawn: `searched` are the fields that a slash goes to, `escape` is what Escape does. */
function startPage(searched, escape = () => {}) {
  const sections = [...document.querySelectorAll("main section[data-title]")].filter((each) => !each.hidden);
  for (const each of sections) each.tabIndex = -1;
  document.getElementById("nav").append(...sections.map((each) => el("a", { href: `#${each.id}` }, each.dataset.title)));
  startTheme();
  startKeys(sections, searched, escape);
}
