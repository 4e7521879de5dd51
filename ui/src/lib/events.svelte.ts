/** What happened of late: transitions of cells and alarms, read anew whenever something changed. */
import { ask, reason } from './api.ts';
import { seconds } from './format.ts';
import { type Transition, transitionOf } from './past.ts';
import type { GatewayRecord } from './status.ts';

/** An event as `GET /api/v1/events` gives it. */
export type GatewayEvent =
  | { event: 'separation_state'; t: string; machine: string; record: GatewayRecord }
  | {
      event: 'alarm';
      t: string;
      machine?: string;
      alarm: string;
      active: boolean;
      detail: string;
    };

export type Happening =
  | { kind: 'transition'; at_s: number; machine: string; transition: Transition }
  | {
      kind: 'alarm';
      at_s: number;
      machine: string;
      alarm: string;
      active: boolean;
      detail: string;
    };

/** Newest first, whatever order they came in; what the page doesn't know is left out. */
export function happenings(events: readonly GatewayEvent[]): Happening[] {
  return events
    .flatMap((event): Happening[] => {
      if (event.event === 'alarm') {
        const { t, machine = '', alarm, active, detail } = event;
        return [{ kind: 'alarm', at_s: seconds(t), machine, alarm, active, detail }];
      }
      const transition = event.event === 'separation_state' && transitionOf(event.record);
      if (!transition) return [];
      const { t, machine } = event;
      return [{ kind: 'transition', at_s: seconds(t), machine, transition }];
    })
    .sort((a, b) => b.at_s - a.at_s);
}

export class Events {
  list: Happening[] = $state.raw([]);
  failure = $state('');
  #reading = false;
  #again = false;

  async read(limit: number): Promise<void> {
    this.#again = true;
    if (this.#reading) return;
    this.#reading = true;
    while (this.#again) {
      this.#again = false;
      try {
        const { events } = await ask<{ events: GatewayEvent[] }>(`events?limit=${limit}`);
        this.list = happenings(events);
        this.failure = '';
      } catch (error) {
        this.failure = reason(error);
      }
    }
    this.#reading = false;
  }
}
