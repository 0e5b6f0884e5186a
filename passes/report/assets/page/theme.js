// Light or dark: as the system says until the button says otherwise; paper is always light.
const THEMES = ["auto", "light", "dark"];
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = { choice: "auto", colours: {} };
const ALLOCATOR_COLOURS = ["uniform", "greedy", "integer", "random", "ddpg", "evolution"];

function colour(name) {
  if (!(name in theme.colours)) theme.colours[name] = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return theme.colours[name];
}
function allocatorColour(name) {
  const known = ALLOCATOR_COLOURS.findIndex((word) => name.startsWith(word));
  const place = data.allocators.map((entry) => entry.name).indexOf(name);
  return colour(`a${known >= 0 ? known : 6 + (Math.max(place, 0) % 2)}`);
}
function applyTheme(choice) {
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  theme.colours = {};
  drawAll();
}
function startTheme() {
  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    theme.choice = THEMES[(THEMES.indexOf(theme.choice) + 1) % THEMES.length];
    button.textContent = `Theme: ${theme.choice}`;
    applyTheme(theme.choice);
  });
  dark.addEventListener("change", () => applyTheme(theme.choice));
  addEventListener("beforeprint", () => { state.isPrinting = true; applyTheme("light"); });
  addEventListener("afterprint", () => { state.isPrinting = false; applyTheme(theme.choice); });
}
