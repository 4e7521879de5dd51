/**
 * The last minute of one machine's distance and closing speed, in bins of a fifth of a second.
 *
 * A bin keeps the least distance and the highest closing speed in it, never a mean: what was
 * closest must stay visible. Times are seconds of the client's monotonic clock.
 */
export const MINUTE_S = 60;
export const BIN_S = 0.2;

interface Bin {
  number: number;
  distance_m: number | undefined;
  closing_m_per_s: number | undefined;
}

/** Columns for a chart: seconds before now (negative), and per time a value or a gap. */
export type Columns = [number[], (number | null)[], (number | null)[]];

export class History {
  #bins: Bin[] = [];

  add(at_s: number, distance_m: number | undefined, closing_m_per_s: number | undefined): void {
    const number = Math.floor(at_s / BIN_S);
    const last = this.#bins.at(-1);
    if (last && number < last.number) return;
    if (last?.number === number) {
      last.distance_m = least(last.distance_m, distance_m);
      last.closing_m_per_s = most(last.closing_m_per_s, closing_m_per_s);
    } else {
      this.#bins.push({ number, distance_m, closing_m_per_s });
    }
    const first = number - MINUTE_S / BIN_S;
    while ((this.#bins[0]?.number ?? first) < first) this.#bins.shift();
  }

  /** What a chart draws; a pause longer than `gap_s` is a gap in the line. */
  columns(now_s: number, gap_s: number): Columns {
    const columns: Columns = [[], [], []];
    const gapBins = Math.ceil(gap_s / BIN_S) + 1;
    let previous: number | undefined;
    for (const bin of this.#bins) {
      const x = (bin.number + 1) * BIN_S - now_s;
      if (x < -MINUTE_S) continue;
      if (previous !== undefined && bin.number - previous > gapBins) {
        columns[0].push(x - BIN_S);
        columns[1].push(null);
        columns[2].push(null);
      }
      columns[0].push(Math.min(x, 0));
      columns[1].push(bin.distance_m ?? null);
      columns[2].push(bin.closing_m_per_s ?? null);
      previous = bin.number;
    }
    return columns;
  }

  /** The least distance of the last minute. */
  least(now_s: number): number | undefined {
    const first = Math.floor((now_s - MINUTE_S) / BIN_S);
    return this.#bins
      .filter((bin) => bin.number >= first)
      .reduce<number | undefined>((lowest, bin) => least(lowest, bin.distance_m), undefined);
  }
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}

function most(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.max(a, b);
}

/** An axis' end that all values fit under, in steps so coarse that it seldom moves. */
export function ceiling(values: readonly number[], step: number, least = step): number {
  const highest = Math.max(0, ...values);
  return Math.max(least, Math.ceil((highest * 1.05) / step) * step);
}
