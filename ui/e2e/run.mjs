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
import { SIZES, barriers, englishWords, launch, loadedBytes } from './browser.mjs';
import { Demo, Listener, until } from './processes.mjs';

const PICTURES = fileURLToPath(new URL('../../target/screenshots/', import.meta.url));
/** A page that hears nothing must say so within this. */
const LOST_WITHIN_MS = 3000;
/** The page shows centimetres, and polling may miss a record between two that it sees. */
const STATUS_TOLERANCE_M = 0.05;
/** How much later than the status the page may show the same value, where a build takes both cores. */
const PAGE_LATE_MS = 1500;
/** What a first visit may load, in bytes as they come over the wire, the cell's view included. */
const FIRST_LOAD_BYTES_MAX = 400_000;

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
const browser = await launch();
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
  const status = async () => (await fetch(`${demo.url}/api/v1/status`)).json();
  /** Whether the gateway watches cells; one that doesn't shows its machines alone. */
  /** @type {string[]} */
  const cells = (await status()).cells.map((/** @type {{ id: string }} */ { id }) => id);
  await page.goto(`${demo.url}/#machines`);

  const distanceCard = page.locator('article', {
    has: page.getByRole('heading', { name: 'Distance', exact: true }),
  });
  const figure = distanceCard.locator('.figure').first();
  const shown_m = async () => {
    const text = await figure.innerText();
    assert.match(text, /^\s*[\u2212\u2007]?\d+\.\d\d\s*m\s*$/u, `the figure reads ${text}`);
    return Number(text.replace(/[\u2007m\s]/gu, '').replace('\u2212', '-'));
  };

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

  await check('a first visit loads less than 400 KB', async () => {
    const visit = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await visit.goto(`${demo.url}/`);
    await visit.locator('[data-state], .band').first().waitFor();
    await visit.waitForTimeout(2000);
    const bytes = await loadedBytes(visit);
    assert.ok(bytes > 50_000, `only ${bytes} bytes: that is no page`);
    assert.ok(bytes <= FIRST_LOAD_BYTES_MAX, `${bytes} bytes`);
    await visit.close();
  });

  const pages = await page
    .locator('nav a[href^="#"]')
    .evaluateAll((links) =>
      links.map((link) => link.getAttribute('href') ?? '').filter((href) => !/-/.test(href)),
    );
  for (const hash of pages.length > 0 ? pages : ['#machines']) {
    await check(`axe finds nothing serious on ${hash}, light and dark`, async () => {
      await page.goto(`${demo.url}/${hash}`);
      await page.waitForTimeout(700);
      const light = await barriers(page);
      await page.emulateMedia({ colorScheme: 'dark' });
      const dark = await barriers(page);
      await page.emulateMedia({ colorScheme: 'light' });
      assert.deepEqual([...light, ...dark], []);
    });
    await check(`the German ${hash} has no English on it, and fits everywhere`, async () => {
      const german = await browser.newPage({ locale: 'de-DE' });
      await german.goto(`${demo.url}/${hash}`);
      await german.getByText('Nur zur Information: keine Sicherheitsfunktion').waitFor();
      await german.waitForTimeout(700);
      assert.deepEqual(await englishWords(german, cells), []);
      for (const [name, width, height] of SIZES) {
        await german.setViewportSize({ width, height });
        await german.waitForTimeout(300);
        await german.screenshot({ path: `${PICTURES}${name}-${hash.slice(1)}-de.png` });
        const wide = await german.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} pixels wide at ${width}`);
      }
      await german.close();
    });
  }

  await checkCell();
  await page.goto(`${demo.url}/#machines`);
  await until('a distance', 10_000, async () => /\d/.test(await figure.innerText()));

  await check('nothing was logged as an error', () => assert.deepEqual(consoleErrors, []));

  /** The page of the cell: what a person stands in front of. */
  async function checkCell() {
    await page.goto(`${demo.url}/#live`);
    const band = page.locator('.band [data-state]');
    const cellFigure = page.locator('.figures .figure').first();

    await check('the state of the cell is the word that the gateway says', async () => {
      const words = { clear: 'Clear', warn: 'Warning', stop: 'Stop', unknown: 'Unknown' };
      await until('the same state', 10_000, async () => {
        const before = (await status()).cells[0].state;
        const shown = (await band.innerText()).trim();
        const after = (await status()).cells[0].state;
        return before === after && shown === words[/** @type {'stop'} */ (after)];
      });
    });

    await check(
      'the distance of the cell is that of its separation, to the centimetre',
      async () => {
        let equal = 0;
        await until('ten equal distances', 30_000, async () => {
          /** @type {Set<string>} */
          const told = new Set();
          const note = async () => {
            const metres = (await status()).cells[0].separation?.distance_m;
            if (metres !== undefined) told.add(centimetres(metres));
          };
          const ends = Date.now() + PAGE_LATE_MS;
          while (Date.now() < ends) await note();
          const shown = (await cellFigure.innerText()).replace(/[\sm]/g, '').replace('\u2212', '-');
          if (told.has(shown)) equal++;
          return equal >= 10;
        });
      },
    );

    await check('the cell is drawn, and says so in words too', async () => {
      await page.locator('.space canvas').waitFor();
      const drawn = await page.locator('.space').screenshot();
      assert.ok(drawn.length > 8000, `a picture of ${drawn.length} bytes shows nothing`);
      const said = await page.locator('#space-pair').textContent();
      assert.match(said ?? '', /pair that decides/);
    });

    await check('a minute ago can be looked at, is marked as past, and left again', async () => {
      const slider = page.locator('input[type=range]');
      await slider.focus();
      await page.keyboard.press('PageDown');
      await page.getByText('Past', { exact: true }).waitFor();
      await page.getByText('This is not the state now.').waitFor();
      await page.screenshot({ path: `${PICTURES}past.png` });
      await page.getByRole('button', { name: /Back to live/ }).click();
      await page.getByText('Past', { exact: true }).waitFor({ state: 'detached' });
    });

    for (const [name, width, height] of SIZES) {
      await check(`state and distance are in sight at ${width}×${height}`, async () => {
        await page.setViewportSize({ width, height });
        await page.waitForTimeout(400);
        await page.screenshot({ path: `${PICTURES}${name}-live.png` });
        for (const each of [band, cellFigure]) {
          const box = await each.boundingBox();
          assert.ok(box && box.y + box.height <= height, `at ${JSON.stringify(box)}`);
        }
      });
    }
    await page.setViewportSize({ width: 1440, height: 900 });
  }

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
