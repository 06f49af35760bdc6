"""HTML from the templates beside this file: each page is one file and loads nothing else."""

import base64
import io
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape
from PIL import Image

from unlearnable.reports.plots import PALETTE

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals["palette"] = PALETTE


def typed(text: str) -> Markup:
    """Return a text in which what stands between backticks looks like what is typed; a line is not
    broken inside a word of it."""
    parts = []
    for k, part in enumerate(text.split("`")):
        words = Markup(" ").join(Markup("<span>{}</span>").format(word) for word in part.split())
        parts.append(Markup("<code>{}</code>").format(words) if k % 2 else escape(part))
    return Markup("").join(parts)


TEMPLATES.filters["typed"] = typed


def render(template: str, **values: object) -> str:
    """Return the template filled in, every value escaped."""
    return TEMPLATES.get_template(template).render(**values)


def image_uri(image: Image.Image, side: int | None = None) -> str:
    """Return the image as a PNG to stand inside a page, at most ``side`` pixels a side."""
    image = image.copy()
    if side:
        image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
