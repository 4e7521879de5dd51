/**
 * An invented gateway behind the development server: one robot (or two) that moves on a smooth
 * path, and every state that the page has words for. `/mock/<scenario>` switches.
 *
 * It answers with the same security headers as the gateway, so what the policy refuses is seen here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connect, Plugin } from 'vite';
import type { MachineStatus, Status } from '../src/lib/status.ts';

export const SCENARIOS = [
  'running',
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

const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

const EVENT_MS = 66;
const LIMITS = [185, 146, 155, 350, 125, 350];

export function mockGateway(): Plugin {
  const began = Date.now();
  let scenario: Scenario = 'running';
  let scenarioSince = 0;

  const handle: Connect.NextHandleFunction = (request, response, next) => {
    const path = request.url?.split('?')[0] ?? '';
    const elapsed_s = (Date.now() - began) / 1000;
    const wanted = SCENARIOS.find((name) => path === `/mock/${name}`);
    if (wanted) {
      scenario = wanted;
      scenarioSince = elapsed_s;
      response.end(`${wanted}\n`);
    } else if (path === '/api/v1/status') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(mockStatus(scenario, elapsed_s, scenarioSince)));
    } else if (path === '/api/v1/live') {
      stream(request, response, () => {
        const now_s = (Date.now() - began) / 1000;
        return scenario === 'frozen' ? undefined : mockStatus(scenario, now_s, scenarioSince);
      });
    } else next();
  };
  return {
    name: 'mock-gateway',
    configureServer: (server) => void server.middlewares.use(handle),
    configurePreviewServer: (server) => {
      server.middlewares.use((_request, response, next) => {
        for (const [name, value] of Object.entries(SECURITY_HEADERS))
          response.setHeader(name, value);
        next();
      });
      server.middlewares.use(handle);
    },
  };
}

function stream(
  request: IncomingMessage,
  response: ServerResponse,
  look: () => Status | undefined,
): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.write('retry: 1000\n\n');
  const timer = setInterval(() => {
    const status = look();
    if (status) response.write(`data: ${JSON.stringify(status)}\n\n`);
  }, EVENT_MS);
  request.on('close', () => clearInterval(timer));
}

/** The gateway `elapsed_s` after it began, in a scenario that began at `since_s`. */
export function mockStatus(scenario: Scenario, elapsed_s: number, since_s = 0): Status {
  const machines = [machine('robot-1', scenario, elapsed_s, since_s)];
  if (scenario === 'two') machines.push(machine('robot-2', 'stale', elapsed_s + 7, since_s));
  const waiting = scenario === 'refused' ? Math.round((elapsed_s - since_s) * 45) + 1204 : 3;
  return {
    t: stamp(elapsed_s),
    uptime_s: elapsed_s,
    gateway: 'cell-3',
    simulated: true,
    machines: scenario === 'none' ? [] : machines,
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
  const records = starting ? {} : recordsAt(id, at_s, faulty);
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

function recordsAt(id: string, at_s: number, faulty: boolean): MachineStatus['records'] {
  const cycle = Math.floor(at_s / 0.0656);
  const swing = (period_s: number, low: number, high: number): number =>
    low + ((high - low) * (1 - Math.cos((2 * Math.PI * at_s) / period_s))) / 2;
  const distance_m = swing(19, 0.42, 2.6) + swing(7, 0, 0.35);
  const before_m =
    0.42 +
    (2.18 * (1 - Math.cos((2 * Math.PI * (at_s - 0.1)) / 19))) / 2 +
    (0.35 * (1 - Math.cos((2 * Math.PI * (at_s - 0.1)) / 7))) / 2;
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
      axis_1_deg: round(faulty ? 191.25 : swing(23, -95, 120), 5),
      axis_2_deg: round(swing(17, -118, -40), 5),
      axis_3_deg: round(swing(13, -20, 110), 5),
      axis_4_deg: round(swing(29, -160, 200), 5),
      axis_5_deg: round(swing(11, -85, 70), 5),
      axis_6_deg: round(swing(31, -300, 240), 5),
      axis_7_mm: round(swing(41, 0, 1800), 5),
      age_s: 0.0562,
    }),
    pose: record('pose', 'arm-distance@1.0.0', {
      flange_x_m: round(swing(23, -1.2, 2.1), 6),
      flange_y_m: round(swing(17, -1.9, 1.4), 6),
      flange_z_m: round(swing(13, 0.4, 2.2), 6),
    }),
    distance: record('distance', 'arm-distance@1.0.0', {
      distance_m: round(distance_m, 6),
      nearest_link: 'link_3',
      nearest_obstacle: 'person_1',
      closing_speed_m_per_s: round((before_m - distance_m) / 0.1, 6),
    }),
  };
}

function stamp(elapsed_s: number): string {
  return new Date(Date.UTC(2026, 10, 20, 10, 55) + elapsed_s * 1000).toISOString();
}
