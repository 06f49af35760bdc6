"""What the page fetches besides itself: the photo before and after, the report, and the way in for
copies of what is dropped on it. None of them takes a path of this computer."""

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from unlearnable.app.desk import Desk
from unlearnable.app.places import new_copy, place_in
from unlearnable.core.errors import UserError
from unlearnable.core.files import atomic_write


def routes(desk: Desk) -> FastAPI:
    """The app without its page."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    copies: dict[str, Path] = {}

    @app.exception_handler(UserError)
    async def say(request: Request, e: UserError) -> Response:
        return PlainTextResponse(str(e), status_code=400)

    @app.get("/photo/{which}")
    async def photo(which: str) -> Response:
        shown = desk.picture
        if shown is None or which not in ("before", "after"):
            return Response(status_code=404)
        data = shown.before if which == "before" else shown.after
        return Response(data, media_type="image/png", headers={"cache-control": "no-store"})

    @app.get("/report")
    async def report() -> Response:
        page = desk.done.page if desk.done else None
        if page is None or not page.is_file():
            return Response(status_code=404)
        return Response(page.read_bytes(), media_type="text/html; charset=utf-8")

    @app.post("/copies")
    async def begin(name: str) -> Response:
        folder = new_copy(name)
        copies[folder.name] = folder
        return JSONResponse({"into": folder.name, "path": str(folder)})

    @app.put("/copies/{into}")
    async def copy(into: str, name: str, request: Request) -> Response:
        if into not in copies:
            return Response(status_code=404)
        with atomic_write(place_in(copies[into], name)) as tmp, open(tmp, "wb") as file:
            async for chunk in request.stream():
                file.write(chunk)
        return Response(status_code=204)

    @app.post("/copies/{into}")
    async def done(into: str) -> Response:
        if into not in copies:
            return Response(status_code=404)
        desk.look(str(copies.pop(into)))
        return Response(status_code=204)

    return app
