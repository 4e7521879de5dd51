import { expect, it } from 'vitest';
import { momentAt } from '../../dev/mock-cell.ts';
import { scaleTop_m, separationOf } from './separation.ts';

it('reads the pair that decides and the terms, which add up', () => {
  const separation = separationOf(momentAt('stop', 12).separation)!;
  expect(separation).toMatchObject({ obstacle: 'anna', humanSpeed_m_per_s: 1.6, obstacles: 3 });
  expect(separation.link).toMatch(/^link_\d$/);
  expect(separation.terms.map(({ symbol }) => symbol)).toEqual([
    ...['S_h', 'S_r', 'S_s', 'C', 'Z_d', 'Z_r'],
  ]);
  const sum_m = separation.terms.reduce((sum, { value_m }) => sum + value_m!, 0);
  expect(sum_m).toBeCloseTo(separation.protective_m!, 4);
  const between = separation.onRobot!.map((value, axis) => value - separation.onObstacle![axis]!);
  expect(Math.hypot(...between)).toBeCloseTo(separation.distance_m!, 4);
});

it('has no pair and no point where there are no obstacles, or no numbers', () => {
  const empty = separationOf({ obstacles: 0, axes_age_s: 0.05 })!;
  expect(empty).toMatchObject({ obstacles: 0, axesAge_s: 0.05 });
  expect([empty.distance_m, empty.margin_m, empty.onRobot]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(separationOf({ distance_m: 'near', on_robot_x_m: 1, on_robot_y_m: 2 })?.onRobot).toBe(
    undefined,
  );
  expect(separationOf(undefined)).toBeUndefined();
});

it('has everything on its scale, and half metres to spare', () => {
  expect(scaleTop_m(1.2, 1.4, 0.5)).toBe(2);
  expect(scaleTop_m(-0.3, 0, 0)).toBe(1);
  expect(scaleTop_m(2.4, 1, 0)).toBe(2.5);
});
