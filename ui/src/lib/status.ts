/**
 * The gateway's status as `GET /api/v1/status` and each event of `/api/v1/live` give it.
 * `status.test.ts` holds these types against the API's description.
 */

export type LineState = 'starting' | 'running' | 'silent' | 'disconnected' | 'failed';
export type UplinkState = 'connected' | 'connecting' | 'refused' | 'off';
export type Counters = Record<string, number>;

export interface Status {
  t: string;
  /** Monotonic on the gateway; tells how long an event was under way. */
  uptime_s: number;
  gateway: string;
  simulated: boolean;
  machines: MachineStatus[];
  cells: CellStatus[];
  uplink: UplinkStatus;
}

export type SeparationState = 'clear' | 'warn' | 'stop' | 'unknown';
export type Permit = 'sent' | 'withheld' | 'none';

export interface CellStatus {
  id: string;
  state: SeparationState;
  since: string;
  cause: string;
  detail: string;
  permit: Permit;
  permit_every_s?: number;
  machines: string[];
  /** The machine whose separation decides the state. */
  deciding_machine?: string;
  /** Its newest separation; absent where there is none. */
  separation?: Fields;
  separation_age_s?: number;
  warn_margin_m?: number;
  obstacles: Obstacle[];
  obstacles_age_s?: number;
  obstacles_source?: string;
  /** Actions that could not be done, bytes on ports included. */
  actions_failed: number;
  /** Snapshots of obstacles that were refused. */
  snapshots_refused: number;
}

export type Vector = [x: number, y: number, z: number];

/** What stands or walks in the cell: metres in the cell's frame, z up. */
export type Obstacle = { id: string; velocity?: Vector } & (
  | { kind: 'sphere'; center: Vector; radius: number }
  | { kind: 'capsule'; a: Vector; b: Vector; radius: number }
  | { kind: 'box'; center: Vector; size: Vector }
);

/** What of a cell doesn't change while it runs. */
export interface Scene {
  robots: RobotScene[];
  fixtures: Obstacle[] | null;
}

export interface RobotScene {
  machine: string;
  /** In the cell's frame; radians about its x, then y, then z. */
  base_pose: { xyz: Vector; rpy: Vector };
  chain: Joint[];
  capsules: LinkCapsule[];
}

export interface Joint {
  kind: 'revolute' | 'prismatic';
  /** In the frame of the link before, metres and radians. */
  origin: Vector;
  rpy: Vector;
  axis: Vector;
  /** Number of the axis value that drives it, from 1. */
  input: number;
}

export interface LinkCapsule {
  name: string;
  /** 0 is the base, k the link behind joint k. */
  link: number;
  a: Vector;
  b: Vector;
  radius: number;
}

export interface MachineStatus {
  id: string;
  adapter: string;
  title: string;
  line: LineStatus;
  stale_after_s: number;
  /** Absent before the first frame. */
  frame_age_s?: number;
  frames: number;
  frames_per_s: number;
  rejected: Counters;
  skipped_bytes: Counters;
  line_errors: Counters;
  dropped_records: number;
  /** Lowest and highest value by field, where the adapter says so. */
  ranges: Record<string, [number, number]>;
  records: Record<string, GatewayRecord>;
  record_ages_s: Record<string, number>;
}

export interface LineStatus {
  state: LineState;
  since: string;
  detail: string;
}

export interface UplinkStatus {
  state: UplinkState;
  url: string;
  detail: string;
  unreleased_records: number;
  oldest_unreleased_age_s?: number;
}

export type FieldValue = number | string | boolean;
export type Fields = Record<string, FieldValue>;

/** A record as it leaves the gateway; a field whose value is not a number is absent. */
export interface GatewayRecord {
  t: string;
  seq: number;
  fields: Fields;
  machine?: string;
  record?: string;
}

export function numberField(record: GatewayRecord | undefined, name: string): number | undefined {
  return numberIn(record?.fields, name);
}

export function textField(record: GatewayRecord | undefined, name: string): string | undefined {
  return textIn(record?.fields, name);
}

export function numberIn(fields: Fields | undefined, name: string): number | undefined {
  const value = fields?.[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

export function textIn(fields: Fields | undefined, name: string): string | undefined {
  const value = fields?.[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
