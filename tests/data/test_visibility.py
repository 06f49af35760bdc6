"""Measures of visibility against printed values and closed forms."""

import pytest
import torch

from unlearnable.data.visibility import ciede2000, color_difference, color_shift, to_lab

# Sharma, Wu and Dalal (2005), table 1: two colors and their difference. The pairs try every branch:
# hues around 0 and 180 degrees, grays, blues, large and small differences.
PRINTED = """
50.0000 2.6772 -79.7751   50.0000 0.0000 -82.7485   2.0425
50.0000 3.1571 -77.2803   50.0000 0.0000 -82.7485   2.8615
50.0000 2.8361 -74.0200   50.0000 0.0000 -82.7485   3.4412
50.0000 -1.3802 -84.2814  50.0000 0.0000 -82.7485   1.0000
50.0000 -1.1848 -84.8006  50.0000 0.0000 -82.7485   1.0000
50.0000 -0.9009 -85.5211  50.0000 0.0000 -82.7485   1.0000
50.0000 0.0000 0.0000     50.0000 -1.0000 2.0000    2.3669
50.0000 -1.0000 2.0000    50.0000 0.0000 0.0000     2.3669
50.0000 2.4900 -0.0010    50.0000 -2.4900 0.0009    7.1792
50.0000 2.4900 -0.0010    50.0000 -2.4900 0.0010    7.1792
50.0000 2.4900 -0.0010    50.0000 -2.4900 0.0011    7.2195
50.0000 2.4900 -0.0010    50.0000 -2.4900 0.0012    7.2195
50.0000 -0.0010 2.4900    50.0000 0.0009 -2.4900    4.8045
50.0000 -0.0010 2.4900    50.0000 0.0010 -2.4900    4.8045
50.0000 -0.0010 2.4900    50.0000 0.0011 -2.4900    4.7461
50.0000 2.5000 0.0000     50.0000 0.0000 -2.5000    4.3065
50.0000 2.5000 0.0000     73.0000 25.0000 -18.0000  27.1492
50.0000 2.5000 0.0000     61.0000 -5.0000 29.0000   22.8977
50.0000 2.5000 0.0000     56.0000 -27.0000 -3.0000  31.9030
50.0000 2.5000 0.0000     58.0000 24.0000 15.0000   19.4535
50.0000 2.5000 0.0000     50.0000 3.1736 0.5854     1.0000
50.0000 2.5000 0.0000     50.0000 3.2972 0.0000     1.0000
50.0000 2.5000 0.0000     50.0000 1.8634 0.5757     1.0000
50.0000 2.5000 0.0000     50.0000 3.2592 0.3350     1.0000
60.2574 -34.0099 36.2677  60.4626 -34.1751 39.4387  1.2644
63.0109 -31.0961 -5.8663  62.8187 -29.7946 -4.0864  1.2630
61.2901 3.7196 -5.3901    61.4292 2.2480 -4.9620    1.8731
35.0831 -44.1164 3.7933   35.0232 -40.0716 1.5901   1.8645
22.7233 20.0904 -46.6940  23.0331 14.9730 -42.5619  2.0373
36.4612 47.8580 18.3852   36.2715 50.5065 21.2231   1.4146
90.8027 -2.0831 1.4410    91.1528 -1.6435 0.0447    1.4441
90.9257 -0.5406 -0.9208   88.6381 -0.8985 -0.7239   1.5381
6.7747 -0.2908 -2.4247    5.8714 -0.0985 -2.2286    0.6377
2.0776 0.0795 -1.1350     0.9033 -0.0636 -0.5514    0.9082
"""


def test_ciede2000_is_the_printed_one():
    rows = torch.tensor(
        [[float(v) for v in row.split()] for row in PRINTED.strip().splitlines()],
        dtype=torch.float64,
    )
    a, b, known = rows[:, :3], rows[:, 3:6], rows[:, 6]
    assert float((ciede2000(a, b) - known).abs().max()) < 0.00006  # printed with 4 decimals
    assert float((ciede2000(b, a) - known).abs().max()) < 0.00006


def test_lab_of_the_corners_of_srgb():
    """White, black and the primaries, as the standard's tables print them."""
    colors = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    lab = to_lab(colors[:, :, None, None])[:, :, 0, 0]
    known = torch.tensor(
        [
            [100.0, 0, 0],
            [0, 0, 0],
            [53.24, 80.09, 67.20],
            [87.73, -86.18, 83.18],
            [32.30, 79.19, -107.86],
        ]
    )
    assert float((lab - known).abs().max()) < 0.03


def test_a_tint_is_seen_where_psnr_sees_none():
    """Two changes of equal size: a tint, and the same values with their signs drawn per pixel."""
    clean = torch.full((3, 64, 64), 128, dtype=torch.uint8)
    tint = torch.tensor([-7, 8, -2])[:, None, None].expand(3, 64, 64)
    signs = torch.randint(0, 2, (1, 64, 64), generator=torch.Generator().manual_seed(0)) * 2 - 1
    tinted, grainy = ((clean.short() + d).to(torch.uint8) for d in (tint, signs * tint))
    assert color_shift(clean, tinted) == pytest.approx(17 / 3)
    assert color_shift(clean, grainy) < 0.2
    assert color_shift(clean, clean) == 0
    difference = color_difference(clean[None], tinted[None])
    assert difference.shape == (1, 64, 64) and 7 < float(difference.mean()) < 12
    assert float(color_difference(clean[None], clean[None]).max()) == 0
