"""Asking a model one question, in a process of its own that can be killed.

The parent writes one line of JSON to the worker and waits for one line, no longer than the deadline and no larger than
`_MOST_LINE`; whatever else happens is a `ModelFailed` with a fixed word for a reason, never text of the server's. Two
clients stand behind the same line. `openai` speaks OpenAI's chat completions over httpx, which Ollama, vLLM, llama.cpp,
LiteLLM's proxy and most clouds offer, and is part of the default install. `litellm` reaches every provider's own
protocol; it brings 50 packages, 370 MB and three seconds of import, so it is the extra `llm`, and this is the only
module that imports it. Neither retries: the deadline is for all models together, each getting its share.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from governance.model.request import Json

CLIENTS = ("openai", "litellm")
_MOST_LINE = 1_048_576
_MOST_BODY = 262_144
_MOST_COUNTED = 10**10


class Endpoint(NamedTuple):
    """Where models are asked."""

    client: str
    models: tuple[str, ...]
    api_base: str
    key_file: str
    timeout_ms: int
    answer_tokens: int


class Reply(NamedTuple):
    """What a model said, not yet looked at, and what the server says it used; -1 where it does not say."""

    model: str
    content: str
    prompt_tokens: int
    answer_tokens: int
    cost_microcents: int


class ModelFailed(Exception):
    """No model answered; `reason` is one of a few fixed words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Worker:
    """A process that asks models; killed when it is late, and started again for the next question."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._kill()

    def ask(self, endpoint: Endpoint, messages: list[dict[str, str]]) -> Iterator[Reply | ModelFailed]:
        """Ask the models in turn until one replies; yields each failure, and the reply last. Never raises ModelFailed."""
        deadline = time.monotonic() + endpoint.timeout_ms / 1000
        for index, model in enumerate(endpoint.models):
            share_s = (deadline - time.monotonic()) / (len(endpoint.models) - index)
            outcome = self._try(endpoint, model, messages, share_s)
            yield outcome
            if isinstance(outcome, Reply):
                return

    def _try(
        self, endpoint: Endpoint, model: str, messages: list[dict[str, str]], share_s: float
    ) -> Reply | ModelFailed:
        question = {**endpoint._asdict(), "model": model, "messages": messages, "share_s": share_s}
        try:
            answer = json.loads(self._line(json.dumps(question).encode() + b"\n", time.monotonic() + share_s))
        except ModelFailed as failure:
            self._kill()
            return failure
        except (OSError, ValueError):
            self._kill()
            return ModelFailed("worker failed")
        return _reply(model, answer)

    def _line(self, question: bytes, deadline: float) -> bytes:
        """The worker's answer. Raises ModelFailed when it is late, too long or not there."""
        process = self._started()
        if process.stdin is None or process.stdout is None:
            raise ModelFailed("worker failed")
        process.stdin.write(question)
        process.stdin.flush()
        got = bytearray()
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while not got.endswith(b"\n"):
                if not ready.select(max(0.0, deadline - time.monotonic())):
                    raise ModelFailed("time-out")
                chunk = os.read(process.stdout.fileno(), 65_536)
                if not chunk:
                    raise ModelFailed("worker failed")
                got += chunk
                if len(got) > _MOST_LINE:
                    raise ModelFailed("oversized")
        return bytes(got)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "governance.enrich.llm"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                # Without it litellm fetches a price list from the network when it is imported.
                env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            )
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _reply(model: str, answer: Json) -> Reply | ModelFailed:
    """What the worker reports: an answer, or why there is none."""
    if "failed" in answer:
        return ModelFailed(str(answer["failed"]))
    if not isinstance(answer["content"], str):
        return ModelFailed("no text in the answer")
    numbers = [_count(answer[name]) for name in ("prompt_tokens", "answer_tokens", "cost_microcents")]
    return Reply(model, answer["content"], *numbers)


def _count(value: Json) -> int:
    """A count that can be believed, else -1: a server may say anything."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_COUNTED
    return value if is_count else -1


# What runs in the worker.


def _serve() -> None:
    for line in sys.stdin.buffer:
        question = json.loads(line)
        try:
            answer = (_ask_litellm if question["client"] == "litellm" else _ask_openai)(question)
        except ModelFailed as failure:
            answer = {"failed": failure.reason}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def _ask_openai(question: Json) -> Json:
    """One POST to `/chat/completions`; no redirects, no retries, at most `_MOST_BODY` bytes of answer."""
    import httpx

    body = {
        "model": question["model"],
        "messages": question["messages"],
        "temperature": 0,
        "max_tokens": question["answer_tokens"],
        "response_format": {"type": "json_object"},
        "stream": False,
    }
    url = question["api_base"].rstrip("/") + "/chat/completions"
    key = _key(question)
    # Compressed, a small answer could grow large before it is counted.
    headers = {"accept-encoding": "identity", **({"authorization": f"Bearer {key}"} if key else {})}
    got = bytearray()
    try:
        with httpx.stream("POST", url, json=body, headers=headers, timeout=question["share_s"]) as response:
            if response.status_code != httpx.codes.OK:
                raise ModelFailed(f"HTTP {response.status_code}")
            for chunk in response.iter_raw(65_536):
                got += chunk
                if len(got) > _MOST_BODY:
                    raise ModelFailed("oversized")
    except httpx.TimeoutException as error:
        raise ModelFailed("time-out") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ModelFailed("unreachable") from error
    try:
        return _said(json.loads(got), cost_microcents=-1)
    except (ValueError, RecursionError, KeyError, IndexError, TypeError) as error:
        raise ModelFailed("not a chat completion") from error


def _said(completion: Json, *, cost_microcents: int) -> Json:
    """Content and use of a chat completion; an answer that was cut off or calls tools is none."""
    choice = completion["choices"][0]
    if choice.get("finish_reason") != "stop" or choice["message"].get("tool_calls"):
        raise ModelFailed("answer not finished")
    usage = completion.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return {
        "content": choice["message"]["content"],
        "prompt_tokens": usage.get("prompt_tokens", -1),
        "answer_tokens": usage.get("completion_tokens", -1),
        "cost_microcents": cost_microcents,
    }


def _ask_litellm(question: Json) -> Json:
    """The same through litellm, whose price list also says what it cost (in US cents, a millionth each)."""
    try:
        import litellm
    except ImportError as error:
        raise ModelFailed("litellm is not installed") from error
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    if litellm.client_session is None:
        import httpx

        # Its own client would follow a redirect, and take the design to a host that nobody named.
        litellm.client_session = httpx.Client(follow_redirects=False)
    try:
        completion = litellm.completion(
            model=question["model"],
            messages=question["messages"],
            temperature=0,
            max_tokens=question["answer_tokens"],
            response_format={"type": "json_object"},
            api_base=question["api_base"] or None,
            # Without one, litellm would send the provider's own key from the environment to whatever `api_base` names.
            api_key=_key(question) or ("none" if question["api_base"] else None),
            timeout=question["share_s"],
            max_retries=0,
            num_retries=0,
            drop_params=True,
        )
        plain = completion.model_dump()
        cost = litellm.completion_cost(completion_response=completion) if _is_priced(litellm, question) else None
        return _said(plain, cost_microcents=-1 if cost is None else round(cost * 100_000_000))
    except ModelFailed:
        raise
    except Exception as error:  # its providers raise whatever they like; the name of the class says enough
        raise ModelFailed(f"litellm {type(error).__name__}"[:60]) from error


def _is_priced(litellm: Json, question: Json) -> bool:
    return question["model"] in litellm.model_cost


def _key(question: Json) -> str:
    if not question["key_file"]:
        return ""
    try:
        with open(question["key_file"], encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError) as error:
        raise ModelFailed("the key file cannot be read") from error


if __name__ == "__main__":
    _serve()
