/**
 * Modules in a browser's WebAssembly: the calls of their test cases, and whether each leaves the same bits
 * in the output area as it did elsewhere.
 *
 *     node ui/e2e/modules.mjs CASES.json
 *
 * `pipelines/host/tests/stage_cases.rs` writes the file and runs this. Exit code 1 if a bit differs.
 */
import { readFileSync } from 'node:fs';
import { launch } from './browser.mjs';

/**
 * @typedef {{input?: string, t_ns: string, output: string}} Call
 * @typedef {{name: string, module: string, config: string, calls: Call[]}} Case
 * @typedef {object} Stage what a module exports
 * @property {WebAssembly.Memory} memory
 * @property {() => number} rt_input
 * @property {() => number} rt_config
 * @property {() => number} rt_output
 * @property {() => number} rt_configure
 * @property {(bytes: number, t_ns: bigint) => number} rt_process
 * @property {((t_ns: bigint) => number) | undefined} rt_tick
 */

/**
 * Runs in the page. Bytes are hexadecimal digits; a call without input is a tick.
 *
 * @param {Case[]} cases
 * @returns {string[]} where something differs
 */
function run(cases) {
  const bytes = (/** @type {string} */ digits) =>
    Uint8Array.from(digits.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  const hex = (/** @type {Uint8Array} */ area) =>
    Array.from(area, (byte) => byte.toString(16).padStart(2, '0')).join('');
  /** @type {string[]} */
  const differ = [];
  for (const { name, module, config, calls } of cases) {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes(module)));
    const stage = /** @type {Stage} */ (/** @type {unknown} */ (instance.exports));
    const memory = new Uint8Array(stage.memory.buffer);
    memory.set(bytes(config), stage.rt_config());
    if (stage.rt_configure() < 0) differ.push(`${name}: refuses its configuration`);
    calls.forEach(({ input, t_ns, output }, call) => {
      if (input === undefined) {
        stage.rt_tick?.(BigInt(t_ns));
      } else {
        memory.set(bytes(input), stage.rt_input());
        stage.rt_process(input.length / 2, BigInt(t_ns));
      }
      const start = stage.rt_output();
      const area = hex(memory.subarray(start, start + output.length / 2));
      if (area !== output) differ.push(`${name}, call ${call + 1}: ${area} and not ${output}`);
    });
  }
  return differ;
}

const cases = JSON.parse(readFileSync(process.argv[2] ?? '/dev/stdin', 'utf8'));
const browser = await launch();
try {
  const page = await browser.newPage();
  const differ = await page.evaluate(run, cases);
  for (const line of differ) console.error(line);
  console.log(`${cases.length} cases in ${browser.version()}`);
  process.exitCode = differ.length === 0 ? 0 : 1;
} finally {
  await browser.close();
}
