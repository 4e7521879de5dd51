// Draws what `lake-chart` wrote down: node tests/support/lake-chart.mjs FILE.json PICTURE.png
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [file, picture] = process.argv.slice(2);
if (!picture) {
  console.error('usage: lake-chart.mjs FILE.json PICTURE.png');
  process.exit(2);
}
const require = createRequire(new URL('../../ui/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const uplot = (name) => readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8');
const { from, to, outage, panels } = JSON.parse(readFileSync(file, 'utf8'));

/** Seconds since it began. */
const seconds = (time) => (Date.parse(time) - Date.parse(from)) / 1000;

/** A line for each machine over common times; a machine that has nothing at one has a hole there. */
function lines(title) {
  const rows = panels[title];
  const machines = [...new Set(rows.map((row) => row.machine))].sort();
  const times = [...new Set(rows.map((row) => seconds(row._time)))].sort((a, b) => a - b);
  const data = machines.map((machine) => {
    const values = new Map(
      rows
        .filter((row) => row.machine === machine)
        .map((row) => [seconds(row._time), Number(row._value)]),
    );
    return times.map((time) => values.get(time) ?? null);
  });
  return { machines, data: [times, ...data] };
}

const charts = [
  { title: 'Least distance in each second, in m (advisory)', ...lines('Least distance (advisory)') },
  { title: 'Records of each second, by their own time', ...lines('Records per second'), floor: 0 },
];
const shown = { charts, outage: outage.map(seconds), range: [seconds(from), seconds(to)] };

const page = `<!doctype html><meta charset="utf-8"><style>${uplot('uPlot.min.css')}
  body { margin: 16px; width: 960px; font: 15px sans-serif; background: #fff; color: #1a1f24; }
  h1 { font-size: 18px; margin: 0 0 4px; } p { margin: 0 0 12px; color: #47525c; }
  .u-title { font-size: 15px; font-weight: 600; text-align: left; }
</style><h1>What arrived in InfluxDB</h1>
<p>Two simulated robots, gateway, mosquitto, ingest, Kafka, sink. Shaded: the broker was killed.</p>
<div id="charts"></div><script>${uplot('uPlot.iife.min.js')}
const { charts, outage, range } = ${JSON.stringify(shown)};
const colours = ['#0b6bcb', '#b3430f'];
for (const { title, machines, data, floor } of charts) {
  new uPlot({
    title, width: 960, height: 230,
    legend: { live: false },
    scales: { x: { time: false, range }, y: { range: (_, low, high) => [floor ?? Math.min(0, low), high * 1.1] } },
    axes: [{ label: 's', labelSize: 20 }, { size: 56 }],
    series: [{ label: 's' }, ...machines.map((label, index) => ({ label, stroke: colours[index], width: 1.5 }))],
    hooks: { drawClear: [({ ctx, bbox, valToPos }) => {
      const [left, right] = outage.map((time) => valToPos(time, 'x', true));
      ctx.fillStyle = '#f2dcb3';
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }] },
  }, data, document.getElementById('charts'));
}
</script>`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
});
const tab = await browser.newPage({ viewport: { width: 992, height: 690 } });
const errors = [];
tab.on('pageerror', (error) => errors.push(error.message));
await tab.setContent(page);
await tab.screenshot({ path: picture });
await browser.close();
if (errors.length > 0) {
  console.error(errors.join('\n'));
  process.exit(1);
}
