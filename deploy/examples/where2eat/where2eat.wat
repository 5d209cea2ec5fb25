;; Where2Eat as it runs: asks the HR system who is in the team and what they eat, and answers with what came back.
;; It holds no credential, and the address it asks is one of those that its deploy was allowed with.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "microapp_v1" "call" (func $call (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "{\"op\":\"connector.call\",\"connector\":\"hris\",\"method\":\"GET\",\"url\":\"https://api.hris.example.com/scim/v2/Users\",\"scopes\":[\"employees:read\"]}")
  (data (i32.const 512) "{\"people\":")
  (data (i32.const 528) "}")
  ;; Writes to standard output, which is the answer; 1024 holds the two words of an iovec.
  (func $say (param $at i32) (param $length i32)
    (i32.store (i32.const 1024) (local.get $at))
    (i32.store (i32.const 1028) (local.get $length))
    (drop (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1032))))
  (func (export "_start") (local $heard i32)
    (local.set $heard (call $call (i32.const 0) (i32.const 136) (i32.const 4096) (i32.const 200000)))
    (if (i32.gt_u (local.get $heard) (i32.const 200000)) (then unreachable))
    (call $say (i32.const 512) (i32.const 10))
    (call $say (i32.const 4096) (local.get $heard))
    (call $say (i32.const 528) (i32.const 1))))
