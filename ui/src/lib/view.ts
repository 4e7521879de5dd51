/**
 * What a person is told about one machine: the line's own word, unless what the page knows is too
 * old to repeat it.
 */
import { age } from './format.ts';
import type { LineState, MachineStatus, UplinkState } from './status.ts';
import { text } from './text.ts';

/** How a state is drawn: each has a shape of its own besides its colour. */
export type Mark = LineState | 'unknown' | 'off';

export interface Condition {
  mark: Mark;
  word: string;
  detail: string;
  /** Nothing of this machine may look current. */
  stale: boolean;
}

export type Connection = 'connecting' | 'live' | 'lost';

/** What the page knows at one instant besides the status itself. */
export interface Look {
  connection: Connection;
  /** Seconds since the newest event was sent by the gateway. */
  eventAge_s: number;
  /** Whether the machine's newest frame is too old, with the recovery time held. */
  framesStale: boolean;
}

export function condition(machine: MachineStatus, look: Look): Condition {
  const { line } = machine;
  const frameAge_s = frameAge(machine, look.eventAge_s);
  if (look.connection !== 'live') {
    const detail = text.connection.lastWord(text.lineState[line.state]);
    return { mark: 'unknown', word: text.unknown, detail, stale: true };
  }
  if (line.state === 'running' && look.framesStale) {
    const old = frameAge_s === undefined || frameAge_s > machine.stale_after_s;
    const detail = old ? text.staleDetail(age(frameAge_s)) : text.recovering;
    return { mark: 'unknown', word: text.stale, detail, stale: true };
  }
  return {
    mark: line.state,
    word: text.lineState[line.state],
    detail: (text.repeatsGateway && line.detail) || text.lineDetail[line.state],
    stale: line.state !== 'running',
  };
}

/** The age of the machine's newest frame, as seen now. */
export function frameAge(machine: MachineStatus, eventAge_s: number): number | undefined {
  return machine.frame_age_s === undefined ? undefined : machine.frame_age_s + eventAge_s;
}

/** The age of the frame that the newest record of that name came from, as seen now. */
export function recordAge(
  machine: MachineStatus,
  record: string,
  eventAge_s: number,
): number | undefined {
  const age_s = machine.record_ages_s[record];
  return age_s === undefined ? undefined : age_s + eventAge_s;
}

/** Sentences for a screen reader: one for each machine whose word is another than before. */
export function announcements(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string[] {
  return [...after]
    .filter(([machine, word]) => before.get(machine) !== word)
    .map(([machine, word]) => text.announce(machine, word));
}

export function uplinkMark(state: UplinkState): Mark {
  const marks: Record<UplinkState, Mark> = {
    connected: 'running',
    connecting: 'starting',
    refused: 'disconnected',
    off: 'off',
  };
  return marks[state];
}

/** Where on the page a machine stands. */
export function anchorOf(machine: string): string {
  return `machine-${machine}`;
}
