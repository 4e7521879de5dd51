/* What the author of a stage in C includes: the three areas, their exports, and access to their values.
 *
 * A stage includes this once and defines rt_configure and rt_process (and rt_tick, if time alone changes
 * something), each with RT_EXPORT. There is no C library: no allocation, no input, no output. */
#pragma once

#include "manifest.h"

typedef int i32;
typedef unsigned u32;
typedef long long i64;
typedef unsigned long long u64;
typedef double f64;

_Static_assert(sizeof(i32) == 4 && sizeof(i64) == 8 && sizeof(f64) == 8, "the layout of ABI 1");

#define RT_EXPORT(name) __attribute__((export_name(#name)))

#define RT_SLOT_BYTES 8
#define RT_HEAD_BYTES 8

static _Alignas(8) unsigned char rt_input_area[INPUT_BYTES];
static _Alignas(8) unsigned char rt_config_area[CONFIG_BYTES > 0 ? CONFIG_BYTES : 8];
static _Alignas(8) unsigned char rt_output_area[OUTPUT_BYTES > 0 ? OUTPUT_BYTES : 8];

RT_EXPORT(rt_abi) i32 rt_abi(void) { return 1; }
RT_EXPORT(rt_input) i32 rt_input(void) { return (i32)(long)rt_input_area; }
RT_EXPORT(rt_config) i32 rt_config(void) { return (i32)(long)rt_config_area; }
RT_EXPORT(rt_output) i32 rt_output(void) { return (i32)(long)rt_output_area; }

/* A slot is read and written as bytes: a compiler makes one load or store of it. */
static inline u64 rt_word(const unsigned char *at) {
  u64 word;
  __builtin_memcpy(&word, at, sizeof word);
  return word;
}

static inline f64 rt_number(const unsigned char *at) {
  f64 number;
  __builtin_memcpy(&number, at, sizeof number);
  return number;
}

/* Input: how many fields an input of so many bytes has, whether one is there, and its value. */

static inline i32 rt_fields(i32 bytes) { return (bytes - RT_HEAD_BYTES) / RT_SLOT_BYTES; }

static inline int rt_has(i32 field) { return (int)(rt_word(rt_input_area) >> field & 1); }

static inline f64 rt_f64(i32 field) {
  return rt_number(rt_input_area + RT_HEAD_BYTES + field * RT_SLOT_BYTES);
}

static inline i64 rt_i64(i32 field) {
  return (i64)rt_word(rt_input_area + RT_HEAD_BYTES + field * RT_SLOT_BYTES);
}

/* Configuration: a parameter by its PARAMETER_ constant, and a table by its TABLE_ constants. A choice is
 * the place of its name. */

static inline f64 rt_parameter(i32 parameter) { return rt_number(rt_config_area + parameter); }

static inline i32 rt_rows(i32 table) { return (i32)(u32)rt_word(rt_config_area + table); }

static inline f64 rt_cell(i32 table, i32 columns, i32 row, i32 column) {
  return rt_number(rt_config_area + table + RT_HEAD_BYTES + (row * columns + column) * RT_SLOT_BYTES);
}

/* Output: records one after the other, each begun with its number and how many fields it has. What isn't
 * written is absent. A number that isn't finite is, too: the host sees to that. */

static i32 rt_at;
static i32 rt_begun;
static i32 rt_count;

static inline void rt_none(void) { rt_at = rt_begun = rt_count = 0; }

/* How many records there are: what rt_process and rt_tick return. */
static inline i32 rt_records(void) { return rt_count; }

static inline void rt_begin(u32 record, i32 fields) {
  i32 bytes = RT_HEAD_BYTES + fields * RT_SLOT_BYTES;
  if (rt_at + bytes > OUTPUT_BYTES) __builtin_trap();
  rt_begun = rt_at;
  for (i32 at = 0; at < bytes; at++) rt_output_area[rt_begun + at] = 0;
  u64 head = record;
  __builtin_memcpy(rt_output_area + rt_begun, &head, sizeof head);
  rt_at += bytes;
  rt_count++;
}

static inline void rt_put_word(i32 field, u64 word) {
  u64 head = rt_word(rt_output_area + rt_begun) | (u64)1 << (32 + field);
  __builtin_memcpy(rt_output_area + rt_begun, &head, sizeof head);
  __builtin_memcpy(rt_output_area + rt_begun + RT_HEAD_BYTES + field * RT_SLOT_BYTES, &word, sizeof word);
}

static inline void rt_put_i64(i32 field, i64 value) { rt_put_word(field, (u64)value); }

static inline void rt_put_f64(i32 field, f64 value) {
  u64 word;
  __builtin_memcpy(&word, &value, sizeof word);
  rt_put_word(field, word);
}
