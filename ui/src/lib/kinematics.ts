/**
 * Where a robot's capsules are: forward kinematics of a serial chain, the same rule as the stage
 * `arm-distance` computes with (URDF's: each joint in the frame of the link before it).
 *
 * For drawing alone: no distance is computed here. A pose with a missing axis value is no pose.
 */
import { type Fields, type Joint, type RobotScene, type Vector, numberIn } from './status.ts';

/** Row by row. */
export type Matrix = [Vector, Vector, Vector];

/** A link's frame in the cell's: `at + turn * point`. */
export interface Frame {
  turn: Matrix;
  at: Vector;
}

export interface PlacedCapsule {
  name: string;
  a: Vector;
  b: Vector;
  radius: number;
}

export interface Pose {
  capsules: PlacedCapsule[];
  /** The origins of base and links, from the base outwards. */
  joints: Vector[];
  /** The origin of the last link. */
  flange: Vector;
}

/** The robot's pose in the cell's frame; `undefined` unless each joint has its value. */
export function poseOf(robot: RobotScene, axes: Fields | undefined): Pose | undefined {
  const frames = framesOf(robot, axes);
  if (!frames) return undefined;
  const capsules = robot.capsules.flatMap(({ name, link, a, b, radius }) => {
    const frame = frames[link];
    return frame ? [{ name, a: placed(frame, a), b: placed(frame, b), radius }] : [];
  });
  return { capsules, joints: frames.map(({ at }) => at), flange: frames.at(-1)!.at };
}

/** The frames of the base and of each link behind it. */
function framesOf(robot: RobotScene, axes: Fields | undefined): Frame[] | undefined {
  let frame: Frame = { turn: rotation(robot.base_pose.rpy), at: robot.base_pose.xyz };
  const frames = [frame];
  for (const joint of robot.chain) {
    const value = driven(joint, axes);
    if (value === undefined) return undefined;
    frame = behind(frame, joint, value);
    frames.push(frame);
  }
  return frames;
}

/** A joint's value in radians or metres: axes are sent in degrees and millimetres. */
function driven(joint: Joint, axes: Fields | undefined): number | undefined {
  const revolute = joint.kind === 'revolute';
  const value = numberIn(axes, `axis_${joint.input}_${revolute ? 'deg' : 'mm'}`);
  return value === undefined ? undefined : revolute ? (value * Math.PI) / 180 : value / 1000;
}

function behind(before: Frame, joint: Joint, value: number): Frame {
  const fixed = product(before.turn, rotation(joint.rpy));
  const at = placed(before, joint.origin);
  const length = Math.hypot(...joint.axis);
  const axis: Vector = [joint.axis[0] / length, joint.axis[1] / length, joint.axis[2] / length];
  if (joint.kind === 'revolute') return { turn: product(fixed, about(axis, value)), at };
  const along: Vector = [axis[0] * value, axis[1] * value, axis[2] * value];
  return { turn: fixed, at: placed({ turn: fixed, at }, along) };
}

/** Roll about x, then pitch about y, then yaw about z, all about the fixed axes. */
export function rotation([roll, pitch, yaw]: Vector): Matrix {
  return product(about([0, 0, 1], yaw), product(about([0, 1, 0], pitch), about([1, 0, 0], roll)));
}

/** The rotation about an axis of length one (Rodrigues). */
function about([x, y, z]: Vector, angle: number): Matrix {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  const d = 1 - c;
  return [
    [c + x * x * d, x * y * d - z * s, x * z * d + y * s],
    [y * x * d + z * s, c + y * y * d, y * z * d - x * s],
    [z * x * d - y * s, z * y * d + x * s, c + z * z * d],
  ];
}

function product(left: Matrix, right: Matrix): Matrix {
  const row = ([x, y, z]: Vector): Vector => [
    x * right[0][0] + y * right[1][0] + z * right[2][0],
    x * right[0][1] + y * right[1][1] + z * right[2][1],
    x * right[0][2] + y * right[1][2] + z * right[2][2],
  ];
  return [row(left[0]), row(left[1]), row(left[2])];
}

function placed({ turn, at }: Frame, [x, y, z]: Vector): Vector {
  const along = (row: Vector, from: number): number => from + row[0] * x + row[1] * y + row[2] * z;
  return [along(turn[0], at[0]), along(turn[1], at[1]), along(turn[2], at[2])];
}
