/**
 * The page's connection to the gateway: the live stream into a [Feed], and looks out of it at paces
 * that eyes can follow.
 */
import { Feed, type Look } from './feed.ts';
import type { Trail } from './trail.ts';

const STREAM = '/api/v1/live';

/** What moves is drawn thirty times a second at most; what is stale shows after this long. */
const TICK_MS = 33;

/** Figures change five times a second: faster they can't be read. */
const FIGURES_MS = 200;

/** Without an event a moving picture is looked at anew after this long, for its ages. */
const IDLE_MS = 100;

/** Silence after which the stream is opened anew: a frozen connection says nothing by itself. */
const REOPEN_AFTER_S = 5;

const now = (): number => performance.now() / 1000;

export class Live {
  /** For figures and words. */
  look: Look = $state.raw(new Feed(now()).look(now()));
  /** For what moves: the newest there is at each tick. */
  frame: Look = $state.raw(new Feed(now()).look(now()));

  #feed = new Feed(now());
  #source: EventSource | undefined;
  #heard_s = now();
  #isNew = false;
  #onRefused: () => void;

  /** `onRefused` is called when the gateway ends the stream: it may ask for a sign-in by now. */
  constructor(onRefused: () => void) {
    this.#onRefused = onRefused;
  }

  /** Opens the stream; the result closes it. */
  start(): () => void {
    this.#open();
    const timer = setInterval(() => this.#tick(), TICK_MS);
    return () => {
      clearInterval(timer);
      this.#source?.close();
      this.#source = undefined;
    };
  }

  trail(cell: string): Trail {
    return this.#feed.trail(cell);
  }

  #open(): void {
    this.#source?.close();
    this.#heard_s = now();
    const source = new EventSource(STREAM);
    this.#source = source;
    source.onopen = () => this.#feed.connecting();
    source.onmessage = (event: MessageEvent<string>) => {
      if (!this.#feed.accept(event.data, now())) return;
      this.#heard_s = now();
      this.#isNew = true;
    };
    source.onerror = () => {
      this.#feed.failed();
      this.#onRefused();
    };
  }

  #tick(): void {
    if (now() - this.#heard_s > REOPEN_AFTER_S) this.#open();
    const look = this.#feed.look(now());
    const changed = wording(look) !== wording(this.look);
    if (this.#isNew || changed || (look.now_s - this.frame.now_s) * 1000 >= IDLE_MS) {
      this.frame = look;
      this.#isNew = false;
    }
    // A tick that comes a little early is no reason to leave one out.
    const since_ms = (look.now_s - this.look.now_s) * 1000 + TICK_MS / 2;
    if (changed || since_ms >= FIGURES_MS) this.look = look;
  }
}

/** What must be shown at once when it changes. */
function wording(look: Look): string {
  const machines = look.machines.map(({ condition, records }) => {
    const stale = Object.values(records).map((record) => record.stale);
    return `${condition.word} ${stale.join()}`;
  });
  const cells = look.cells.map(({ state, permit, stale }) => `${state} ${permit} ${stale}`);
  return [look.connection, ...machines, ...cells].join('|');
}
