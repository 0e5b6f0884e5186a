// What all charts share: one ECharts instance each, axes, tips and legends made of text nodes only.
const PAPER_PIXELS = 680;

function addChart(name, option, { slot = 0 } = {}) {
  const box = document.querySelector(`[data-chart="${name}"]`);
  if (!box) return null;
  let chart = null;
  const view = {
    name,
    box,
    hidden: new Set(),
    draw() {
      // A chart that is not on the page yet, or too narrow to hold its axes, is drawn when it is.
      if (!box.parentElement.clientWidth) return;
      const width = state.isPrinting ? PAPER_PIXELS : Math.max(box.parentElement.clientWidth, slot * layers.length + 80);
      box.style.width = `${width}px`;
      if (chart === null) {
        chart = echarts.init(box, null, { renderer: "svg", width, height: box.clientHeight });
        if (view.click) chart.on("click", view.click);
        // A click beside the bars counts for the slot it lies in.
        if (slot) chart.getZr().on("click", (event) => {
          if (!event.target) pickAt(chart, event);
        });
      } else chart.resize({ width, height: box.clientHeight });
      chart.setOption({ animation: false, textStyle: { fontFamily: "system-ui, sans-serif" }, ...option(width, view) }, { notMerge: true });
    },
  };
  views.push(view);
  return view;
}
function pickAt(chart, event) {
  const [index] = chart.convertFromPixel({ gridIndex: 0 }, [event.offsetX, event.offsetY]);
  if (index >= 0 && index < layers.length) pick(Math.round(index));
}
function axis(properties) {
  return {
    nameTextStyle: { color: colour("muted"), fontSize: 12 },
    axisLine: { show: false }, axisTick: { show: false },
    splitLine: { lineStyle: { color: colour("grid") } },
    ...properties,
    axisLabel: { color: colour("muted"), fontSize: 11, hideOverlap: true, ...properties.axisLabel },
  };
}
// Layers along an axis: by name where a name has room, by number elsewhere.
function layerAxis(width, properties = {}) {
  const room = slotPixels(width), isNamed = room >= 26 && layers.length <= 40;
  const names = layers.map((layer, index) => (isNamed ? ending(layer.name, room >= 130 ? Math.floor(room / 7) : 18) : `${index + 1}`));
  return axis({
    type: "category", data: names.map((name, index) => ({ value: name || `${index + 1}` })), splitLine: { show: false },
    axisLabel: isNamed ? { interval: 0, rotate: room >= 130 ? 0 : 38, hideOverlap: false } : { interval: "auto" },
    ...(isNamed ? {} : { name: "layer", nameLocation: "middle", nameGap: 26 }),
    ...properties,
  });
}
const slotPixels = (width) => (width - 80) / layers.length;
const isSlanted = (width) => slotPixels(width) >= 26 && slotPixels(width) < 130 && layers.length <= 40;
const longest = () => Math.min(18, Math.max(...layers.map((layer) => Array.from(layer.name).length)));
// Where names are slanted, the first one reaches to the left of its slot.
const gridOf = (width, left) => ({
  left: isSlanted(width) ? Math.max(left, 5.6 * longest() + 12 - slotPixels(width) / 2) : left, right: 12, top: 14,
  bottom: isSlanted(width) ? 22 + 4.6 * longest() : 44,
});

function tip(heading, rows) {
  const lines = rows.filter(([, value]) => value !== null && value !== undefined)
    .map(([words, value]) => element("div", {}, element("span", { textContent: words }), element("span", { textContent: value })));
  return element("div", { className: "tip" }, element("b", { textContent: heading }), ...lines);
}
function tooltip(properties) {
  return {
    confine: true, backgroundColor: colour("card"), borderColor: colour("line"), textStyle: { color: colour("ink") },
    extraCssText: "box-shadow: 0 6px 24px rgb(0 0 0 / .18); border-radius: 8px;", transitionDuration: 0, ...properties,
  };
}
// Steps of an axis: powers of two for bytes, whose prefixes are binary; elsewhere the library chooses.
function stepsOf(unit, low, high) {
  if (unit !== "B" || high - low <= 4) return {};
  const interval = 2 ** Math.floor(Math.log2((high - low) / 4));
  return { interval, min: Math.floor(low / interval) * interval, max: Math.ceil(high / interval) * interval };
}
const bandTip = (formatter) => tooltip({
  trigger: "axis", axisPointer: { type: "shadow", shadowStyle: { color: colour("ink"), opacity: 0.06 } },
  formatter: (entries) => formatter(entries[0].dataIndex),
});
// The band behind the picked layer: a line as wide as a slot.
function mark(width) {
  if (state.layer < 0) return { data: [] };
  const room = Math.max(4, slotPixels(width));
  return {
    silent: true, symbol: "none", animation: false, label: { show: false }, z: 0,
    lineStyle: { color: colour("mark"), width: room, opacity: 0.3, type: "solid", cap: "butt" }, data: [{ xAxis: state.layer }],
  };
}
function legend(name, entries, view = null) {
  const box = document.querySelector(`[data-legend="${name}"]`);
  box.replaceChildren(...entries.map(([words, paint, shape = "", toggles = false]) => {
    const key = element("span", { className: `key ${shape}` });
    key.style.background = paint;
    key.style.borderColor = paint;
    if (!toggles) return element("span", {}, key, words);
    const button = element("button", { type: "button" }, key, words);
    button.setAttribute("aria-pressed", `${!view.hidden.has(words)}`);
    button.addEventListener("click", () => {
      if (!view.hidden.delete(words)) view.hidden.add(words);
      view.draw();
    });
    return button;
  }));
}
// Buttons of which one is pressed; gives a function that says which.
function choice(name, entries, redraw) {
  const box = document.querySelector(`[data-switch="${name}"]`);
  let chosen = entries[0][0];
  const buttons = entries.map(([key, words]) => {
    const button = element("button", { type: "button", textContent: words });
    button.setAttribute("aria-pressed", `${key === chosen}`);
    button.addEventListener("click", () => {
      chosen = key;
      buttons.forEach((other) => other.setAttribute("aria-pressed", `${other === button}`));
      redraw();
    });
    return button;
  });
  box.replaceChildren(...(entries.length > 1 ? buttons : []));
  return () => chosen;
}
