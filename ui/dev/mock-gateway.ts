/**
 * An invented gateway behind the development server. `/mock/<scenario>` switches what it shows; the
 * user is `anna`, her password `robots walk softly`, the claim code `ABCD-1234`.
 *
 * It answers with the same security headers as the gateway, so what the policy refuses is seen here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connect, Plugin } from 'vite';
import type { Status } from '../src/lib/status.ts';
import { mockHistory, mockScene } from './mock-cell.ts';
import { SCENARIOS, type Scenario, mockStatus } from './mock-status.ts';
import { elapsed, stamp } from './mock-time.ts';

const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

/** Thirty a second, as fast as a gateway ever speaks. */
const EVENT_MS = 33;
const USER = { user: 'anna', role: 'admin', csrf: 'c5f1' } as const;
const PASSWORD = 'robots walk softly';
const CODE = 'ABCD-1234';
/** How far back events are made up. */
const EVENTS_S = 300;

const SETTINGS = {
  site: 'aachen',
  gateway: 'cell-3',
  machines: [{ id: 'robot-1', adapter: 'kuka-krc2', port: '/dev/serial/by-id/usb-FTDI-port0' }],
  cells: [
    {
      id: 'press-line',
      robots: [
        {
          machine: 'robot-1',
          base_pose: { xyz: ['0 m', '0 m', '0 m'], rpy: ['0 deg', '0 deg', '0 deg'] },
          tool_capsules: 'none',
        },
      ],
      separation: {
        human_speed: '1.6 m/s',
        robot: { speed: 'measured', max_acceleration: '4 m/s2' },
        stopping: { time: '350 ms', distance: '0.24 m' },
        latency: { sensor: '80 ms', stop_signal: '20 ms', gateway: '5 ms' },
        intrusion: '0.2 m',
        uncertainty: { person: '0.1 m', robot: '0.05 m' },
        warn_margin: '0.5 m',
      },
      obstacles: { source: 'mqtt', time_to_live: '300 ms' },
      permit: { serial_write: { machine: 'robot-1', bytes: '55', every: '50 ms' } },
    },
  ],
  uplink: { mqtt: { url: 'mqtts://broker.plant.example:8883' }, release_on: 'lake' },
  spool: { path: '/var/lib/retrotap/spool', max_bytes: '2 GiB', sync_every: '1 s' },
  web: { listen: '0.0.0.0:8443' },
};

class Mock {
  readonly #began = Date.now();
  /** When which scenario began, in order. */
  #scenarios: [since_s: number, scenario: Scenario][] = [[-1e9, 'running']];
  #signedIn = false;
  #claimed = false;

  get #now_s(): number {
    return (Date.now() - this.#began) / 1000;
  }

  get #scenario(): Scenario {
    return this.#scenarios.at(-1)![1];
  }

  status(): Status | undefined {
    const [since_s, scenario] = this.#scenarios.at(-1)!;
    if (scenario === 'frozen') return undefined;
    return mockStatus(scenario, this.#now_s, Math.max(0, since_s));
  }

  change(scenario: Scenario): void {
    this.#scenarios.push([this.#now_s, scenario]);
    this.#signedIn = false;
    this.#claimed = scenario === 'login';
  }

  get mayLook(): boolean {
    return !this.#claimed || this.#signedIn;
  }

  /** The answer: a status and JSON. */
  async answer(method: string, url: URL, body: () => Promise<unknown>): Promise<[number, unknown]> {
    const path = url.pathname.replace('/api/v1/', '');
    if (path === 'session' || path === 'claim') return this.#session(method, path, await body());
    if (!this.mayLook) return problem(401, 'Sign in first.');
    const limit = Number(url.searchParams.get('limit') ?? 100);
    switch (path) {
      case 'status':
        return [200, this.status()];
      case 'settings':
        return [200, SETTINGS];
      case 'audit':
        return this.#signedIn ? [200, { entries: audit() }] : problem(401, 'Sign in first.');
      case 'events':
        return [200, { events: this.#events().slice(-limit), more: false }];
      case 'history':
        return [200, this.#history(url.searchParams)];
      default:
        return /^cells\/[^/]+\/scene$/.test(path)
          ? [200, mockScene(this.#scenario)]
          : problem(404, 'There is no such page.');
    }
  }

  #session(method: string, path: string, body: unknown): [number, unknown] {
    const { user, password, code } = (body ?? {}) as Record<string, string | undefined>;
    if (path === 'claim') {
      if (code !== CODE) return problem(403, 'The claim code is wrong.');
      this.#claimed = this.#signedIn = true;
    } else if (method === 'POST') {
      if (user !== USER.user || password !== PASSWORD) return problem(401, 'Wrong.');
      this.#signedIn = true;
    } else if (method === 'DELETE') {
      this.#signedIn = false;
      return [204, undefined];
    }
    return [200, { claimed: this.#claimed, ...(this.#signedIn ? USER : {}) }];
  }

  readonly #scenarioAt = (at_s: number): Scenario =>
    this.#scenarios.findLast(([since_s]) => since_s <= at_s)?.[1] ?? 'running';

  #events(): unknown[] {
    const now_s = this.#now_s;
    const records = mockHistory(this.#scenarioAt, 'separation_state', now_s - EVENTS_S, now_s);
    const transitions = records.map((record) => ({
      event: 'separation_state',
      t: record.t,
      machine: record.machine,
      record,
    }));
    const alarm = {
      event: 'alarm',
      t: stamp(now_s - EVENTS_S - 60),
      machine: 'robot-1',
      alarm: 'line_silent',
      active: false,
      detail: 'Frames come again after 4.2 s.',
    };
    return [alarm, ...transitions];
  }

  #history(query: URLSearchParams): unknown {
    const to_s = Math.min(this.#now_s, elapsed(query.get('to') ?? stamp(this.#now_s)));
    const from_s = Math.max(to_s - 600, elapsed(query.get('from') ?? stamp(to_s - 180)));
    const records = mockHistory(this.#scenarioAt, query.get('record') ?? '', from_s, to_s);
    const limit = Number(query.get('limit') ?? 1000);
    return { records: records.slice(-limit), more: records.length > limit };
  }
}

function audit(): unknown[] {
  const base = { from: '127.0.0.1' };
  return [
    {
      ...base,
      t: stamp(-86_400),
      who: 'terminal',
      action: 'claimed',
      what: 'anna',
      was: null,
      now: null,
    },
    {
      ...base,
      t: stamp(-3600),
      who: 'anna',
      action: 'parameters_changed',
      what: 'press-line',
      was: { intrusion_m: 0.85 },
      now: { intrusion_m: 0.2 },
    },
  ];
}

function problem(status: number, detail: string): [number, unknown] {
  return [status, { type: 'about:blank', title: 'Refused', status, detail }];
}

export function mockGateway(): Plugin {
  const mock = new Mock();
  const handle: Connect.NextHandleFunction = (request, response, next) => {
    const url = new URL(request.url ?? '/', 'http://mock');
    const wanted = SCENARIOS.find((name) => url.pathname === `/mock/${name}`);
    if (wanted) {
      mock.change(wanted);
      response.end(`${wanted}\n`);
    } else if (url.pathname === '/api/v1/live' && mock.mayLook) stream(request, response, mock);
    else if (url.pathname.startsWith('/api/v1/')) {
      void mock
        .answer(request.method ?? 'GET', url, () => bodyOf(request))
        .then(([status, answer]) => {
          const kind = status < 400 ? 'application/json' : 'application/problem+json';
          response.writeHead(status, { 'content-type': kind, 'cache-control': 'no-store' });
          response.end(answer === undefined ? '' : JSON.stringify(answer));
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

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let said = '';
  for await (const part of request) said += String(part);
  return said === '' ? undefined : (JSON.parse(said) as unknown);
}

function stream(request: IncomingMessage, response: ServerResponse, mock: Mock): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.write('retry: 1000\n\n');
  const timer = setInterval(() => {
    if (!mock.mayLook) return response.end();
    const status = mock.status();
    if (status) response.write(`data: ${JSON.stringify(status)}\n\n`);
  }, EVENT_MS);
  request.on('close', () => clearInterval(timer));
}
