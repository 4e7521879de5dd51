/** Looking back: which moment of which minutes is shown, and reading them from the gateway. */
import { ApiError, ask, reason } from './api.ts';
import { seconds } from './format.ts';
import { type Moment, Past, WINDOW_S } from './past.ts';
import { separationOf } from './separation.ts';
import type { GatewayRecord } from './status.ts';
import type { Trail } from './trail.ts';

/** More than this of one kind is not read at once; the API gives no more either. */
const RECORDS_MAX = 10_000;
/** How far before a window the transition may lie that its first state comes from. */
const BEFORE_S = 3600;

/** The gateway answers few questions about the past at once; whoever is too many asks again. */
const TRIES = 4;
const AGAIN_MS = 1000;

interface History {
  records: GatewayRecord[];
  /** There are older ones in that time. */
  more: boolean;
}

/** One kind of record of one machine, oldest first; the newest of them where there are too many. */
export async function history(
  machine: string,
  record: string,
  [from_s, to_s]: [number, number],
  signal?: AbortSignal,
): Promise<History> {
  const query = new URLSearchParams({
    machine,
    record,
    from: stamp(from_s),
    to: stamp(to_s),
    limit: String(RECORDS_MAX),
  });
  for (let tries = 1; ; tries++) {
    try {
      return await ask<History>(`history?${query.toString()}`, signal ? { signal } : {});
    } catch (error) {
      const busy = error instanceof ApiError && error.status === 503 && tries < TRIES;
      if (!busy || signal?.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

function stamp(at_s: number): string {
  return new Date(at_s * 1000).toISOString();
}

export class LookBack {
  /** What is looked at; absent while the page is live. */
  at_s: number | undefined = $state();
  past: Past | undefined = $state.raw();
  loading = $state(false);
  more = $state(false);
  failure = $state('');
  window: [from_s: number, to_s: number] = $state([0, 0]);
  #asking: AbortController | undefined;

  moment: Moment | undefined = $derived(
    this.at_s === undefined ? undefined : this.past?.at(this.at_s),
  );

  /** Shows a moment, and reads the minutes around it where they are not here yet. */
  async show(
    at_s: number,
    machines: readonly string[],
    staleAfter_s: number,
    now_s: number,
  ): Promise<void> {
    this.at_s = Math.min(at_s, now_s);
    const [from_s, to_s] = this.window;
    const here = (this.past ?? this.loading) && at_s >= from_s && at_s <= to_s;
    if (here) return;
    // The last minutes end now, as the live chart does: a scrubber must not jump under the finger.
    const end_s = at_s >= now_s - WINDOW_S ? now_s : at_s + WINDOW_S / 2;
    await this.#read([end_s - WINDOW_S, end_s], machines, staleAfter_s);
  }

  /** Back to what is now. */
  live(): void {
    this.#asking?.abort();
    this.at_s = undefined;
    this.past = undefined;
    this.loading = false;
    this.failure = '';
    this.window = [0, 0];
  }

  async #read(
    window: [number, number],
    machines: readonly string[],
    staleAfter_s: number,
  ): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.window = window;
    this.past = undefined;
    this.loading = true;
    this.failure = '';
    const before: [number, number] = [window[0] - BEFORE_S, window[1]];
    try {
      const records: GatewayRecord[] = [];
      let more = false;
      for (const machine of machines) {
        const questions = [
          history(machine, 'separation', window, asking.signal),
          history(machine, 'axes', window, asking.signal),
        ];
        for (const answer of await Promise.all(questions)) {
          records.push(...answer.records);
          more ||= answer.more;
        }
        const states = await history(machine, 'separation_state', before, asking.signal);
        records.push(...states.records);
      }
      if (asking.signal.aborted) return;
      this.more = more;
      this.past = new Past(window, machines, records, staleAfter_s);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.failure = reason(error);
    }
    this.loading = false;
  }
}

/** Adds what the history tells of those minutes; without a history the trail begins now. */
export async function fill(
  trail: Trail,
  machines: readonly string[],
  window: [from_s: number, to_s: number],
): Promise<void> {
  for (const machine of machines) {
    const answer = await history(machine, 'separation', window).catch(() => undefined);
    for (const { t, fields } of answer?.records ?? []) {
      const separation = separationOf(fields);
      trail.add(seconds(t), {
        distance_m: separation?.distance_m,
        protective_m: separation?.protective_m,
        speed_m_per_s: separation?.robotSpeed_m_per_s,
      });
    }
  }
}
