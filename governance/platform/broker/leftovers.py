"""What may be left on a connection after an answer, and must never be taken for the answer to somebody else.

A vendor that miscounts what was sent reads a second request out of a body with lines of its own, and answers that as well,
now or later; one that sends more than its answer's length leaves the rest for whoever asks next. Such a connection is not
used again. What comes only after the next request is on its way looks like its answer; nobody's request can bring that about.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

# Up to so many bytes all that came with an answer lies where it is looked for: the libraries read twice as much at once.
_LOOKED_THROUGH = 1 << 15


async def let_go(response: httpx.Response, asked: bytes, came: int | None) -> None:
    """Close an answer, and with it the connection unless everything on it was accounted for.

    `asked`: the body that was sent. `came`: how many bytes of the answer's body were read, to its end; None where nobody knows.
    """
    may_be_two = b"\n" in asked or b"\r" in asked
    try:
        if may_be_two or came is None or came > _LOOKED_THROUGH or not _is_alone(response):
            await response.extensions["network_stream"].aclose()
    finally:
        await response.aclose()


def _is_alone(response: httpx.Response) -> bool:
    """Whether nothing came beside the answer: read by the HTTP library, unfolded by TLS, or still to be unfolded."""
    try:
        # The library has no public way to its parser. One that looks otherwise costs a new connection a request, no more.
        parser = response.stream._httpcore_stream._stream._connection._h11_state  # type: ignore[union-attr]  # noqa: SLF001
        if parser.trailing_data != (b"", False):
            return False
        response.extensions["network_stream"].get_extra_info("ssl_object").read(1)
    except ssl.SSLWantReadError:
        return True
    except (AttributeError, ssl.SSLError):
        pass
    return False
