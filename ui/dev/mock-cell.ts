/**
 * An invented cell: a KR 150-2 (or two), a person who comes and goes, another who walks by, a fence.
 *
 * Where the person stands follows from the margin that a scenario wants, so what is drawn, the
 * figures and the state belong together. Everything is a function of time, so there is a history.
 */
import { type PlacedCapsule, poseOf } from '../src/lib/kinematics.ts';
import type {
  CellStatus,
  GatewayRecord,
  Obstacle,
  RobotScene,
  Scene,
  SeparationState,
  Vector,
} from '../src/lib/status.ts';
import type { Scenario } from './mock-status.ts';
import { stamp } from './mock-time.ts';

export const CYCLE_S = 0.0656;
export const WARN_MARGIN_M = 0.5;

/** KUKA KR 150-2, as in `adapters/machines/kuka-krc2`. */
export function kr150(machine: string, x: number, yaw = 0): RobotScene {
  const joint = (origin: Vector, axis: Vector, input: number) =>
    ({ kind: 'revolute', origin, rpy: [0, 0, 0] as Vector, axis, input }) as const;
  const capsule = (name: string, link: number, a: Vector, b: Vector, radius: number) => ({
    name,
    link,
    a,
    b,
    radius,
  });
  return {
    machine,
    base_pose: { xyz: [x, 0, 0], rpy: [0, 0, yaw] },
    chain: [
      joint([0, 0, 0.75], [0, 0, -1], 1),
      joint([0.35, 0, 0], [0, 1, 0], 2),
      joint([1.25, 0, 0], [0, 1, 0], 3),
      joint([0, 0, -0.055], [-1, 0, 0], 4),
      joint([1.1, 0, 0], [0, 1, 0], 5),
      joint([0.23, 0, 0], [-1, 0, 0], 6),
    ],
    capsules: [
      capsule('base_link', 0, [0, 0, 0.06], [-0.206, 0.061, 0.063], 0.504),
      capsule('link_1', 1, [-0.179, -0.064, -0.262], [0.165, 0.059, -0.168], 0.505),
      capsule('link_2', 2, [0, -0.166, 0.002], [1.17, -0.25, -0.048], 0.279),
      capsule('link_3', 3, [-0.249, 0.042, -0.055], [0.485, 0.015, -0.035], 0.291),
      capsule('link_4', 4, [0.901, -0.008, 0], [1.1, 0.006, 0], 0.189),
      capsule('link_5', 5, [-0.005, 0.039, 0], [0.098, 0, 0], 0.133),
      capsule('link_6', 6, [-0.002, 0, 0], [-0.002, 0, 0], 0.1),
    ],
  };
}

const ROBOT = kr150('robot-1', 0);
const FENCE: Obstacle = { id: 'fence', kind: 'box', center: [-3.4, 0, 1], size: [0.1, 6, 2] };

export function mockScene(scenario: Scenario): Scene {
  const robots =
    scenario === 'robots'
      ? [kr150('robot-1', 0), kr150('robot-2', 4.6, Math.PI)]
      : [kr150('robot-1', 0)];
  return { robots, fixtures: [FENCE] };
}

const round = (value: number, decimals: number): number => Number(value.toFixed(decimals));

function swing(at_s: number, period_s: number, low: number, high: number): number {
  return low + ((high - low) * (1 - Math.cos((2 * Math.PI * at_s) / period_s))) / 2;
}

export function mockAxes(at_s: number): Record<string, number> {
  return {
    axis_1_deg: round(swing(at_s, 23, -70, 60), 5),
    axis_2_deg: round(swing(at_s, 17, -100, -45), 5),
    axis_3_deg: round(swing(at_s, 13, 50, 115), 5),
    axis_4_deg: round(swing(at_s, 29, -160, 200), 5),
    axis_5_deg: round(swing(at_s, 11, -85, 70), 5),
    axis_6_deg: round(swing(at_s, 31, -300, 240), 5),
    axis_7_mm: 0,
    age_s: 0.0562,
  };
}

/** The margin that a scenario wants to show. */
function wantedMargin_m(scenario: Scenario, at_s: number): number {
  const wobble = 0.12 * Math.sin((2 * Math.PI * at_s) / 6);
  if (scenario === 'clear') return 0.95 + wobble;
  if (scenario === 'warn' || scenario === 'robots') return 0.26 + wobble;
  if (scenario === 'stop') return -0.55 + wobble;
  return 0.55 + 1.1 * Math.sin((2 * Math.PI * at_s) / 47) + wobble;
}

interface Pair {
  distance_m: number;
  link: string;
  onRobot: Vector;
  onObstacle: Vector;
}

interface Upright {
  x: number;
  y: number;
}

const PERSON = { radius: 0.35, low: 0.35, high: 1.45 };

function person(id: string, { x, y }: Upright, velocity: Vector): Obstacle {
  const [low, high] = [PERSON.low, PERSON.high];
  const [a, b]: Vector[] = [
    [x, y, low],
    [x, y, high],
  ];
  return { id, kind: 'capsule', a: a!, b: b!, radius: PERSON.radius, velocity };
}

/** The pair of a moving link and an upright person. */
function nearest(links: readonly PlacedCapsule[], at: Upright): Pair {
  const pairs = links.map(({ name, a, b, radius }): Pair => {
    const [onAxis, onPerson] = closest(a, b, [at.x, at.y, PERSON.low], [at.x, at.y, PERSON.high]);
    const between = minus(onPerson, onAxis);
    const length = Math.hypot(...between);
    const direction = between.map((each) => each / length) as Vector;
    return {
      distance_m: length - radius - PERSON.radius,
      link: name,
      onRobot: plus(onAxis, direction, radius),
      onObstacle: plus(onPerson, direction, -PERSON.radius),
    };
  });
  return pairs.reduce((least, each) => (each.distance_m < least.distance_m ? each : least));
}

const minus = (a: Vector, b: Vector): Vector => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const plus = (a: Vector, b: Vector, by: number): Vector => [
  a[0] + b[0] * by,
  a[1] + b[1] * by,
  a[2] + b[2] * by,
];

/** The closest points of a segment and an upright one, by trying: this is no stage. */
function closest(a: Vector, b: Vector, low: Vector, high: Vector): [Vector, Vector] {
  let best: [Vector, Vector] = [a, low];
  let least = Infinity;
  for (let step = 0; step <= 16; step++) {
    const on = plus(a, minus(b, a), step / 16);
    const off: Vector = [low[0], low[1], Math.min(high[2], Math.max(low[2], on[2]))];
    const length = Math.hypot(...minus(on, off));
    if (length < least) [best, least] = [[on, off], length];
  }
  return best;
}

export interface Moment {
  axes: Record<string, number>;
  separation: Record<string, number | string>;
  margin_m: number;
  obstacles: Obstacle[];
  state: SeparationState;
}

const MOMENTS_MAX = 4000;
const moments = new Map<string, Moment>();

/** How everything stands at one instant. Several events tell of the same one. */
export function momentAt(scenario: Scenario, at_s: number): Moment {
  const key = `${scenario} ${at_s.toFixed(4)}`;
  let moment = moments.get(key);
  if (!moment) {
    if (moments.size > MOMENTS_MAX) moments.clear();
    moments.set(key, (moment = computed(scenario, at_s)));
  }
  return moment;
}

function computed(scenario: Scenario, at_s: number): Moment {
  const axes = mockAxes(at_s);
  const links = poseOf(ROBOT, axes)?.capsules.slice(1) ?? [];
  const robotSpeed = round(swing(at_s, 9, 0.25, 0.8), 4);
  const reaction = round(0.168 + swing(at_s, 3, 0, 0.02), 4);
  const terms = {
    human_m: 1.6 * (reaction + 0.35),
    robot_m: robotSpeed * reaction,
    stopping_m: 0.24,
    intrusion_m: 0.2,
    person_uncertainty_m: 0.1,
    robot_uncertainty_m: 0.05,
  };
  const protective_m = Object.values(terms).reduce((sum, each) => sum + each, 0);
  const wanted_m = protective_m + wantedMargin_m(scenario, at_s);
  const direction = (swing(at_s, 61, -50, 40) * Math.PI) / 180;
  const away = (r: number): Upright => ({ x: r * Math.cos(direction), y: r * Math.sin(direction) });
  // Farther out is farther from the robot: halve until it fits.
  let [low, high] = [0.3, 9];
  for (let step = 0; step < 16; step++) {
    const middle = (low + high) / 2;
    if (nearest(links, away(middle)).distance_m < wanted_m) low = middle;
    else high = middle;
  }
  const at = away(high);
  const pair = nearest(links, at);
  const margin_m = pair.distance_m - protective_m;
  const by = { x: swing(at_s, 38, -1.5, 4.4), y: 3.6 };
  const point = (name: string, place: Vector): [string, number][] =>
    ['x', 'y', 'z'].map((axis, index) => [`${name}_${axis}_m`, round(place[index]!, 6)]);
  return {
    axes,
    margin_m,
    state: margin_m < 0 ? 'stop' : margin_m < WARN_MARGIN_M ? 'warn' : 'clear',
    obstacles: [
      person('anna', at, [0, 0, 0]),
      person('ben', by, [swing(at_s, 38, 0.2, 0.7), 0, 0]),
    ],
    separation: {
      distance_m: round(pair.distance_m, 6),
      protective_m: round(protective_m, 6),
      margin_m: round(margin_m, 6),
      deciding_link: pair.link,
      deciding_obstacle: 'anna',
      ...Object.fromEntries(Object.entries(terms).map(([name, value]) => [name, round(value, 6)])),
      human_speed_m_per_s: 1.6,
      robot_speed_m_per_s: robotSpeed,
      reaction_s: reaction,
      stopping_s: 0.35,
      axes_age_s: 0.0562,
      obstacle_age_s: 0.041,
      ...Object.fromEntries([
        ...point('on_robot', pair.onRobot),
        ...point('on_obstacle', pair.onObstacle),
      ]),
      obstacles: 3,
    },
  };
}

const CAUSES: Partial<Record<Scenario, string>> = {
  unknown: 'missing_parameter',
  'stale-obstacles': 'stale_obstacle',
  silent: 'silent',
  stale: 'silent',
  disconnected: 'disconnected',
  starting: 'starting',
};

export function causeOf(scenario: Scenario): string {
  return CAUSES[scenario] ?? 'margin';
}

/** The cell at `elapsed_s`, in a scenario since `since_s`. */
export function mockCell(scenario: Scenario, elapsed_s: number, since_s: number): CellStatus {
  const unknown = causeOf(scenario) !== 'margin';
  const at_s = unknown ? since_s : elapsed_s;
  const cycle_s = Math.floor(at_s / CYCLE_S) * CYCLE_S;
  const moment = momentAt(scenario, cycle_s);
  const state = unknown ? 'unknown' : moment.state;
  const stands_s = elapsed_s - at_s;
  const isOld = scenario === 'stale-obstacles';
  return {
    id: 'press-line',
    state,
    since: stamp(unknown ? since_s : lastChange(scenario, cycle_s)),
    cause: causeOf(scenario),
    detail: '',
    permit: state === 'clear' || state === 'warn' ? 'sent' : 'withheld',
    permit_every_s: 0.05,
    machines: scenario === 'robots' ? ['robot-1', 'robot-2'] : ['robot-1'],
    deciding_machine: 'robot-1',
    ...(scenario === 'starting'
      ? {}
      : {
          separation: moment.separation,
          separation_age_s: round(at_s - cycle_s + 0.004 + stands_s, 4),
        }),
    warn_margin_m: WARN_MARGIN_M,
    obstacles: [...moment.obstacles, FENCE],
    obstacles_age_s: round(isOld ? stands_s + 0.3 : 0.041 + (at_s % 0.1), 4),
    obstacles_source: 'simulated',
    actions_failed: scenario === 'faults' ? 2 : 0,
    snapshots_refused: scenario === 'faults' ? 7 : 0,
  };
}

/** When the state was last another one, in steps of cycles, as far as is worth looking. */
function lastChange(scenario: Scenario, at_s: number): number {
  const { state } = momentAt(scenario, at_s);
  const step_s = 8 * CYCLE_S;
  for (let back_s = step_s; back_s < 25; back_s += step_s) {
    if (momentAt(scenario, at_s - back_s).state !== state) return at_s - back_s + step_s;
  }
  return at_s - 25;
}

/** What the spool would have kept between two times; `scenarioAt` knows what was shown when. */
export function mockHistory(
  scenarioAt: (at_s: number) => Scenario,
  record: string,
  from_s: number,
  to_s: number,
): GatewayRecord[] {
  const records: GatewayRecord[] = [];
  const first = Math.ceil(from_s / CYCLE_S);
  let was: SeparationState | undefined;
  for (let cycle = first; cycle * CYCLE_S <= to_s; cycle++) {
    const at_s = cycle * CYCLE_S;
    const base = { t: stamp(at_s), seq: cycle, machine: 'robot-1', record };
    const scenario = scenarioAt(at_s);
    const unknown = causeOf(scenario) !== 'margin';
    if (record === 'axes' && !unknown) records.push({ ...base, fields: mockAxes(at_s) });
    if (record === 'separation' && !unknown) {
      records.push({ ...base, fields: momentAt(scenario, at_s).separation });
    }
    if (record !== 'separation_state' || cycle % 8 !== 0) continue;
    const moment = momentAt(scenario, at_s);
    const state = unknown ? 'unknown' : moment.state;
    if (was !== undefined && state !== was) {
      const cause = causeOf(scenario);
      records.push({ ...base, fields: { ...moment.separation, state, was, cause } });
    }
    was = state;
  }
  return records;
}
