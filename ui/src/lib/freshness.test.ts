import { expect, it } from 'vitest';
import { Freshness, RECOVERY_S } from './freshness.ts';

it('is fresh up to the limit and stale above it, at once', () => {
  const freshness = new Freshness();
  expect(freshness.isStale(0.2, 0.2, 0)).toBe(false);
  expect(freshness.isStale(0.201, 0.2, 1)).toBe(true);
});

it('takes what never came, or is not a number, for stale', () => {
  expect(new Freshness().isStale(undefined, 0.2, 0)).toBe(true);
  expect(new Freshness().isStale(NaN, 0.2, 0)).toBe(true);
  expect(new Freshness().isStale(0.1, NaN, 0)).toBe(true);
});

it('stays stale until data was fresh for the recovery time without a break', () => {
  const freshness = new Freshness();
  freshness.isStale(1, 0.2, 10);
  expect(freshness.isStale(0.1, 0.2, 10.1)).toBe(true);
  freshness.isStale(0.3, 0.2, 10.4);
  expect(freshness.isStale(0.1, 0.2, 10 + RECOVERY_S)).toBe(true);
  expect(freshness.isStale(0.1, 0.2, 10.4 + RECOVERY_S)).toBe(false);
});

it('shows the first data that ever comes as fresh', () => {
  const freshness = new Freshness();
  freshness.isStale(undefined, 0.2, 0);
  expect(freshness.isStale(0.1, 0.2, 0.1)).toBe(false);
});
