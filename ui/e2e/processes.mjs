/** The programs around the browser test: the demo, an MQTT client, and waiting for either. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const PROGRAM =
  process.env['RETROTAP_BINARY'] ??
  fileURLToPath(new URL('../../target/debug/retrotap', import.meta.url));
/** Compiling the stages for the first time on a busy machine takes the most of it. */
const START_WITHIN_MS = 60_000;
const END_WITHIN_MS = 10_000;

/** A `retrotap demo` on ports that the system chose, or with its page on a given one. */
export class Demo {
  /** @param {import('node:child_process').ChildProcess} child */
  constructor(child) {
    this.child = child;
    /** @type {Promise<{ code: number | null, signal: string | null }>} */
    this.ended = new Promise((resolve) =>
      child.on('exit', (code, signal) => resolve({ code, signal })),
    );
    this.url = '';
    this.mqttPort = 0;
  }

  /** @param {string} listen */
  static async start(listen = '127.0.0.1:0') {
    const child = spawn(
      PROGRAM,
      ['demo', '--no-browser', '--listen', listen, '--mqtt', '127.0.0.1:0'],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } },
    );
    const demo = new Demo(child);
    let said = '';
    const hear = (/** @type {Buffer} */ bytes) => (said += bytes.toString());
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('error', (error) => (said += `${error.message}; cargo build -p retrotap makes it\n`));
    try {
      await until('the demo to say where it is', START_WITHIN_MS, () => {
        if (child.exitCode !== null || child.pid === undefined) throw new Error('the demo ended');
        demo.url = said.match(/dashboard\s+(http:\/\/[\d.:]+)\//)?.[1] ?? '';
        demo.mqttPort = Number(said.match(/mosquitto_sub .*-p (\d+)/)?.[1] ?? 0);
        return demo.url !== '' && demo.mqttPort > 0;
      });
    } catch (error) {
      child.kill('SIGKILL');
      throw new Error(`${String(error)}\n${said}`);
    }
    return demo;
  }

  /**
   * Sends the signal and waits for the end; one that has ended already is left as it is.
   *
   * @param {NodeJS.Signals} signal
   */
  async end(signal) {
    this.child.kill(signal);
    const late = sleep(END_WITHIN_MS, undefined, { ref: false }).then(() => {
      throw new Error(`still there ${END_WITHIN_MS} ms after ${signal}`);
    });
    return Promise.race([this.ended, late]);
  }
}

/** A real client: what `mosquitto_sub` receives of the distance records, in order. */
export class Listener {
  /** @param {number} port */
  constructor(port) {
    /** @type {number[]} */
    this.distances_m = [];
    this.child = spawn(
      'mosquitto_sub',
      ['-h', '127.0.0.1', '-p', String(port), '-q', '1', '-t', 'retrotap/1/+/+/+/records'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    this.child.on('error', (error) => console.error(`mosquitto_sub: ${error.message}`));
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      for (const record of JSON.parse(line)) {
        if (record.record === 'distance') this.distances_m.push(record.fields.distance_m);
      }
    });
  }

  stop() {
    this.child.kill();
  }
}

/**
 * Asks until it is so.
 *
 * @param {string} what
 * @param {number} within_ms
 * @param {() => boolean | Promise<boolean>} isSo
 */
export async function until(what, within_ms, isSo) {
  const last = Date.now() + within_ms;
  while (!(await isSo())) {
    if (Date.now() > last) throw new Error(`no ${what} within ${within_ms} ms`);
    await sleep(50);
  }
}

/** `$CHROMIUM`, or the first Chromium on the PATH. */
export function chromiumPath() {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const candidates = ['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) =>
    folders.map((folder) => join(folder, name)),
  );
  const found = process.env['CHROMIUM'] ?? candidates.find(isProgram);
  if (!found) throw new Error('no Chromium on the PATH; apt-get install chromium');
  return found;
}

/** @param {string} path */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
