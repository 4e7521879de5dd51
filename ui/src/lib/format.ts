/**
 * Numbers and names as people read them. Figures keep their width: a fixed number of decimals, a
 * true minus sign, and a figure space where a sign could stand.
 */
import { text } from './text.ts';

/** The ends of field names that are units, longest first, and how many decimals help. */
const UNITS: readonly [suffix: string, unit: string, decimals: number][] = [
  ['_deg_per_s', '°/s', 1],
  ['_mm_per_s', 'mm/s', 0],
  ['_m_per_s', 'm/s', 2],
  ['_rad', 'rad', 3],
  ['_deg', '°', 2],
  ['_mm', 'mm', 1],
  ['_ms', 'ms', 0],
  ['_m', 'm', 3],
  ['_s', 's', 3],
];

export interface Field {
  /** The name without its unit, as words: `axis_1_deg` is "axis 1". */
  label: string;
  unit: string;
  decimals: number;
}

export function fieldOf(name: string): Field {
  const found = UNITS.find(([suffix]) => name.endsWith(suffix));
  const bare = found ? name.slice(0, -found[0].length) : name;
  return { label: words(bare), unit: found?.[1] ?? '', decimals: found?.[2] ?? 3 };
}

/** `out_of_range` and `krc2-decode` as words. */
export function words(name: string): string {
  return name.replaceAll('_', ' ').trim();
}

export function fixed(value: number | undefined, decimals: number): string {
  if (value === undefined || !Number.isFinite(value)) return text.noValue;
  const digits = Math.abs(value).toFixed(decimals);
  const isZero = Number(digits) === 0;
  return value < 0 && !isZero ? `\u2212${digits}` : digits;
}

/** The same with the sign's place kept free, for figures that stand under each other. */
export function signed(value: number | undefined, decimals: number): string {
  const figures = fixed(value, decimals);
  return figures.startsWith('\u2212') ? figures : `\u2007${figures}`;
}

/** An age in the coarsest unit that still says something; it must be calm while data is fresh. */
export function age(age_s: number | undefined): string {
  if (age_s === undefined || !Number.isFinite(age_s)) return text.noValue;
  if (age_s < 0.1) return '< 0.1 s';
  if (age_s < 60) return `${Math.min(age_s, 59.9).toFixed(1)} s`;
  const whole = Math.floor(age_s);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  const hours = Math.floor(minutes / 60);
  return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** A count with narrow spaces between thousands, the same in every language. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** The time of day of a time stamp, in the reader's own zone. */
export function timeOfDay(stamp: string): string {
  const date = new Date(stamp);
  if (Number.isNaN(date.getTime())) return text.noValue;
  return date.toLocaleTimeString(text.locale, { hour12: false });
}
