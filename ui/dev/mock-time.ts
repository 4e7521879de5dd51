/** The invented gateway began on that day; all of its times count from there. */
const BEGAN_MS = Date.UTC(2026, 10, 20, 10, 55);

export function stamp(elapsed_s: number): string {
  return new Date(BEGAN_MS + elapsed_s * 1000).toISOString();
}

export function elapsed(stamped: string): number {
  return (Date.parse(stamped) - BEGAN_MS) / 1000;
}
