import { defineConfig } from "vite";

const here = (path: string): string => new URL(path, import.meta.url).pathname;

const chunks = {
  entryFileNames: "chunks/[name]-[hash].js",
  chunkFileNames: "chunks/[name]-[hash].js",
  assetFileNames: "chunks/[name]-[hash][extname]",
};

// Entry files keep plain names: Django's static files storage adds the hash, and templates say {% static 'build/main.js' %}.
// Chunks carry a hash of their own, because other scripts name them.
export default defineConfig({
  base: "./",
  resolve: {
    alias: [
      {
        // The package names its decoders nowhere, and what it does name brings a whole renderer into the worker.
        find: "cornerstone-decoders",
        replacement: here("node_modules/@cornerstonejs/dicom-image-loader/dist/esm/shared/decoders"),
      },
      { find: /^@kitware\/vtk\.js\/IO\/.*/, replacement: here("src/viewer/no-meshes.ts") },
      // Cornerstone draws with WebGL; WebGPU is asked for by nobody.
      { find: /^\.\.\/WebGPU\/Profiles\/.*/, replacement: here("src/viewer/no-meshes.ts") },
    ],
  },
  build: {
    outDir: "../static/build",
    emptyOutDir: true,
    // A data: address for a font or a script would need a hole in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The renderer is one large piece, and only the study page asks for it.
    chunkSizeWarningLimit: 4000,
    rollupOptions: {
      input: { main: "src/main.ts" },
      output: {
        ...chunks,
        entryFileNames: "[name].js",
        // Chunks would import what they share with the entry from the entry, by its plain name: pages know it by another one,
        // and a browser runs a script under two names twice.
        codeSplitting: {
          groups: [{ name: "app", test: /.src.(?!viewer.|styles.|main\.ts)|.src.viewer.(frames|told)|node_modules.(htmx|idiomorph|tus)/, minSize: 0 }],
        },
        assetFileNames: (asset) => (asset.names.includes("main.css") ? "[name][extname]" : chunks.assetFileNames),
      },
    },
  },
  worker: { format: "es", rollupOptions: { output: chunks } },
});
