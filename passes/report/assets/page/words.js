// Figures in words, as haqc.passes.report.wording writes them (a browser test compares the two).
const LARGE = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
const SMALL = [[1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"]];
const BINARY = [[2 ** 40, "Ti"], [2 ** 30, "Gi"], [2 ** 20, "Mi"], [2 ** 10, "Ki"], [1, ""]];
const PREFIXES = { J: [...LARGE, ...SMALL.slice(1)], W: [...LARGE, ...SMALL.slice(1)], s: SMALL, Hz: LARGE, B: BINARY };

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const grouped = (text) => text.replace(/^-?\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
// Python and toFixed both round the exact binary value, but Python takes an exact tie to the even digit.
function fixed(value, digits) {
  const text = value.toFixed(digits), scale = 10 ** digits, low = Math.floor(Math.abs(value) * scale);
  const isTie = Number.isInteger(value * scale * 2) && !Number.isInteger(value * scale);
  return isTie && low % 2 === 0 ? (Math.sign(value) * low / scale).toFixed(digits) : text;
}
function threeDigits(value) {
  if (Math.abs(value) < 9.995) return fixed(value, 2);
  return Math.abs(value) < 99.95 ? fixed(value, 1) : grouped(fixed(value, 0));
}
function quantity(value, unit) {
  if (!isNumber(value)) return "n/a";
  const prefixes = PREFIXES[unit] || LARGE;
  const fits = prefixes.find(([factor]) => Math.abs(value) >= factor * 0.9995);
  const [factor, prefix] = value === 0 ? [1, ""] : fits || prefixes[prefixes.length - 1];
  const isWhole = value === 0 || (factor === 1 && !["J", "W", "s"].includes(unit) && Number.isInteger(value));
  const number = isWhole ? grouped(fixed(value, 0)) : threeDigits(value / factor);
  return `${number} ${unit in PREFIXES ? prefix + unit : `${prefix} ${unit}`.trim()}`.trim();
}
const share = (value) => (isNumber(value) ? `${fixed(100 * value, 1)} %` : "n/a");
const figure = (value, unit) => {
  if (!isNumber(value)) return "n/a";
  return unit === "%" ? `${fixed(value, 2)} %` : `${Number(value.toPrecision(5))} ${unit}`.trim();
};
const points = (value, unit) => {
  if (!isNumber(value)) return "n/a";
  return unit === "%" ? `${fixed(value, 2)} points` : `${Number(value.toPrecision(3))} ${unit}`.trim();
};
const change = (after, before) => {
  if (!isNumber(after) || !before) return "n/a";
  const percent = fixed(100 * (after / before - 1), 1);
  return `${percent.startsWith("-") ? "" : "+"}${percent} %`;
};
// The same without zeros behind the point, for axes.
const brief = (value, unit) => quantity(value, unit).replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");
