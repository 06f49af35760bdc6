"""Who may talk to the app. It reads and writes folders, so a page of another site must not reach it
(by a name that leads here, DNS rebinding, or by a request from the visitor's own browser), nor
another user of this computer."""

import secrets
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = {"127.0.0.1", "localhost"}
ASK = "Open the address that `unlearnable app` printed in its terminal: it holds a key of its own."
# the browser itself refuses requests that would leave this computer; Vue compiles its templates
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; img-src 'self' data: "
    "blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
ADDED = {
    b"content-security-policy": POLICY.encode(),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"cross-origin-resource-policy": b"same-origin",
}


class Guard:
    """Wraps an app: lets pass only what asks for this computer by its own name, from no other
    site's page, with the key. The key comes once in the address and is kept in a cookie."""

    def __init__(self, app: ASGIApp, port: int):
        self.app, self.key, self.cookie = app, secrets.token_urlsafe(18), f"unlearnable-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused})
        elif refused:
            await PlainTextResponse(refused, status_code=403)(scope, receive, send)
        elif self._brings_key(scope):
            # no redirect: that of another site's link would come without the cookie
            answer = HTMLResponse('<meta http-equiv="refresh" content="0;url=/">')
            answer.set_cookie(self.cookie, self.key, httponly=True, samesite="strict")
            await answer(scope, receive, send)
        else:
            await self.app(scope, receive, _with_policy(send))

    def _refused(self, scope: Scope) -> str:
        """Why a request may not pass; nothing where it may."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host.rpartition(":")[0] not in NAMES:
            return "This page answers to 127.0.0.1 and localhost only."
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return "Pages of other sites may not use this one."
        if self._brings_key(scope):
            return ""
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "Pages of other sites may not use this one."
        return "" if self._has_cookie(headers) else ASK

    def _brings_key(self, scope: Scope) -> bool:
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("key", [""])[0]
        to_page = scope["type"] == "http" and scope["path"] == "/"
        return to_page and secrets.compare_digest(given.encode(), self.key.encode())

    def _has_cookie(self, headers: Headers) -> bool:
        kept = {tuple(c.strip().split("=", 1)) for c in headers.get("cookie", "").split(";")}
        return (self.cookie, self.key) in kept


def _with_policy(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *ADDED.items()]
        await send(message)

    return sending
