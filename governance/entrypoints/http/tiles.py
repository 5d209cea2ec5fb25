"""The audit log for outside C2SP clients: checkpoint, hash tiles, entry bundles. Read-only, as static as files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from audit.tiles import parse_tile, tile_bytes
from governance.entrypoints.http.asgi import Answer
from governance.entrypoints.http.decisions import recorded_reading
from governance.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity

# A client that follows the log would write a record for each bundle, which makes the next bundle: once an hour will do.
_RECORDED_EVERY_S = 3600.0


async def checkpoint(worker: Worker, _call: Call, _identity: Identity) -> Answer:
    """The newest signed checkpoint (C2SP tlog-checkpoint); where witnesses are needed, the newest they cosigned."""
    reader = worker.reader()
    note = reader.cosigned() if worker.needs_witnesses else reader.checkpoint()
    if not note:
        raise NotFound("no checkpoint was cosigned by enough witnesses yet", hint="`governance audit witness`")
    return Answer(200, note.encode(), b"text/plain; charset=utf-8", headers=((b"cache-control", b"no-cache"),))


async def tile(worker: Worker, call: Call, identity: Identity) -> Answer:
    """A hash tile or an entry bundle. Entries of all tenants stand in one tree, so a key for one tenant may not read them."""
    found = parse_tile(call.params[0])
    if found is None:
        raise NotFound("not a tile's path", where=call.path, hint="https://c2sp.org/tlog-tiles")
    if found.is_bundle:
        if identity.tenant:
            raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where=call.path)
        await _recorded(worker, identity)
    raw = tile_bytes(worker.reader(), found)
    if raw is None:
        raise NotFound("the log has no such tile, or its entries were pruned", where=call.path)
    whose = b"public" if worker.tiles_without_key else b"private"
    headers = ((b"cache-control", whose + b", max-age=31536000, immutable"),)
    return Answer(200, raw, b"application/octet-stream", headers=headers)


async def _recorded(worker: Worker, identity: Identity) -> None:
    now = time.monotonic()
    if now - worker.bundle_readers.get(identity.actor, -_RECORDED_EVERY_S) < _RECORDED_EVERY_S:
        return
    await recorded_reading(worker, identity, {"asked_for": "entry bundles"})
    worker.bundle_readers[identity.actor] = now
