"""What ends a call before its answer is on record: a failure, or whoever asked giving it up."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from governance.enrich.scan import without_findings
from governance.errors import CallerError, GovernanceError, InternalError
from governance.platform.broker.echoes import repeats
from governance.platform.broker.sending import SendFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from governance.model.request import Request
    from governance.pipeline import Pipeline


class GivenUp(SendFailed):
    """Whoever asked did not wait for the end; nobody knows what the vendor did."""

    code = "given_up"


class Progress:
    """How far a call has come."""

    is_over = False
    """Whether all that there is to be decided and recorded was: who goes away now gives nothing up."""


class Ends:
    """Records of calls of one line; belongs to its event loop."""

    def __init__(self, line: Pipeline) -> None:
        self._line = line
        self._writing: set[asyncio.Task[str]] = set()

    @asynccontextmanager
    async def failed(self, request: Request) -> AsyncIterator[list[str]]:
        """Whatever goes wrong inside is on record before anybody hears of it. Gives the list of what no reason may repeat."""
        hidden: list[str] = []
        try:
            yield hidden
        except CallerError as error:
            failure = SendFailed(f"the call could not be made: {error.message}", hint=error.hint)
            await self._line.arefuse(request.source, failure, request.digest)
            raise failure from error
        except GovernanceError as error:
            # A reason names what a vendor sent: a host that it sends on to, an encoding. It may have put anything there.
            if repeats([error.message, error.where, error.hint], hidden):
                error.message, error.where, error.hint = "the vendor repeats the credential where it should not", "", ""
            error.message = without_findings(error.message)
            await self._line.arefuse(request.source, error, request.digest)
            raise
        except Exception as error:  # noqa: BLE001  whatever it was, whoever asked hears no, and the record says so
            # What it says may hold anything that the vendor sent; nor is it shown as the cause of this one.
            fault = InternalError(f"the call failed: {type(error).__name__}")
            await self._line.arefuse(request.source, fault, request.digest)
            raise fault from None

    @asynccontextmanager
    async def given_up(self, request: Request) -> AsyncIterator[Progress]:
        """A call that is cancelled inside, or whose parts nobody fetches any longer, says so on record.

        Whatever becomes of who did that. Gives what is told that no more is coming.
        """
        progress = Progress()
        try:
            yield progress
        except (asyncio.CancelledError, GeneratorExit):
            if not progress.is_over:
                await self._write_given_up(request)
            raise

    async def _write_given_up(self, request: Request) -> None:
        error = GivenUp(
            "the call was given up before all of its answer was decided on; the vendor may have carried it out"
        )
        writing = asyncio.ensure_future(self._line.arefuse(request.source, error, request.digest))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        await asyncio.shield(writing)

    async def written(self) -> None:
        """Return once nothing is being written any longer."""
        await asyncio.gather(*self._writing, return_exceptions=True)
