"""Which personal values the gateway can cut out of an answer; how, stands in `answers.lua`.

Cut out are values in text, JSON strings, JSON numbers and headers; escapes of JSON hide none, whatever its type is called. A
header that writes one in percents is dropped. Not looked into: pictures, HTML entities, base64, and names without a form of
their own. An encoded answer, one of a type that is neither text nor a picture, or a text that could be UTF-16 or UTF-32 does
not leave, nor do its headers.
"""

from __future__ import annotations

KINDS = ("email", "iban", "card", "ssn", "phone")
