"""Plain HTML elements: what a keyboard and a screen reader know by themselves."""

from collections.abc import Callable

from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

Handler = Callable[[], None]


def el(tag: str, text: str = "", *, css: str = "", **props: str | int | bool) -> TextElement:
    """An element with text. props: its attributes, with _ for - (and at the end for a word of
    Python); those that are False are left out."""
    made = TextElement(tag=tag, text=text)
    named = {key.rstrip("_").replace("_", "-"): value for key, value in props.items()}
    made.props.update({key: value for key, value in named.items() if value is not False})
    return made.classes(css) if css else made


def button(
    text: str, do: Handler, *, id: str, main: bool = False, off: bool = False, label: str = ""
) -> Element:
    """A button; main: the one that leads on. label: what a screen reader says instead."""
    more = {"aria_label": label} if label else {}
    css = "main" if main else "quiet"
    made = el("button", text, css=css, id=id, type="button", disabled=off, **more)
    return made.on("click", lambda: do(), args=[])


def field(text: str, value: str, typed: Callable[[str], None], *, id: str, off: bool) -> Element:
    """A labeled line of text. typed: gets every change."""
    el("label", text, for_=id)
    made = el(
        "input",
        css="path",
        id=id,
        type="text",
        value=value,
        disabled=off,
        autocomplete="off",
        spellcheck="false",
    )
    return made.on("input", lambda e: typed(str(e.args)), js_handler="e => emit(e.target.value)")


def form(submit: Handler) -> Element:
    return el("form").on("submit.prevent", lambda: submit(), args=[])


def tick(text: str, value: bool, changed: Callable[[bool], None], *, id: str, off: bool) -> None:
    """A box to tick."""
    with el("label", css="tick", for_=id):
        made = el("input", id=id, type="checkbox", checked=value, disabled=off)
        made.on("change", lambda e: changed(bool(e.args)), js_handler="e => emit(e.target.checked)")
        el("span", text)


def choice(title: str, about: str, chosen: bool, choose: Handler, *, id: str, off: bool) -> None:
    """One of several strengths."""
    with el("label", css="choice", for_=id):
        made = el("input", id=id, type="radio", name="level", checked=chosen, disabled=off)
        made.on("change", lambda: choose(), args=[])
        with el("span"):
            el("strong", title)
            el("span", about, css="about")


def items(lines: tuple[str, ...]) -> None:
    with el("ul"):
        for line in lines:
            el("li", line)
