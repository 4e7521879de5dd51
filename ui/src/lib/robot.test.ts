import { expect, it } from 'vitest';
import { mockStatus } from '../../dev/mock-status.ts';
import { place, robotOf } from './robot.ts';

const machine = () => mockStatus('running', 100).machines[0]!;

it('finds the fields of a robot in its records', () => {
  const robot = robotOf(machine());
  expect(robot.distance_m).toBeGreaterThan(0);
  expect(robot.closing_m_per_s).toBeDefined();
  expect(robot).toMatchObject({ obstacle: 'anna', axesAge_s: 0.0562 });
  expect(robot.link).toMatch(/^link_\d$/);
  expect(robot.axes.map((axis) => axis.field)).toEqual([
    ...[1, 2, 3, 4, 5, 6].map((number) => `axis_${number}_deg`),
    'axis_7_mm',
  ]);
  expect(robot.axes[1]?.range).toEqual([-146, 0]);
  expect(robot.axes[6]?.range).toBeUndefined();
  expect(robot.flange).toHaveLength(3);
});

it('has nothing where there are no records, or no numbers in them', () => {
  const bare = machine();
  bare.records = { distance: { t: '', seq: 1, fields: { distance_m: 'near' } } };
  const robot = robotOf(bare);
  expect(robot.distance_m).toBeUndefined();
  expect(robot.axes).toEqual([]);
  expect(robot.flange).toEqual([]);
});

it('places a value between its limits and says when it is outside', () => {
  expect(place(0, [-100, 100])).toEqual([0.5, false]);
  expect(place(100, [-100, 100])).toEqual([1, false]);
  expect(place(101, [-100, 100])).toEqual([1, true]);
  expect(place(-101, [-100, 100])).toEqual([0, true]);
  expect(place(5, [5, 5])[0]).toBe(0);
});
