"""What can go wrong with the log; each class has a stable `code`."""

from __future__ import annotations


class AuditError(Exception):
    """Root of this room's errors."""

    code = "audit_error"
    is_wrong_use = False
    """Whether whoever asked has to ask differently, and the log is well."""


class NotDurable(AuditError):
    """The record is not safely on disk, so whoever asked must not act as if it were."""

    code = "record_not_durable"


class LogInUse(AuditError):
    """Another process writes this log."""

    code = "log_in_use"


class BatchRefused(AuditError):
    """The database cannot store something in a batch, though it is well: what that is must not keep the others waiting."""

    code = "batch_refused"


class LogRolledBack(AuditError):
    """The database is older than the head file says: an old copy, or records that were lost."""

    code = "log_rolled_back"


class LogTorn(AuditError):
    """The stored records, hashes and head do not fit each other."""

    code = "log_torn"


class LogUnusable(AuditError):
    """The log may be whole, but the disk or its rights keep it from being opened."""

    code = "log_unusable"


class BadFilter(AuditError):
    """A search that cannot be understood; guessing would leave records out."""

    code = "bad_filter"
    is_wrong_use = True


class BadQuestion(AuditError):
    """Something else that cannot be had as it was asked for."""

    code = "bad_question"
    is_wrong_use = True


class BadRetention(AuditError):
    """Retention classes that cannot be understood; guessing would delete evidence."""

    code = "bad_retention"
    is_wrong_use = True


class HeldBack(AuditError):
    """A legal hold covers what was to be deleted."""

    code = "held_back"


class NothingThere(AuditError):
    """What was named does not exist: a subject, a hold."""

    code = "nothing_there"
    is_wrong_use = True


class RecordTooLarge(AuditError):
    """A leaf over 65,535 bytes cannot be in a C2SP entry bundle."""

    code = "record_too_large"


class BadPackage(AuditError):
    """An export that does not verify; the text names what is wrong."""

    code = "bad_package"


def refusal(code: str, text: str) -> AuditError:
    """The error that another process said, of the class that has its code."""
    found = next((each for each in AuditError.__subclasses__() if each.code == code), None)
    # Where somebody else's log cannot be used, this process's may well be: to its caller the record is not there.
    if found is None or found is LogUnusable:
        return NotDurable(f"{code}: {text}")
    return found(text)
