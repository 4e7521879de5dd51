// What the author of a stage in AssemblyScript imports: the three areas, their exports, and access to
// their values.
//
// A stage says `export { rt_abi, rt_input, rt_config, rt_output } from "./retrotap";` and exports
// rt_configure and rt_process (and rt_tick, if time alone changes something). There is no runtime: no
// strings, no arrays, no classes that are made with `new`.
import { CONFIG_BYTES, INPUT_BYTES, OUTPUT_BYTES } from "./manifest";

const HEAD_BYTES: i32 = 8;
const SLOT_BYTES: i32 = 8;

const input = memory.data(INPUT_BYTES, 8);
const config = memory.data(CONFIG_BYTES > 0 ? CONFIG_BYTES : 8, 8);
const output = memory.data(OUTPUT_BYTES > 0 ? OUTPUT_BYTES : 8, 8);

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

// Input: how many fields an input of so many bytes has, whether one is there, and its value.

export function fields(bytes: i32): i32 {
  return (bytes - HEAD_BYTES) / SLOT_BYTES;
}

export function has(field: i32): bool {
  return ((load<u32>(input) >> field) & 1) != 0;
}

export function f64At(field: i32): f64 {
  return load<f64>(input + HEAD_BYTES + field * SLOT_BYTES);
}

export function i64At(field: i32): i64 {
  return load<i64>(input + HEAD_BYTES + field * SLOT_BYTES);
}

// Configuration: a parameter by its PARAMETER_ constant, and a table by its TABLE_ constants. A choice is
// the place of its name.

export function parameter(at: i32): f64 {
  return load<f64>(config + at);
}

export function rows(table: i32): i32 {
  return load<i32>(config + table);
}

export function cell(table: i32, columns: i32, row: i32, column: i32): f64 {
  return load<f64>(config + table + HEAD_BYTES + (row * columns + column) * SLOT_BYTES);
}

// Output: records one after the other, each begun with its number and how many fields it has. What isn't
// written is absent. A number that isn't finite is, too: the host sees to that.

let at: i32 = 0;
let begun: i32 = 0;
let count: i32 = 0;

export function none(): void {
  at = 0;
  begun = 0;
  count = 0;
}

export function begin(record: i32, fields: i32): void {
  const bytes = HEAD_BYTES + fields * SLOT_BYTES;
  if (at + bytes > OUTPUT_BYTES) unreachable();
  begun = at;
  for (let offset = 0; offset < bytes; offset += SLOT_BYTES) store<i64>(output + begun + offset, 0);
  store<i32>(output + begun, record);
  at += bytes;
  count += 1;
}

export function putF64(field: i32, value: f64): void {
  present(field);
  store<f64>(output + begun + HEAD_BYTES + field * SLOT_BYTES, value);
}

export function putI64(field: i32, value: i64): void {
  present(field);
  store<i64>(output + begun + HEAD_BYTES + field * SLOT_BYTES, value);
}

// How many records there are: what rt_process and rt_tick return.
export function records(): i32 {
  return count;
}

function present(field: i32): void {
  store<i32>(output + begun + 4, load<i32>(output + begun + 4) | (1 << field));
}
