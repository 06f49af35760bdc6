"""The HTML pages: templates in pages/, each page one file that needs no network."""

import base64
import io
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader
from PIL import Image

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def rendered(template: str, **values: object) -> str:
    return TEMPLATES.get_template(template).render(**values)


def image_uri(x: np.ndarray, side: int | None = None) -> str:
    """[H, W, 3], clipped to 0..255, as a PNG inside the page; at most ``side`` pixels a side."""
    image = Image.fromarray(x.clip(0, 255).astype(np.uint8))
    if side:
        image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
