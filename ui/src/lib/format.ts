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
  /** The name without its unit, as words: `axis_1_deg` is "axis 1", or "Achse 1". */
  label: string;
  unit: string;
  decimals: number;
}

export function fieldOf(name: string): Field {
  const found = UNITS.find(([suffix]) => name.endsWith(suffix));
  const bare = found ? name.slice(0, -found[0].length) : name;
  const axis = /^axis_(\d+)$/.exec(bare)?.[1];
  const label = axis === undefined ? words(bare) : text.axis(axis);
  return { label, unit: found?.[1] ?? '', decimals: found?.[2] ?? 3 };
}

/** `out_of_range` and `krc2-decode` as words. */
export function words(name: string): string {
  return name.replaceAll('_', ' ').trim();
}

/** A capsule of the robot as people say it: `link_3` is "link 3", or "Glied 3". */
export function linkName(name: string): string {
  const number = /^link_(\d+)$/.exec(name)?.[1];
  return number === undefined ? words(name) : text.separation.link(number);
}

export function fixed(value: number | undefined, decimals: number): string {
  if (value === undefined || !Number.isFinite(value)) return text.noValue;
  const digits = Math.abs(value).toFixed(decimals);
  const isZero = Number(digits) === 0;
  const figures = digits.replace('.', text.decimal);
  return value < 0 && !isZero ? `\u2212${figures}` : figures;
}

/** The same with the sign's place kept free, for figures that stand under each other. */
export function signed(value: number | undefined, decimals: number): string {
  const figures = fixed(value, decimals);
  return figures.startsWith('\u2212') ? figures : `\u2007${figures}`;
}

/** An age in the coarsest unit that still says something; it must be calm while data is fresh. */
export function age(age_s: number | undefined): string {
  if (age_s === undefined || !Number.isFinite(age_s)) return text.noValue;
  if (age_s < 0.1) return `< ${fixed(0.1, 1)} s`;
  if (age_s < 60) return `${fixed(Math.min(age_s, 59.9), 1)} s`;
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

/** Day and time of a time stamp. */
export function dayAndTime(stamp: string): string {
  const date = new Date(stamp);
  if (Number.isNaN(date.getTime())) return text.noValue;
  return `${date.toLocaleDateString(text.locale)} ${timeOfDay(stamp)}`;
}

/** The time of day of a second since 1970. */
export function clock(at_s: number): string {
  return Number.isFinite(at_s) ? timeOfDay(new Date(at_s * 1000).toISOString()) : text.noValue;
}

/** A time stamp in seconds since 1970; nanoseconds are cut to what a number holds. */
export function seconds(stamp: string): number {
  return Date.parse(stamp.replace(/(\.\d{3})\d+/, '$1')) / 1000;
}

/** A short time in the unit that keeps it readable: a pace or a latency. */
export function milliseconds(value_s: number | undefined): string {
  return value_s === undefined ? text.noValue : `${fixed(value_s * 1000, 0)} ms`;
}
