"""The page in a browser."""

from fastapi import FastAPI
from nicegui import ui

from unlearnable.app import words
from unlearnable.app.choosing import Photos, Strength
from unlearnable.app.desk import Desk
from unlearnable.app.elements import el
from unlearnable.app.finishing import Protecting, Result
from unlearnable.app.places import own_file
from unlearnable.app.routes import routes

EVERY = 0.3  # seconds between two looks at the desk
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" '
    'rx="7" fill="#1f5c4a"/><circle cx="16" cy="16" r="8" fill="none" stroke="#fff" '
    'stroke-width="3"/><path d="M6 26 26 6" stroke="#fff" stroke-width="3"/></svg>'
)


def pages(desk: Desk) -> FastAPI:
    """The whole app for one desk; a process serves one."""
    app = routes(desk)

    @ui.page("/", title=words.TITLE)
    def _page() -> None:
        ui.add_css(own_file("style.css"))
        ui.add_body_html(f"<script>{own_file('page.js')}</script>")
        draw(desk)

    ui.run_with(
        app,
        title=words.TITLE,
        favicon=ICON,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )
    return app


def draw(desk: Desk) -> None:
    """Draw the page for one browser, and keep it up to date."""
    live = el("p", css="unseen", role="status", aria_live="polite")
    with el("div", css="page"):
        with el("header"):
            el("p", "unlearnable", css="mark")
            el("h1", words.TITLE)
            el("p", words.LEAD, css="lead")
        steps = [step(desk, live) for step in (Photos, Strength, Protecting, Result)]

    def update() -> None:
        for step in steps:
            step.update()

    update()
    ui.timer(EVERY, update)
