/** The record `separation` by its fields: the deciding pair, and what its protective distance is made of. */
import { type Fields, type Vector, numberIn, textIn } from './status.ts';

/** The terms of the protective distance, in the order of the standard's sum, with its symbols. */
export const TERMS = [
  { name: 'human', symbol: 'S_h', field: 'human_m' },
  { name: 'robot', symbol: 'S_r', field: 'robot_m' },
  { name: 'stopping', symbol: 'S_s', field: 'stopping_m' },
  { name: 'intrusion', symbol: 'C', field: 'intrusion_m' },
  { name: 'personUncertainty', symbol: 'Z_d', field: 'person_uncertainty_m' },
  { name: 'robotUncertainty', symbol: 'Z_r', field: 'robot_uncertainty_m' },
] as const;
export type TermName = (typeof TERMS)[number]['name'];

export interface Term {
  name: TermName;
  symbol: string;
  value_m: number | undefined;
}

export interface Separation {
  /** Absent, like all of the pair, where there are no obstacles. */
  distance_m: number | undefined;
  protective_m: number | undefined;
  margin_m: number | undefined;
  link: string | undefined;
  obstacle: string | undefined;
  terms: Term[];
  humanSpeed_m_per_s: number | undefined;
  robotSpeed_m_per_s: number | undefined;
  reaction_s: number | undefined;
  stopping_s: number | undefined;
  /** At the decision. */
  axesAge_s: number | undefined;
  obstacleAge_s: number | undefined;
  onRobot: Vector | undefined;
  onObstacle: Vector | undefined;
  obstacles: number | undefined;
}

export function separationOf(fields: Fields | undefined): Separation | undefined {
  if (!fields) return undefined;
  const number = (name: string): number | undefined => numberIn(fields, name);
  return {
    distance_m: number('distance_m'),
    protective_m: number('protective_m'),
    margin_m: number('margin_m'),
    link: textIn(fields, 'deciding_link'),
    obstacle: textIn(fields, 'deciding_obstacle'),
    terms: TERMS.map(({ name, symbol, field }) => ({ name, symbol, value_m: number(field) })),
    humanSpeed_m_per_s: number('human_speed_m_per_s'),
    robotSpeed_m_per_s: number('robot_speed_m_per_s'),
    reaction_s: number('reaction_s'),
    stopping_s: number('stopping_s'),
    axesAge_s: number('axes_age_s'),
    obstacleAge_s: number('obstacle_age_s'),
    onRobot: point(fields, 'on_robot'),
    onObstacle: point(fields, 'on_obstacle'),
    obstacles: number('obstacles'),
  };
}

function point(fields: Fields, name: string): Vector | undefined {
  const [x, y, z] = ['x', 'y', 'z'].map((axis) => numberIn(fields, `${name}_${axis}_m`));
  return x === undefined || y === undefined || z === undefined ? undefined : [x, y, z];
}

/** Lengths of the bars of one picture: all on one scale, in steps so coarse that it seldom moves. */
export function scaleTop_m(distance_m: number, protective_m: number, warn_m: number): number {
  const highest_m = Math.max(distance_m, protective_m + warn_m, 0.5);
  return Math.ceil(highest_m * 1.02 * 2) / 2;
}
