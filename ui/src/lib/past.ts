/**
 * A few minutes of a cell out of the spool's history, to look back at.
 *
 * Keeps true: what is shown of a moment was recorded at or before it, nothing is interpolated, and
 * a moment without a recent enough separation is `unknown`.
 */
import { type CellLook, STATES, causeText } from './cell.ts';
import { seconds } from './format.ts';
import { type Separation, separationOf } from './separation.ts';
import {
  type CellStatus,
  type Fields,
  type GatewayRecord,
  type SeparationState,
  numberIn,
  textIn,
} from './status.ts';
import { text } from './text.ts';
import { Trail, type TrailColumns } from './trail.ts';

/** As long as the live chart, so a scrubber means the same on both. */
export const WINDOW_S = 180;

export interface Transition {
  at_s: number;
  machine: string;
  state: SeparationState;
  was: SeparationState;
  cause: string;
  distance_m: number | undefined;
  protective_m: number | undefined;
}

export interface Moment {
  at_s: number;
  state: SeparationState;
  cause: string;
  since_s: number | undefined;
  /** The machine with the least margin. */
  machine: string | undefined;
  separation: Separation | undefined;
  separationAge_s: number | undefined;
  axes: Record<string, Fields>;
}

/** A moment in the words that the page has for what is now; what the history doesn't keep is unknown. */
export function momentLook(cell: CellStatus, moment: Moment | undefined): CellLook {
  const state = moment?.state ?? 'unknown';
  const detail = moment?.separation ? causeText(state, moment.cause) : text.past.nothing;
  return {
    cell,
    state,
    word: text.separation.state[state],
    detail: moment ? detail : '',
    since:
      moment?.since_s === undefined ? undefined : new Date(moment.since_s * 1000).toISOString(),
    permit: 'unknown',
    stale: !moment?.separation,
    separation: moment?.separation,
    separationAge_s: moment?.separationAge_s,
    obstaclesAge_s: moment?.separation?.obstacleAge_s,
  };
}

interface Kept {
  at_s: number;
  fields: Fields;
}

export function transitionOf(record: GatewayRecord): Transition | undefined {
  const at_s = seconds(record.t);
  if (record.record !== 'separation_state' || !Number.isFinite(at_s)) return undefined;
  const state = (name: string): SeparationState =>
    STATES.find((each) => each === record.fields[name]) ?? 'unknown';
  return {
    at_s,
    machine: record.machine ?? '',
    state: state('state'),
    was: state('was'),
    cause: textIn(record.fields, 'cause') ?? '',
    distance_m: numberIn(record.fields, 'distance_m'),
    protective_m: numberIn(record.fields, 'protective_m'),
  };
}

export class Past {
  readonly from_s: number;
  readonly to_s: number;
  readonly machines: readonly string[];
  readonly transitions: Transition[];
  readonly #staleAfter_s: number;
  readonly #separations = new Map<string, Kept[]>();
  readonly #axes = new Map<string, Kept[]>();
  readonly #trail = new Trail(Infinity);

  /** Records of one machine and name must be in the order of their times. */
  constructor(
    [from_s, to_s]: [number, number],
    machines: readonly string[],
    records: readonly GatewayRecord[],
    staleAfter_s: number,
  ) {
    this.from_s = from_s;
    this.to_s = to_s;
    this.machines = machines;
    this.#staleAfter_s = staleAfter_s;
    for (const record of records) this.#keep(record);
    this.transitions = records
      .flatMap((record) => transitionOf(record) ?? [])
      .sort((a, b) => a.at_s - b.at_s);
  }

  #keep(record: GatewayRecord): void {
    const at_s = seconds(record.t);
    const kinds: Record<string, Map<string, Kept[]>> = {
      separation: this.#separations,
      axes: this.#axes,
    };
    const kind = kinds[record.record ?? ''];
    if (!kind || !Number.isFinite(at_s)) return;
    const machine = record.machine ?? '';
    let kept = kind.get(machine);
    if (!kept) kind.set(machine, (kept = []));
    kept.push({ at_s, fields: record.fields });
    if (record.record !== 'separation') return;
    const separation = separationOf(record.fields);
    this.#trail.add(at_s, {
      distance_m: separation?.distance_m,
      protective_m: separation?.protective_m,
      speed_m_per_s: separation?.robotSpeed_m_per_s,
    });
  }

  columns(): TrailColumns {
    return this.#trail.columns(this.from_s, this.to_s, this.#staleAfter_s);
  }

  /** How everything stood then. */
  at(at_s: number): Moment {
    const axes: Record<string, Fields> = {};
    let deciding: { machine: string; separation: Separation; age_s: number } | undefined;
    let known = this.machines.length > 0;
    for (const machine of this.machines) {
      const pose = this.#recent(this.#axes.get(machine), at_s);
      if (pose) axes[machine] = pose.fields;
      const kept = this.#recent(this.#separations.get(machine), at_s);
      const separation = separationOf(kept?.fields);
      if (!kept || !separation) {
        known = false;
        continue;
      }
      const margin_m = separation.margin_m ?? Infinity;
      if (!deciding || margin_m < (deciding.separation.margin_m ?? Infinity)) {
        deciding = { machine, separation, age_s: at_s - kept.at_s };
      }
    }
    const worst = known ? this.#worst(at_s) : undefined;
    return {
      at_s,
      state: worst?.state ?? 'unknown',
      cause: worst?.cause ?? '',
      since_s: worst?.at_s,
      machine: deciding?.machine,
      separation: deciding?.separation,
      separationAge_s: deciding?.age_s,
      axes,
    };
  }

  /** The moment of the next record before or after, to step by. */
  step(at_s: number, direction: 1 | -1): number | undefined {
    const times = [...this.#separations.values()]
      .flat()
      .map((kept) => kept.at_s)
      .filter((each) => (direction > 0 ? each > at_s + 1e-4 : each < at_s - 1e-4));
    if (times.length === 0) return undefined;
    return times.reduce((best, each) => (direction * (each - best) < 0 ? each : best));
  }

  #recent(kept: readonly Kept[] | undefined, at_s: number): Kept | undefined {
    const found = lastBefore(kept ?? [], at_s);
    return found && at_s - found.at_s <= this.#staleAfter_s ? found : undefined;
  }

  /** The worst of the machines' states, as the cell's is. */
  #worst(at_s: number): { state: SeparationState; cause: string; at_s?: number } | undefined {
    let worst: { state: SeparationState; cause: string; at_s?: number } | undefined;
    for (const machine of this.machines) {
      const own = this.transitions.filter((each) => each.machine === machine);
      const before = lastBefore(own, at_s);
      const after = own[0];
      const found = before ?? { state: after?.was ?? ('unknown' as const), cause: '' };
      if (!worst || STATES.indexOf(found.state) > STATES.indexOf(worst.state)) worst = found;
    }
    return worst;
  }
}

/** The last that is not after that time, in a list in the order of time. */
function lastBefore<T extends { at_s: number }>(list: readonly T[], at_s: number): T | undefined {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]!.at_s <= at_s) low = middle + 1;
    else high = middle;
  }
  return list[low - 1];
}
