// The highest speed of each axis, one record per window of time.
//
// The window begins with the first speed and is emitted once it is over: with the next speed, which is
// still counted in, or by a tick where none comes. What it keeps true: every speed is in one window.
import { PARAMETER_WINDOW_S, SPEED_PEAKS, SPEED_PEAKS_CYCLES, SPEED_PEAKS_FIELDS } from "./manifest";
import { begin, f64At, none, parameter, putF64, putI64, records } from "./retrotap";

export { rt_abi, rt_config, rt_input, rt_output } from "./retrotap";

const AXES = SPEED_PEAKS_CYCLES;

const peaks = memory.data(AXES * 8, 8);

let windowNs: i64 = 0;
let startNs: i64 = 0;
let cycles: i64 = 0;

export function rt_configure(): i32 {
  windowNs = (parameter(PARAMETER_WINDOW_S) * 1e9) as i64;
  return 0;
}

export function rt_process(_bytes: i32, tNs: i64): i32 {
  const first = cycles == 0;
  if (first) startNs = tNs;
  for (let axis = 0; axis < AXES; axis++) {
    const speed = abs<f64>(f64At(axis));
    if (first || speed > load<f64>(peaks + axis * 8)) store<f64>(peaks + axis * 8, speed);
  }
  cycles += 1;
  return emitIfOver(tNs);
}

export function rt_tick(tNs: i64): i32 {
  return emitIfOver(tNs);
}

function emitIfOver(tNs: i64): i32 {
  none();
  if (cycles == 0 || tNs - startNs < windowNs) return records();
  begin(SPEED_PEAKS, SPEED_PEAKS_FIELDS);
  for (let axis = 0; axis < AXES; axis++) putF64(axis, load<f64>(peaks + axis * 8));
  putI64(SPEED_PEAKS_CYCLES, cycles);
  cycles = 0;
  return records();
}
