import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { type Plugin, defineConfig } from 'vite';
import { mockGateway } from './dev/mock-gateway.ts';

/** What ends up in the page and came from others. */
const PACKAGES_INSIDE = ['svelte', 'uplot', '@fontsource/b612'];

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

/** A `.gz` beside each text file: the gateway sends it as it is and never compresses anything. */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      for (const [fileName, file] of Object.entries(bundle)) {
        if (!/\.(js|css|html|svg)$/.test(fileName)) continue;
        const source = gzipSync(file.type === 'chunk' ? file.code : file.source, { level: 9 });
        this.emitFile({ type: 'asset', fileName: `${fileName}.gz`, source });
      }
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
  },
});
