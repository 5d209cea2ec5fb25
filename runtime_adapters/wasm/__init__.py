"""WebAssembly by wasmtime: core modules with WASI preview 1, one store a call, nothing reachable but the broker."""
