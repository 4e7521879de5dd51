// The highest of each number within a window of time.
import { PARAMETER_WINDOW_S, PEAKS } from "./manifest";
import { begin, f64At, fields, has, none, parameter, putF64, records } from "./retrotap";

export { rt_abi, rt_config, rt_input, rt_output } from "./retrotap";

const FIELDS_MAX: i32 = 32;

const highest = memory.data(FIELDS_MAX * 8, 8);
// Bit i: field i came within this window.
let came: u32 = 0;
let count: i32 = 0;
let windowNs: i64 = 0;
let startNs: i64 = 0;
let begun: bool = false;

export function rt_configure(): i32 {
  windowNs = (parameter(PARAMETER_WINDOW_S) * 1e9) as i64;
  return 0;
}

export function rt_process(bytes: i32, tNs: i64): i32 {
  if (!begun) startNs = tNs;
  begun = true;
  count = fields(bytes);
  for (let field = 0; field < count; field++) {
    if (!has(field)) continue;
    const value = f64At(field);
    const first = ((came >> field) & 1) == 0;
    if (first || value > load<f64>(highest + field * 8)) store<f64>(highest + field * 8, value);
    came |= 1 << field;
  }
  return emitIfOver(tNs);
}

export function rt_tick(tNs: i64): i32 {
  return emitIfOver(tNs);
}

function emitIfOver(tNs: i64): i32 {
  none();
  if (!begun || tNs - startNs < windowNs) return records();
  begin(PEAKS, count);
  for (let field = 0; field < count; field++) {
    if (((came >> field) & 1) != 0) putF64(field, load<f64>(highest + field * 8));
  }
  came = 0;
  begun = false;
  return records();
}
