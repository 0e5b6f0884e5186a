// Cost of each layer before (uniform 8/8) and after (this policy), by where it goes.
const FIGURES = { energy_j: ["energy", "J"], latency_s: ["latency", "s"], weight_bytes: ["weights", "B"], peak_activation_bytes: ["peak memory", "B"] };
const METRICS = { energy: "energy_j", latency: "latency_s", size: "weight_bytes", memory: "peak_activation_bytes" };
const PARTS = {
  energy_j: [["compute", "arithmetic", "compute"], ["on_chip", "on-chip memory", "on-chip"], ["off_chip", "off-chip memory", "off-chip"], ["leakage", "leakage", "leakage"]],
  moved: [["activations", "activations read", "activation"], ["weights", "weights read", "weight"], ["outputs", "results written", "off-chip"]],
};
const BOUNDS = { compute: ["bound by arithmetic", "compute"], activations: ["bound by activations moved", "off-chip"], weights: ["bound by weights moved", "weight"] };
const COST_WORDS = { energy_j: ["Energy", "J"], latency_s: ["Latency", "s"], moved: ["Off-chip bytes", "B"], weight_bytes: ["Weights, packed", "B"] };

const partsOf = (entry, key) => (key === "energy_j" ? entry.energy_parts_j : key === "moved" ? entry.moved_bytes : null);
const sumOf = (entry, key) => (key === "moved" ? Object.values(entry.moved_bytes || {}).reduce((sum, value) => sum + value, 0) : entry[key]);
const hasParts = (key) => layers.every((layer) => partsOf(layer, key) && partsOf(layer.baseline, key) && Object.keys(partsOf(layer, key)).length);
const isKnown = (key) => (key === "moved" ? hasParts("moved") : layers.some((layer) => isNumber(layer[key])));

// The stacks of one figure: name, colour of a layer, value of an entry.
function stacks(key) {
  if (PARTS[key] && hasParts(key)) {
    return PARTS[key].map(([part, words, paint]) => ({ words, paint: () => colour(paint), value: (entry) => partsOf(entry, key)[part] }))
      .filter((stack) => layers.some((layer) => stack.value(layer) || stack.value(layer.baseline)));
  }
  const paint = key === "latency_s" ? (entry) => colour((BOUNDS[entry.bound] || BOUNDS.compute)[1]) : () => colour("weight");
  return [{ words: COST_WORDS[key][0].toLowerCase(), paint, value: (entry) => entry[key] }];
}
function costsOption(width, key) {
  const unit = COST_WORDS[key][1];
  const highest = Math.max(...layers.flatMap((layer) => [sumOf(layer, key) || 0, sumOf(layer.baseline, key) || 0]));
  const series = stacks(key).flatMap((stack, place) => ["before", "after"].map((when) => ({
    name: stack.words, type: "bar", stack: when, barGap: "8%", barCategoryGap: "28%", barMaxWidth: 26, cursor: "pointer",
    data: layers.map((layer) => {
      const entry = when === "before" ? layer.baseline : layer;
      return { value: stack.value(entry), itemStyle: { color: stack.paint(entry), opacity: when === "before" ? 0.38 : 1 } };
    }),
    markLine: place === 0 && when === "after" ? mark(width) : { data: [] },
  })));
  return {
    grid: gridOf(width, 72),
    xAxis: layerAxis(width), yAxis: axis({ type: "value", ...stepsOf(unit, 0, highest), axisLabel: { formatter: (value) => brief(value, unit) } }),
    tooltip: bandTip((index) => {
      const layer = layers[index], before = layer.baseline;
      const parts = stacks(key).length > 1 ? stacks(key).map((stack) => [stack.words, `${quantity(stack.value(before), unit)} → ${quantity(stack.value(layer), unit)}`]) : [];
      return tip(title(index), [
        ["widths", widths(layer)], ["at 8/8", quantity(sumOf(before, key), unit)], ["at this policy", quantity(sumOf(layer, key), unit)],
        ["change", change(sumOf(layer, key), sumOf(before, key))], ...parts, ["bound", BOUNDS[layer.bound] ? BOUNDS[layer.bound][0] : null],
      ]);
    }),
    series,
  };
}
function costsLegend(key) {
  const entries = key === "latency_s" && layers.every((layer) => layer.bound)
    ? Object.entries(BOUNDS).filter(([bound]) => layers.some((layer) => layer.bound === bound || layer.baseline.bound === bound)).map(([, [words, paint]]) => [words, colour(paint)])
    : stacks(key).map((stack) => [stack.words, stack.paint(layers[0])]);
  legend("costs", [...entries, ["at 8/8", colour("muted"), "pale"], ["at this policy", colour("muted")]]);
  const total = (when) => (key in data.cost.policy ? data.cost[when][key] : layers.reduce((sum, layer) => sum + sumOf(when === "policy" ? layer : layer.baseline, key), 0));
  const scope = COST_WORDS[key][1] === "B" && key !== "moved" ? "" : data.batch === 1 ? " of one inference" : ` of one batch of ${data.batch}`;
  document.querySelector('[data-words="costs"]').textContent = `${COST_WORDS[key][0]}${scope}: `
    + `${quantity(total("baseline"), COST_WORDS[key][1])} at 8/8, ${quantity(total("policy"), COST_WORDS[key][1])} at this policy (${change(total("policy"), total("baseline"))}).`;
}
function startCosts() {
  const first = METRICS[data.cost.budget[0] && data.cost.budget[0].metric];
  const keys = Object.keys(COST_WORDS).filter(isKnown).sort((a, b) => (b === first) - (a === first));
  let view = null;
  const chosen = choice("costs", keys.map((key) => [key, COST_WORDS[key][0]]), () => view.draw());
  view = addChart("costs", (width) => {
    costsLegend(chosen());
    return costsOption(width, chosen());
  }, { slot: 7.8 });
  if (view) view.click = (event) => { if (event.componentType === "series") pick(event.dataIndex); };
}
