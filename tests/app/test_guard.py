"""Who may talk to the app."""

import asyncio

import pytest

pytest.importorskip("starlette", reason="the extra app is not installed")

from unlearnable.app.guard import ASK, Guard  # noqa: E402


async def _inside(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


GUARD = Guard(_inside, 8457)
COOKIE = f"other=1; {GUARD.cookie}={GUARD.key}"
OWN = {"host": "127.0.0.1:8457", "cookie": COOKIE}


def asked(headers: dict[str, str], query: str = "", kind: str = "http", path: str = "/"):
    """The messages that a request gets."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.disconnect"}

    scope = {"type": kind, "path": path, "query_string": query.encode(), "method": "GET"}
    scope["headers"] = [(k.encode(), v.encode()) for k, v in headers.items()]
    asyncio.run(GUARD(scope, receive, send))
    return sent


def status(*args, **kwargs) -> int:
    return asked(*args, **kwargs)[0]["status"]


def test_the_key_comes_once_and_stays_in_a_cookie():
    start, body = asked({"host": "localhost:8457"}, f"key={GUARD.key}")
    assert start["status"] == 200 and b"url=/" in body["body"]
    cookie = dict(start["headers"])[b"set-cookie"].decode()
    assert cookie.startswith(f"{GUARD.cookie}={GUARD.key};")
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert status(OWN) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8457"},  # a name that leads here: DNS rebinding
        {"host": "127.0.0.1.evil.example:8457"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},  # another program on this computer
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},  # a picture in another site's page
        {"sec-fetch-site": "same-site"},
        {"cookie": ""},
        {"cookie": f"{GUARD.cookie}=guessed"},
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_others_are_kept_out(headers, kind):
    sent = asked(OWN | headers, kind=kind)
    if kind == "http":
        assert sent[0]["status"] == 403 and b"inside" not in sent[-1]["body"]
    else:
        assert [message["type"] for message in sent] == ["websocket.close"]


def test_a_wrong_or_misplaced_key_does_not_open():
    stranger = {"host": OWN["host"]}
    assert asked(stranger, "key=guessed")[-1]["body"].decode() == ASK
    assert status(stranger, f"key={GUARD.key}", path="/photo/before") == 403
    assert status({"host": "evil.example"}, f"key={GUARD.key}") == 403


def test_the_browser_is_told_to_load_nothing_from_elsewhere():
    headers = dict(asked(OWN)[0]["headers"])
    policy = headers[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "http" not in policy and "*" not in policy
