/** A robot's records by the names that its stages give them. */
import { type MachineStatus, numberField, textField } from './status.ts';

export interface Axis {
  field: string;
  value: number;
  range: [number, number] | undefined;
}

export interface Robot {
  distance_m: number | undefined;
  closing_m_per_s: number | undefined;
  link: string | undefined;
  obstacle: string | undefined;
  axes: Axis[];
  /** How long ago the oldest axis value was received when its cycle was complete. */
  axesAge_s: number | undefined;
  /** Name, such as `flange_x_m`, and value. */
  flange: [field: string, value: number][];
}

export function robotOf(machine: MachineStatus): Robot {
  const { axes, distance, pose } = machine.records;
  return {
    distance_m: numberField(distance, 'distance_m'),
    closing_m_per_s: numberField(distance, 'closing_speed_m_per_s'),
    link: textField(distance, 'nearest_link'),
    obstacle: textField(distance, 'nearest_obstacle'),
    axes: Object.keys(axes?.fields ?? {}).flatMap((field) => {
      const value = numberField(axes, field);
      if (!field.startsWith('axis_') || value === undefined) return [];
      return [{ field, value, range: machine.ranges[field] }];
    }),
    axesAge_s: numberField(axes, 'age_s'),
    flange: ['flange_x_m', 'flange_y_m', 'flange_z_m'].flatMap((field): [string, number][] => {
      const value = numberField(pose, field);
      return value === undefined ? [] : [[field, value]];
    }),
  };
}

/** Where a value stands between its limits, 0 to 1, and whether it is outside of them. */
export function place(
  value: number,
  [low, high]: [number, number],
): [at: number, outside: boolean] {
  const at = high > low ? (value - low) / (high - low) : 0;
  return [Math.min(1, Math.max(0, at)), value < low || value > high];
}
