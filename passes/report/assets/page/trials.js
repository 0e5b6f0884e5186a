// Score and cost of every trial, the front among them, each allocator's best, the one that was emitted, the budget.
const FIGURE_ORDER = ["energy_j", "latency_s", "weight_bytes", "peak_activation_bytes"];
const isBetter = (a, b) => (data.higher ? a > b : a < b);

function front(entries) {
  const sorted = entries.filter(([x, y]) => isNumber(x) && isNumber(y)).sort((a, b) => a[0] - b[0] || (data.higher ? b[1] - a[1] : a[1] - b[1]));
  return sorted.reduce((kept, entry) => (kept.length && !isBetter(entry[1], kept[kept.length - 1][1]) ? kept : [...kept, entry]), []);
}
function allocatorNames() {
  return [...new Set([...data.allocators.map((entry) => entry.name), ...data.trials.map((trial) => trial.allocator)])];
}
function trialTip(index) {
  const trial = data.trials[index];
  return tip(`Trial ${index + 1}, ${trial.allocator}`, [
    [data.score, figure(trial.score, data.unit)],
    ...FIGURE_ORDER.map((key, place) => [FIGURES[key][0], isNumber(trial.cost[place]) ? quantity(trial.cost[place], FIGURES[key][1]) : null]),
    trial.bits ? ["", "click: its bits in the first figure"] : ["", null],
  ]);
}
function trialsOption(width, key, view) {
  const place = FIGURE_ORDER.indexOf(key), unit = FIGURES[key][1];
  const names = allocatorNames().filter((name) => !view.hidden.has(name));
  const at = (trial, index) => [trial.cost[place], trial.score, index];
  const dots = names.map((name) => ({
    name, type: "scatter", z: 3, cursor: "pointer", itemStyle: { color: allocatorColour(name), opacity: 0.55 },
    data: data.trials.flatMap((trial, index) => (trial.allocator === name ? [{ value: at(trial, index), symbolSize: index === state.trial ? 14 : 7, itemStyle: index === state.trial ? { borderColor: colour("mark"), borderWidth: 3, opacity: 1 } : {} }] : [])),
  }));
  const steps = front(data.trials.map(at));
  const best = data.allocators.filter((entry) => entry.cost && names.includes(entry.name)).map((entry) => ({
    value: [entry.cost[key], entry.accuracy], name: entry.name, symbolSize: entry.emitted ? 19 : 13,
    itemStyle: { color: allocatorColour(entry.name), borderColor: entry.emitted ? colour("ink") : colour("card"), borderWidth: entry.emitted ? 2.5 : 1.5 },
  }));
  const limit = data.cost.budget.find((entry) => METRICS[entry.metric] === key);
  const costs = [...data.trials.map((trial) => trial.cost[place]).filter(isNumber), ...(limit ? [limit.limit] : [])];
  const line = (entry) => ({ silent: true, symbol: "none", lineStyle: { color: colour("muted"), type: "dashed", width: 1.2 }, label: { color: colour("muted"), fontSize: 11 }, ...entry });
  return {
    grid: { left: 64, right: 22, top: 26, bottom: 46 },
    xAxis: axis({ type: "value", scale: true, name: FIGURES[key][0], nameLocation: "middle", nameGap: 28, max: (range) => Math.max(range.max, limit ? limit.limit : range.max) + 0.05 * (range.max - range.min), ...stepsOf(unit, Math.min(...costs), Math.max(...costs)), axisLabel: { showMinLabel: false, showMaxLabel: false, formatter: (value) => brief(value, unit) } }),
    yAxis: axis({ type: "value", scale: true, axisLabel: { formatter: (value) => (data.unit === "%" ? `${Number(value.toFixed(1))} %` : `${Number(value.toPrecision(4))}`) } }),
    tooltip: tooltip({ trigger: "item", formatter: (entry) => (entry.seriesName === "best" ? bestTip(entry.name) : trialTip(entry.value[2])) }),
    series: [
      { name: "front", type: "line", step: "end", silent: true, symbol: "none", z: 2, lineStyle: { color: colour("muted"), width: 1.6 }, data: steps.map(([x, y]) => [x, y]),
        markLine: limit ? line({ data: [{ xAxis: limit.limit, label: { formatter: "budget" } }] }) : { data: [] } },
      ...dots, { name: "best", type: "scatter", symbol: "diamond", z: 6, data: best },
    ],
  };
}
function bestTip(name) {
  const entry = data.allocators.find((other) => other.name === name);
  return tip(`Best of ${name}${entry.emitted ? " (emitted)" : ""}`, [
    [data.score, figure(entry.accuracy, data.unit)], ...FIGURE_ORDER.map((key) => [FIGURES[key][0], isNumber(entry.cost[key]) ? quantity(entry.cost[key], FIGURES[key][1]) : null]),
  ]);
}
function pickTrial(index) {
  state.trial = index === state.trial || !data.trials[index].bits ? -1 : index;
  drawAll();
}
function startTrials() {
  const scored = data.trials.filter((trial) => isNumber(trial.score));
  if (!scored.length) {
    for (const name of ["trials", "progress"]) document.querySelector(`[data-chart="${name}"]`).closest("section").remove();
    return;
  }
  const first = METRICS[data.cost.budget[0] && data.cost.budget[0].metric];
  const keys = FIGURE_ORDER.filter((key, place) => scored.some((trial) => isNumber(trial.cost[place]))).sort((a, b) => (b === first) - (a === first));
  let view = null;
  const chosen = choice("trials", keys.map((key) => [key, FIGURES[key][0]]), () => view.draw());
  view = addChart("trials", (width) => {
    legend("trials", [...allocatorNames().map((name) => [name, allocatorColour(name), "round", true]), ["best of each (framed: emitted)", colour("muted"), "diamond"], ["front", colour("muted"), "line"]], view);
    return trialsOption(width, chosen(), view);
  });
  if (view) view.click = (event) => { if (event.value && event.value.length === 3) pickTrial(event.value[2]); };
  startProgress();
}
