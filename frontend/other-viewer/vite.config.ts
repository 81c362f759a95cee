import { defineConfig } from "vite";

// Built by its test alone, into a folder of that test.
export default defineConfig({
  root: new URL(".", import.meta.url).pathname,
  base: "./",
  resolve: {
    alias: [
      {
        find: /^@kitware\/vtk\.js\/IO\/.*/,
        replacement: new URL("../src/viewer/no-meshes.ts", import.meta.url).pathname,
      },
    ],
  },
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 4000 },
  worker: { format: "es" },
});
