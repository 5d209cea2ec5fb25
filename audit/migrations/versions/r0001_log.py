"""The tables of the log."""

from __future__ import annotations

from audit.migrations import run

revision, down_revision = "0001", None

SQLITE = """
CREATE TABLE leaves (
    idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, kind TEXT NOT NULL, time TEXT NOT NULL, decision_id TEXT NOT NULL,
    app TEXT NOT NULL, app_sequence INTEGER NOT NULL, tenant TEXT NOT NULL, actor TEXT NOT NULL, effect TEXT NOT NULL,
    trace_id TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX leaves_by_app ON leaves (app, app_sequence);
CREATE INDEX leaves_by_decision ON leaves (decision_id);
CREATE INDEX leaves_by_tenant ON leaves (tenant, idx);
CREATE INDEX leaves_by_kind ON leaves (kind, idx)
    WHERE kind IN ('hold', 'erasure', 'prune', 'key_rotation', 'bundle_activated');
CREATE INDEX leaves_by_trace ON leaves (trace_id) WHERE trace_id <> '';
CREATE TABLE rules_hit (rule TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (rule, idx)) WITHOUT ROWID;
CREATE TABLE connectors_hit (
    connector TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (connector, idx)) WITHOUT ROWID;
CREATE TABLE tiles (
    level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, idx)) WITHOUT ROWID;
CREATE TABLE sealed (idx INTEGER PRIMARY KEY, subject INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE INDEX sealed_by_subject ON sealed (subject, idx);
CREATE TABLE emptied (idx INTEGER PRIMARY KEY, by INTEGER NOT NULL) STRICT;
CREATE TABLE subjects (number INTEGER PRIMARY KEY, subject TEXT NOT NULL UNIQUE, key BLOB NOT NULL) STRICT;
CREATE TABLE pruned_apps (app TEXT PRIMARY KEY, app_sequence INTEGER NOT NULL) STRICT;
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, note TEXT NOT NULL);
"""
# Text sorts and compares by bytes, whatever the database's own collation is: times are compared as text.
POSTGRES = """
CREATE TABLE leaves (
    idx bigint PRIMARY KEY, leaf bytea NOT NULL, kind text COLLATE "C" NOT NULL, time text COLLATE "C" NOT NULL,
    decision_id text COLLATE "C" NOT NULL, app text COLLATE "C" NOT NULL, app_sequence bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL, actor text COLLATE "C" NOT NULL, effect text COLLATE "C" NOT NULL,
    trace_id text COLLATE "C" NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX leaves_by_app ON leaves (app, app_sequence);
CREATE INDEX leaves_by_decision ON leaves (decision_id);
CREATE INDEX leaves_by_tenant ON leaves (tenant, idx);
CREATE INDEX leaves_by_kind ON leaves (kind, idx)
    WHERE kind IN ('hold', 'erasure', 'prune', 'key_rotation', 'bundle_activated');
CREATE INDEX leaves_by_trace ON leaves (trace_id) WHERE trace_id <> '';
CREATE TABLE rules_hit (rule text COLLATE "C" NOT NULL, idx bigint NOT NULL, PRIMARY KEY (rule, idx));
CREATE TABLE connectors_hit (connector text COLLATE "C" NOT NULL, idx bigint NOT NULL, PRIMARY KEY (connector, idx));
CREATE TABLE tiles (level int NOT NULL, idx bigint NOT NULL, hashes bytea NOT NULL, PRIMARY KEY (level, idx));
ALTER TABLE tiles ALTER hashes SET STORAGE EXTERNAL;
CREATE TABLE sealed (idx bigint PRIMARY KEY, subject bigint NOT NULL, sealed bytea NOT NULL);
CREATE INDEX sealed_by_subject ON sealed (subject, idx);
CREATE TABLE emptied (idx bigint PRIMARY KEY, by bigint NOT NULL);
CREATE TABLE subjects (number bigint PRIMARY KEY, subject text COLLATE "C" NOT NULL UNIQUE, key bytea NOT NULL);
CREATE TABLE pruned_apps (app text COLLATE "C" PRIMARY KEY, app_sequence bigint NOT NULL);
CREATE TABLE head (one int PRIMARY KEY CHECK (one = 1), size bigint NOT NULL, note text NOT NULL);
"""


def upgrade() -> None:
    """Called by Alembic."""
    run(SQLITE, POSTGRES)
