import { expect, it } from 'vitest';
import { BIN_S, History, MINUTE_S, ceiling } from './history.ts';

it('keeps the least distance and the highest closing speed of a bin, whatever came last', () => {
  const history = new History();
  history.add(0.01, 2, 0.1);
  history.add(0.05, 1, 0.5);
  history.add(0.1, 3, -1);
  const [, distances, speeds] = history.columns(1, 1);
  expect(distances).toEqual([1]);
  expect(speeds).toEqual([0.5]);
});

it('holds a minute and no more, for ever', () => {
  const history = new History();
  for (let at_s = 0; at_s < 3600; at_s += 0.05) history.add(at_s, 1, 0);
  const [times] = history.columns(3600, 1);
  expect(times.length).toBeLessThanOrEqual(MINUTE_S / BIN_S + 1);
  expect(times[0]).toBeGreaterThanOrEqual(-MINUTE_S);
  expect(times.at(-1)).toBeLessThanOrEqual(0);
});

it('leaves a gap where data was missing for longer than allowed', () => {
  const history = new History();
  for (const at_s of [0.1, 0.3, 5.1, 5.3]) history.add(at_s, 1, 0);
  expect(history.columns(6, 0.2)[1]).toEqual([1, 1, null, 1, 1]);
  expect(history.columns(6, 10)[1]).toEqual([1, 1, 1, 1]);
});

it('grows old while nothing comes', () => {
  const history = new History();
  history.add(0, 0.5, 0);
  expect(history.least(10)).toBe(0.5);
  expect(history.least(61)).toBeUndefined();
  expect(history.columns(61, 1)[0]).toEqual([]);
});

it('ignores what comes from before the newest bin', () => {
  const history = new History();
  history.add(10, 1, 0);
  history.add(9, 0.1, 0);
  expect(history.columns(10.2, 1)[1]).toEqual([1]);
});

it('keeps the place of a value that is absent', () => {
  const history = new History();
  history.add(0, undefined, 0.2);
  expect(history.columns(1, 1)).toEqual([[expect.any(Number)], [null], [0.2]]);
});

it('ends an axis at a step above everything on it', () => {
  expect(ceiling([0.2, 1.9], 0.5)).toBe(2);
  expect(ceiling([2], 0.5)).toBe(2.5);
  expect(ceiling([], 0.5)).toBe(0.5);
  expect(ceiling([-3], 0.5, 0)).toBe(0);
});
