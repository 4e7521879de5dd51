/** Against figures from elsewhere: the maker's robot description, worked by two other libraries. */
import { describe, expect, it } from 'vitest';
import { kr150 } from '../../dev/mock-cell.ts';
import { type Pose, poseOf, rotation } from './kinematics.ts';
import type { Fields, RobotScene, Vector } from './status.ts';

const robot = kr150('robot-1', 0);

function axes(...degrees: number[]): Fields {
  return Object.fromEntries(degrees.map((value, index) => [`axis_${index + 1}_deg`, value]));
}

function pose(of: RobotScene, at: Fields): Pose {
  const found = poseOf(of, at);
  expect(found).toBeDefined();
  return found!;
}

function close(actual: Vector, wanted: Vector, digits = 5): void {
  for (const [index, value] of wanted.entries()) expect(actual[index]).toBeCloseTo(value, digits);
}

describe('a KR 150-2', () => {
  it.each<[number[], Vector]>([
    [
      [0, 0, 0, 0, 0, 0],
      [2.93, 0, 0.695],
    ],
    [
      [0, -90, 90, 0, 0, 0],
      [1.68, 0, 1.945],
    ],
    [
      [30, -60, 80, 40, -50, 20],
      [1.94018, -0.98939, 1.48089],
    ],
    [
      [7.91272, -57.83909, 10.03805, -207.72644, 7.18976, -216.2746],
      [1.909184, -0.278875, 2.772314],
    ],
  ])('at %j° has its flange at %j m', (degrees, flange) => {
    close(pose(robot, axes(...degrees)).flange, flange);
  });

  it('has each capsule in the frame of its link', () => {
    const { capsules } = pose(robot, axes(0, 0, 0, 0, 0, 0));
    const link4 = capsules.find(({ name }) => name === 'link_4')!;
    close(link4.a, [2.501, -0.008, 0.695]);
    close(link4.b, [2.7, 0.006, 0.695]);
    expect(capsules.map(({ name }) => name)).toHaveLength(7);
  });

  it('stands where its base stands, turned as its base is', () => {
    const turned = kr150('robot-1', 4, Math.PI);
    close(pose(turned, axes(0, 0, 0, 0, 0, 0)).flange, [4 - 2.93, 0, 0.695]);
  });

  it('has no pose while an axis has no value', () => {
    expect(poseOf(robot, axes(0, 0, 0, 0, 0))).toBeUndefined();
    expect(poseOf(robot, { ...axes(0, 0, 0, 0, 0, 0), axis_3_deg: 'far' })).toBeUndefined();
    expect(poseOf(robot, { ...axes(0, 0, 0, 0, 0, 0), axis_3_deg: NaN })).toBeUndefined();
    expect(poseOf(robot, undefined)).toBeUndefined();
  });
});

it('moves along a linear axis in millimetres, whatever the length of its direction', () => {
  const rail: RobotScene = {
    ...robot,
    chain: [
      { kind: 'prismatic', origin: [0, 0, 0], rpy: [0, 0, 0], axis: [0, 2, 0], input: 7 },
      ...robot.chain,
    ],
  };
  const flange = pose(rail, { ...axes(0, 0, 0, 0, 0, 0), axis_7_mm: 1500 }).flange;
  close(flange, [2.93, 1.5, 0.695]);
  expect(poseOf(rail, axes(0, 0, 0, 0, 0, 0))).toBeUndefined();
});

it('leaves out a capsule of a link that the chain does not have', () => {
  const odd: RobotScene = {
    ...robot,
    capsules: [{ name: 'tool', link: 9, a: [0, 0, 0], b: [0, 0, 1], radius: 0.1 }],
  };
  expect(pose(odd, axes(0, 0, 0, 0, 0, 0)).capsules).toEqual([]);
});

it('turns by roll, then pitch, then yaw, about fixed axes', () => {
  const [x, y, z] = rotation([Math.PI / 2, 0, Math.PI / 2]);
  // y goes to z by the roll and stays there; z goes to -y, and by the yaw to x.
  close(x, [0, 0, 1]);
  close(y, [1, 0, 0]);
  close(z, [0, 1, 0]);
});
