/**
 * What a person is told about one cell: the gateway's own word, unless what the page knows is too
 * old to repeat it.
 *
 * Keeps true: a word the page doesn't know, a separation without an age, and anything that is too
 * old are `unknown`, and `unknown` shows no permit as sent.
 */
import { age, words } from './format.ts';
import { type Separation, separationOf } from './separation.ts';
import type { CellStatus, Permit, SeparationState } from './status.ts';
import { text } from './text.ts';
import type { Connection } from './view.ts';

export const STATES: readonly SeparationState[] = ['clear', 'warn', 'stop', 'unknown'];

export interface CellLook {
  cell: CellStatus;
  state: SeparationState;
  word: string;
  detail: string;
  /** Since when the shown state holds; absent where the page itself took the gateway's word back. */
  since: string | undefined;
  permit: Permit | 'unknown';
  /** Nothing of this cell may look current. */
  stale: boolean;
  separation: Separation | undefined;
  separationAge_s: number | undefined;
  obstaclesAge_s: number | undefined;
}

/** What the page knows at one instant besides the status itself. */
export interface CellGlance {
  connection: Connection;
  eventAge_s: number;
  /** Whether the newest separation is too old, with the recovery time held. */
  separationStale: boolean;
  /** From when on it is. */
  staleAfter_s: number;
}

export function cellLook(cell: CellStatus, glance: CellGlance): CellLook {
  const { connection, eventAge_s } = glance;
  const separationAge_s = older(cell.separation_age_s, eventAge_s);
  const base = {
    cell,
    separation: separationOf(cell.separation),
    separationAge_s,
    obstaclesAge_s: older(cell.obstacles_age_s, eventAge_s),
  };
  const known = STATES.includes(cell.state) ? cell.state : 'unknown';
  const lost = connection !== 'live';
  // What is unknown on the gateway too is repeated with the gateway's cause: it knows better why.
  if (lost || (known !== 'unknown' && glance.separationStale)) {
    const why = lost ? text.separation.lost : oldness(separationAge_s, glance.staleAfter_s);
    const last = text.separation.lastWord(text.separation.state[known]);
    return {
      ...base,
      state: 'unknown',
      word: text.separation.state.unknown,
      detail: `${why} ${last}`,
      since: undefined,
      permit: cell.permit === 'none' ? 'none' : 'unknown',
      stale: true,
    };
  }
  return {
    ...base,
    state: known,
    word: text.separation.state[known],
    detail: causeText(known, cell.cause, cell.detail),
    since: cell.since,
    permit: known === 'unknown' && cell.permit === 'sent' ? 'unknown' : cell.permit,
    stale: glance.separationStale,
  };
}

function older(age_s: number | undefined, eventAge_s: number): number | undefined {
  return age_s === undefined ? undefined : age_s + eventAge_s;
}

function oldness(age_s: number | undefined, staleAfter_s: number): string {
  if (age_s === undefined) return text.separation.waiting;
  return age_s > staleAfter_s ? text.separation.old(age(age_s)) : text.separation.recovering;
}

/** Why a state holds, as a sentence: the gateway's own only for a cause that the page doesn't know. */
export function causeText(state: string, cause: string, detail = ''): string {
  const sentences = text.separation.cause;
  return sentences[`${state}/${cause}`] ?? sentences[cause] ?? (detail || words(cause));
}
