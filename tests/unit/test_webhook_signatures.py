"""Who sent a webhook is proven by the provider's own scheme, and nothing else proves it."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runners.listener.signatures import Incoming, Proven, Unproven, prove
from schemas.trigger import Provider
from tests import webhooks
from tests.webhooks import CASES, SECRET, bearer, gitea, github, gitlab, many, standard

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BODY = b'{"ref": "refs/heads/main"}'
GITLAB_BODY, GITEA_BODY = ((CASES / f"{name}-push.json").read_bytes() for name in ("gitlab", "gitea"))


def _prove(provider: Provider, headers: Mapping[str, str], body: bytes = BODY, now: datetime = NOW) -> Any:
    return prove(provider, SECRET, Incoming(many(headers), body), now)


@pytest.mark.parametrize(
    ("provider", "headers", "body", "type_"),
    [
        ("github", github(BODY), BODY, "push"),
        ("gitea", gitea(GITEA_BODY), GITEA_BODY, "push"),
        ("gitlab", gitlab(), GITLAB_BODY, "Push Hook"),
        ("gitlab", {**standard(GITLAB_BODY, NOW), "x-gitlab-event": "Push Hook"}, GITLAB_BODY, "Push Hook"),
        ("generic", standard(BODY, NOW), BODY, None),
        ("generic", bearer("d-1"), BODY, None),
        ("generic", {"x-hub-signature-256": f"sha256={webhooks.hex_of(BODY)}"}, BODY, None),
    ],
)
def test_the_right_secret_is_proven_and_the_event_named(
    provider: Provider, headers: dict[str, str], body: bytes, type_: str | None
) -> None:
    """The same request gives the same key, so that sent again it is known."""
    found = _prove(provider, headers, body)
    assert isinstance(found, Proven)
    assert found.type == type_
    assert _prove(provider, headers, body).key == found.key


def _key(provider: Provider, headers: dict[str, str], body: bytes = BODY) -> str:
    found = _prove(provider, headers, body)
    assert isinstance(found, Proven)
    return found.key


@pytest.mark.parametrize("header", ["idempotency-key", "webhook-id", "x-github-delivery"])
def test_the_id_that_a_sender_gives_tells_its_events_apart(header: str) -> None:
    """Whatever it is called by senders of whom nothing is known; a token without an id makes each another event."""
    assert _key("generic", {**_bare(), header: "one"}) == _key("generic", {**_bare(), header: "one"})
    assert _key("generic", {**_bare(), header: "one"}) != _key("generic", {**_bare(), header: "two"})
    assert _key("generic", _bare()) != _key("generic", _bare())


def test_webhooks_of_gitlab_that_share_an_event_uuid_are_told_apart_by_what_they_say() -> None:
    """It names all webhooks that one led to; where there is an Idempotency-Key, that alone is the id."""
    bare = {"x-gitlab-event": "Push Hook", "x-gitlab-token": SECRET}
    shared = {**bare, "x-gitlab-event-uuid": "one"}
    assert _key("gitlab", shared) == _key("gitlab", shared)
    assert _key("gitlab", shared) != _key("gitlab", shared, b"{}")
    assert _key("gitlab", shared) != _key("gitlab", {**shared, "x-gitlab-event-uuid": "two"})
    named = {**shared, "idempotency-key": "one"}
    assert _key("gitlab", named) == _key("gitlab", {**named, "x-gitlab-event-uuid": "two"}, b"{}")
    assert _key("gitlab", bare) != _key("gitlab", bare)


def test_a_signed_body_without_an_id_is_its_own_identity() -> None:
    signed = {"x-hub-signature-256": github(BODY)["x-hub-signature-256"]}
    named = {**signed, "x-github-event": "push"}
    assert _key("github", signed) == _key("github", signed)
    assert _key("github", named) == _key("github", named) != _key("github", signed)


def _bare() -> dict[str, str]:
    return {"authorization": f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    ("provider", "headers"),
    [
        ("github", github(BODY, secret="wrong-horse-battery")),
        ("github", github(BODY + b" ")),
        ("github", {"x-hub-signature": "sha1=" + "0" * 40}),
        ("github", {**github(BODY), "x-hub-signature-256": webhooks.hex_of(BODY)}),
        ("github", gitea(BODY)),
        ("github", bearer()),
        ("gitea", gitea(BODY, secret="wrong-horse-battery")),
        ("gitea", bearer()),
        ("gitlab", gitlab(secret="wrong")),
        ("gitlab", gitlab(secret="")),
        # a wrong signature is not rescued by a right token
        ("gitlab", {**gitlab(), **standard(BODY, NOW, key=b"another")}),
        ("generic", {"authorization": f"Basic {SECRET}"}),
        ("generic", {"authorization": SECRET}),
        ("generic", {}),
        ("generic", {**standard(BODY, NOW), "webhook-id": "msg-2"}),
        ("generic", {**standard(BODY, NOW), "webhook-timestamp": "1"}),
        ("generic", {**standard(BODY, NOW), "webhook-signature": "v1,"}),
        ("generic", {**standard(BODY, NOW), "webhook-signature": "v2,AAAA v1,!"}),
    ],
)
def test_nothing_else_is(provider: Provider, headers: dict[str, str]) -> None:
    """Another secret, another body, another scheme."""
    assert isinstance(_prove(provider, headers), Unproven)


def test_a_signed_time_holds_for_five_minutes_either_way() -> None:
    """The delivery's time is part of what is signed, so nobody can freshen it."""
    headers = standard(BODY, NOW)
    for away in (timedelta(minutes=4), timedelta(minutes=-4)):
        assert isinstance(_prove("generic", headers, now=NOW + away), Proven)
    for away in (timedelta(minutes=6), timedelta(minutes=-6)):
        assert _prove("generic", headers, now=NOW + away).reason == "tooOld"


def test_two_deliveries_of_the_same_bytes_are_two_events() -> None:
    """Senders do repeat bodies: who dispatches a workflow twice means it twice."""
    assert _prove("github", github(BODY, delivery="a")).key != _prove("github", github(BODY, delivery="b")).key
    assert _prove("gitea", gitea(BODY, delivery="a")).key != _prove("gitea", gitea(BODY, delivery="b")).key


def test_a_secret_of_standard_webhooks_may_be_written_in_base64() -> None:
    """As `whsec_...`, the way their tools write it."""
    key = b"0123456789abcdef"
    incoming = Incoming(many(standard(BODY, NOW, key=key)), BODY)
    secret = f"whsec_{base64.b64encode(key).decode()}"
    assert isinstance(prove("generic", secret, incoming, NOW), Proven)


_KEY = b"\xfb\xff" * 13
"""Its base64 has both signs in which the alphabets differ, and padding."""


@pytest.mark.parametrize(
    "written",
    [base64.b64encode(_KEY), base64.urlsafe_b64encode(_KEY),
     base64.b64encode(_KEY).rstrip(b"="), base64.urlsafe_b64encode(_KEY).rstrip(b"=")],
)  # fmt: skip
@pytest.mark.parametrize("provider", ["generic", "gitlab"])
def test_either_alphabet_with_or_without_padding_is_the_same_key(provider: Provider, written: bytes) -> None:
    """What a copy may lose or a sender may write otherwise changes nothing of the key."""
    headers = standard(BODY, NOW, key=_KEY)
    assert isinstance(prove(provider, f"whsec_{written.decode()}", Incoming(many(headers), BODY), NOW), Proven)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("whsec_", "fewer than 8 characters"),
        ("whsec_" + "=" * 8, "fewer than 16 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 15).decode(), "fewer than 16 bytes"),
        ("whsec_" + "A" * 41, "no base64"),
        ("whsec_" + "A" * 20 + "\n" + "A" * 20, "no base64"),
        ("whsec_" + "é" * 40, "no base64"),
        ("whsec_" + "\ud800" * 40, "no base64"),
    ],
)
@pytest.mark.parametrize("key", [b"", b"x" * 15, bytes(30)])
@pytest.mark.parametrize("provider", ["generic", "gitlab"])
def test_a_key_that_cannot_be_read_proves_nothing(provider: Provider, secret: str, said: str, key: bytes) -> None:
    """No key at all would be one that everybody has. Its owner is told what is wrong, and no part of it."""
    found = prove(provider, secret, Incoming(many(standard(BODY, NOW, key=key)), BODY), NOW)
    assert isinstance(found, Unproven)
    assert (found.reason, said in found.message) == ("badSecret", True)
    assert secret.removeprefix("whsec_") not in found.message or secret == "whsec_"


@pytest.mark.parametrize("secret", ["", " " * 20, "\n", "short-1"])
@pytest.mark.parametrize(
    ("provider", "made"),
    [
        ("github", lambda secret: github(BODY, secret=secret)),
        ("gitea", lambda secret: gitea(BODY, secret=secret)),
        ("gitlab", lambda secret: gitlab(secret=secret)),
        ("gitlab", lambda secret: standard(BODY, NOW, key=secret.encode())),
        ("generic", lambda secret: bearer(secret=secret)),
        ("generic", lambda secret: github(BODY, secret=secret)),
        ("generic", lambda secret: standard(BODY, NOW, key=secret.encode())),
    ],
)
def test_a_secret_that_can_be_guessed_proves_nothing(
    provider: Provider, made: Callable[[str], dict[str, str]], secret: str
) -> None:
    """An empty file, a blank line, a few characters: by no scheme, though the sender knows it."""
    found = prove(provider, secret, Incoming(many(made(secret)), BODY), NOW)
    assert isinstance(found, Unproven)
    assert found.reason == "badSecret"


@pytest.mark.parametrize(
    ("provider", "header", "mark"),
    [("gitlab", "x-gitlab-token", ""), ("generic", "authorization", "Bearer ")],
)
def test_half_characters_are_no_secret_and_break_nothing(provider: Provider, header: str, mark: str) -> None:
    """In the request as in the secret itself."""
    for secret, sent in ((SECRET, "\ud800"), ("\ud800" * 8, SECRET)):
        found = prove(provider, secret, Incoming({header: (mark + sent,)}, BODY), NOW)
        assert found == Unproven("badSignature", "the token is another one")


def test_a_header_that_stands_twice_proves_nothing() -> None:
    """Two programs on the way may not read two different ones."""
    headers = many(github(BODY))
    doubled = {**headers, "x-hub-signature-256": headers["x-hub-signature-256"] * 2}
    assert prove("github", SECRET, Incoming(doubled, BODY), NOW) == Unproven(
        "badHeader", "x-hub-signature-256 stands there 2 times"
    )


_NAMES = sorted(
    {name for made in (github(b""), gitea(b""), gitlab(), standard(b"", NOW), bearer("x")) for name in made}
)
_VALUES = st.one_of(
    st.text(max_size=80),
    st.sampled_from(["sha256=", "sha256=" + "é" * 64, "v1," * 20, "Bearer", "9" * 400, "\x00", "\ud800", "a" * 9000]),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    provider=st.sampled_from(["github", "gitlab", "gitea", "generic"]),
    headers=st.dictionaries(st.sampled_from(_NAMES), st.lists(_VALUES, max_size=3).map(tuple)),
    body=st.binary(max_size=50),
)
@example(provider="gitlab", headers={"x-gitlab-token": ("\ud800",)}, body=b"")
def test_whatever_a_stranger_sends_it_is_unproven_and_breaks_nothing(
    provider: Provider, headers: dict[str, tuple[str, ...]], body: bytes
) -> None:
    """No header, however odd, raises or proves."""
    assert isinstance(prove(provider, SECRET, Incoming(headers, body), NOW), Unproven)
