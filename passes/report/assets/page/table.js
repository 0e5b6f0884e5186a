// The table of layers: sorted, searched, saved. Its rows are there without any script; this only arranges them.
const KEYS = {
  number: (index) => index, name: (index) => layers[index].name.toLowerCase(), op: (index) => `${layers[index].op} ${layers[index].kind}`.toLowerCase(),
  reason: (index) => (layers[index].reason || "").toLowerCase(),
};
function startTable() {
  const table = document.getElementById("layers"), body = table.tBodies[0], rows = [...body.rows];
  const words = rows.map((row) => row.textContent.toLowerCase());
  const order = { key: "", isDown: false };
  const valueOf = (row, key) => (KEYS[key] || ((index) => layers[index][key]))(Number(row.dataset.layer));
  const compare = (a, b) => {
    // What is not known comes last, whichever way the rest is sorted.
    const [x, y] = [valueOf(a, order.key), valueOf(b, order.key)];
    const [isXKnown, isYKnown] = [x !== null && x !== undefined && x !== "", y !== null && y !== undefined && y !== ""];
    if (!isXKnown || !isYKnown) return isYKnown - isXKnown;
    return (x < y ? -1 : x > y ? 1 : 0) * (order.isDown ? -1 : 1);
  };
  for (const head of table.tHead.querySelectorAll("th")) {
    const { key } = head.dataset;
    if (key === "alternatives") continue;
    const button = element("button", { type: "button", className: "sort", textContent: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const isNumeric = typeof valueOf(rows[0], key) !== "string" && key !== "number";
      order.isDown = order.key === key ? !order.isDown : isNumeric;
      order.key = key;
      table.tHead.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order.isDown ? "descending" : "ascending");
      body.append(...[...rows].sort(compare));
    });
  }
  const find = document.getElementById("find"), found = document.getElementById("found");
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase().split(/\s+/);
    rows.forEach((row, index) => { row.hidden = !wanted.every((word) => words[index].includes(word)); });
    found.textContent = find.value.trim() ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  });
  document.getElementById("csv").addEventListener("click", () => {
    const link = element("a", { href: URL.createObjectURL(new Blob([csv], { type: "text/csv;charset=utf-8" })), download: "layers.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row && !getSelection().toString()) pick(Number(row.dataset.layer));
  });
  document.querySelector(".tools").hidden = false;
  views.push({ draw() { rows.forEach((row) => row.classList.toggle("picked", Number(row.dataset.layer) === state.layer)); } });
}
