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
const signed = (value, unit) => (isNumber(value) ? `${value > 0 ? "+" : ""}${quantity(value, unit)}` : null);
// What stood next to these widths: what it loses, what it changes of the network's cost, why it was not taken.
function alternatives(layer) {
  if (!layer.alternatives || !layer.alternatives.length) return null;
  const items = layer.alternatives.map((other) => {
    const costs = Object.entries(FIGURES).map(([key, [words, unit]]) => [words, signed((other.cost || {})[key], unit)])
      .filter(([, value]) => value !== null && !/^[-+]?0 /.test(value)).map(([words, value]) => `${words} ${value}`);
    const lost = isNumber(other.loss) ? `${other.loss < 0 ? "better by" : "loses"} ${points(Math.abs(other.loss), data.unit)}${other.measured ? "" : ", estimated"}` : "loss unknown";
    return element("li", {},
      element("div", { className: "pair" }, element("strong", { textContent: `W${other.weight_bits} A${other.activation_bits}` }), element("span", { textContent: lost })),
      element("div", { className: "muted", textContent: costs.join(", ") }), other.reason ? element("div", { className: "muted", textContent: other.reason }) : null);
  });
  return element("div", { className: "small" }, element("h3", { textContent: "Next to these widths" }), element("ul", { className: "rows" }, ...items));
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
    layer.output_error ? element("p", { className: "small", textContent: `These widths alone change the output by ${Number(layer.output_error.toPrecision(2))} of its spread (squared error, before any training).` }) : null,
    alternatives(layer),
    layer.reason ? element("p", { className: "small", textContent: layer.reason }) : null,
  ].filter(Boolean));
}
function startPanel() {
  const panel = document.getElementById("panel");
  views.push({ draw: () => drawPanel(panel) });
  addEventListener("keydown", (event) => {
    if (state.layer < 0 || event.target === document.getElementById("find")) return;
    if (event.key === "Escape") pick(state.layer);
    if (event.key === "ArrowRight") pick((state.layer + 1) % layers.length);
    if (event.key === "ArrowLeft") pick((state.layer + layers.length - 1) % layers.length);
  });
}
