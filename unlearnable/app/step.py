"""One step of the page: drawn from the desk, and drawn again when what it shows has changed."""

from abc import ABC, abstractmethod
from typing import ClassVar

from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from unlearnable.app.desk import Desk
from unlearnable.app.elements import Handler, button, el, items
from unlearnable.app.messages import Failed, Job, Look, Preview, Stopped
from unlearnable.app.words import duration
from unlearnable.core.errors import UserError


class Step(ABC):
    """id, mark, title: of its section. kind: the job whose progress stands in it. live: an element
    that is read aloud."""

    id: ClassVar[str]
    mark: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[type[Job]]

    def __init__(self, desk: Desk, live: TextElement):
        self.desk, self.live = desk, live
        self.place = el("section", id=self.id, aria_labelledby=f"{self.id}-title")
        self.refused = ""
        """why something could not be started; gone once that has changed"""
        self._refused_at: object = None
        self._drawn: object = None
        self._meter: tuple[Element, TextElement] | None = None
        self._said = ""

    @abstractmethod
    def is_open(self) -> bool:
        """Whether the person has come as far as this step."""

    @abstractmethod
    def draw(self) -> None:
        """Make its elements, below the title."""

    def shows(self) -> object:
        """What it is drawn from besides what every step is."""
        return None

    def update(self) -> None:
        """Draw it again if need be, and move its progress."""
        now = self._state()
        if now != self._refused_at:
            self.refused = ""
        if (shown := (now, self.refused, self.is_open(), self.shows())) != self._drawn:
            self._drawn = shown
            self.place.clear()
            if self.is_open():
                with self.place:
                    self._head()
                    self.draw()
        self._move()

    def _state(self) -> object:
        desk = self.desk
        ended = type(desk.job), desk.said, desk.leave_out
        return desk.folder, desk.out, desk.found, desk.ready, desk.done, ended

    def _head(self) -> None:
        with el("h2", id=f"{self.id}-title"):
            el("span", self.mark, css="number-mark", aria_hidden="true")
            el("span", self.title)

    @property
    def busy(self) -> bool:
        return self.desk.job is not None

    def trying(self, do: Handler) -> Handler:
        """``do``, and say why where it cannot be."""

        def attempt() -> None:
            self.refused = ""
            try:
                do()
            except UserError as e:
                self.refused, self._refused_at = str(e), self._state()
            self.update()

        return attempt

    def draw_job(self) -> None:
        """How the job of this step stands, or how it ended if not well."""
        desk = self.desk
        if isinstance(desk.job, self.kind):
            with el("div", css="working"):
                text = el("p", "Starting", tabindex=-1, data_focus=True)
                bar = el("progress", max=1, aria_label="How far it is")
                button("Stop", desk.stop, id="stop")
                el("p", "You may close this page; the work goes on.", css="soft")
            self._meter, self._said = (bar, text), ""
        elif self.refused:
            el("p", self.refused, css="wrong", role="alert")
        elif desk.of is self.kind and isinstance(desk.said, Failed):
            with el("div", css="wrong", role="alert", tabindex=-1, data_focus=True):
                el("p", desk.said.sentence)
                if desk.said.details:
                    items(desk.said.details)
        elif desk.of is self.kind and isinstance(desk.said, Stopped):
            kept = self.kind not in (Look, Preview)
            more = " All but the last half minute is kept; start again to resume." if kept else ""
            el("p", f"Stopped.{more}", css="note", role="status", tabindex=-1, data_focus=True)

    def _move(self) -> None:
        """Say where the job stands: on the page always, aloud at every tenth."""
        if self._meter is None:
            return
        if not isinstance(self.desk.job, self.kind):
            self._meter = None
            self.live.set_text("" if self.desk.said else "Done.")
            return
        (bar, line), at = self._meter, self.desk.working
        text = at.what
        if at.share is not None:
            bar.props["value"] = round(at.share, 3)
            text += f": {100 * at.share:.0f} %"
        if at.seconds_left:
            text += f", {duration(at.seconds_left)} left"
        line.set_text(text)
        if (tenth := f"{at.what} {int(10 * (at.share or 0))}") != self._said:
            self._said = tenth
            self.live.set_text(text)
