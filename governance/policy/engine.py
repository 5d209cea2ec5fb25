"""The only door to the policy engine: JSON text in, JSON text out, and nothing that went wrong reads as a value.

Two executors stand behind it. The interpreter is the authority. The compiled one (RVM) answers only for entry points
that activation proved equal, is bounded to 25,000 instructions, and hands over to the interpreter on any error.

Three habits of the engine are undone here: undefined comes as the JSON string "<undefined>"; a panic derives from
BaseException, so `except Exception` misses it; and its error texts carry two kilobytes of native backtrace.
"""

from __future__ import annotations

import json
import re
from _thread import get_ident
from typing import TYPE_CHECKING

import regorus

from governance.errors import InternalError, NoAnswer, RuleError
from governance.model.decision import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from governance.model.request import Json
    from governance.policy.compiler.compiled import CompiledPolicy

_UNDEFINED = '"<undefined>"'
_PLACE = re.compile(r"--> (?P<file>.+?):(?P<line>\d+):(?P<column>\d+)")
_ATTEMPTED = re.compile(r"\bgovernance\.attempt\.([a-z0-9_.]+)\(")
_INFIX = {"plus": "+", "minus": "-", "mul": "*", "div": "/", "rem": "%", "or": "|", "and": "&"}
_MESSAGE = re.compile(r"^error: (?P<text>.+)$", re.MULTILINE)
# The engine's own limits are for hand-written lines; a compiled module may hold a table in one.
_MAX_COLUMN, _MAX_BYTES, _MAX_LINES = 1 << 20, 1 << 24, 1 << 20


class Engine:
    """One compiled policy, ready to answer; belongs to the thread that made it."""

    def __init__(
        self, compiled: CompiledPolicy, extensions: Mapping[str, tuple[int, Callable[..., Json]]] | None = None
    ) -> None:
        self._compiled = compiled
        self._extensions = extensions or {}
        self._thread = get_ident()
        self._had_input = False
        self._fast = frozenset(compiled.fast)
        self._rvm = self._load_program() if compiled.fast else None
        # A policy with a proved program was loaded by both executors when it was built; `check` never asks the second one.
        self._loaded = None if compiled.fast else self._interpreter(compiled.modules)
        self._guarded: regorus.Engine | None = None
        self._mixed: regorus.Engine | None = None

    def rule(self, path: str, input_json: str | None) -> Answer:
        """The value of one rule (`data.platform.main.deploy`) for an input; without one, `input` is undefined.

        Raises NoAnswer for an error, a panic, or a path that names no rule: the caller's answer is deny.
        """
        self._own_thread()
        if self._rvm is not None and input_json is not None and path in self._fast:
            text = self._run_fast(path, input_json)
            # Undefined may also be a builtin's error, or a text of these very letters: the interpreter tells.
            if text is not None and text != _UNDEFINED:
                return Answer(text, "rvm")
        return Answer(self._slow_rule(path, input_json), "interpreter")

    def compare(self, path: str, input_json: str) -> tuple[str | None, str | None]:
        """What interpreter and fast executor each give, for the proof of equality; errors read as `error`."""
        self._own_thread()
        try:
            slow = self._slow_rule(path, input_json)
        except NoAnswer:
            slow = "error"
        if self._rvm is None:
            raise InternalError("this policy has no compiled program to compare")
        fast = self._run_fast(path, input_json)
        return slow, "error" if fast is None else None if fast == _UNDEFINED else fast

    def query(self, query: str, input_json: str | None, *, strict: bool | None = None) -> list[Json]:
        """Any query on the interpreter: a list of `{expressions: [...], bindings: {...}}`; empty when undefined."""
        self._own_thread()
        is_strict = self._compiled.strict if strict is None else strict
        text = self._evaluate(lambda engine: engine.eval_query_as_json(query), input_json, is_strict)
        return list(json.loads(text).get("result", []))

    def warm(self) -> None:
        """Load every form that a question may need, so that none has to be loaded on an evaluation's own time."""
        self._own_thread()
        self._loaded = self._plain
        if self._compiled.guarded:
            self._guarded = self._guarded or self._forgiving(self._compiled.guarded)
        if self._compiled.mixed:
            self._mixed = self._mixed or self._forgiving(self._compiled.mixed)

    def coverage(self) -> Json:
        """Lines covered since `enable_coverage`, by module path: `{path: {"covered": [], "not_covered": []}}`."""
        report = json.loads(self._plain.get_coverage_report_as_json())
        return {f["path"]: {"covered": f["covered"], "not_covered": f["not_covered"]} for f in report["files"]}

    def enable_coverage(self) -> None:
        """Collect line coverage on the interpreter; costs time, so only tests do it."""
        self._plain.set_enable_coverage(True)

    # -- behind the door ---------------------------------------------------------------------------------------------

    @property
    def _plain(self) -> regorus.Engine:
        if self._loaded is None:
            try:
                self._loaded = self._interpreter(self._compiled.modules)
            except RuleError as error:
                raise NoAnswer(f"the interpreter did not load the policy: {error}", hint="treated as deny") from error
        return self._loaded

    def _own_thread(self) -> None:
        if get_ident() != self._thread:
            raise InternalError(
                "a policy engine was used from another thread", hint="make one engine per worker process"
            )

    def _interpreter(self, modules: Sequence[tuple[str, str]]) -> regorus.Engine:
        engine = regorus.Engine()
        engine.set_policy_length_config(max_col=_MAX_COLUMN, max_file_bytes=_MAX_BYTES, max_lines=_MAX_LINES)
        engine.set_gather_prints(True)
        try:
            for path, text in modules:
                engine.add_policy(path, text)
            engine.add_data_json(self._compiled.data)
        except RuntimeError as error:
            raise self._rule_error(error) from None
        for name, (count, function) in self._extensions.items():
            engine.add_extension(name, count, function)
        return engine

    def _forgiving(self, modules: Sequence[tuple[str, str]]) -> regorus.Engine:
        engine = self._interpreter(modules)
        self._add_attempts(engine, modules)
        return engine

    def _add_attempts(self, engine: regorus.Engine, modules: Sequence[tuple[str, str]]) -> None:
        """The forms of builtins that the guarded modules call: Python's own, and the engine's behind a second engine."""
        from governance.policy.builtins.registry import ATTEMPT, attempts
        from governance.policy.builtins.signatures import signatures

        natives = _Natives()
        wanted = {name for _, text in modules for name in _ATTEMPTED.findall(text)}
        for name in sorted(wanted):
            known = attempts().get(ATTEMPT + name)
            count, function = known or (len(signatures()[name].args), natives.attempt_of(name))
            engine.add_extension(ATTEMPT + name, count, function)

    def _load_program(self) -> regorus.Rvm:
        rvm = regorus.Rvm()
        program, _ = regorus.Program.deserialize_binary(self._compiled.program)
        rvm.load_program(program)
        rvm.set_data_json(self._compiled.data)
        return rvm

    def _run_fast(self, path: str, input_json: str) -> str | None:
        """JSON text, or None when the fast executor could not answer."""
        if self._rvm is None:
            return None
        try:
            self._rvm.set_input_json(input_json)
            return str(self._rvm.execute_entry_point(path))
        except RuntimeError:
            return None
        except BaseException as error:
            if not _is_panic(error):
                raise
            self._rvm = self._load_program()
            return None

    def _slow_rule(self, path: str, input_json: str | None) -> str | None:
        text = self._evaluate(lambda engine: engine.eval_rule_as_json(path), input_json, self._compiled.strict)
        if text != _UNDEFINED:
            return text
        found = self._evaluate(lambda engine: engine.eval_query_as_json(path), input_json, self._compiled.strict)
        rows = json.loads(found).get("result", [])
        return text if rows and rows[0]["expressions"][0]["value"] == json.loads(_UNDEFINED) else None

    def _evaluate(self, call: Callable[[regorus.Engine], str], input_json: str | None, strict: bool) -> str:  # noqa: FBT001
        """Plain first; where that raised, the form in which those errors are undefined that may be."""
        try:
            return self._attempt(self._plain, call, input_json)
        except NoAnswer:
            if not (self._compiled.mixed if strict else self._compiled.guarded):
                raise
        if strict:
            self._mixed = self._mixed or self._forgiving(self._compiled.mixed)
            return self._attempt(self._mixed, call, input_json)
        self._guarded = self._guarded or self._forgiving(self._compiled.guarded)
        return self._attempt(self._guarded, call, input_json)

    def _attempt(self, engine: regorus.Engine, call: Callable[[regorus.Engine], str], input_json: str | None) -> str:
        if input_json is None and self._had_input:
            raise InternalError("an engine that was given an input has one for good", hint="make another engine")
        try:
            if input_json is not None:
                self._had_input = True
                engine.set_input_json(input_json)
            return str(call(engine))
        except RuntimeError as error:
            raise NoAnswer(f"policy failed: {self._trimmed(error)}", hint="treated as deny") from None
        except BaseException as error:
            if not _is_panic(error):
                raise
            self._loaded = self._guarded = self._mixed = None
            raise NoAnswer("the policy engine panicked; it will be rebuilt", hint="treated as deny") from None

    def _rule_error(self, error: RuntimeError) -> RuleError:
        place, message = self._located(error)
        return RuleError(message, where=place)

    def _trimmed(self, error: RuntimeError) -> str:
        place, message = self._located(error)
        return f"{place}: {message}" if place else message

    def _located(self, error: RuntimeError) -> tuple[str, str]:
        """`file:line:column` in the source as written, and the message without the backtrace."""
        text = str(error)
        message = _MESSAGE.search(text)
        plain = (
            message["text"] if message else next((row for row in text.splitlines() if row.strip()), "no reason given")
        )
        place = _PLACE.search(text)
        if place is None:
            return "", plain[:200]
        origins = self._compiled.origins.get(place["file"], [])
        line = int(place["line"])
        if line <= len(origins):
            return f"{place['file']}:{origins[line - 1]}", plain[:200]
        return f"{place['file']}:{line}:{place['column']}", plain[:200]


def compile_program(modules: Sequence[tuple[str, str]], data: str, entry_points: Sequence[str]) -> bytes:
    """A serialised program for the fast executor; raises RuleError where it cannot compile these modules."""
    try:
        program = regorus.Program.compile_from_modules(data, list(modules), list(entry_points))
        return bytes(program.serialize_binary())
    except RuntimeError as error:
        reason = next((row for row in str(error).splitlines() if row.strip()), "no reason given")
        raise RuleError(f"the fast executor cannot compile this policy: {reason[:200]}") from None
    except BaseException as error:
        if not _is_panic(error):
            raise
        raise RuleError("the fast executor panicked on this policy") from None


def engine_version() -> str:
    """Version of the engine and this door: part of what a compiled policy depends on."""
    return f"regorus-0.13.0-{regorus.__file__}"


def knows_function(name: str, count: int) -> bool:
    """Whether the engine has a builtin of this name; it says so only when one is called."""
    engine = regorus.Engine()
    call = f"{name}({', '.join(['null'] * count)})"
    try:
        engine.eval_query(call)
    except RuntimeError as error:
        return "could not find function" not in str(error)
    except BaseException as error:
        if not _is_panic(error):
            raise
    return True


class _Natives:
    """The engine's own builtins one call at a time: `[value]`, or `[]` where the builtin fails."""

    def __init__(self) -> None:
        from governance.policy.builtins.formats import sprintf

        self._engine = regorus.Engine()
        self._fallbacks: dict[str, Callable[..., list[Json]]] = {"sprintf": sprintf}

    def attempt_of(self, name: str) -> Callable[..., list[Json]]:
        """The builtin or operator `name` as a Python function."""
        operator = _INFIX.get(name)
        fallback = self._fallbacks.get(name, _fails)

        def attempted(*operands: Json) -> list[Json]:
            self._engine.set_input(list(operands))
            places = [f"input[{index}]" for index in range(len(operands))]
            call = f" {operator} ".join(places) if operator else f"{name}({', '.join(places)})"
            try:
                rows = self._engine.eval_query(f"x := {call}").get("result", [])
            except RuntimeError:
                return fallback(*operands)
            return [rows[0]["bindings"]["x"]] if rows else []

        return attempted


def _fails(*_: Json) -> list[Json]:
    return []


def _is_panic(error: BaseException) -> bool:
    """pyo3 raises its own BaseException subclass for a Rust panic; it is not importable."""
    return type(error).__name__ == "PanicException"
