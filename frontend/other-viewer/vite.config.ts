import { defineConfig } from "vite";

import portal from "../vite.config";

// Built by its test alone, into a folder of that test.
export default defineConfig({
  root: new URL(".", import.meta.url).pathname,
  base: "./",
  resolve: portal.resolve,
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 4000 },
  worker: { format: "es" },
});
