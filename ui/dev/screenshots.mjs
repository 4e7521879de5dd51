/**
 * Pictures of the built page against the invented gateway, and a check on the way that nothing is
 * logged as an error, nothing is asked of another host, and nothing is wider than the screen.
 *
 *     npm run build && npm run screenshots -- FOLDER [scenario …]
 */
import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { preview } from 'vite';

const SIZES = /** @type {const} */ ([
  ['panel', 1024, 600],
  ['phone', 390, 844],
  ['desktop', 1440, 900],
]);
/** Long enough for the chart to have something to show, short enough to wait for. */
const WARM_UP_MS = Number(process.env['WARM_UP_MS'] ?? 4000);
/** After this a silent line is stale and a frozen gateway is lost. */
const SETTLE_MS = 3500;

const [folder = '/tmp/screenshots', ...chosen] = process.argv.slice(2);
const scenarios = chosen.length > 0 ? chosen : ['running'];
mkdirSync(folder, { recursive: true });

const server = await preview({ preview: { port: 0, host: '127.0.0.1' }, logLevel: 'warn' });
const address = server.resolvedUrls?.local[0]?.replace(/\/$/, '');
if (!address) throw new Error('the preview server has no address');
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
  ],
});

/** @type {string[]} */
const faults = [];

/** @param {string} scenario */
async function photograph(scenario) {
  await fetch(`${address}/mock/running`);
  const pages = await Promise.all(
    SIZES.flatMap(([name, width, height]) =>
      /** @type {const} */ (['light', 'dark']).map(async (colorScheme) => {
        const page = await browser.newPage({ viewport: { width, height }, colorScheme });
        const label = `${scenario}-${name}-${colorScheme}`;
        page.on('console', (message) => {
          const expected = scenario === 'frozen' && /Failed to load/.test(message.text());
          if (message.type() === 'error' && !expected) faults.push(`${label}: ${message.text()}`);
        });
        page.on('pageerror', (error) => faults.push(`${label}: ${error.message}`));
        page.on('request', (request) => {
          if (!request.url().startsWith(`${address}/`)) faults.push(`${label}: ${request.url()}`);
        });
        await page.goto(`${address}/`);
        return { page, label, width };
      }),
    ),
  );
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  await fetch(`${address}/mock/${scenario}`);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  for (const { page, label, width } of pages) {
    await page.screenshot({ path: `${folder}/${label}.png` });
    if (process.env['FULL']) {
      await page.screenshot({ path: `${folder}/${label}-full.png`, fullPage: true });
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) faults.push(`${label}: ${wide} pixels wide`);
    await page.close();
  }
}

for (const scenario of scenarios) await photograph(scenario);
await browser.close();
await server.close();
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
