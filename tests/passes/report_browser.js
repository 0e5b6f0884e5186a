// What a test asks of a page: labels that touch or are cut, text that is cut, boxes that overlap.
const corners = (text) => {
  const box = text.getBBox(), matrix = text.getScreenCTM();
  return [[box.x, box.y], [box.x + box.width, box.y], [box.x + box.width, box.y + box.height], [box.x, box.y + box.height]]
    .map(([x, y]) => [matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f]);
};
// Two turned boxes are apart where some side of one has the other wholly beyond it; lines of text may share a pixel.
const SHARED_PIXELS = 1.5;
const isApart = (a, b) => [a, b].some((box) => [0, 1].some((side) => {
  const [dx, dy] = [box[side + 1][0] - box[side][0], box[side + 1][1] - box[side][1]], length = Math.hypot(dx, dy) || 1;
  const along = (points) => points.map(([x, y]) => (x * dx + y * dy) / length);
  const [p, q] = [along(a), along(b)];
  return Math.max(...p) - SHARED_PIXELS <= Math.min(...q) || Math.max(...q) - SHARED_PIXELS <= Math.min(...p);
}));
const problems = [];
const name = (element) => `${element.closest("section, header") ? (element.closest("section, header").querySelector("h1, h2, h3") || {}).textContent : ""}: '${element.textContent.trim().slice(0, 40)}'`;
for (const svg of document.querySelectorAll(".chart svg, .forest")) {
  const frame = svg.getBoundingClientRect();
  const labels = [...svg.querySelectorAll("text")].filter((text) => text.textContent.trim()).map((text) => [text, corners(text)]);
  for (const [text, box] of labels) {
    if (box.some(([x, y]) => x < frame.left - 1.5 || x > frame.right + 1.5 || y < frame.top - 1.5 || y > frame.bottom + 1.5)) problems.push(`cut label in ${name(svg)} ${text.textContent}`);
  }
  for (let i = 0; i < labels.length; i += 1) {
    for (let j = i + 1; j < labels.length; j += 1) {
      if (!isApart(labels[i][1], labels[j][1])) problems.push(`labels touch in ${name(svg)}: '${labels[i][0].textContent}' and '${labels[j][0].textContent}'`);
    }
  }
}
for (const element of document.querySelectorAll("h1, h2, h3, p, .pair, .pair > *, .chip, .legend, .legend > *, .switch, .switch button, th, td, .big, li, button")) {
  if (element.clientWidth && element.scrollWidth > element.clientWidth + 1) problems.push(`cut text in ${name(element)}`);
}
const cards = [...document.querySelectorAll("main .card")].map((card) => [card, card.getBoundingClientRect()]);
for (const [card, box] of cards) {
  if (box.left < -0.5 || box.right > innerWidth + 0.5) problems.push(`a card leaves the page: ${name(card)}`);
  for (const [other, place] of cards) {
    if (card !== other && box.left < place.right - 1 && place.left < box.right - 1 && box.top < place.bottom - 1 && place.top < box.bottom - 1) problems.push(`cards overlap: ${name(card)}, ${name(other)}`);
  }
}
if (document.documentElement.scrollWidth > innerWidth) problems.push(`the page is ${document.documentElement.scrollWidth} pixels wide`);
return problems;
