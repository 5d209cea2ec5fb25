"""Broken AdmissionReviews without end, the same for the same seed: cut off, oversized, random, changed in one place."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from tests.journeys.service import EXAMPLES, ROOT

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
_WORDS = ["", "MicroApp", "Pod", "admission.k8s.io/v1beta1", "CREATE", "DELETE", "CONNECT", "status", "\x00", "a" * 300]
_ODD = [None, True, False, 0, -1, 1.5, 10**30, [], {}, [[]], {"a": None}, [None], *_WORDS]
_PATHS = ("validate", "mutate", "validate/baseline", "validate/%2e%2e", "mutate/")
_TIMEOUTS = ("", "", "?timeout=10s", "?timeout=1s", "?timeout=0s", "?timeout=-1s", "?timeout=x", "?version=v1.99")


class Sent(NamedTuple):
    """One request to the webhook."""

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def reviews(seed: int, count: int) -> Iterator[Sent]:
    """`count` requests; about one in forty is a good review, so that a yes is among the answers."""
    dice = random.Random(seed)
    bases = _bases()
    for number in range(count):
        base = dice.choice(bases)
        base["request"]["uid"] = UID
        place = f"{dice.choice(_PATHS[:2])}" if dice.random() < 0.9 else dice.choice(_PATHS)
        body, headers = _broken(dice, base, number)
        yield Sent(f"/admission/{place}{dice.choice(_TIMEOUTS)}", body, headers)


def _bases() -> list[dict]:
    found = []
    for file in (
        EXAMPLES / "app.yaml",
        EXAMPLES / "app-fixed.yaml",
        *sorted((EXAMPLES.parent / "kubernetes").glob("*.yaml")),
    ):
        obj = yaml.safe_load(file.read_text())
        for operation in ("CREATE", "UPDATE", "DELETE", "CONNECT"):
            found.append(_review(obj, operation))
    return found


def _review(obj: dict, operation: str) -> dict:
    group, _, version = obj["apiVersion"].rpartition("/")
    request = {
        "uid": UID, "operation": operation, "name": obj["metadata"]["name"], "namespace": "apps", "dryRun": True,
        "kind": {"group": group, "version": version, "kind": obj["kind"]}, "subResource": "",
        "object": None if operation == "DELETE" else obj, "oldObject": None if operation == "CREATE" else obj,
        "userInfo": {"username": "dev@example.com", "groups": ["devs"]}, "options": {},
    }  # fmt: skip
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def _broken(dice: random.Random, base: dict, number: int) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    whole = json.dumps(base).encode()
    if number % 5000 == 17:  # larger than is taken; rare, since each costs as much as a thousand others
        return whole[:-1] + b" " * (5 << 20) + b"}", ()
    if number % 2000 == 23:
        return json.dumps(_many_containers(base, dice.choice([51, 200]))).encode(), ()
    if number % 1000 == 29:
        return gzip.compress(b'{"a":"' + b"x" * (8 << 20) + b'"}'), (("content-encoding", "gzip"),)
    sort = dice.randrange(40)
    if sort == 0:
        return whole, ()
    if sort < 6:
        return whole[: dice.randrange(len(whole))], ()
    if sort < 9:
        return dice.randbytes(dice.randrange(200)), ()
    if sort < 13:
        flipped = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            flipped[dice.randrange(len(flipped))] = dice.randrange(256)
        return bytes(flipped), ()
    if sort < 16:
        return _textual(dice, whole), ()
    changed = copy.deepcopy(base)
    for _ in range(dice.choice([1, 1, 1, 2, 5])):
        _change(dice, changed)
    return json.dumps(changed).encode(), ()


def _textual(dice: random.Random, whole: bytes) -> bytes:
    """What a parser may read in more than one way."""
    return dice.choice(
        [
            whole[:-1] + b',"request":' + json.dumps({"uid": UID, "operation": "CREATE"}).encode() + b"}",
            whole.replace(b'"allowed"', b'"x"').replace(b'"dryRun": true', b'"dryRun": "true"'),
            whole.replace(b"null", b"NaN", 1),
            whole.replace(b"null", b"1e999", 1),
            whole.replace(b"null", b"[" * dice.choice([50, 5000]), 1),
            whole.replace(b'"apps"', b'"\\ud800"', 1),
            whole.replace(b'"apps"', b'"\xff\xfe"', 1),
            whole + whole,
            b"\xef\xbb\xbf" + whole,
            b"a: &a [*a]\n" + whole,
            whole.decode().encode("utf-16"),
        ]
    )


def _change(dice: random.Random, value: dict) -> None:
    """One place of the review, anywhere, becomes something else."""
    places = [(owner, key) for owner, key in _places(value) if not (owner is value and key in {"kind", "apiVersion"})]
    if not places:
        return
    owner, key = dice.choice(places)
    what = dice.randrange(4)
    if what == 0:
        del owner[key]
    elif what == 1 and isinstance(owner, dict):
        owner[dice.choice(_WORDS)] = owner.pop(key)
    else:
        owner[key] = copy.deepcopy(dice.choice(_ODD))


def _places(value: object) -> Iterator[tuple]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _many_containers(base: dict, count: int) -> dict:
    obj = yaml.safe_load((ROOT / "deploy" / "examples" / "kubernetes" / "deployment-bad.yaml").read_text())
    containers = obj["spec"]["template"]["spec"]["containers"]
    obj["spec"]["template"]["spec"]["containers"] = [{**containers[0], "name": f"c{n}"} for n in range(count)]
    return {**base, "request": {**base["request"], "operation": "CREATE", "object": obj}}
