"""Fact `attack`: what the OWASP core rule set says of a request to an app, by libmodsecurity 3.

Both are Debian's (`apt-get install libmodsecurity3 modsecurity-crs`), called through the library's C interface; nothing of
them is part of this package. The rules only look: whether their anomaly score is too high is a rule of ours to say (GW-005).
Looked at are method, address, headers and body of a request; answers are not. The version of the rule set is Debian's.
"""

from __future__ import annotations

import ctypes
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.enrich.attack_values import as_read, with_arguments
from governance.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.model.request import Json

_LIBRARY = "libmodsecurity.so.3"
_SETUP, _RULES = "etc/modsecurity/crs/crs-setup.conf", "usr/share/modsecurity-crs/rules"
_HINT = "apt-get install libmodsecurity3 modsecurity-crs"
_BEFORE, _AFTER = Path(__file__).with_name("attacks_before.conf"), Path(__file__).with_name("attacks_after.conf")
# Where it only detects, the library looks at nothing of a larger body and does not say so: it never gets one.
_LARGEST = 1_048_576
_ID = re.compile(rb'\[id "(\d+)"\]')
_SCORE = re.compile(rb"score=(\d*) (\d*)")
# Rules of the set that sum up rather than match.
_SUMS = frozenset({"949110", "980130", "980140", "9000000"})
_MOST_NAMED = 20
# Each value costs every pattern: 2,000 take 0.2 s, 20,000 take 6 s of CPU.
_MOST_VALUES = 2000
# Between gateway and us: the caller sent none of it.
_ENVELOPE = frozenset({"x-api-key", "x-app", "x-tenant", "x-role", "x-subject", "x-region"})
_Log = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)


class Inspector:
    """The rule set of one root folder, loaded on first use and shared by all threads; a look takes one to three ms."""

    def __init__(self, root: str) -> None:
        """`root`: below which Debian's packages are unpacked; `/` where they are installed."""
        self._root = Path(root)
        self._loading = threading.Lock()
        self._engine: _Engine | DependencyError | None = None

    def look(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> dict[str, Json]:
        """`{engine, score, rules[]}` for a request; names of headers in lower case, `host` among them.

        Raises DependencyError where library or rules are missing, or there is too much to look at.
        """
        sent = {
            name: value for name, value in headers.items() if name not in _ENVELOPE and not name.startswith("x-envoy-")
        }
        kind, body = as_read(sent, body)
        target = with_arguments(target, sent)
        if _number_of_values(kind.lower(), target, body) > _MOST_VALUES:
            raise DependencyError(f"more than {_MOST_VALUES} values in a request", hint="nobody looks at so many")
        if len(body) > _LARGEST:
            raise DependencyError(f"a body of more than {_LARGEST} bytes", hint="nobody looks at so much")
        sent = {**sent, "content-length": str(len(body)), **({"content-type": kind} if kind else {})}
        engine = self._loaded()
        matched: list[bytes] = []
        with engine.listening(matched) as (library, transaction):
            _tell(library, transaction, method, target, sent, body)
        sums = [found for text in matched for found in _SCORE.findall(text)]
        scores = [int(number) for pair in sums for number in pair if number]
        if not scores:
            raise DependencyError("the core rule set came to no score")
        ids = [found[1].decode() for text in matched if (found := _ID.search(text))]
        named = list(dict.fromkeys(one for one in ids if one not in _SUMS))
        return {"engine": engine.name, "score": max(scores), "rules": named[:_MOST_NAMED]}

    def _loaded(self) -> _Engine:
        """Tried once: what is installed later is found after a restart."""
        with self._loading:
            if self._engine is None:
                try:
                    self._engine = _Engine(self._root)
                except DependencyError as error:
                    self._engine = error
        if isinstance(self._engine, DependencyError):
            raise self._engine
        return self._engine


class _Engine:
    """The library with the rules loaded."""

    def __init__(self, root: Path) -> None:
        library = _library()
        self._library = library
        self._engine = library.msc_init()
        # Kept: the library calls it for as long as it lives.
        self._callback = _Log(_heard)
        library.msc_set_log_cb(self._engine, self._callback)
        self.name = library.msc_who_am_i(self._engine).decode("latin-1").split(" (")[0]
        self._rules = library.msc_create_rules_set()
        self._load(root)

    def listening(self, matched: list[bytes]) -> _Transaction:
        """One request, whose matches go to `matched`."""
        return _Transaction(self._library, self._engine, self._rules, matched)

    def _load(self, root: Path) -> None:
        rules = sorted((root / _RULES).glob("REQUEST-*.conf"))
        if not rules:
            raise DependencyError("the core rule set is missing", where=str(root / _RULES), hint=_HINT)
        error = ctypes.c_char_p()
        for file in (_BEFORE, root / _SETUP, *rules, _AFTER):
            if self._library.msc_rules_add_file(self._rules, str(file).encode(), ctypes.byref(error)) < 0:
                said = (error.value or b"").decode("utf-8", "replace")[:300]
                raise DependencyError(f"the core rule set cannot be read: {said}", where=str(file))


class _Transaction:
    """One request from its first word to its end."""

    def __init__(self, library: Any, engine: Any, rules: Any, matched: list[bytes]) -> None:
        self._library = library
        self._key = _hearing(matched)
        self._transaction = library.msc_new_transaction(engine, rules, self._key)

    def __enter__(self) -> tuple[Any, Any]:
        return self._library, self._transaction

    def __exit__(self, *_: object) -> None:
        self._library.msc_transaction_cleanup(self._transaction)
        _listeners.pop(self._key, None)


def _number_of_values(kind: str, target: str, body: bytes) -> int:
    """At most so many, for what stands between two of them."""
    marks = [b",", b"&", *([b"="] if "xml" in kind else []), *([b"\n--"] if kind.startswith("multipart") else [])]
    return sum(part.count(mark) for part in (_bytes_of(target), body) for mark in marks)


def _tell(library: Any, transaction: Any, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
    """Everything that the gateway handed over, in the order in which a server would read it."""
    library.msc_process_connection(transaction, b"192.0.2.1", 0, b"192.0.2.2", 80)
    library.msc_process_uri(transaction, _bytes_of(target), _bytes_of(method), b"1.1")
    for name, value in headers.items():
        key, text = _bytes_of(name), _bytes_of(value)
        library.msc_add_n_request_header(transaction, key, len(key), text, len(text))
    library.msc_process_request_headers(transaction)
    library.msc_append_request_body(transaction, body, len(body))
    library.msc_process_request_body(transaction)


def _bytes_of(text: str) -> bytes:
    return text.encode("latin-1", "replace")


_listeners: dict[int, list[bytes]] = {}
_numbers = iter(range(1, 1 << 62))
_numbering = threading.Lock()


def _hearing(matched: list[bytes]) -> int:
    with _numbering:
        number = next(_numbers)
    _listeners[number] = matched
    return number


def _heard(number: int, text: bytes) -> None:
    """Called by the library, in the thread that asked."""
    listener = _listeners.get(number)
    if listener is not None:
        listener.append(text)


def _library() -> Any:
    """Types of the calls: modsecurity/modsecurity.h, rules_set.h and transaction.h of version 3."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise DependencyError(f"libmodsecurity cannot be loaded: {error}", hint=_HINT) from error
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    for name, result, arguments in (
        ("msc_init", pointer, []),
        ("msc_set_log_cb", None, [pointer, _Log]),
        ("msc_who_am_i", text, [pointer]),
        ("msc_create_rules_set", pointer, []),
        ("msc_rules_add", ctypes.c_int, [pointer, text, ctypes.POINTER(text)]),
        ("msc_rules_add_file", ctypes.c_int, [pointer, text, ctypes.POINTER(text)]),
        ("msc_new_transaction", pointer, [pointer, pointer, pointer]),
        ("msc_process_connection", ctypes.c_int, [pointer, text, ctypes.c_int, text, ctypes.c_int]),
        ("msc_process_uri", ctypes.c_int, [pointer, text, text, text]),
        ("msc_add_n_request_header", ctypes.c_int, [pointer, text, size, text, size]),
        ("msc_process_request_headers", ctypes.c_int, [pointer]),
        ("msc_append_request_body", ctypes.c_int, [pointer, text, size]),
        ("msc_process_request_body", ctypes.c_int, [pointer]),
        ("msc_transaction_cleanup", None, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
