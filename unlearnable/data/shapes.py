"""``shapes``, the embedded data set: ten textured shapes on cluttered backgrounds, generated from a
seed.

Color, texture, position, size and rotation have the same distribution in every class, so that only
the shape tells the class.
"""

from functools import cache

import numpy as np
from numpy import ndarray

from unlearnable.core.errors import UserError
from unlearnable.core.units import LEVELS

CLASSES = (
    "circle",
    "square",
    "triangle",
    "star",
    "cross",
    "ring",
    "crescent",
    "bar",
    "heart",
    "corner",
)


CHUNK = 500  # images per random generator, so that a smaller set is the beginning of a larger one
MOST = 1_000_000  # images at a time: 3 GB at 32 px
SAMPLES = 2  # sub-pixels per side, for smooth edges
TILT = 0.35  # radians, the largest rotation of a shape
# in units of the squared radius; about the same for all, so that area does not tell the class
AREA = 1.35


def _inside(name: str, u: ndarray, v: ndarray) -> ndarray:
    """Return which points lie in the shape of about unit radius around 0. u: to the right, v: down,
    of any array shape."""
    r, angle = np.hypot(u, v), np.arctan2(v, u)
    match name:
        case "circle":
            return r < 0.85
        case "square":
            return np.maximum(abs(u), abs(v)) < 0.75
        case "triangle":
            return np.maximum(v, abs(u) * 0.866 - v / 2) < 0.5
        case "star":
            return r < 0.42 + 0.66 * abs((angle * 5 / (2 * np.pi)) % 1 - 0.5) * 2
        case "cross":
            return (np.minimum(abs(u), abs(v)) < 0.26) & (r < 1)
        case "ring":
            return (r > 0.55) & (r < 0.95)
        case "crescent":
            return (r < 0.95) & (np.hypot(u - 0.5, v) > 0.7)
        case "bar":
            return (abs(u) < 1.15) & (abs(v) < 0.32)
        case "heart":
            a, b = u * 1.2, -v * 1.2 + 0.1
            return (a * a + b * b - 1) ** 3 < a * a * b**3
        case "corner":
            return (np.maximum(abs(u), abs(v)) < 0.9) & (np.minimum(u + 0.9, 0.9 - v) < 0.6)
    raise AssertionError(name)


@cache
def _radius(name: str) -> float:
    """Return the factor that brings the shape to the common area."""
    v, u = np.mgrid[-1.5:1.5:300j, -1.5:1.5:300j]
    return float(np.sqrt(AREA / (9 * _inside(name, u, v).mean())))


def _texture(g: np.random.Generator, rows: ndarray, u: ndarray, v: ndarray) -> ndarray:
    """Draw one texture per row, [n, s, s] in -1..1: a slope, stripes, checks or blobs."""
    n = CHUNK
    kind, angle = g.integers(4, size=(n, 1, 1))[rows], g.uniform(0, np.pi, (n, 1, 1))[rows]
    pitch = g.uniform(5, 11, (n, 1, 1))[rows]
    phase = g.uniform(0, 2 * np.pi, (2, n, 1, 1))[:, rows]
    a, b = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
    wave, other = np.sin(pitch * a + phase[0]), np.sin(pitch * b + phase[1])
    blobs = np.sin(4 * a + 2 * other + phase[1]) * np.sin(5 * b + phase[0])
    return np.choose(
        np.broadcast_to(kind, blobs.shape),
        [np.broadcast_to(a, blobs.shape), wave, np.sign(wave * other), blobs],
    )


def _chunk(rows: ndarray, g: np.random.Generator, size: int) -> tuple[ndarray, ndarray]:
    """Paint the images ``rows`` of a chunk. Random numbers are drawn for the whole chunk, so that
    an image does not depend on which others are asked for."""
    n, labels = len(rows), rows % len(CLASSES)
    s = size * SAMPLES
    v, u = (m[None].astype(np.float32) for m in np.mgrid[-1 : 1 : s * 1j, -1 : 1 : s * 1j])

    def draw(low: float, high: float, *shape: int) -> ndarray:
        return g.uniform(low, high, (CHUNK, *shape))[rows].astype(np.float32)

    front = draw(0.1, 0.9, 3, 1, 1)
    # every channel of the background differs by 0.35 to 0.55 of the range, up or down
    gap = draw(0.35, 0.55, 3, 1, 1)
    back = np.where(front > 0.5, front - gap, front + gap)
    amount, shade = draw(0.05, 0.15, 2, 1, 1, 1), draw(-0.15, 0.15, 2, 1, 1, 1)
    tilt = shade[:, 0] * u[:, None] + shade[:, 1] * v[:, None]  # illumination
    shape_paint = front + amount[:, 0] * _texture(g, rows, u, v)[:, None]
    paint = back + amount[:, 1] * _texture(g, rows, u, v)[:, None]

    for k in range(4):  # clutter in the shape's own colors: strokes and dots behind it
        x, y, angle, length = (
            draw(-1, 1, 1, 1),
            draw(-1, 1, 1, 1),
            draw(0, np.pi, 1, 1),
            draw(0.1, 0.4, 1, 1),
        )
        a = (u - x) * np.cos(angle) + (v - y) * np.sin(angle)
        b = (v - y) * np.cos(angle) - (u - x) * np.sin(angle)
        mask = np.hypot(np.maximum(abs(a) - length * (k % 2), 0), b) < draw(0.03, 0.07, 1, 1)
        paint = np.where(mask[:, None], shape_paint, paint)

    x, y, angle, radius = (
        draw(-0.15, 0.15, 1, 1),
        draw(-0.15, 0.15, 1, 1),
        draw(-TILT, TILT, 1, 1),
        draw(0.6, 0.8, 1, 1),
    )
    mask = np.empty((n, s, s), bool)
    for c, name in enumerate(CLASSES):
        i = labels == c
        r = radius[i] * _radius(name)
        p, q = (u - x[i]) / r, (v - y[i]) / r
        cos, sin = np.cos(angle[i]), np.sin(angle[i])
        mask[i] = _inside(name, p * cos + q * sin, q * cos - p * sin)
    image = np.where(mask[:, None], shape_paint, paint) + tilt
    image = image.reshape(n, 3, size, SAMPLES, size, SAMPLES).mean((3, 5))
    image += g.normal(0, 0.02, (CHUNK, 3, size, size))[rows]
    return (image.clip(0, 1) * LEVELS).round().astype(np.uint8), labels.astype(np.int64)


def generate(
    n: int, seed: int, *, classes: tuple[str, ...] = CLASSES, size: int = 32
) -> tuple[ndarray, ndarray]:
    """Generate n images, uint8 [n, 3, size, size], and their labels, int64 [n]: 0, 1, ... 9, 0, ...

    classes: return, and paint, only those of the n images that belong to them. The same seed gives
    the same bytes, and a smaller n the beginning of a larger one. Raises UserError above ``MOST``.
    """
    if n > MOST:
        raise UserError(f"At most {MOST:,} images of shapes can be generated, not {n:,}.")
    wanted = np.isin(np.arange(n) % len(CLASSES), [CLASSES.index(name) for name in classes])
    x = np.empty((int(wanted.sum()), 3, size, size), np.uint8)
    y, done = np.empty(len(x), np.int64), 0
    for k, part in enumerate(np.split(wanted, range(CHUNK, n, CHUNK))):
        rows = np.flatnonzero(part)
        here = slice(done, done + len(rows))
        x[here], y[here] = _chunk(rows, np.random.default_rng((seed, k)), size)
        done += len(rows)
    return x, y
