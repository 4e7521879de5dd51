import { expect, it } from 'vitest';
import { age, count, fieldOf, fixed, signed } from './format.ts';

it.each([
  ['distance_m', 'distance', 'm'],
  ['axis_1_deg', 'axis 1', '°'],
  ['axis_7_mm', 'axis 7', 'mm'],
  ['closing_speed_m_per_s', 'closing speed', 'm/s'],
  ['axis_1_deg_per_s', 'axis 1', '°/s'],
  ['age_s', 'age', 's'],
  ['nearest_link', 'nearest link', ''],
])('reads the unit off %s', (name, label, unit) => {
  expect(fieldOf(name)).toMatchObject({ label, unit });
});

it('writes a fixed number of decimals, a true minus, and no negative zero', () => {
  expect(fixed(1.005, 2)).toHaveLength(4);
  expect(fixed(-0.5, 1)).toBe('\u22120.5');
  expect(fixed(-0.001, 2)).toBe('0.00');
  expect(fixed(0, 2)).toBe('0.00');
});

it('writes a dash for what is not a number', () => {
  for (const value of [undefined, NaN, Infinity]) expect(fixed(value, 2)).toBe('\u2013');
  expect(age(undefined)).toBe('\u2013');
});

it('keeps the place of a sign', () => {
  expect(signed(5, 1)).toHaveLength(signed(-5, 1).length);
});

it.each([
  [0.012, '< 0.1 s'],
  [0.1, '0.1 s'],
  [3.26, '3.3 s'],
  [59.94, '59.9 s'],
  [59.99, '59.9 s'],
  [60, '1 min 00 s'],
  [125.9, '2 min 05 s'],
  [3600, '1 h 00 min'],
  [93_780, '26 h 03 min'],
])('says an age of %d s as %s', (seconds, said) => {
  expect(age(seconds)).toBe(said);
});

it('parts thousands', () => {
  expect(count(7)).toBe('7');
  expect(count(1_268_631)).toBe('1\u202f268\u202f631');
});
