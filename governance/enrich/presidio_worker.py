"""The deep scan's process, from outside: started when first asked, kept warm, killed when it does not answer in time.

Whatever goes wrong (time-out, a process that dies, an answer that cannot be read, a text that is too long) is DeepScanFailed:
then nobody knows what stands in the text. It never means "nothing found".
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import DependencyError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from governance.enrich.pii.policy import ScanPolicy

_ENGINE = "governance.enrich.presidio_engine"
LARGEST = 256 * 1024
"""Characters in one question; longer ones are refused before they cost anything."""
_START_S = 60.0
"""The first answer waits for the imports, which take some seconds."""


class DeepScanFailed(DependencyError):
    """No answer from the deep scan."""

    code = "deep_scan_failed"


class DeepFinding(NamedTuple):
    """One finding of the deep scan."""

    text: int
    """Number of the text."""
    entity: str
    start: int
    end: int
    score: float


class DeepScanner:
    """One worker process; asked by one thread at a time."""

    def __init__(self, deadline_s: float = 5.0, engine: str = _ENGINE) -> None:
        """`deadline_s`: wall time for one question once the process is warm."""
        self._deadline_s = deadline_s
        self._engine = engine
        self._process: subprocess.Popen[bytes] | None = None
        self._is_warm = False
        self._lock = threading.Lock()

    def scan(self, texts: Sequence[str], policy: ScanPolicy) -> list[DeepFinding]:
        """Everything found in `texts`. Raises DeepScanFailed without an answer in time; the next question starts afresh."""
        if sum(map(len, texts)) > LARGEST:
            raise DeepScanFailed(f"more than {LARGEST} characters", hint="scan it in parts")
        plain = {**policy._asdict(), "countries": sorted(policy.countries), "deep_kinds": sorted(policy.deep_kinds)}
        question = json.dumps({"texts": list(texts), "policy": plain}).encode() + b"\n"
        with self._lock:
            try:
                raw = self._ask(question)
                found = _findings(raw, texts)
            except (OSError, ValueError, TypeError) as error:
                self._end()
                raise DeepScanFailed(
                    f"the deep scan did not answer: {error}", hint="nothing is known of the text"
                ) from error
            self._is_warm = True
            return found

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ask(self, question: bytes) -> bytes:
        process = self._running()
        deadline_s = self._deadline_s if self._is_warm else _START_S + self._deadline_s
        until = time.monotonic() + deadline_s
        if process.stdin is None or process.stdout is None:
            raise OSError("its pipes are closed")
        output, source = process.stdout.fileno(), process.stdin.fileno()
        answer, left = bytearray(), memoryview(question)
        while not answer.endswith(b"\n"):
            readable, writable, _ = select.select(
                [output], [source] if left else [], [], max(0.0, until - time.monotonic())
            )
            if not readable and not writable:
                raise TimeoutError(f"no answer within {deadline_s:g} s")
            if writable:
                left = left[os.write(source, left[:65536]) :]
            if readable:
                part = os.read(output, 65536)
                if not part:
                    raise OSError("the process ended")
                answer += part
        return bytes(answer)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            import subprocess  # `check` never comes here

            # Presidio skips a pattern that takes longer than this and says nothing: our own deadline has to come first.
            env = {**os.environ, "REGEX_TIMEOUT_SECONDS": "3600"}
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-P", "-m", self._engine],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=env,
                bufsize=0,
            )
            if self._process.stdin is not None:
                os.set_blocking(self._process.stdin.fileno(), False)
        return self._process

    def _end(self) -> None:
        process, self._process, self._is_warm = self._process, None, False
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _findings(raw: bytes, texts: Sequence[str]) -> list[DeepFinding]:
    found = [DeepFinding(*row) for row in json.loads(raw)]
    if any(not (0 <= f.text < len(texts) and 0 <= f.start <= f.end <= len(texts[f.text])) for f in found):
        raise ValueError("a finding lies outside its text")
    return found
