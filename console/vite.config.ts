import { defineConfig } from "vitest/config";

/** What a development server passes on to a control plane that runs beside it. */
const PLANE = process.env.ZTFM_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/console/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../controlplane/api/console/built",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/v1": PLANE, "/.well-known": PLANE } },
  test: { include: ["src/**/*.test.ts", "src/**/*.test.tsx"] },
});
