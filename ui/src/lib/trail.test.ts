import { expect, it } from 'vitest';
import { TRAIL_BIN_S, TRAIL_S, Trail } from './trail.ts';

const sample = (distance_m: number | undefined, protective_m = 1, speed_m_per_s = 0.1) => ({
  distance_m,
  protective_m,
  speed_m_per_s,
});

it('keeps what was closest to the limit, and the highest speed, of a bin', () => {
  const trail = new Trail();
  trail.add(0.01, sample(2, 1, 0.3));
  trail.add(0.05, sample(1.5, 1.2, 0.1));
  trail.add(0.1, sample(1.4, 0.5, 0.2));
  expect(trail.columns(0, 1, 1).slice(1)).toEqual([[1.5], [1.2], [0.3]]);
});

it('takes what the history tells of earlier times, in its place', () => {
  const trail = new Trail();
  trail.add(10, sample(3));
  trail.add(4, sample(1));
  trail.add(8, sample(2));
  trail.add(4.01, sample(0.5));
  expect(trail.columns(0, 20, 100)[1]).toEqual([0.5, 2, 3]);
});

it('holds its minutes and no more, for ever', () => {
  const trail = new Trail();
  for (let at_s = 0; at_s < 2000; at_s += 0.1) trail.add(at_s, sample(1));
  trail.add(3, sample(0.1));
  const [times] = trail.columns(0, 2000, 1);
  expect(times.length).toBeLessThanOrEqual(TRAIL_S / TRAIL_BIN_S + 1);
  expect(times[0]).toBeGreaterThanOrEqual(2000 - TRAIL_S - 1);
});

it('leaves a gap where data was missing, and where nobody was there', () => {
  const trail = new Trail();
  for (const at_s of [0.1, 0.3, 5.1]) trail.add(at_s, sample(1));
  trail.add(5.3, sample(undefined));
  expect(trail.columns(0, 6, 0.2)[1]).toEqual([1, 1, null, 1, null]);
  expect(trail.columns(0, 6, 10)[1]).toEqual([1, 1, 1, null]);
  expect(trail.least(0)).toBe(1);
  expect(trail.least(5.4)).toBeUndefined();
});

it('shows a window and nothing beside it', () => {
  const trail = new Trail();
  for (const at_s of [1, 2, 3, 4]) trail.add(at_s, sample(at_s));
  expect(trail.columns(2, 3, 10)[1]).toEqual([2, 3]);
});
