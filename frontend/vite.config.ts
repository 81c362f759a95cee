import { defineConfig } from "vite";

// Entry files keep plain names: Django's static files storage adds the hash, and templates say {% static 'build/main.js' %}.
// Chunks carry a hash of their own, because other scripts name them.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../static/build",
    emptyOutDir: true,
    // A data: address for a font or a script would need a hole in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { main: "src/main.ts" },
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "chunks/[name]-[hash].js",
        assetFileNames: "[name][extname]",
      },
    },
  },
});
