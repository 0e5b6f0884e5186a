// The panel with everything about the layer that is picked; Escape closes it, the arrows go on.
function panelRows(layer) {
  const before = layer.baseline, cells = (words, was, now, relative) => [words, was, now, relative];
  const moved = (entry) => (entry.moved_bytes && Object.keys(entry.moved_bytes).length ? sumOf(entry, "moved") : null);
  return [
    cells("bits, W / A", "8 / 8", `${layer.weight_bits} / ${layer.activation_bits}`, ""),
    cells("latency", quantity(before.latency_s, "s"), quantity(layer.latency_s, "s"), change(layer.latency_s, before.latency_s)),
    cells("energy", quantity(before.energy_j, "J"), quantity(layer.energy_j, "J"), change(layer.energy_j, before.energy_j)),
    cells("weights, packed", quantity(before.weight_bytes, "B"), quantity(layer.weight_bytes, "B"), change(layer.weight_bytes, before.weight_bytes)),
    ...(moved(layer) === null ? [] : [cells("off-chip", quantity(moved(before), "B"), quantity(moved(layer), "B"), change(moved(layer), moved(before)))]),
  ];
}
function line(tag, cells) {
  return element("tr", {}, ...cells.map((text, place) => element(place === 0 || tag === "th" ? "th" : "td", { textContent: text })));
}
function alternativesTable(layer) {
  if (!layer.alternatives || !layer.alternatives.length) return null;
  const rows = layer.alternatives.map((other) => line("td", [
    `W${other.weight_bits} A${other.activation_bits}`, `${points(other.loss, data.unit)}${other.measured ? "" : "*"}`, quantity((other.cost || {}).energy_j, "J"), quantity((other.cost || {}).latency_s, "s"),
  ]));
  const isPredicted = layer.alternatives.some((other) => !other.measured);
  return element("div", {}, element("table", {}, element("thead", {}, line("th", ["next best", "loss", "energy", "latency"])), element("tbody", {}, ...rows)),
    isPredicted ? element("p", { className: "small muted", textContent: "* predicted, not measured" }) : null);
}
function drawPanel(panel) {
  panel.hidden = state.layer < 0 || state.isPrinting;
  if (state.layer < 0) return;
  const layer = layers[state.layer];
  const go = (words, label, action) => {
    const button = element("button", { type: "button", textContent: words, onclick: action });
    button.setAttribute("aria-label", label);
    return button;
  };
  const step = (by) => pick((state.layer + by + layers.length) % layers.length);
  panel.replaceChildren(...[
    element("div", { className: "top" }, element("h2", { textContent: `${state.layer + 1}. ${layer.name}` }), go("‹", "Layer before", () => step(-1)), go("›", "Next layer", () => step(1)), go("×", "Close", () => pick(state.layer))),
    element("p", { className: "small muted", textContent: `${layer.op}, ${layer.kind}, ${quantity(layer.macs, "MACs")}${BOUNDS[layer.bound] ? `, ${BOUNDS[layer.bound][0]}` : ""}` }),
    element("table", {}, element("thead", {}, line("th", ["", "at 8/8", "policy", "change"])), element("tbody", {}, ...panelRows(layer).map((cells) => line("td", cells)))),
    isNumber(layer.accuracy_lost) ? element("p", { className: "small", textContent: `These widths alone cost ${points(layer.accuracy_lost, data.unit)}.` }) : null,
    alternativesTable(layer),
    layer.reason ? element("p", { className: "small", textContent: layer.reason }) : null,
  ].filter(Boolean));
}
function startPanel() {
  const panel = document.getElementById("panel");
  views.push({ draw: () => drawPanel(panel) });
  addEventListener("keydown", (event) => {
    if (state.layer < 0 || event.target.matches("input")) return;
    if (event.key === "Escape") pick(state.layer);
    if (event.key === "ArrowRight") pick((state.layer + 1) % layers.length);
    if (event.key === "ArrowLeft") pick((state.layer + layers.length - 1) % layers.length);
  });
}
