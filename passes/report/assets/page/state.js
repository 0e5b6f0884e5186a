// What the page shows: the report, the layer that is picked, the theme; views register and are drawn when any changes.
const { data, csv } = JSON.parse(document.getElementById("report").textContent);
const layers = data.layers;
const views = [];
const state = { layer: -1, trial: -1, isPrinting: false, round: 0 };

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}
// The end of a name tells more than its start, which most layers share.
function ending(text, length) {
  const characters = Array.from(text);
  return characters.length <= length ? text : `…${characters.slice(1 - length).join("")}`;
}
function middle(text, length) {
  const characters = Array.from(text), half = Math.floor((length - 1) / 2);
  return characters.length <= length ? text : `${characters.slice(0, half).join("")}…${characters.slice(-half).join("")}`;
}
const title = (index) => `${index + 1}. ${middle(layers[index].name, 60)}`;
const widths = (layer) => `W${layer.weight_bits} A${layer.activation_bits}`;

// What is in sight is drawn at once, the rest when the page has nothing else to do; paper waits for everything.
function isInSight(view) {
  if (!view.box || state.isPrinting) return true;
  const { top, bottom } = view.box.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}
function drawAll() {
  state.round += 1;
  const round = state.round, later = views.filter((view) => !isInSight(view));
  views.filter(isInSight).forEach((view) => view.draw());
  (function drawNext() {
    const view = round === state.round ? later.shift() : undefined;
    if (!view) return;
    view.draw();
    setTimeout(drawNext);
  })();
}
function pick(index) {
  state.layer = index === state.layer ? -1 : index;
  drawAll();
}
