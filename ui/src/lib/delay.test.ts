import { expect, it } from 'vitest';
import { DelayMeter } from './delay.ts';

it('sees no delay in events that all take the same time', () => {
  const meter = new DelayMeter();
  for (let at_s = 0; at_s < 10; at_s += 0.5) {
    expect(meter.measure(at_s + 77, at_s)).toBeCloseTo(0, 3);
  }
});

it('sees by how much an event is later than the quickest one', () => {
  const meter = new DelayMeter();
  meter.measure(0, 1000);
  expect(meter.measure(1, 1001.4)).toBeCloseTo(0.4, 3);
  expect(meter.measure(2, 1002)).toBeCloseTo(0, 3);
});

it('learns from a quicker event that the first ones were late', () => {
  const meter = new DelayMeter();
  expect(meter.measure(0, 5)).toBe(0);
  expect(meter.measure(1, 4)).toBe(0);
  expect(meter.measure(2, 6)).toBeCloseTo(1, 3);
});

it('does not take two clocks that drift apart for a delay, over a whole week', () => {
  const meter = new DelayMeter();
  const week_s = 7 * 24 * 3600;
  let worst_s = 0;
  for (let at_s = 0; at_s < week_s; at_s += 60) {
    worst_s = Math.max(worst_s, meter.measure(at_s * (1 - 100e-6), at_s));
  }
  expect(worst_s).toBeLessThan(0.01);
});
