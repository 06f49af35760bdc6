"""HEIC, which phones write: read with the extra, named without it."""

import numpy as np
import pytest
from PIL import Image

from unlearnable import Uniform, UserError, protect_photos
from unlearnable.data import decoding
from unlearnable.data.decoding import read
from unlearnable.data.image_files import listing


@pytest.fixture
def heif():
    return pytest.importorskip("pillow_heif")


def quarters() -> Image.Image:
    """40 x 64: red, green, blue and white quarters, which show how an image is turned."""
    x = np.zeros((64, 40, 3), np.uint8)
    x[:32, :20], x[:32, 20:], x[32:, :20], x[32:, 20:] = (
        (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255),
    )  # fmt: skip
    return Image.fromarray(x)


def write(heif, image: Image.Image, path, **options) -> None:
    heif.from_pillow(image).save(path, quality=95, **options)


def test_a_photo_is_read_upright(heif, tmp_path):
    write(heif, quarters(), tmp_path / "plain.heic")
    turned = Image.Exif()
    turned[0x0112] = 6  # shown after a quarter turn, as phones held upright write it
    stored = quarters().transpose(Image.Transpose.ROTATE_90)
    write(heif, stored, tmp_path / "turned.heic", exif=turned.tobytes())
    for name in ("plain.heic", "turned.heic"):
        image = read(tmp_path / name)
        assert image.mode == "RGB" and image.size == (40, 64), name
        difference = np.abs(np.asarray(image, int) - np.asarray(quarters(), int))
        assert np.median(difference) < 8, name


def test_more_than_8_bits_are_not_cut_in_silence(heif, tmp_path):
    deep = np.full((16, 16, 3), 4321, np.uint16)
    path = tmp_path / "deep.heic"
    heif.from_bytes("RGB;16", (16, 16), deep.tobytes()).save(path, quality=90)
    with pytest.raises(UserError, match="deep.heic has more than 8 bits per channel"):
        read(path)


def test_a_folder_of_a_phone(heif, tmp_path):
    for k in range(4):
        x = np.random.default_rng(k).integers(0, 256, (40, 64, 3), dtype=np.uint8)
        path = tmp_path / "photos" / "ab"[k % 2] / f"IMG_{k}.HEIC"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(heif, Image.fromarray(x), path, format="HEIF")
    card = protect_photos(tmp_path / "photos", tmp_path / "out", Uniform(), size=16)
    assert card.measured["linf"] <= 8 and len(listing(tmp_path / "out").files) == 4
    assert Image.open(tmp_path / "out" / "a" / "IMG_0.png").size == (64, 40)


def test_without_the_extra_one_sentence_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "HEIF", False)
    photo = tmp_path / "IMG_1.HEIC"
    photo.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(UserError, match=r"IMG_1.HEIC is HEIC.*pip install 'unlearnable\[heif\]'"):
        read(photo)
    assert ".heic" in decoding.SUFFIXES
