"""The audit log: append-only, tamper-evident, durable before anybody is told; and its offline verifier."""
