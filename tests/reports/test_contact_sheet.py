"""The contact sheet: what stands where, and in which colors."""

import numpy as np
import torch
from PIL import Image

from unlearnable.reports.contact_sheet import GAP, HEAD, choose, contact_sheet, sheet, views


def test_noise_is_shown_around_gray_and_clipped():
    a = np.full((2, 2, 3), 100, np.uint8)
    b = a.copy()
    b[0, 0], b[0, 1], b[1, 0] = 104, 92, 255
    original, protected, noise = views(a, b, 8).values()
    assert original is a and protected is b
    assert noise[..., 0].tolist() == [[160, 64], [255, 128]]


def test_one_image_per_class_while_they_last(few):
    chosen = choose(few, 12)
    assert [int(few.y[k]) for k in chosen] == [*range(10), 0, 1] and len(set(chosen)) == 12
    assert choose(few, 1000) != list(range(40)) and sorted(choose(few, 1000)) == list(range(40))


def test_every_image_stands_in_its_place(few):
    x, y = few.x[:3], (few.x[:3].short() + 2).clamp(0, 255).to(torch.uint8)
    page = np.asarray(sheet(x, y, gain=8, zoom=2, titles=True))
    assert page.shape == (3 * (HEAD + 64) + GAP, GAP + 3 * (64 + GAP), 3)
    for row, images in enumerate((x, y)):
        top, left = row * (HEAD + 64) + HEAD, GAP + 1 * (64 + GAP)
        tile = page[top : top + 64 : 2, left : left + 64 : 2]
        assert np.array_equal(tile, images[1].permute(1, 2, 0).numpy())


def test_the_file(few, extremes, tmp_path):
    for data in (few, extremes):
        contact_sheet(data, data, tmp_path / "sheet.png", count=6)
        page = Image.open(tmp_path / "sheet.png")
        assert page.size[0] > 6 * 96 and page.size[1] > 3 * 96
