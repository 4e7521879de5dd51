// The highest speed of each axis, one record per window of time.
//
// The window begins with the first speed and is emitted once it is over: with the next speed, which is
// still counted in, or by a tick where none comes. What it keeps true: every speed is in one window.
import {
  INPUT_BYTES, CONFIG_BYTES, OUTPUT_BYTES,
  PARAMETER_WINDOW_S, SPEED_PEAKS, SPEED_PEAKS_FIELDS, SPEED_PEAKS_CYCLES,
} from "./manifest";

const HEAD_BYTES: i32 = 8;
const SLOT_BYTES: i32 = 8;

const input = memory.data(INPUT_BYTES, 8);
const config = memory.data(CONFIG_BYTES, 8);
const output = memory.data(OUTPUT_BYTES, 8);
const peaks = memory.data(INPUT_BYTES, 8);

let windowNs: i64 = 0;
let startNs: i64 = 0;
let cycles: i64 = 0;

export function rt_abi(): i32 {
  return 1;
}

export function rt_input(): i32 {
  return input as i32;
}

export function rt_config(): i32 {
  return config as i32;
}

export function rt_output(): i32 {
  return output as i32;
}

export function rt_configure(): i32 {
  windowNs = (load<f64>(config + PARAMETER_WINDOW_S) * 1e9) as i64;
  return 0;
}

export function rt_process(_bytes: i32, tNs: i64): i32 {
  const first = cycles == 0;
  if (first) startNs = tNs;
  for (let axis = 0; axis < SPEED_PEAKS_CYCLES; axis++) {
    const slot = axis * SLOT_BYTES;
    const speed = abs<f64>(load<f64>(input + HEAD_BYTES + slot));
    if (first || speed > load<f64>(peaks + slot)) store<f64>(peaks + slot, speed);
  }
  cycles += 1;
  return emitIfOver(tNs);
}

export function rt_tick(tNs: i64): i32 {
  return emitIfOver(tNs);
}

function emitIfOver(tNs: i64): i32 {
  if (cycles == 0 || tNs - startNs < windowNs) return 0;
  store<i32>(output, SPEED_PEAKS);
  store<i32>(output + 4, (1 << SPEED_PEAKS_FIELDS) - 1);
  for (let axis = 0; axis < SPEED_PEAKS_CYCLES; axis++) {
    const slot = axis * SLOT_BYTES;
    store<f64>(output + HEAD_BYTES + slot, load<f64>(peaks + slot));
  }
  store<i64>(output + HEAD_BYTES + SPEED_PEAKS_CYCLES * SLOT_BYTES, cycles);
  cycles = 0;
  return 1;
}
