// Everything in order; the charts after the first are drawn when the text already stands.
startTheme();
startTable();
startPanel();
startBits();
startCosts();
startRoofline();
startTrials();
startSensitivity();

let resizing = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(drawAll);
});
const waiting = [...views];
(function drawNext() {
  const view = waiting.shift();
  if (view) {
    view.draw();
    setTimeout(drawNext);
  } else document.documentElement.dataset.ready = "true";
})();
