// What each width of each operand alone would cost: a heat map, layers across, widths down.
const SENSITIVITIES = { output_error: "Error of the output", lost: "Points lost" };
const ERROR_FLOOR = 1e-6;

function sensitivityCells(key) {
  return layers.flatMap((layer, index) => ["weight", "activation"].flatMap((operand) => ((layer.sensitivity || {})[operand] || [])
    .map((entry) => ({ index, operand, ...entry, shown: entry[key] }))));
}
function sensitivityOption(width, key) {
  const cells = sensitivityCells(key);
  const rows = ["activation", "weight"].flatMap((operand) => [...new Set(cells.filter((cell) => cell.operand === operand).map((cell) => cell.bits))].sort((a, b) => b - a).map((bits) => ({ operand, bits })));
  const height = (value) => (key === "lost" ? Math.max(0, value) : Math.log10(Math.max(value, ERROR_FLOOR)));
  const values = cells.filter((cell) => isNumber(cell.shown)).map((cell) => height(cell.shown));
  const palette = [0, 1, 2, 3, 4].map((step) => colour(`h${step}`));
  const low = key === "lost" ? 0 : Math.min(...values), high = Math.max(low + 1e-9, ...values);
  return {
    grid: gridOf(width, 52),
    xAxis: layerAxis(width),
    yAxis: axis({ type: "category", data: rows.map((row) => `${row.operand === "weight" ? "W" : "A"}${row.bits}`), splitLine: { show: false }, axisLabel: { interval: 0, hideOverlap: false } }),
    visualMap: { show: false, min: low, max: high, dimension: 2, inRange: { color: palette } },
    tooltip: tooltip({
      trigger: "item",
      formatter: ({ data: { cell } }) => tip(title(cell.index), [
        ["operand", `${cell.operand === "weight" ? "weights" : "activations"} at ${cell.bits} bits`],
        ["squared error of the output", `${Number(cell.output_error.toPrecision(3))} of its spread`], ["of the layers that read it", Number(cell.layer_error.toPrecision(3)).toString()],
        ["points lost alone", isNumber(cell.lost) ? points(cell.lost, data.unit) : null],
      ]),
    }),
    series: [{
      type: "heatmap", cursor: "pointer", markLine: mark(width), emphasis: { disabled: true },
      data: cells.filter((cell) => isNumber(cell.shown)).map((cell) => ({
        cell, value: [cell.index, rows.findIndex((row) => row.operand === cell.operand && row.bits === cell.bits), height(cell.shown)],
        itemStyle: cell.bits === layers[cell.index][`${cell.operand}_bits`]
          ? { borderColor: colour("ink"), borderWidth: 2 } : { borderColor: colour("card"), borderWidth: 1 },
      })).sort((a, b) => a.itemStyle.borderWidth - b.itemStyle.borderWidth),
    }],
  };
}
function startSensitivity() {
  const keys = Object.keys(SENSITIVITIES).filter((key) => sensitivityCells(key).some((cell) => isNumber(cell.shown)));
  if (!keys.length) return;
  let view = null;
  const chosen = choice("sensitivity", keys.map((key) => [key, SENSITIVITIES[key]]), () => view.draw());
  view = addChart("sensitivity", (width) => {
    const ramp = `linear-gradient(to right, ${[0, 1, 2, 3, 4].map((step) => colour(`h${step}`)).join(", ")})`;
    legend("sensitivity", [[`harmless to costly, ${chosen() === "lost" ? "linear" : "logarithmic"}`, ramp, "ramp"]]);
    return sensitivityOption(width, chosen());
  }, { slot: 7.8 });
  if (view) view.click = (event) => { if (event.data && event.data.cell) pick(event.data.cell.index); };
}
