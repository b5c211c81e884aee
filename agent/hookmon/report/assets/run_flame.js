// Trees as flame graphs. Of the call tree a place is as wide as its time and that of all that it called.

const LEAST_SHARE = 0.0012; // of what is shown: narrower places cannot be seen
const ROW = 22;

function drawFlame() {
  const tree = data.tree;
  if (!tree.parent.length) return;
  flameGraph(section("flame", "wide is slow; select a place to look closer"), tree, {
    label: "Call tree", width: tree.width_ns, value: duration, all: "in watched calls",
    figures: (index) => `, itself ${duration(tree.self_ns[index])}, `
      + `${count(tree.calls[index], "call")}, ${duration(tree.calls[index] ? tree.total_ns[index] / tree.calls[index] : 0)} each`
      + (tree.errors[index] ? `, ${count(tree.errors[index], "error")}` : ""),
  });
}

/** Draw a tree of columns into a box: `width` are the widths of its places, `value` says one in words, `figures` what else there is. */
function flameGraph(box, tree, { label, width, value, all: wholeOf, figures }) {
  const many = tree.parent.length;
  const children = Array.from({ length: many + 1 }, () => []);
  const all = many; // the row that holds all roots
  let whole = 0;
  for (let index = 0; index < many; index++) {
    const parent = tree.parent[index];
    children[parent >= 0 ? parent : all].push(index);
    if (parent < 0) whole += width[index];
  }
  for (const list of children) list.sort((a, b) => width[b] - width[a]);
  const widthOf = (index) => index === all ? whole : width[index];
  const nameOf = (index) => index === all ? "all" : tree.names[tree.name[index]][0];
  const kindOf = (index) => index === all ? "" : tree.names[tree.name[index]][1];
  const parentOf = (index) => index === all ? null : tree.parent[index] >= 0 ? tree.parent[index] : all;
  let focus = all;
  let text = "";

  const graph = el("div", { class: "flame", role: "group", "aria-label": `${label}. Arrow keys move, Enter looks closer, Backspace goes back.` });
  const status = el("div", { class: "status dim", role: "status" });
  const found = el("span", { class: "dim" });
  const input = el("input", { type: "search", placeholder: "Search the tree", "aria-label": "Search the tree", on: {
    input: () => { text = input.value.toLowerCase(); draw(); },
    keydown: (event) => { if (event.key === "Escape") { event.stopPropagation(); input.value = text = ""; draw(); input.blur(); } },
  } });
  const back = el("button", { type: "button", on: { click: () => zoom(all) } }, "Whole tree");
  box.append(el("div", { class: "tools" }, input, back, found), graph, status);

  function describe(index) {
    if (index === all) return [`all: ${value(whole)} ${wholeOf}`];
    const site = tree.sites[tree.site[index]];
    return [el("b", {}, nameOf(index)), ` ${kindOf(index)}: ${value(widthOf(index))} (${percent(widthOf(index) / (whole || 1))})${figures(index)}`, site ? el("div", { class: "mono" }, place(site)) : ""];
  }

  function zoom(index) {
    focus = index;
    draw();
    graph.querySelector(`[data-index="${index}"]`)?.focus({ preventScroll: true });
    status.replaceChildren(...describe(index));
  }

  function draw() {
    const above = [];
    for (let index = parentOf(focus); index !== null; index = parentOf(index)) above.unshift(index);
    const waiting = [[focus, 0, above.length]];
    const boxes = above.map((index, depth) => [index, 0, 1, depth]);
    const base = widthOf(focus) || 1;
    while (waiting.length) {
      const [index, left, depth] = waiting.pop();
      boxes.push([index, left, widthOf(index) / base, depth]);
      let at = left;
      for (const child of children[index]) {
        const share = widthOf(child) / base;
        if (share < LEAST_SHARE) break; // the widest come first
        waiting.push([child, at, depth + 1]);
        at += share;
      }
    }
    let deepest = 0;
    let matching = 0;
    const made = boxes.map(([index, left, share, depth]) => {
      deepest = Math.max(deepest, depth);
      const button = el("button", { type: "button", tabindex: index === focus ? "0" : "-1", "data-index": index, left: `${100 * left}%`, width: `${100 * Math.min(1, share)}%`,
        tint: kindOf(index), class: index === all ? "all" : null, "aria-label": `${nameOf(index)}, ${value(widthOf(index))}` }, share > 0.02 ? nameOf(index) : "");
      button.style.top = `${depth * ROW}px`;
      if (text && index !== all) {
        const isFound = nameOf(index).toLowerCase().includes(text);
        button.classList.add(isFound ? "found" : "faded");
        matching += isFound;
      }
      return button;
    });
    graph.style.height = `${(deepest + 1) * ROW}px`;
    graph.replaceChildren(...made);
    back.hidden = focus === all;
    const isWhole = focus === all && boxes.length === many + 1 && !tree.left_out;
    found.textContent = text ? `${count(matching, "place")} found here` : isWhole ? count(many, "place")
      : `${count(boxes.length - 1)} of ${count(many + tree.left_out, "place")}` + (focus === all ? ", the narrowest are not drawn" : "");
    if (!status.childNodes.length) status.replaceChildren(...describe(focus));
  }

  const indexOf = (event) => event.target.dataset.index === undefined ? null : Number(event.target.dataset.index);
  graph.addEventListener("click", (event) => { if (indexOf(event) !== null) zoom(indexOf(event)); });
  for (const kind of ["mouseover", "focusin"]) graph.addEventListener(kind, (event) => { if (indexOf(event) !== null) status.replaceChildren(...describe(indexOf(event))); });
  graph.addEventListener("keydown", (event) => {
    const index = indexOf(event);
    if (index === null) return;
    const besides = parentOf(index) === null ? [index] : children[parentOf(index)];
    const at = besides.indexOf(index);
    const next = { ArrowUp: parentOf(index), ArrowDown: children[index][0], ArrowLeft: besides[at - 1], ArrowRight: besides[at + 1] }[event.key];
    if (event.key === "Backspace" || event.key === "Escape") { event.preventDefault(); event.stopPropagation(); zoom(event.key === "Escape" ? all : parentOf(focus) ?? all); return; }
    if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
    if (next !== undefined && next !== null) graph.querySelector(`[data-index="${next}"]`)?.focus({ preventScroll: true });
  });
  draw();
}
