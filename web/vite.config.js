import { defineConfig } from 'vite';

import { collectLicenses } from './scripts/licenses.mjs';

// GraphiQL's style sheet brings everything Monaco needs, so the style sheets
// that Monaco's own modules import would only be there twice. The web fonts
// inlined in it are left out: the page uses the fonts of the system. Monaco's
// icon font stays.
function trimStyles() {
  return {
    name: 'sluice-trim-styles',
    enforce: 'pre',
    resolveId(source, importer = '') {
      if (source.endsWith('.css') && importer.includes('/node_modules/monaco-editor/')) {
        return { id: '\0no-style', moduleSideEffects: false };
      }
    },
    load(id) {
      if (id === '\0no-style') {
        return '';
      }
    },
    transform(code, id) {
      if (/\/node_modules\/graphiql\/dist\/style\.css$/.test(id)) {
        return code.replace(/@font-face\s*\{[^}]*\}/g, (rule) =>
          /font-family:\s*codicon/.test(rule) ? rule : '',
        );
      }
    },
  };
}

const licenses = collectLicenses('LICENSES.txt');

export default defineConfig({
  base: '/graphiql/',
  plugins: [trimStyles(), licenses.main],
  oxc: { jsx: { runtime: 'automatic' } },
  worker: {
    format: 'es',
    plugins: () => [licenses.worker],
  },
  build: {
    target: 'es2022',
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 5000,
    rolldownOptions: {
      // "use client" and the like mean nothing here.
      onwarn(warning, warn) {
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') {
          warn(warning);
        }
      },
    },
  },
  server: {
    proxy: {
      '^/graphql$': { target: 'http://127.0.0.1:8000', ws: true },
    },
  },
});
