/**
 * Pictures of the built page against the invented gateway: each page at three sizes, in both languages
 * and both colours. On the way it checks that nothing is logged as an error, nothing is asked of another
 * host, nothing is wider than the screen, axe finds nothing serious, and German pages are German.
 *
 *     npm run build && npm run screenshots -- FOLDER [scenario …]
 *
 * `PAGES=live,alarms`, `SIZES=panel`, `LANGUAGES=de`, `SCHEMES=dark` take fewer of them; `PAST=1` looks
 * back by a minute first; `FULL=1` takes whole pages too.
 */
import { mkdirSync } from 'node:fs';
import { preview } from 'vite';
import { SIZES, barriers, englishWords, launch } from '../e2e/browser.mjs';

/** Long enough for a chunk to load, a picture to be drawn, and what is silent to be stale. */
const SETTLE_MS = Number(process.env['SETTLE_MS'] ?? 2500);

/**
 * @param {string} name
 * @param {readonly string[]} all
 */
const chosen = (name, all) => {
  const wanted = process.env[name]?.split(',') ?? all;
  return all.filter((each) => wanted.includes(each));
};
const pages = chosen('PAGES', ['live', 'machines', 'alarms', 'settings', 'sign-in']);
const sizes = chosen(
  'SIZES',
  SIZES.map(([name]) => name),
);
const languages = chosen('LANGUAGES', ['en', 'de']);
const schemes = chosen('SCHEMES', ['light', 'dark']);
const [folder = '/tmp/screenshots', ...named] = process.argv.slice(2);
const scenarios = named.length > 0 ? named : ['running'];
mkdirSync(folder, { recursive: true });

const server = await preview({ preview: { port: 0, host: '127.0.0.1' }, logLevel: 'warn' });
const address = server.resolvedUrls?.local[0]?.replace(/\/$/, '');
if (!address) throw new Error('the preview server has no address');
const browser = await launch();

/** @type {string[]} */
const faults = [];
const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {string} scenario
 * @param {string} size
 * @param {string} language
 * @param {string} scheme
 */
async function photograph(scenario, size, language, scheme) {
  const [, width, height] = SIZES.find(([name]) => name === size) ?? SIZES[0];
  const page = await browser.newPage({
    viewport: { width, height },
    colorScheme: scheme === 'dark' ? 'dark' : 'light',
    locale: language === 'de' ? 'de-DE' : 'en-GB',
    hasTouch: size !== 'desktop',
  });
  const label = `${scenario}-${size}-${language}-${scheme}`;
  page.on('console', (message) => {
    // What the scenario refuses is logged by the browser itself.
    const expected = /Failed to load resource/.test(message.text());
    if (message.type() === 'error' && !expected) faults.push(`${label}: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`${label}: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${address}/`)) faults.push(`${label}: ${request.url()}`);
  });
  for (const name of pages) {
    // Something fresh first, so that there is something to grow old.
    if (name === pages[0] || ['frozen', 'login', 'claim'].includes(scenario)) {
      await fetch(`${address}/mock/running`);
      await page.goto(`${address}/#${name}`);
      await sleep(SETTLE_MS);
      await fetch(`${address}/mock/${scenario}`);
    } else await page.evaluate((to) => (location.hash = to), name);
    await sleep(SETTLE_MS);
    if (process.env['PAST'] && name === 'live') {
      await page.locator('input[type=range]').focus();
      for (let step = 0; step < 60; step++) await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('PageDown');
      await sleep(SETTLE_MS);
    }
    const path = `${folder}/${label}-${name}`;
    await page.screenshot({ path: `${path}.png` });
    if (process.env['FULL']) await page.screenshot({ path: `${path}-full.png`, fullPage: true });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) faults.push(`${label} ${name}: ${wide} pixels wide`);
    for (const each of await barriers(page)) faults.push(`${label} ${name}: ${each}`);
    if (language === 'de') {
      const english = await englishWords(page, ['cell-3']);
      if (english.length > 0) faults.push(`${label} ${name}: English: ${english.join(', ')}`);
    }
  }
  await page.close();
}

for (const scenario of scenarios)
  for (const size of sizes)
    for (const language of languages)
      for (const scheme of schemes) await photograph(scenario, size, language, scheme);
await browser.close();
await server.close();
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
