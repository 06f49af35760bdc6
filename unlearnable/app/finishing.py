"""The last two steps: protect, and what came of it."""

from unlearnable.app import words
from unlearnable.app.elements import button, el, field, form, items
from unlearnable.app.messages import Measure, Measured, Protect, ProtectedPhotos, Ready
from unlearnable.app.places import open_folder, opener
from unlearnable.app.step import Step


class Protecting(Step):
    """Say what it stops and what not, and how long it takes; then do it."""

    id, mark, title, kind = "protect", "3", "Protect", Protect
    out = ""
    _out = ""

    def is_open(self) -> bool:
        if str(self.desk.out) != self._out:
            self.out = self._out = str(self.desk.out)
        return self.desk.ready is not None and self.desk.done is None

    def draw(self) -> None:
        ready = self.desk.ready
        assert ready is not None
        if not ready.problem:
            _honestly()
            _times(ready)
        with form(self.trying(self._change)), el("div", css="line"):
            with el("div", css="grow"):
                text = "Write the protected photos to"
                field(text, self.out, self._type, id="out", off=self.busy)
            el("button", "Change", css="quiet", id="change", type="submit", disabled=self.busy)
        if ready.problem:
            el("p", ready.problem, css="wrong", role="alert")
            return
        if not isinstance(self.desk.job, Protect):
            count = words.photos(ready.new)
            text = f"Resume ({count})" if ready.unfinished else f"Protect {count}"
            button(text, self.trying(self._start), id="start", main=True, off=self.busy)
        self.draw_job()

    def _type(self, text: str) -> None:
        self.out = text

    def _change(self) -> None:
        self.desk.write_to(self.out)

    def _start(self) -> None:
        if self.out != str(self.desk.out):
            self._change()
        else:
            self.desk.protect()


def _honestly() -> None:
    with el("div", css="honest"):
        el("h3", "What it holds back")
        el("p", words.HOLDS_BACK)
        el("h3", "What it does not stop")
        with el("ul"):
            for who, what in words.NOT_STOPPED:
                with el("li"):
                    el("strong", who)
                    el("span", f" {what}")


def _times(ready: Ready) -> None:
    if ready.kept:
        kept, more = words.photos(ready.kept), ready.new
        el("p", f"{kept} in {ready.out.name} stay as they are; {more} new join them.")
    if ready.unfinished:
        el("p", "A run that was begun is there; it resumes where it stopped.")
    whole = "From the start it takes" if ready.unfinished else "This takes"
    el(
        "p",
        f"{whole} {words.duration(ready.seconds)} on this computer. Measuring afterwards whether "
        f"it works takes {words.duration(ready.measure_seconds)}; that is up to you.",
    )


class Result(Step):
    """Where the protected photos are, and what the protection is worth."""

    id, mark, title, kind = "result", "✓", "Your protected photos", Measure

    def is_open(self) -> bool:
        return self.desk.done is not None

    def shows(self) -> object:
        return self.desk.measured

    def draw(self) -> None:
        desk = self.desk
        assert desk.done is not None
        self._files(desk.done)
        if desk.measured is None:
            self._measure()
        self.draw_job()
        if desk.measured:
            _verdict(desk.measured)
        el("a", "A page about these photos", href="/report", target="_blank", id="report")
        el("p", "For you: it shows originals and names of your folders.", css="soft")

    def _files(self, done: ProtectedPhotos) -> None:
        left = f"; {done.left_out} left out" if done.left_out else ""
        el("p", f"{words.photos(done.count)} protected{left}.", tabindex=-1, data_focus=True)
        with el("dl"):
            el("dt", "To publish, as they are")
            el("dd", str(done.out), css="path-shown", id="out-folder")
            el("dt", "To keep to yourself, with the originals")
            el("dd", str(done.private), css="path-shown")
        with el("div", css="line"):
            if opener():
                button("Open the folder", lambda: open_folder(done.out), id="open")
            again = self.trying(self.desk.again)
            button("Protect again, in another way", again, id="again", off=self.busy)

    def _measure(self) -> None:
        el("h3", "Does it work?")
        el("p", words.MEASURED)
        if ready := self.desk.ready:
            el("p", f"This takes {words.duration(ready.measure_seconds)} on this computer.")
        if not isinstance(self.desk.job, Measure):
            measure = self.trying(self.desk.measure)
            button("Measure it", measure, id="measure", main=True, off=self.busy)


def _verdict(measured: Measured) -> None:
    css = "good" if measured.good else "bad"
    el("h3", measured.headline, css=css, tabindex=-1, data_focus=True)
    with el("ul", css="verdicts"):
        for row in measured.tried:
            with el("li"):
                css = {"protected": "good", "not protected": "bad"}.get(row.verdict, "open")
                el("span", words.VERDICTS[row.verdict], css=f"badge {css}")
                el("strong", words.sentence(row.who))
                el("p", words.named(row, measured.chance))
    el("p", "Image generators were not tried, and neither was whatever else people train.")
    if measured.care:
        with el("details", open=True):
            el("summary", "Reasons to take this with care")
            items(measured.care)
    with el("details"):
        el("summary", "What these numbers rest on")
        items(measured.notes)
