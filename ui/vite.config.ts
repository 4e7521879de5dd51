import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { mockGateway } from './dev/mock-gateway.ts';

/** What ends up in the page and came from others. */
const PACKAGES_INSIDE = ['svelte', 'three', 'uplot', '@fontsource/b612'];

/** All that a first visit loads, chunks that come later included: a panel hangs on a slow Pi. */
const FIRST_LOAD_BYTES_MAX = 400_000;

/** Their licences ask to travel along. */
function licences(): Plugin {
  return {
    name: 'licences',
    apply: 'build',
    generateBundle() {
      const texts = PACKAGES_INSIDE.map((name) => {
        const folder = `node_modules/${name}`;
        const file = name === 'svelte' ? 'LICENSE.md' : 'LICENSE';
        return `${name}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`;
      });
      this.emitFile({
        type: 'asset',
        fileName: 'licences.txt',
        source: texts.join(`\n${'-'.repeat(72)}\n\n`),
      });
    },
  };
}

/**
 * A `.gz` beside each text file: the gateway sends it as it is and never compresses anything. Fails
 * where all of it together is more than a first visit may load.
 */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    generateBundle: {
      // After Vite has put the names of chunks in.
      order: 'post',
      handler(_options, bundle) {
        let total = 0;
        for (const [fileName, file] of Object.entries(bundle)) {
          const plain = file.type === 'chunk' ? file.code : file.source;
          if (/\.woff2$/.test(fileName)) total += plain.length;
          if (!/\.(js|css|html|svg)$/.test(fileName)) continue;
          const source = gzipSync(plain, { level: 9 });
          total += source.length;
          this.emitFile({ type: 'asset', fileName: `${fileName}.gz`, source });
        }
        if (total > FIRST_LOAD_BYTES_MAX) {
          this.error(
            `a first visit loads ${total} bytes, at most ${FIRST_LOAD_BYTES_MAX} are allowed`,
          );
        }
        this.info(`a first visit loads ${total} bytes`);
      },
    },
  };
}

// `RETROTAP_GATEWAY=http://127.0.0.1:8080 npm run dev` shows a real gateway's machines, without it
// an invented one's.
const gateway = process.env['RETROTAP_GATEWAY'];

export default defineConfig({
  plugins: [svelte(), licences(), packed(), ...(gateway ? [] : [mockGateway()])],
  server: gateway ? { proxy: { '/api': { target: gateway, changeOrigin: true } } } : {},
  build: {
    target: 'es2022',
    // Nothing as data: URIs; the content security policy would refuse them.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // three.js alone; what counts is all that a first visit loads.
    chunkSizeWarningLimit: 800,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  // A busy machine is slow, and that is no fault of the page.
  test: { testTimeout: 60_000 },
});
