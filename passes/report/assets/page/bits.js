// Bits of each layer, as the paper draws its policies: weights up, activations down, depthwise layers lighter.
const isDepthwise = (layer) => layer.kind === "depthwise";

function trialBits() {
  const trial = data.trials[state.trial];
  return trial && trial.bits ? trial.bits.split(" ").map((pair) => pair.split("/").map(Number)) : null;
}
function bitsOption(width) {
  const most = Math.max(8, ...layers.map((layer) => layer.weight_bits));
  // Data in float are as wide as the chart.
  const shown = (bits) => Math.min(bits, most);
  const series = (name, field, sign) => ({
    name, type: "bar", stack: "bits", barWidth: "68%", barMaxWidth: 46, cursor: "pointer",
    data: layers.map((layer) => ({
      value: sign * shown(layer[`${field}_bits`]),
      itemStyle: {
        color: colour(isDepthwise(layer) ? `${field}-2` : field),
        borderRadius: sign > 0 ? [3, 3, 0, 0] : [0, 0, 3, 3],
      },
      label: { show: slotPixels(width) >= 17, position: "inside", fontSize: 11, fontWeight: 600, color: isDepthwise(layer) ? colour("ink") : colour("on-bits"), formatter: () => `${layer[`${field}_bits`]}` },
    })),
    markLine: sign > 0 ? mark(width) : { data: [] },
  });
  const other = trialBits();
  const ghost = (name, sign, place) => ({
    name, type: "scatter", symbol: "rect", symbolSize: [Math.max(5, Math.min(50, 0.8 * slotPixels(width))), 3], silent: true, z: 5,
    itemStyle: { color: colour("ink") }, data: other.map((pair, index) => [index, sign * shown(pair[place])]),
  });
  return {
    grid: gridOf(width, 46),
    xAxis: layerAxis(width),
    yAxis: axis({ type: "value", min: -most, max: most, interval: 2, name: "activations, weights (bits)", nameLocation: "middle", nameGap: 30, axisLabel: { formatter: (value) => `${Math.abs(value)}` } }),
    tooltip: bandTip((index) => {
      const layer = layers[index];
      return tip(title(index), [
        ["weights", `${layer.weight_bits} bits`], ["activations", `${layer.activation_bits} bits`], ["operator", `${layer.op}, ${layer.kind}`],
        ["MACs, one inference", quantity(layer.macs, "")], other ? [`trial ${state.trial + 1}`, `W${other[index][0]} A${other[index][1]}`] : ["", null], layer.reason ? ["reason", middle(layer.reason, 90)] : ["", null],
      ]);
    }),
    series: [series("weights", "weight", 1), series("activations", "activation", -1), ...(other ? [ghost("its weights", 1, 0), ghost("its activations", -1, 1)] : [])],
  };
}
function startBits() {
  const view = addChart("bits", (width) => {
    const light = layers.some(isDepthwise) && !layers.every(isDepthwise);
    legend("bits", [
      ["weights", colour("weight")], ["activations", colour("activation")],
      ...(light ? [["weights, depthwise", colour("weight-2")], ["activations, depthwise", colour("activation-2")]] : []),
      ...(trialBits() ? [[`trial ${state.trial + 1} (${data.trials[state.trial].allocator})`, colour("ink"), "line"]] : []),
    ]);
    return bitsOption(width);
  }, { slot: 7 });
  if (view) view.click = (event) => { if (event.componentType === "series") pick(event.dataIndex); };
}
