/** Light or dark: as the system has it, until somebody chooses. */

import { signal } from "@preact/signals";

type Theme = "light" | "dark";

const KEPT = "ztfm-theme";

function atFirst(): Theme {
  const kept = localStorage.getItem(KEPT);
  if (kept === "light" || kept === "dark") return kept;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export const theme = signal<Theme>(atFirst());

theme.subscribe((chosen) => {
  document.documentElement.dataset.theme = chosen;
});

function turn(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  localStorage.setItem(KEPT, theme.value);
}

export function ThemeSwitch() {
  const next = theme.value === "dark" ? "light" : "dark";
  return (
    <button type="button" class="quiet" onClick={turn} aria-label={`Switch to ${next} colours`}>
      {theme.value === "dark" ? "☀" : "☾"}
    </button>
  );
}
