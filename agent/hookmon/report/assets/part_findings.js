// Findings as cards: what is wrong, where, how that is known, and what it would save.

const CARDS = 8; // shown at once

/** Draw findings into `box`. `more(finding)` says what is known beside it: {whole, beside, tone, saves}: a time in ns, an element, a class, words. */
function findingCards(box, findings, more) {
  const card = (finding) => {
    const { whole, beside, tone, saves } = more(finding);
    const share = finding.saving_ns && whole ? `, ${percent(finding.saving_ns / whole)} of its time` : "";
    return el("article", { class: `panel finding tone-${tone || finding.severity}` },
      el("div", { class: "head" }, el("h3", {}, finding.title), finding.saving_ns ? el("span", { class: "saves" }, `${saves || "saves up to"} ${duration(finding.saving_ns)}${share}`) : null),
      finding.location ? el("p", {}, el("code", { class: "place" }, finding.location)) : null,
      el("p", {}, finding.evidence),
      el("div", { class: "meta" }, el("span", {}, el("span", { class: "severity" }, finding.severity), ` \u00b7 ${finding.kind}`), el("span", {}, finding.id), beside));
  };
  const rest = findings.slice(CARDS);
  box.append(...findings.slice(0, CARDS).map(card));
  if (!rest.length) return;
  box.append(el("div", { class: "panel" }, el("button", { class: "plain", type: "button", on: { click: (event) => {
    const next = rest.splice(0, 50).map(card);
    event.target.parentNode.before(...next);
    if (rest.length) event.target.textContent = `Show more: ${count(rest.length)} left`;
    else event.target.parentNode.remove();
    next[0].tabIndex = -1;
    next[0].focus({ preventScroll: true });
  } } }, `Show ${count(rest.length)} more`)));
}
