"""Errors by whose fault they are; each class has a stable `code` that logs, problem documents and metrics carry.

Texts say what happened, to which thing and where, and what to do next. They never quote a secret or a personal value.
"""

from __future__ import annotations


class GovernanceError(Exception):
    """Root of everything this service raises on purpose."""

    code = "internal_error"
    status = 500
    """HTTP status an entry point answers with."""

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        """`where` is file:line:column or a JSON pointer; `hint` says what to do."""
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """`where: message; hint`, leaving out what is empty."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}; {self.hint}" if self.hint else text


class CallerError(GovernanceError):
    """The request is wrong: malformed, too large, unknown kind."""

    code = "invalid_request"
    status = 400


class TooLarge(CallerError):
    """The request is over a size or depth limit."""

    code = "too_large"
    status = 413


class NotSignedIn(CallerError):
    """No credential, or one that is not valid."""

    code = "unauthenticated"
    status = 401


class Forbidden(CallerError):
    """The credential is valid but its role may not do this."""

    code = "forbidden"
    status = 403


class NotFound(CallerError):
    """The thing that was named does not exist."""

    code = "not_found"
    status = 404


class Overtaken(CallerError):
    """What a request was decided on was changed before the decision could take effect; asking again decides anew."""

    code = "overtaken"
    status = 409


class RuleError(GovernanceError):
    """A policy, bundle, rule or waiver is wrong; the last good one keeps serving."""

    code = "bad_policy"
    status = 400


class BadBundle(RuleError):
    """A bundle that must not serve: bad signature, overlapping roots, unreadable, does not compile."""

    code = "bad_bundle"


class DependencyError(GovernanceError):
    """Something outside this process failed: disk, database, model, network."""

    code = "dependency_failed"
    status = 503


class Damaged(DependencyError):
    """A document of this service's own can no longer be read, or was written by somebody else."""

    code = "damaged"


class RecordNotDurable(DependencyError):
    """The audit record could not be made durable, so nothing may be allowed."""

    code = "record_not_durable"


class NoAnswer(GovernanceError):
    """The policy gave no value: undefined, error, time-out or panic. Treated as deny, and told apart from one."""

    code = "no_answer"
    status = 503


class InternalError(GovernanceError):
    """Our own fault."""
