/** The invented gateway's status: one robot (or two), and every state that the page has words for. */
import type { MachineStatus, Status } from '../src/lib/status.ts';
import { CYCLE_S, mockCell, momentAt } from './mock-cell.ts';
import { stamp } from './mock-time.ts';

export const SCENARIOS = [
  'running',
  'clear',
  'warn',
  'stop',
  'unknown',
  'stale-obstacles',
  'robots',
  'login',
  'claim',
  'faults',
  'silent',
  'stale',
  'disconnected',
  'starting',
  'refused',
  'two',
  'none',
  'frozen',
] as const;
export type Scenario = (typeof SCENARIOS)[number];

const LIMITS = [185, 146, 155, 350, 125, 350];

/** The gateway `elapsed_s` after it began, in a scenario that began at `since_s`. */
export function mockStatus(scenario: Scenario, elapsed_s: number, since_s = 0): Status {
  const machines = [machine('robot-1', scenario, elapsed_s, since_s)];
  if (scenario === 'robots') machines.push(machine('robot-2', 'running', elapsed_s + 7, since_s));
  if (scenario === 'two') machines.push(machine('robot-2', 'stale', elapsed_s + 7, since_s));
  const waiting = scenario === 'refused' ? Math.round((elapsed_s - since_s) * 45) + 1204 : 3;
  return {
    t: stamp(elapsed_s),
    uptime_s: elapsed_s,
    gateway: 'cell-3',
    simulated: true,
    machines: scenario === 'none' ? [] : machines,
    cells: scenario === 'none' ? [] : [mockCell(scenario, elapsed_s, since_s)],
    uplink: {
      state: scenario === 'refused' ? 'refused' : 'connected',
      url: 'mqtts://127.0.0.1:8883',
      detail: scenario === 'refused' ? 'The broker does not accept the client certificate.' : '',
      unreleased_records: waiting,
      oldest_unreleased_age_s: scenario === 'refused' ? elapsed_s - since_s + 26.7 : 0.012,
    },
  };
}

function machine(
  id: string,
  scenario: Scenario,
  elapsed_s: number,
  since_s: number,
): MachineStatus {
  const stands = ['silent', 'stale', 'disconnected', 'starting'].includes(scenario);
  const at_s = stands ? since_s : elapsed_s;
  const age_s = 0.012 + elapsed_s - at_s;
  const starting = scenario === 'starting';
  const faulty = scenario === 'faults';
  const records = starting ? {} : recordsAt(id, scenario, at_s);
  const state =
    scenario === 'silent' || scenario === 'disconnected' || scenario === 'starting'
      ? scenario
      : 'running';
  const details: Partial<Record<Scenario, string>> = {
    disconnected: '/dev/serial/by-id/usb-FTDI_FT232R-port0 is gone. Looking for it.',
  };
  return {
    id,
    adapter: 'kuka-krc2',
    title: 'KUKA KR C2, axis values from a KRL submit program',
    line: { state, since: stamp(since_s), detail: details[scenario] ?? '' },
    stale_after_s: 0.2,
    ...(starting ? {} : { frame_age_s: age_s }),
    frames: starting ? 0 : Math.round(at_s * 106.4) + 1_268_631,
    frames_per_s: stands ? 0 : 106.4,
    rejected: faulty
      ? { 'axis-limits/out_of_range': 3, 'krc2-decode/cycle_incomplete': 41 }
      : { 'axis-limits/out_of_range': 0 },
    skipped_bytes: faulty ? { no_match: 219, idle: 12 } : {},
    line_errors: faulty ? { parity: 4, framing: 1 } : { parity: 0, framing: 0 },
    dropped_records: 0,
    ranges: Object.fromEntries(
      LIMITS.map((limit, index): [string, [number, number]] => {
        const low = index === 2 ? -119 : -limit;
        return [`axis_${index + 1}_deg`, [low, index === 1 ? 0 : limit]];
      }),
    ),
    records,
    record_ages_s: Object.fromEntries(Object.keys(records).map((name) => [name, age_s])),
  };
}

function recordsAt(id: string, scenario: Scenario, at_s: number): MachineStatus['records'] {
  const faulty = scenario === 'faults';
  const cycle = Math.floor(at_s / CYCLE_S);
  const swing = (period_s: number, low: number, high: number): number =>
    low + ((high - low) * (1 - Math.cos((2 * Math.PI * at_s) / period_s))) / 2;
  const { axes, separation, margin_m } = momentAt(scenario, cycle * CYCLE_S);
  const before_m = momentAt(scenario, (cycle - 1) * CYCLE_S).margin_m;
  const record = (name: string, module: string, fields: Record<string, number | string>) => ({
    v: 1,
    site: 'demo',
    gateway: 'cell-3',
    machine: id,
    record: name,
    epoch: 1,
    seq: cycle,
    t: stamp(at_s),
    clock: 'synced',
    module,
    frame: cycle * 7,
    fields,
  });
  const round = (value: number, decimals: number): number => Number(value.toFixed(decimals));
  return {
    axes: record('axes', 'krc2-decode@1.0.0', {
      ...axes,
      ...(faulty ? { axis_1_deg: 191.25 } : {}),
    }),
    pose: record('pose', 'arm-distance@2.0.0', {
      flange_x_m: round(swing(23, -1.2, 2.1), 6),
      flange_y_m: round(swing(17, -1.9, 1.4), 6),
      flange_z_m: round(swing(13, 0.4, 2.2), 6),
    }),
    distance: record('distance', 'arm-distance@2.0.0', {
      distance_m: separation['distance_m']!,
      nearest_link: separation['deciding_link']!,
      nearest_obstacle: 'anna',
      closing_speed_m_per_s: round((before_m - margin_m) / CYCLE_S, 6),
    }),
    separation: record('separation', 'arm-distance@2.0.0', separation),
  };
}
