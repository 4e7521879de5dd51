/**
 * The page's connection to the gateway: the live stream into a [Feed], and looks out of it at a
 * pace that eyes can follow.
 */
import { Feed, type Look } from './feed.ts';

const STREAM = '/api/v1/live';

/** How often the page looks; what is stale shows after this long at the latest. */
const LOOK_MS = 100;

/** Figures change at every second look: five times a second can still be read. */
const LOOKS_PER_FIGURE = 2;

/** Silence after which the stream is opened anew: a frozen connection says nothing by itself. */
const REOPEN_AFTER_S = 5;

const now = (): number => performance.now() / 1000;

export class Live {
  look: Look = $state.raw(new Feed(now()).look(now()));

  #feed = new Feed(now());
  #source: EventSource | undefined;
  #heard_s = now();
  #looks = 0;

  /** Opens the stream; the result closes it. */
  start(): () => void {
    this.#open();
    const timer = setInterval(() => this.#tick(), LOOK_MS);
    return () => {
      clearInterval(timer);
      this.#source?.close();
    };
  }

  #open(): void {
    this.#source?.close();
    this.#heard_s = now();
    const source = new EventSource(STREAM);
    this.#source = source;
    source.onopen = () => this.#feed.connecting();
    source.onmessage = (event: MessageEvent<string>) => {
      if (this.#feed.accept(event.data, now())) this.#heard_s = now();
    };
    source.onerror = () => this.#feed.failed();
  }

  #tick(): void {
    if (now() - this.#heard_s > REOPEN_AFTER_S) this.#open();
    const look = this.#feed.look(now());
    this.#looks += 1;
    if (this.#looks % LOOKS_PER_FIGURE === 0 || wording(look) !== wording(this.look)) {
      this.look = look;
    }
  }
}

/** What must be shown at once when it changes. */
function wording(look: Look): string {
  const machines = look.machines.map(({ condition, records }) => {
    const stale = Object.values(records).map((record) => record.stale);
    return `${condition.word} ${stale.join()}`;
  });
  return [look.connection, ...machines].join('|');
}
