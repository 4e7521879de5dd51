/**
 * The demo in a real browser, beside a real MQTT client: what the page says against what goes out.
 *
 *     cargo build -p retrotap && node ui/e2e/run.mjs
 *
 * One line per check, a closing line with their sum, pictures in `target/screenshots/`; exit code 1
 * if a check failed. Chromium is `$CHROMIUM` or the one on the PATH, the program `$RETROTAP_BINARY` or
 * `target/debug/retrotap`.
 */
import { strict as assert } from 'node:assert';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { chromiumPath, Demo, Listener, until } from './processes.mjs';

const PICTURES = fileURLToPath(new URL('../../target/screenshots/', import.meta.url));
const SIZES = /** @type {const} */ ([
  ['panel', 1024, 600],
  ['phone', 390, 844],
  ['desktop', 1440, 900],
]);
/** A page that hears nothing must say so within this. */
const LOST_WITHIN_MS = 3000;
/** The page shows centimetres, and polling may miss a record between two that it sees. */
const STATUS_TOLERANCE_M = 0.05;
/** How much later than the status the page may show the same value, where a build takes both cores. */
const PAGE_LATE_MS = 1500;

let passed = 0;
let failed = 0;

/**
 * @param {string} sentence
 * @param {() => Promise<void> | void} body
 */
async function check(sentence, body) {
  try {
    await body();
    passed++;
    console.log(`ok      ${sentence}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${sentence}\n        ${String(error).replaceAll('\n', '\n        ')}`);
  }
}

mkdirSync(PICTURES, { recursive: true });
const demo = await Demo.start();
const listener = new Listener(demo.mqttPort);
const browser = await chromium.launch({
  executablePath: chromiumPath(),
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
    '--no-first-run',
  ],
});
/** @type {Demo | undefined} */
let second;

try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(10_000);
  /** @type {string[]} */
  const consoleErrors = [];
  /** @type {string[]} */
  const elsewhere = [];
  page.on('console', (message) => {
    if (message.type() === 'error') consoleErrors.push(message.text());
  });
  page.on('pageerror', (error) => consoleErrors.push(error.message));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== demo.url) elsewhere.push(request.url());
  });
  await page.goto(`${demo.url}/`);

  const distanceCard = page.locator('article', {
    has: page.getByRole('heading', { name: 'Distance', exact: true }),
  });
  const figure = distanceCard.locator('.figure').first();
  const shown_m = async () => {
    const text = await figure.innerText();
    assert.match(text, /^\s*[\u2212\u2007]?\d+\.\d\d\s*m\s*$/u, `the figure reads ${text}`);
    return Number(text.replace(/[\u2007m\s]/gu, '').replace('\u2212', '-'));
  };
  const status = async () => (await fetch(`${demo.url}/api/v1/status`)).json();

  await check('the distance appears, in metres', async () => {
    await until('a distance', 10_000, async () => /\d/.test(await figure.innerText()));
    await shown_m();
  });

  await check('the distance changes', async () => {
    const first = await shown_m();
    await until('another distance', 5000, async () => (await shown_m()) !== first);
  });

  await check('the page agrees with /api/v1/status', async () => {
    /** @type {{ at_ms: number, distance_m: number }[]} */
    const told = [];
    let polling = true;
    const poll = (async () => {
      while (polling) {
        const distance_m = (await status()).machines[0].records.distance.fields.distance_m;
        told.push({ at_ms: Date.now(), distance_m });
        await page.waitForTimeout(20);
      }
    })();
    await page.waitForTimeout(PAGE_LATE_MS);
    try {
      for (let round = 0; round < 10; round++) {
        const shown = await shown_m();
        const recent = told.filter(({ at_ms }) => at_ms > Date.now() - PAGE_LATE_MS);
        const off = Math.min(...recent.map(({ distance_m }) => Math.abs(distance_m - shown)));
        assert.ok(off <= STATUS_TOLERANCE_M, `${shown} m shown, ${off} m from the nearest told`);
        await page.waitForTimeout(150);
      }
    } finally {
      polling = false;
      await poll;
    }
  });

  await check('mosquitto_sub receives distance records meanwhile', async () => {
    await until('a distance record', 10_000, () => listener.distances_m.length > 0);
  });

  await check('the page shows distances that went out, to the centimetre', async () => {
    const before = listener.distances_m.length;
    /** @type {Set<string>} */
    const shown = new Set();
    for (let round = 0; round < 10; round++) {
      shown.add((await shown_m()).toFixed(2));
      await page.waitForTimeout(100);
    }
    // What was shown at first may have gone out a moment before, at last a moment after.
    await page.waitForTimeout(300);
    const sent = new Set(listener.distances_m.slice(Math.max(0, before - 15)).map(centimetres));
    const unsent = [...shown].filter((value) => !sent.has(value));
    assert.deepEqual(unsent, [], 'shown, and never sent');
  });

  await check('the state is a word', async () => {
    await page.locator('.band .state', { hasText: /^\s*Running\s*$/ }).waitFor();
  });

  await check('every axis has its value in degrees or millimetres', async () => {
    const axes = page.locator('article', { has: page.getByRole('heading', { name: 'Axes' }) });
    const rows = await axes.locator('li').allInnerTexts();
    assert.equal(rows.length, 7);
    for (const [index, row] of rows.entries()) {
      const flat = row.replace(/\s+/g, ' ');
      const unit = index < 6 ? '°' : 'mm';
      assert.ok(flat.startsWith(`A${index + 1} `), flat);
      assert.match(flat, new RegExp(`\\d\\.\\d+ ?${unit}`, 'u'));
    }
  });

  await check(
    'the page says that it is no safety function, and that this is simulated',
    async () => {
      await page.getByText('Advisory: not a safety function').waitFor();
      await page.getByText('Simulated machine', { exact: true }).waitFor();
    },
  );

  for (const [name, width, height] of SIZES) {
    await check(
      `nothing is wider than ${width}×${height}, and the figure is in sight`,
      async () => {
        await page.setViewportSize({ width, height });
        await page.waitForTimeout(400);
        await page.screenshot({ path: `${PICTURES}${name}.png` });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} pixels wide`);
        const box = await figure.boundingBox();
        assert.ok(box && box.y + box.height <= height, `the figure is at ${JSON.stringify(box)}`);
      },
    );
  }
  await check('dark colours are a picture of their own', async () => {
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.waitForTimeout(400);
    await page.screenshot({ path: `${PICTURES}desktop-dark.png` });
    await page.emulateMedia({ colorScheme: 'light' });
  });

  await check('nothing was logged as an error', () => assert.deepEqual(consoleErrors, []));

  await check('a killed gateway is "connection lost" within 3 s', async () => {
    const killed = Date.now();
    await demo.end('SIGKILL');
    await page.getByText('Connection lost', { exact: true }).waitFor({ timeout: LOST_WITHIN_MS });
    const took = Date.now() - killed;
    assert.ok(took <= LOST_WITHIN_MS, `${took} ms`);
  });

  await check(
    'the last distance of a killed gateway is marked as stale, with its age',
    async () => {
      await distanceCard.getByText('Stale', { exact: true }).waitFor({ timeout: 1000 });
      const age_s = async () => {
        const said = (await distanceCard.locator('header').innerText()).match(/([\d.]+) s old/);
        return Number(said?.[1] ?? NaN);
      };
      const first_s = await age_s();
      await until('growing age', 3000, async () => (await age_s()) > first_s);
      await page.locator('.band .state', { hasText: /Unknown|Stale/ }).waitFor({ timeout: 1000 });
      await page.screenshot({ path: `${PICTURES}lost.png` });
    },
  );

  await check('the page comes back by itself when the gateway is back', async () => {
    second = await Demo.start(new URL(demo.url).host);
    await page.getByText('Connection lost', { exact: true }).waitFor({ state: 'detached' });
    await page.locator('.band .state', { hasText: /^\s*Running\s*$/ }).waitFor();
    await shown_m();
  });

  await check('the page asked no other host for anything', () => assert.deepEqual(elsewhere, []));

  await check('Ctrl-C ends the demo with exit code 0', async () => {
    assert.ok(second, 'it never started');
    assert.deepEqual(await second.end('SIGINT'), { code: 0, signal: null });
  });
} finally {
  await browser.close();
  listener.stop();
  await demo.end('SIGKILL');
  await second?.end('SIGKILL');
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** @param {number} value_m */
function centimetres(value_m) {
  return (Math.round(value_m * 100) === 0 ? 0 : value_m).toFixed(2);
}
