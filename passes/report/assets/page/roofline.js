// The roofline (Williams, Waterman and Patterson, CACM 52(4), 2009): layers before and after, under the target's roofs.
function rooflinePoint(layer, entry) {
  const moved = entry.moved_bytes || {};
  const bytes = (moved.activations || 0) + (moved.weights || 0) + (data.roofline.results_are_free ? 0 : moved.outputs || 0);
  return bytes && entry.latency_s && layer.macs ? [(layer.macs * data.batch) / bytes, (layer.macs * data.batch) / entry.latency_s] : null;
}
function rooflineExtent(points, peaks, bandwidth) {
  const full = peaks.find((peak) => peak.weight_bits === 8 && peak.activation_bits === 8) || peaks[0];
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const right = 3 * Math.max(full.macs_per_s / bandwidth, ...xs), left = Math.min(full.macs_per_s / bandwidth, ...xs) / 2;
  const high = 1.6 * Math.max(full.macs_per_s, ...ys, ...peaks.map((peak) => peak.macs_per_s).filter((rate) => rate / bandwidth < right / 1.5));
  return { left, right, low: Math.min(...ys) / 2, high };
}
// Roofs whose labels would touch: the lower one goes without.
function labelled(peaks, extent, height) {
  const room = height / Math.log10(extent.high / extent.low);
  let last = Infinity;
  return peaks.map((peak) => {
    const y = Math.log10(peak.macs_per_s) * room;
    const fits = peak.weight_bits === 8 && peak.activation_bits === 8 ? true : last - y >= 15 && Math.abs(y - Math.log10(peaks[peaks.length - 1].macs_per_s) * room) >= 15;
    if (fits) last = y;
    return fits;
  });
}
function rooflineOption(width, before, after) {
  const { bandwidth_bytes_per_s: bandwidth } = data.roofline;
  const sorted = [...data.roofline.peaks].sort((a, b) => b.macs_per_s - a.macs_per_s);
  const extent = rooflineExtent([...before, ...after].filter(Boolean), sorted, bandwidth);
  const peaks = sorted.filter((peak) => peak.macs_per_s <= extent.high);
  const hasLabel = labelled(peaks, extent, 300);
  const roofs = peaks.map((peak, place) => {
    const isFull = peak.weight_bits === 8 && peak.activation_bits === 8;
    const ridge = Math.max(extent.left, peak.macs_per_s / bandwidth);
    return {
      type: "line", silent: true, symbol: "none", z: 1, data: [[ridge, peak.macs_per_s], [extent.right, peak.macs_per_s]],
      lineStyle: { color: colour(isFull ? "ink" : "muted"), width: isFull ? 1.6 : 1, opacity: isFull ? 1 : 0.4 },
      endLabel: { show: hasLabel[place], formatter: () => `W${peak.weight_bits} A${peak.activation_bits}`, color: colour("muted"), fontSize: 11, distance: 4 },
    };
  });
  const top = Math.min(extent.high, extent.right * bandwidth, sorted[0].macs_per_s);
  const start = Math.max(extent.left, extent.low / bandwidth);
  const memory = { type: "line", silent: true, symbol: "none", z: 1, data: [[start, start * bandwidth], [top / bandwidth, top]], lineStyle: { color: colour("ink"), width: 1.6 } };
  const points = (coordinates, isAfter) => ({
    name: isAfter ? "after" : "before", type: "scatter", z: isAfter ? 4 : 3, cursor: "pointer",
    data: coordinates.map((value, index) => ({
      value: value || [NaN, NaN], symbolSize: index === state.layer ? 15 : 9,
      itemStyle: isAfter
        ? { color: colour("accent"), borderColor: index === state.layer ? colour("mark") : colour("card"), borderWidth: index === state.layer ? 3 : 1, opacity: state.layer < 0 || index === state.layer ? 0.95 : 0.35 }
        : { color: colour("card"), borderColor: index === state.layer ? colour("mark") : colour("muted"), borderWidth: index === state.layer ? 3 : 1.4, opacity: state.layer < 0 || index === state.layer ? 0.95 : 0.35 },
    })),
  });
  const ways = before.map((from, index) => [from, after[index], index]).filter(([from, to]) => from && to).map(([from, to, index]) => ({
    type: "line", silent: true, symbol: "none", z: 2, data: [from, to],
    lineStyle: { color: colour(index === state.layer ? "mark" : "muted"), width: index === state.layer ? 2.5 : 1, opacity: index === state.layer ? 1 : 0.28 },
  }));
  return {
    grid: { left: 78, right: 62, top: 16, bottom: 46 },
    xAxis: axis({ type: "log", min: extent.left, max: extent.right, name: `MAC / byte moved${data.roofline.results_are_free ? " (writing is free)" : ""}`, nameLocation: "middle", nameGap: 28, axisLabel: { showMinLabel: false, showMaxLabel: false, formatter: (value) => brief(value, "") } }),
    yAxis: axis({ type: "log", min: extent.low, max: extent.high, axisLabel: { showMinLabel: false, showMaxLabel: false, formatter: (value) => brief(value, "MAC/s") } }),
    tooltip: tooltip({
      trigger: "item",
      formatter: ({ dataIndex: index, seriesName: when, value: [x, y] }) => tip(title(index), [
        ["", when === "after" ? "at this policy" : "at 8/8"], ["widths", when === "after" ? widths(layers[index]) : "W8 A8"],
        ["rate", quantity(y, "MAC/s")], ["intensity", quantity(x, "MAC/B")], ["latency", quantity((when === "after" ? layers[index] : layers[index].baseline).latency_s, "s")],
        ["bound", ((entry) => (BOUNDS[entry.bound] ? BOUNDS[entry.bound][0] : null))(when === "after" ? layers[index] : layers[index].baseline)],
      ]),
    }),
    series: [memory, ...roofs, ...ways, points(before, false), points(after, true)],
  };
}
function startRoofline() {
  const box = document.querySelector('[data-chart="roofline"]');
  const before = data.roofline ? layers.map((layer) => rooflinePoint(layer, layer.baseline)) : [];
  const after = data.roofline ? layers.map((layer) => rooflinePoint(layer, layer)) : [];
  if (![...before, ...after].some(Boolean)) {
    box.closest("section").remove();
    document.querySelector('[data-chart="trials"]').closest("section").classList.add("wide");
    return;
  }
  const view = addChart("roofline", (width) => {
    legend("roofline", [["layer at 8/8", colour("muted"), "ring"], ["layer at this policy", colour("accent"), "round"], ["roofs: memory, arithmetic at W8 A8", colour("ink"), "line"]]);
    return rooflineOption(width, before, after);
  });
  view.click = (event) => { if (event.seriesName === "after" || event.seriesName === "before") pick(event.dataIndex); };
}
