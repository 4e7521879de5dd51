/**
 * What the page knows: events come in as text, looks at one instant go out. No I/O and no clock:
 * both are arguments, in seconds of the client's own monotonic clock.
 *
 * Keeps true: an event that can't be read, or doesn't come, never makes anything look fresh.
 */
import { type CellLook, cellLook } from './cell.ts';
import { DelayMeter } from './delay.ts';
import { seconds } from './format.ts';
import { Freshness } from './freshness.ts';
import { History } from './history.ts';
import { robotOf } from './robot.ts';
import { separationOf } from './separation.ts';
import type { CellStatus, MachineStatus, Status } from './status.ts';
import { Trail } from './trail.ts';
import { type Condition, type Connection, condition, frameAge, recordAge } from './view.ts';

/** The gateway speaks at least twice a second; after this long without a word it is lost. */
export const LOST_AFTER_S = 0.9;

/** For a cell that names no machine: as long as the slowest adapter's limit. */
const STALE_AFTER_S = 0.5;

export interface RecordLook {
  age_s: number | undefined;
  stale: boolean;
}

export interface MachineLook {
  machine: MachineStatus;
  condition: Condition;
  frameAge_s: number | undefined;
  records: Record<string, RecordLook>;
  history: History;
}

export interface Look {
  now_s: number;
  connection: Connection;
  /** Seconds since the gateway sent what is shown, or since the page began to wait. */
  eventAge_s: number;
  status: Status | undefined;
  /** The newest event as it was sent. */
  source: string;
  machines: MachineLook[];
  cells: CellLook[];
  /** Seconds since 1970 by the gateway's clock, carried on since it spoke. */
  gateway_s: number;
}

export class Feed {
  readonly #began_s: number;
  #status: Status | undefined;
  #source = '';
  #sent_s = 0;
  #failed = false;
  #delays = new DelayMeter();
  #histories = new Map<string, History>();
  #lastRecord = new Map<string, string>();
  #freshness = new Map<string, Freshness>();
  #trails = new Map<string, Trail>();
  #gatewaySent_s = NaN;

  constructor(now_s: number) {
    this.#began_s = now_s;
  }

  /** A connection is being made: what was measured on the one before no longer counts. */
  connecting(): void {
    this.#delays = new DelayMeter();
  }

  /** The connection broke; the next event mends it. */
  failed(): void {
    this.#failed = true;
  }

  /** Takes one event; false when it can't be read. */
  accept(source: string, received_s: number): boolean {
    let status: Status;
    try {
      status = JSON.parse(source) as Status;
    } catch {
      return false;
    }
    if (!Array.isArray(status?.machines) || !Number.isFinite(status.uptime_s)) return false;
    this.#status = status;
    this.#source = source;
    this.#sent_s = received_s - this.#delays.measure(status.uptime_s, received_s);
    this.#failed = false;
    this.#gatewaySent_s = seconds(status.t);
    for (const machine of status.machines) this.#remember(machine);
    for (const cell of status.cells) this.#rememberCell(cell);
    return true;
  }

  /** How everything stands now. */
  look(now_s: number): Look {
    const eventAge_s = now_s - (this.#status ? this.#sent_s : this.#began_s);
    const connection = this.#connection(eventAge_s);
    const machines = (this.#status?.machines ?? []).map((machine): MachineLook => {
      const frameAge_s = frameAge(machine, eventAge_s);
      const records: Record<string, RecordLook> = {};
      for (const name of Object.keys(machine.records)) {
        const age_s = recordAge(machine, name, eventAge_s);
        records[name] = { age_s, stale: this.#isStale(machine, name, age_s, now_s) };
      }
      const framesStale = this.#isStale(machine, '', frameAge_s, now_s);
      return {
        machine,
        condition: condition(machine, { connection, eventAge_s, framesStale }),
        frameAge_s,
        records,
        history: this.#historyOf(machine.id),
      };
    });
    const cells = (this.#status?.cells ?? []).map((cell) => {
      const staleAfter_s = this.#staleAfter(cell);
      const age_s = cell.separation_age_s;
      const separationStale = this.#fresh(`cell\n${cell.id}`).isStale(
        age_s === undefined || !cell.separation ? undefined : age_s + eventAge_s,
        staleAfter_s,
        now_s,
      );
      return cellLook(cell, { connection, eventAge_s, separationStale, staleAfter_s });
    });
    return {
      now_s,
      connection,
      eventAge_s,
      status: this.#status,
      source: this.#source,
      machines,
      cells,
      gateway_s: this.#gatewaySent_s + eventAge_s,
    };
  }

  /** The last minutes of that cell. */
  trail(cell: string): Trail {
    let trail = this.#trails.get(cell);
    if (!trail) this.#trails.set(cell, (trail = new Trail()));
    return trail;
  }

  /** The shortest limit of the cell's machines: the page never trusts longer than one of them. */
  #staleAfter(cell: CellStatus): number {
    const limits = (this.#status?.machines ?? [])
      .filter(({ id }) => cell.machines.includes(id))
      .map((machine) => machine.stale_after_s);
    return limits.length > 0 ? Math.min(...limits) : STALE_AFTER_S;
  }

  #connection(eventAge_s: number): Connection {
    if (!this.#status) return 'connecting';
    return this.#failed || eventAge_s > LOST_AFTER_S ? 'lost' : 'live';
  }

  #isStale(
    machine: MachineStatus,
    record: string,
    age_s: number | undefined,
    now_s: number,
  ): boolean {
    return this.#fresh(`${machine.id}\n${record}`).isStale(age_s, machine.stale_after_s, now_s);
  }

  #fresh(key: string): Freshness {
    let freshness = this.#freshness.get(key);
    if (!freshness) this.#freshness.set(key, (freshness = new Freshness()));
    return freshness;
  }

  #historyOf(id: string): History {
    let history = this.#histories.get(id);
    if (!history) this.#histories.set(id, (history = new History()));
    return history;
  }

  /** Each record counts once, however often events repeat it. */
  #remember(machine: MachineStatus): void {
    const record = machine.records['distance'];
    const age_s = machine.record_ages_s['distance'];
    if (!record || age_s === undefined || this.#lastRecord.get(machine.id) === record.t) return;
    this.#lastRecord.set(machine.id, record.t);
    const { distance_m, closing_m_per_s } = robotOf(machine);
    this.#historyOf(machine.id).add(this.#sent_s - age_s, distance_m, closing_m_per_s);
  }

  #rememberCell(cell: CellStatus): void {
    const separation = separationOf(cell.separation);
    if (!separation || cell.separation_age_s === undefined) return;
    this.trail(cell.id).add(this.#gatewaySent_s - cell.separation_age_s, {
      distance_m: separation.distance_m,
      protective_m: separation.protective_m,
      speed_m_per_s: separation.robotSpeed_m_per_s,
    });
  }
}
