/* The highest of each number within a window of time. */
#include "retrotap.h"

#define FIELDS_MAX 32

static f64 highest[FIELDS_MAX];
/* Bit i: field i came within this window. */
static u32 came;
static i32 fields;
static i64 window_ns;
static i64 start_ns;
static int begun;

static i32 emit_if_over(i64 t_ns) {
  rt_none();
  if (!begun || t_ns - start_ns < window_ns) return rt_records();
  rt_begin(PEAKS, fields);
  for (i32 field = 0; field < fields; field++) {
    if (came >> field & 1) rt_put_f64(field, highest[field]);
  }
  came = 0;
  begun = 0;
  return rt_records();
}

RT_EXPORT(rt_configure) i32 rt_configure(void) {
  window_ns = (i64)(rt_parameter(PARAMETER_WINDOW_S) * 1e9);
  return 0;
}

RT_EXPORT(rt_process) i32 rt_process(i32 bytes, i64 t_ns) {
  if (!begun) start_ns = t_ns;
  begun = 1;
  fields = rt_fields(bytes);
  for (i32 field = 0; field < fields; field++) {
    if (!rt_has(field)) continue;
    f64 value = rt_f64(field);
    if (!(came >> field & 1) || value > highest[field]) highest[field] = value;
    came |= 1u << field;
  }
  return emit_if_over(t_ns);
}

RT_EXPORT(rt_tick) i32 rt_tick(i64 t_ns) { return emit_if_over(t_ns); }
