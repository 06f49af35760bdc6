"""The page: four steps, drawn from the desk. Each is drawn again when what it shows has changed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from unlearnable.app import words
from unlearnable.app.desk import Desk
from unlearnable.app.elements import button, choice, el, field, form, items, tick
from unlearnable.app.messages import (
    Done,
    Failed,
    Found,
    Job,
    Look,
    Measure,
    Measured,
    Picture,
    Preview,
    Protect,
    Ready,
    Stopped,
)
from unlearnable.app.places import copies_root, open_folder, opener, subfolders
from unlearnable.app.routes import routes
from unlearnable.app.server import own_file
from unlearnable.core.errors import UserError

FEW = 50  # photos of a class, under which a model may learn nothing anyway
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
        View(desk)

    ui.run_with(
        app, title=words.TITLE, favicon=ICON, language="en-US", tailwind=False,
        show_welcome_message=False, reconnect_timeout=10.0,
    )  # fmt: skip
    return app


@dataclass
class Step:
    """A part of the page. shows: what it is drawn from; drawn: that, as it was drawn last."""

    place: Element
    draw: Callable[[], None]
    shows: Callable[[], object]
    drawn: object = None


@dataclass(frozen=True)
class Meter:
    """The elements that say how far a job is."""

    bar: Element
    text: TextElement
    said: TextElement


class View:
    """The page in one browser."""

    def __init__(self, desk: Desk):
        self.desk = desk
        self.typed = str(desk.folder or "")
        self.out = str(desk.out or "")
        self.at: Path | None = None
        """the folder that is being browsed"""
        self.refused: tuple[type[Job], str] | None = None
        """what could not be started, and why"""
        self.meter: Meter | None = None
        self.heard = ""
        with el("div", css="page"):
            _head()
            self.steps = [
                self._step("photos", self._photos, lambda: (self.at, desk.found, desk.leave_out)),
                self._step("strength", self._strength, lambda: (desk.level, desk.picture)),
                self._step("protect", self._protect, lambda: (desk.out, desk.leave_out)),
                self._step("result", self._result, lambda: (desk.measured,)),
            ]
            self.live = el("p", css="unseen", role="status", aria_live="polite")
        self.update()
        ui.timer(EVERY, self.update)

    def _step(self, id: str, draw: Callable[[], None], more: Callable[[], object]) -> Step:
        desk = self.desk

        def shows() -> object:
            job = type(desk.job), desk.said, desk.of, self.refused
            return desk.folder, desk.found, desk.ready, desk.done, job, more()

        return Step(el("section", id=id, aria_labelledby=f"{id}-title"), draw, shows)

    def update(self) -> None:
        """Draw again what has changed, and move the progress."""
        for step in self.steps:
            if (now := step.shows()) != step.drawn:
                step.drawn = now
                step.place.clear()
                with step.place:
                    step.draw()
        self._move()

    def _try(self, kind: type[Job], do: Callable[[], None]) -> Callable[[], None]:
        """``do``, and say why where it cannot be."""

        def attempt() -> None:
            self.refused = None
            try:
                do()
            except UserError as e:
                self.refused = kind, str(e)
            self.update()

        return attempt

    @property
    def busy(self) -> bool:
        return self.desk.job is not None

    # ── 1 ──

    def _photos(self) -> None:
        _title("photos", "1", "Your photos")
        el("p", words.SORTED)
        look = self._try(Look, self._look)
        with form(look), el("div", css="line"):
            with el("div", css="grow"):
                field("Folder with your photos", self.typed, self._type, id="folder", off=self.busy)
            el("button", "Look inside", css="main", id="look", type="submit", disabled=self.busy)
            button("Browse…", self._browse, id="browse", off=self.busy)
        if self.at is not None:
            self._browser(self.at)
        self._copies()
        self._state(Look)
        if self.desk.found:
            self._found(self.desk.found)

    def _type(self, text: str) -> None:
        self.typed = text

    def _look(self) -> None:
        self.at = None
        self.desk.look(self.typed)
        self.out = str(self.desk.out)

    def _browse(self) -> None:
        start = Path(self.typed).expanduser() if self.typed else Path.home()
        self._go(start if start.is_dir() else Path.home())()

    def _go(self, folder: Path) -> Callable[[], None]:
        def go() -> None:
            subfolders(folder)  # raises where it may not be read
            self.at = folder

        return self._try(Look, go)

    def _use(self) -> None:
        self.typed = str(self.at)
        self._look()

    def _browser(self, at: Path) -> None:
        with el("div", css="browser", role="group", aria_label="Folders on this computer"):
            el("p", str(at), css="path-shown", tabindex=-1, data_focus=True)
            with el("div", css="line"):
                button(
                    "Up", self._go(at.parent), id="up", off=at == at.parent, label="Folder above"
                )
                button("Use this folder", self._try(Look, self._use), id="use", main=True)
            names = subfolders(at)
            if not names:
                el("p", "There are no folders in it.", css="soft")
            with el("ul"):
                for k, name in enumerate(names):
                    with el("li"):
                        button(name, self._go(at / name), id=f"into-{k}")

    def _copies(self) -> None:
        with el("div", css="drop", id="drop"):
            el("p", words.COPIES.format(into=copies_root()))
            el("label", "Choose a folder to copy", css="quiet", for_="copies")
            el(
                "input",
                id="copies",
                type="file",
                webkitdirectory=True,
                multiple=True,
                disabled=self.busy,
            )
            el("p", css="soft", id="copying", role="status")

    def _found(self, found: Found) -> None:
        el(
            "h3",
            f"{words.photos(found.count)} in {found.folder.name}",
            tabindex=-1,
            data_focus=True,
        )
        with el("table"):
            with el("thead"), el("tr"):
                el("th", "Sub-folder", scope="col")
                el("th", "Photos", scope="col", css="number")
            with el("tbody"):
                for name, count in found.classes:
                    with el("tr"):
                        el("th", name, scope="row")
                        few = f" (few: under {FEW})" if count < FEW else ""
                        el("td", f"{count}{few}", css="number")
        if found.problems:
            one = len(found.problems) == 1
            files = "1 file" if one else f"{len(found.problems)} files"
            with el("details", open=True):
                el("summary", f"{files} cannot be protected")
                items(found.problems)
            left = "it is" if one else "they are"
            tick(
                f"Protect the others; {left} left out",
                self.desk.leave_out,
                self._leave_out,
                id="leave-out",
                off=self.busy,
            )

    def _leave_out(self, yes: bool) -> None:
        self.desk.leave_out = yes
        self.refused = None
        self.update()

    # ── 2 ──

    def _strength(self) -> None:
        desk = self.desk
        if not desk.found or not desk.ready or desk.ready.problem or desk.done:
            return
        _title("strength", "2", "How strong")
        fixed = desk.ready.level is not None
        with el("fieldset"):
            el("legend", "The stronger the noise, the better it protects, and the more it is seen.")
            for level, (title, about) in words.LEVELS.items():
                choose = self._try(Preview, partial(desk.choose, level))
                off = self.busy or fixed
                choice(title, about, desk.level == level, choose, id=f"level-{level}", off=off)
        if fixed:
            el("p", f"{desk.out} was begun with this strength.", css="soft")
        self._state(Preview)
        shown = desk.picture
        if not isinstance(desk.job, Preview) and (shown is None or shown.level != desk.level):
            name = words.LEVELS[desk.level][0]
            show = self._try(Preview, lambda: desk.show(desk.photo))
            button(f"Show “{name}” on one of my photos", show, id="show", off=self.busy)
            el("p", "Takes about 20 seconds.", css="soft")
        if shown:
            self._compare(shown)

    def _compare(self, shown: Picture) -> None:
        level, desk = words.LEVELS[shown.level][0], self.desk
        with el("figure", css="compare"):
            el("figcaption", f"{shown.name}, {level}", css="name")
            about = "The photo, 1:1; the arrow keys move it"
            with el("div", css="window", id="window", tabindex=0, role="group", aria_label=about):
                pair = el("div", css="pair")
                pair.style(f"--w: {shown.width}; --h: {shown.height}")
                with pair:
                    for which, title in (("before", "Before"), ("after", "After")):
                        source = f"/photo/{which}?{desk.shown}"
                        el("img", src=source, alt=f"{title}: {shown.name}", css=which)
            with el("div", css="slider"):
                el("span", "After", aria_hidden="true")
                el(
                    "input",
                    id="cut",
                    type="range",
                    min=0,
                    max=100,
                    value=50,
                    aria_label="Where the photo before begins, from the left, in percent",
                )
                el("span", "Before", aria_hidden="true")
            el("p", f"Shown 1:1. {words.UNFINISHED}", css="soft")
        if shown.more:
            following = self._try(Preview, lambda: desk.show(desk.photo + 1))
            button("Another photo", following, id="another", off=self.busy)

    # ── 3 ──

    def _protect(self) -> None:
        desk = self.desk
        if not desk.found or not desk.ready or desk.done:
            return
        _title("protect", "3", "Protect")
        if not desk.ready.problem:
            _honestly()
            self._times(desk.ready)
        change = self._try(Protect, self._write_to)
        with form(change), el("div", css="line"):
            with el("div", css="grow"):
                field(
                    "Write the protected photos to",
                    self.out,
                    self._type_out,
                    id="out",
                    off=self.busy,
                )
            el("button", "Change", css="quiet", id="change", type="submit", disabled=self.busy)
        if desk.ready.problem:
            el("p", desk.ready.problem, css="wrong", role="alert")
            return
        if not isinstance(desk.job, Protect):
            word = "Resume" if desk.ready.unfinished else "Protect"
            text = f"{word} {words.photos(desk.ready.new)}"
            button(text, self._try(Protect, self._start), id="start", main=True, off=self.busy)
        self._state(Protect)

    def _times(self, ready: Ready) -> None:
        if ready.kept:
            el(
                "p",
                f"{words.photos(ready.kept)} in {ready.out.name} stay as they are; "
                f"{ready.new} new will be protected in the same way.",
            )
        if ready.unfinished:
            el("p", "A run that was begun is there; it resumes where it stopped.")
        whole = "From the start it takes" if ready.unfinished else "This takes"
        el(
            "p",
            f"{whole} {words.duration(ready.seconds)} on this computer. Measuring afterwards "
            f"whether it works takes {words.duration(ready.measure_seconds)}; that is up to you.",
        )

    def _type_out(self, text: str) -> None:
        self.out = text

    def _write_to(self) -> None:
        self.desk.write_to(self.out)
        self.out = str(self.desk.out)

    def _start(self) -> None:
        if self.out != str(self.desk.out):
            self._write_to()
        else:
            self.desk.protect()

    # ── 4 ──

    def _result(self) -> None:
        desk = self.desk
        if not desk.done:
            return
        _title("result", "4", "Your protected photos")
        self._files(desk.done)
        if desk.measured is None:
            el("h3", "Does it work?")
            el(
                "p",
                "Test models are trained on your clean and on your protected photos, and asked to "
                "name clean photos that they have not seen. Where they say that it does not "
                "protect, believe it.",
            )
            if desk.ready:
                el(
                    "p",
                    f"This takes {words.duration(desk.ready.measure_seconds)} on this computer.",
                )
            if not isinstance(desk.job, Measure):
                measure = self._try(Measure, desk.measure)
                button("Measure it", measure, id="measure", main=True, off=self.busy)
        self._state(Measure)
        if desk.measured:
            _verdict(desk.measured)
        el("p")
        el("a", "A page about these photos", href="/report", target="_blank", id="report")
        el("p", "For you: it shows originals and names of your folders.", css="soft")

    def _files(self, done: Done) -> None:
        left = f"; {done.left_out} left out" if done.left_out else ""
        el("p", f"{words.photos(done.count)} are protected{left}.", tabindex=-1, data_focus=True)
        with el("dl"):
            el("dt", "To publish, as they are")
            el("dd", str(done.out), css="path-shown", id="out-folder")
            el("dt", "To keep to yourself, with the originals")
            el("dd", str(done.private), css="path-shown")
        if opener():
            button("Open the folder", lambda: open_folder(done.out), id="open")

    # ── progress ──

    def _state(self, kind: type[Job]) -> None:
        """How the job of this step stands, or how it ended if not well."""
        desk = self.desk
        if isinstance(desk.job, kind):
            with el("div", css="working"):
                text = el("p", tabindex=-1, data_focus=True)
                bar = el("progress", max=1, aria_label="How far it is")
                button("Stop", desk.stop, id="stop")
                el("p", "You may close this page; the work goes on.", css="soft")
            self.meter, self.heard = Meter(bar, text, self.live), ""
        elif self.refused and self.refused[0] is kind:
            el("p", self.refused[1], css="wrong", role="alert")
        elif desk.of is kind and isinstance(desk.said, Failed):
            with el("div", css="wrong", role="alert"):
                el("p", desk.said.sentence)
                if desk.said.details:
                    items(desk.said.details)
        elif desk.of is kind and isinstance(desk.said, Stopped):
            kept = (
                "" if kind in (Look, Preview) else " What was done is kept; start again to resume."
            )
            el("p", f"Stopped.{kept}", css="note", role="status")

    def _move(self) -> None:
        """Say where the job stands: on the page always, aloud at every tenth."""
        meter, at = self.meter, self.desk.working
        if meter is None or not self.busy:
            return
        left = at.seconds_left
        text = at.what
        if at.share is not None:
            meter.bar.props["value"] = round(at.share, 3)
            text += f": {100 * at.share:.0f} %"
        if left:
            text += f", {words.duration(left)} left"
        meter.text.set_text(text)
        tenth = f"{at.what} {int(10 * (at.share or 0))}"
        if tenth != self.heard:
            self.heard = tenth
            meter.said.set_text(text)


def _head() -> None:
    with el("header"):
        el("p", "unlearnable", css="mark")
        el("h1", words.TITLE)
        el("p", words.LEAD, css="lead")


def _title(id: str, number: str, text: str) -> None:
    with el("h2", id=f"{id}-title"):
        el("span", number, css="number-mark", aria_hidden="true")
        el("span", text)


def _honestly() -> None:
    """What it stops and what not, before it is begun."""
    with el("div", css="honest"):
        el("h3", "What it stops")
        el("p", words.STOPS)
        el("h3", "What it does not stop")
        with el("ul"):
            for who, what in words.NOT_STOPPED:
                with el("li"):
                    el("strong", who)
                    el("span", f" {what}")


def _verdict(measured: Measured) -> None:
    el(
        "h3",
        measured.headline,
        css="good" if measured.good else "bad",
        tabindex=-1,
        data_focus=True,
    )
    with el("ul", css="verdicts"):
        for row in measured.tried:
            with el("li"):
                css = {"protected": "good", "not protected": "bad"}.get(row.verdict, "open")
                el("span", words.VERDICTS[row.verdict], css=f"badge {css}")
                el("strong", words.who(row.learner))
                el("p", words.named(row, measured.chance))
    el("p", f"Not tried: {measured.untried}.")
    with el("details"):
        el("summary", "What these numbers rest on")
        items(measured.notes)
