;; It says neither yes nor no.
(module
  (memory (export "memory") 4096 4096 (pagesize 1))
  (func (export "rt_abi") (result i32) i32.const 1)
  (func (export "rt_input") (result i32) i32.const 0)
  (func (export "rt_config") (result i32) i32.const 64)
  (func (export "rt_output") (result i32) i32.const 128)
  (func (export "rt_configure") (result i32) i32.const 0)
  (func (export "rt_process") (param i32 i64) (result i32)
    (i32.store (i32.const 128) (i32.const 0))
    (i32.store (i32.const 132) (i32.const 17))
    (f64.store (i32.const 136) (f64.const 1.5))
    (i64.store (i32.const 168) (i64.const 2))
    i32.const 1))
