/** Chromium as all tests of the page use it, and what they ask of every page. */
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { chromiumPath } from './processes.mjs';

export const SIZES = /** @type {const} */ ([
  ['panel', 1024, 600],
  ['phone', 390, 844],
  ['desktop', 1440, 900],
]);

/** English words that no German sentence has; names that people or programs gave don't count. */
const ENGLISH =
  /\b(the|and|of|with|is|are|from|to|no|not|nothing|nobody|unknown|stale|running|distance|warning|clear|speed|robot stops|newest|last|frames?|axes|flange|cell|machines?|settings|events?|sign|past|since|ago)\b/gi;
/** What is shown as it stands in records and files. */
const RAW = 'noscript, pre, code, script, style, [lang="en"], [translate="no"]';

export async function launch() {
  return chromium.launch({
    executablePath: chromiumPath(),
    args: [
      '--headless',
      '--no-sandbox',
      // The cell is drawn by WebGL; without a graphics card this draws it.
      '--use-angle=swiftshader',
      '--enable-unsafe-swiftshader',
      '--disable-background-networking',
      '--disable-component-update',
      '--no-first-run',
    ],
  });
}

/**
 * What axe finds that is serious or worse, a line each.
 *
 * @param {import('playwright-core').Page} page
 */
export async function barriers(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    /** @type {{ axe: typeof axe }} */ (/** @type {unknown} */ (window)).axe.run(),
  );
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
}

/**
 * English words on a page that is German; names that people gave are in no language.
 *
 * @param {import('playwright-core').Page} page
 * @param {string[]} names
 */
export async function englishWords(page, names) {
  const text = await page.evaluate((raw) => {
    // Off the page a text has no line breaks: what stands beside each other must not run together.
    const copy = /** @type {HTMLElement} */ (document.body.cloneNode(true));
    for (const each of copy.querySelectorAll(raw)) each.remove();
    const walker = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
    const parts = [];
    while (walker.nextNode()) parts.push(walker.currentNode.textContent);
    const labels = [...copy.querySelectorAll('[aria-label], [title]')].map(
      (each) => `${each.getAttribute('aria-label') ?? ''} ${each.getAttribute('title') ?? ''}`,
    );
    return [...parts, ...labels].join(' | ');
  }, RAW);
  const unnamed = names.reduce((rest, name) => rest.replaceAll(name, '…'), text);
  return [...new Set(unnamed.match(ENGLISH) ?? [])];
}

/**
 * Bytes that came over the wire for the page itself, its fonts and later chunks included.
 *
 * @param {import('playwright-core').Page} page
 */
export async function loadedBytes(page) {
  return page.evaluate(() =>
    [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
      .map((entry) => /** @type {PerformanceResourceTiming} */ (entry))
      .filter(({ name }) => !new URL(name).pathname.startsWith('/api/'))
      .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
  );
}
