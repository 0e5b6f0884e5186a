// The search's progress: every trial in the order of evaluation, and each allocator's best so far.
function progressOption(width, view) {
  const names = allocatorNames().filter((name) => !view.hidden.has(name) && data.trials.some((trial) => trial.allocator === name));
  const series = names.flatMap((name) => {
    const own = data.trials.flatMap((trial, index) => (trial.allocator === name && isNumber(trial.score) ? [[index + 1, trial.score, index]] : []));
    const best = own.reduce((kept, [x, y]) => [...kept, [x, kept.length && !isBetter(y, kept[kept.length - 1][1]) ? kept[kept.length - 1][1] : y]], []);
    const paint = allocatorColour(name);
    return [
      { name, type: "scatter", z: 3, cursor: "pointer", itemStyle: { color: paint, opacity: 0.5 }, data: own.map((value) => ({ value, symbolSize: value[2] === state.trial ? 13 : 6, itemStyle: value[2] === state.trial ? { borderColor: colour("mark"), borderWidth: 3, opacity: 1 } : {} })) },
      { name: `${name}: best so far`, type: "line", step: "end", silent: true, symbol: "none", z: 2, lineStyle: { color: paint, width: 2 }, data: best },
    ];
  });
  return {
    grid: { left: 64, right: 22, top: 14, bottom: 46 },
    xAxis: axis({ type: "value", min: 0, max: data.trials.length + 1, minInterval: 1, name: "trial", nameLocation: "middle", nameGap: 26, splitLine: { show: false }, axisLabel: { showMaxLabel: false } }),
    yAxis: axis({ type: "value", scale: true, axisLabel: { formatter: (value) => (data.unit === "%" ? `${Number(value.toFixed(1))} %` : `${Number(value.toPrecision(4))}`) } }),
    tooltip: tooltip({ trigger: "item", formatter: (entry) => trialTip(entry.value[2]) }),
    series: [...series, ...(isNumber(data.reference) ? [{ type: "line", silent: true, symbol: "none", data: [], markLine: { silent: true, symbol: "none", lineStyle: { color: colour("muted"), type: "dashed" }, label: { show: false }, data: [{ yAxis: data.reference }] } }] : [])],
  };
}
function startProgress() {
  const view = addChart("progress", (width) => {
    const names = allocatorNames().filter((name) => data.trials.some((trial) => trial.allocator === name));
    legend("progress", [...names.map((name) => [name, allocatorColour(name), "round", true]), ...(isNumber(data.reference) ? [[`float: ${figure(data.reference, data.unit)}`, colour("muted"), "line"]] : [])], view);
    return progressOption(width, view);
  });
  if (view) view.click = (event) => { if (event.value && event.value.length === 3) pickTrial(event.value[2]); };
}
