/**
 * Distance, protective distance and the robot's speed over the last minutes, in bins of a fifth of
 * a second.
 *
 * A bin keeps the sample with the least margin and the highest speed, never a mean: what was closest
 * must stay visible. Times are seconds of the gateway's wall clock, so what was heard live and what
 * the history tells stand on one axis.
 */
export const TRAIL_S = 180;
export const TRAIL_BIN_S = 0.2;

export interface Sample {
  distance_m: number | undefined;
  protective_m: number | undefined;
  speed_m_per_s: number | undefined;
}

interface Bin extends Sample {
  number: number;
}

type Column = (number | null)[];

/** Times, and per time a distance, a protective distance and a speed, or a gap. */
export type TrailColumns = [number[], Column, Column, Column];

export class Trail {
  readonly #keep_s: number;
  #bins: Bin[] = [];

  constructor(keep_s = TRAIL_S) {
    this.#keep_s = keep_s;
  }

  add(at_s: number, sample: Sample): void {
    const number = Math.floor(at_s / TRAIL_BIN_S);
    const newest = this.#bins.at(-1);
    if (!newest || number > newest.number) this.#bins.push({ number, ...sample });
    else {
      // What the history tells comes after what was heard meanwhile.
      const index = this.#bins.findIndex((bin) => bin.number >= number);
      const bin = this.#bins[index]!;
      if (bin.number === number) merge(bin, sample);
      else this.#bins.splice(index, 0, { number, ...sample });
    }
    const first = (this.#bins.at(-1)?.number ?? number) - this.#keep_s / TRAIL_BIN_S;
    while ((this.#bins[0]?.number ?? first) < first) this.#bins.shift();
  }

  /** What a chart draws; a pause longer than `gap_s` is a gap in the line. */
  columns(from_s: number, to_s: number, gap_s: number): TrailColumns {
    const columns: TrailColumns = [[], [], [], []];
    const gapBins = Math.ceil(gap_s / TRAIL_BIN_S) + 1;
    let previous: number | undefined;
    for (const bin of this.#bins) {
      const at_s = bin.number * TRAIL_BIN_S;
      if (at_s < from_s || at_s > to_s) continue;
      if (previous !== undefined && bin.number - previous > gapBins) {
        push(columns, at_s - TRAIL_BIN_S, undefined);
      }
      push(columns, at_s, bin);
      previous = bin.number;
    }
    return columns;
  }

  /** The least distance since then. */
  least(from_s: number): number | undefined {
    let least: number | undefined;
    for (const { number, distance_m } of this.#bins) {
      if (distance_m === undefined || number * TRAIL_BIN_S < from_s) continue;
      if (least === undefined || distance_m < least) least = distance_m;
    }
    return least;
  }
}

function merge(bin: Bin, sample: Sample): void {
  if (margin(sample) < margin(bin)) {
    bin.distance_m = sample.distance_m;
    bin.protective_m = sample.protective_m;
  }
  bin.speed_m_per_s = Math.max(bin.speed_m_per_s ?? -Infinity, sample.speed_m_per_s ?? -Infinity);
  if (bin.speed_m_per_s === -Infinity) bin.speed_m_per_s = undefined;
}

function margin({ distance_m, protective_m }: Sample): number {
  return distance_m === undefined ? Infinity : distance_m - (protective_m ?? 0);
}

function push(columns: TrailColumns, at_s: number, sample: Sample | undefined): void {
  columns[0].push(at_s);
  columns[1].push(sample?.distance_m ?? null);
  columns[2].push(sample?.protective_m ?? null);
  columns[3].push(sample?.speed_m_per_s ?? null);
}
