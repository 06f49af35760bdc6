"""The first two steps: the folder, and how strong."""

from functools import partial
from pathlib import Path

from unlearnable.app import words
from unlearnable.app.elements import Handler, button, choice, el, field, form, items, tick
from unlearnable.app.messages import Found, Look, Picture, Preview
from unlearnable.app.places import copies_root, subfolders
from unlearnable.app.step import Step

FEW = 50  # photos of a class, under which a model may learn nothing anyway


class Photos(Step):
    """Choose a folder; see what it holds and what cannot be protected."""

    id, mark, title, kind = "photos", "1", "Your photos", Look
    typed = ""
    at: Path | None = None
    """the folder that is being browsed"""
    _folder: Path | None = None

    def is_open(self) -> bool:
        if self.desk.folder != self._folder:  # chosen here, dropped, or in another tab
            self._folder = self.desk.folder
            self.typed, self.at = str(self._folder), None
        return True

    def shows(self) -> object:
        return self.at

    def draw(self) -> None:
        el("p", words.SORTED)
        with form(self.trying(self._look)), el("div", css="line"):
            with el("div", css="grow"):
                field("Folder with your photos", self.typed, self._type, id="folder", off=self.busy)
            el("button", "Look inside", css="main", id="look", type="submit", disabled=self.busy)
            button("Browse…", self._browse, id="browse", off=self.busy)
        if self.at is not None:
            self._browser(self.at)
        self._copies()
        self.draw_job()
        if self.desk.found:
            self._found(self.desk.found)

    def _type(self, text: str) -> None:
        self.typed = text

    def _look(self) -> None:
        self.at = None
        self.desk.look(self.typed)

    def _browse(self) -> None:
        start = Path(self.typed).expanduser() if self.typed else Path.home()
        self._go(start if start.is_dir() else Path.home())()

    def _go(self, folder: Path) -> Handler:
        def go() -> None:
            subfolders(folder)  # raises where it may not be read
            self.at = folder

        return self.trying(go)

    def _use(self) -> None:
        self.typed = str(self.at)
        self._look()

    def _browser(self, at: Path) -> None:
        with el("div", css="browser", role="group", aria_label="Folders on this computer"):
            el("p", str(at), css="path-shown", tabindex=-1, data_focus="first")
            with el("div", css="line"):
                above = "The folder above"
                button("Up", self._go(at.parent), id="up", off=at == at.parent, label=above)
                button("Use this folder", self.trying(self._use), id="use", main=True)
            names = subfolders(at)
            if not names:
                el("p", "There are no folders in it.", css="soft")
            with el("ul"):
                for k, name in enumerate(names):
                    with el("li"):
                        button(name, self._go(at / name), id=f"into-{len(at.parts)}-{k}")

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
        head = f"{words.photos(found.count)} in “{found.folder.name}”"
        el("h3", head, tabindex=-1, data_focus=True)
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
            self._problems(found.problems)

    def _problems(self, problems: tuple[str, ...]) -> None:
        one = len(problems) == 1
        with el("details", open=True):
            files = "1 file" if one else f"{len(problems)} files"
            el("summary", f"{files} cannot be protected")
            items(problems)
        text = f"Leave {'it' if one else 'them'} out, and protect the others"
        tick(text, self.desk.leave_out, self._leave_out, id="leave-out", off=self.busy)

    def _leave_out(self, yes: bool) -> None:
        self.desk.leave_out = yes
        self.update()


class Strength(Step):
    """Choose how strong, and see it on a photo."""

    id, mark, title, kind = "strength", "2", "How strong", Preview

    def is_open(self) -> bool:
        ready = self.desk.ready
        return ready is not None and not ready.problem and self.desk.done is None

    def shows(self) -> object:
        return self.desk.level, self.desk.shown

    def draw(self) -> None:
        desk, ready = self.desk, self.desk.ready
        assert ready is not None
        fixed = ready.level is not None
        with el("fieldset"):
            el(
                "legend",
                "The stronger the noise, the more it is seen. Only Normal was measured to protect.",
            )
            for level, (title, about) in words.LEVELS.items():
                choose = self.trying(partial(desk.choose, level))
                off = self.busy or fixed
                choice(title, about, desk.level == level, choose, id=f"level-{level}", off=off)
        if fixed:
            begun = f"{ready.out.name} was begun with this strength; for another, choose another"
            el("p", f"{begun} folder below.", css="soft")
        self.draw_job()
        shown = desk.picture
        if not isinstance(desk.job, Preview) and (shown is None or shown.level != desk.level):
            show = self.trying(lambda: desk.show(desk.photo))
            text = f"Show “{words.LEVELS[desk.level][0]}” on one of my photos"
            button(text, show, id="show", off=self.busy)
            el("p", f"Takes {words.duration(ready.preview_seconds)}.", css="soft")
        if shown:
            self._compare(shown)

    def _compare(self, shown: Picture) -> None:
        with el("figure", css="compare"):
            name = f"{shown.name}, {words.LEVELS[shown.level][0]}"
            el("figcaption", name, css="name", tabindex=-1, data_focus=True)
            about = "The photo, 1:1; the arrow keys move it"
            with el("div", css="window", id="window", tabindex=0, role="group", aria_label=about):
                pair = el("div", css="pair").style(f"--w: {shown.width}; --h: {shown.height}")
                with pair:
                    for which, title in (("before", "Before"), ("after", "After")):
                        source = f"/photo/{which}?{self.desk.shown}"
                        el("img", src=source, alt=f"{title}: {shown.name}", css=which)
            self._slider()
            el("p", f"Shown 1:1. {words.UNFINISHED}", css="soft")
        if shown.more:
            following = self.trying(lambda: self.desk.show(self.desk.photo + 1))
            button("Another photo", following, id="another", off=self.busy)

    def _slider(self) -> None:
        with el("div", css="slider"):
            el("span", "Before", aria_hidden="true")
            about = "How much of the photo, from the left, is shown as it was before, in percent"
            el("input", id="cut", type="range", min=0, max=100, value=50, aria_label=about)
            el("span", "After", aria_hidden="true")
