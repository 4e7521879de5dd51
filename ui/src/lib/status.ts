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
  uplink: UplinkStatus;
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

/** A record as it leaves the gateway; a field whose value is not a number is absent. */
export interface GatewayRecord {
  t: string;
  seq: number;
  fields: Record<string, FieldValue>;
}

export function numberField(record: GatewayRecord | undefined, name: string): number | undefined {
  const value = record?.fields[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

export function textField(record: GatewayRecord | undefined, name: string): string | undefined {
  const value = record?.fields[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
