"""Files as people bring them: names, metadata, the meaning of pixels, and what is no photo."""

import io
import os
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from unlearnable import UserError, load
from unlearnable.data import decoding, threads
from unlearnable.data.color import Space, _decoded
from unlearnable.data.decoding import FORMATS, read, write
from unlearnable.data.folders import scan_photos
from unlearnable.data.image_files import examine, listing
from unlearnable.data.metadata import kept_exif


def picture(seed=0, size=(24, 16), mode="RGB"):
    x = np.random.default_rng(seed).integers(40, 215, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(x).convert(mode)


@pytest.fixture
def album(tmp_path):
    for c, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for k in range(2):
            picture(10 * c + k).save(tmp_path / name / f"IMG_{k:04d}.jpg")
    return tmp_path


# ── names ──


def test_only_what_is_protected_takes_a_name(album):
    (album / "cat" / "IMG_0000.AAE").write_text("<plist/>")
    (album / "cat" / "IMG_0000.CR2").write_bytes(b"II*\0\x10\0\0\0CR\2\0" + bytes(200))
    (album / "cat" / "IMG_0001.MOV").write_bytes(bytes(20))
    (album / "cat" / "alone.NEF").write_bytes(b"II*\0")
    (album / "cat" / "alone.mp4").write_bytes(bytes(20))
    (album / "cat" / "IMG_0001.BMP").write_text("no image")
    found, seen = examine(album, read)
    assert len(seen) == 4 and [p.suffix for p, _ in found.files] == [".jpg"] * 4
    assert [said.split(" is ")[1][:5] for said in found.problems if " is " in said] == [
        "a cam",
        "a vid",
    ]
    picture(5).save(album / "cat" / "img_0001.png")
    assert "same name as IMG_0001.jpg" in examine(album, read)[0].problems[-1]


def test_what_systems_leave_behind_is_no_photo(album):
    (album / "__MACOSX" / "cat").mkdir(parents=True)
    (album / "dog" / "@eaDir").mkdir()
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._IMG_0000.jpg"):
        (album / "cat" / name).write_bytes(b"x")
    scan = scan_photos(album)
    assert scan.listing.classes == ("cat", "dog") and len(scan.sizes) == 4
    assert load(album, size=8).classes == ("cat", "dog")


def test_a_card_of_the_owner_is_not_ours(album):
    (album / "card.json").write_text('{"title": "my photos"}')
    assert len(load(album, size=8)) == 4
    picture().save(album / "loose.jpg")
    with pytest.raises(UserError, match="images beside them"):
        listing(album)


def test_classes_that_lie_elsewhere_get_their_own_sentence(album, tmp_path):
    (tmp_path / "above").mkdir()
    for part in ("train", "val"):
        (tmp_path / "above" / part).mkdir()
        (album / ("cat" if part == "train" else "dog")).rename(
            tmp_path / "above" / part / "animals"
        )
    with pytest.raises(UserError, match="hold folders and no images; give one .*above/train"):
        scan_photos(tmp_path / "above", skip_bad=True)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "cat").symlink_to(tmp_path / "above" / "train")
    with pytest.raises(UserError, match="are symbolic links"):
        scan_photos(tmp_path / "linked")


def test_an_empty_class_can_be_left_out(album):
    (album / "bird").mkdir()
    with pytest.raises(UserError, match="bird has 0 readable images"):
        scan_photos(album)
    scan = scan_photos(album, (8,), skip_bad=True)
    assert scan.listing.classes == ("cat", "dog") and scan.images[8].y.tolist() == [0, 0, 1, 1]
    assert "bird has 0 readable" in scan.listing.problems[0]
    assert load(album, size=8, skip_bad=True).digest() == scan.images[8].digest()


def test_names_in_no_encoding_and_escapes_are_spelled_out(album):
    folder = os.fsencode(album / "cat")
    os.rename(folder, folder + b"\xe9\x1b[31m")
    (album / "dog" / "bad\x1b[2J.jpg").write_text("no image")
    with pytest.raises(UserError) as e:
        scan_photos(album)
    said = " ".join([str(e.value), *e.value.details])
    assert "bad\\x1b[2J.jpg" in said and said.isprintable()


# ── metadata ──


def exif_entry(tag, kind, value):
    """EXIF data of one tag, of whatever type."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHI", 1, tag, kind, 1) + value + bytes(4)


@pytest.mark.parametrize(
    "exif",
    [
        b"\xff" * 20,
        exif_entry(0x11A, 2, b"72\0\0"),  # resolution as text
        exif_entry(0x112, 2, b"6\0\0\0"),  # orientation as text
        exif_entry(0x128, 9, struct.pack("<i", -5)),
        exif_entry(0x100, 2, b"abc\0"),
    ],
)
def test_damaged_exif_costs_no_photo(tmp_path, exif):
    jpeg = io.BytesIO()
    picture().save(jpeg, "JPEG")
    (tmp_path / "plain.jpg").write_bytes(jpeg.getvalue())
    segment = b"\xff\xe1" + (len(exif) + 8).to_bytes(2, "big") + b"Exif\0\0" + exif
    (tmp_path / "x.jpg").write_bytes(jpeg.getvalue()[:2] + segment + jpeg.getvalue()[2:])
    got = read(tmp_path / "x.jpg")
    assert got.tobytes() == read(tmp_path / "plain.jpg").tobytes()
    write(np.asarray(got).transpose(2, 0, 1), got, tmp_path / "y.png", keep_metadata=True)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_metadata_of_other_formats_costs_no_photo(tmp_path):
    """Bytes of the EXIF data and the profile at random, by a fixed seed."""
    exif, draw = Image.Exif(), np.random.default_rng(0)
    exif[0x10F], exif[0x11A] = "Camera", 72.0
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for end in ("webp", "avif", "tif", "jpg"):
        picture().save(tmp_path / f"x.{end}", exif=exif, icc_profile=profile, quality=100)
        data, right = (tmp_path / f"x.{end}").read_bytes(), read(tmp_path / f"x.{end}")
        blobs = [b for b in (exif.tobytes()[6:], profile) if b[:40] in data]
        for _ in range(40):
            damaged = bytearray(data)
            for blob in blobs:
                at = data.index(blob[:40]) + draw.integers(0, min(len(blob), 60), 3)
                damaged[at[0]], damaged[at[1]], damaged[at[2]] = 255, 0, int(draw.integers(256))
            (tmp_path / f"y.{end}").write_bytes(damaged)
            assert read(tmp_path / f"y.{end}").tobytes() == right.tobytes()


def with_chunk(image, name, body, crc=0):
    file = io.BytesIO()
    image.save(file, "PNG")
    png = file.getvalue()
    check = (zlib.crc32(name + body) ^ crc).to_bytes(4, "big")
    return png[:33] + len(body).to_bytes(4, "big") + name + body + check + png[33:]


def test_damaged_chunks_cost_no_photo(tmp_path):
    long = zlib.compress(b"x" * 2_000_000)
    chunks = {
        "text": (b"zTXt", b"workflow\0\0" + long),
        "profile": (b"iCCP", b"big\0\0" + long),
        "raw": (b"tEXt", b"Raw profile type exif\0\nexif\n  20\nzz"),
        "gamma": (b"gAMA", b"?"),
    }
    for name, chunk in chunks.items():
        for crc in (0, 1):
            (tmp_path / "x.png").write_bytes(with_chunk(picture(), *chunk, crc))
            got = read(tmp_path / "x.png")
            assert got.tobytes() == picture().tobytes() and not got.info["icc_profile"], name
            assert got.info["lost"] == (name in ("profile", "raw") and not crc)


def test_orientation_and_profile_of_a_png_are_kept(tmp_path):
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "Camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture().save(tmp_path / "x.png", exif=exif, icc_profile=profile)
    got = read(tmp_path / "x.png")
    assert got.size == (16, 24) and got.info["icc_profile"] == profile and not got.info["lost"]
    assert b"Camera" in got.info["exif"]


def test_no_copy_of_the_image_stays_in_exif_data(tmp_path):
    copy = picture(3).tobytes()
    exif = Image.Exif()
    exif[0x10F], exif[0x935C], exif[0xC4A5] = "Camera", copy, copy
    exif.get_ifd(0x8769).update({0x927C: copy, 0x9003: "2026:01:01 00:00:00", 0x9286: copy})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0), 27: copy})
    picture().save(tmp_path / "x.jpg", exif=exif)
    got = read(tmp_path / "x.jpg")
    write(np.asarray(got).transpose(2, 0, 1), got, tmp_path / "y.png", keep_metadata=True)
    data = Image.open(tmp_path / "y.png").getexif()
    assert copy[:64] not in (tmp_path / "y.png").read_bytes() and data[0x10F] == "Camera"
    assert dict(data.get_ifd(0x8769)) == {0x9003: "2026:01:01 00:00:00"}
    assert set(data.get_ifd(0x8825)) == {1, 2} and not got.info["lost"]
    assert kept_exif(Image.Exif()) == (None, False)


# ── the meaning of pixels ──


def gray_profile(gamma):
    """A minimal ICC profile of gray with a gamma."""
    white = struct.pack(">iii", 63190, 65536, 54061)
    tags = {
        b"desc": b"desc\0\0\0\0" + (5).to_bytes(4, "big") + b"gray\0" + bytes(78 + 1),
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"kTRC": b"curv\0\0\0\0\0\0\0\1" + int(gamma * 256).to_bytes(2, "big") + bytes(2),
    }
    table, body = len(tags).to_bytes(4, "big"), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data
    head = struct.pack(">I", 128 + len(table) + len(body)) + bytes(4) + b"\2\x10\0\0mntrGRAYXYZ "
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\0") + table + body


def shown(light):
    """Light in 0..1 as a viewer that knows sRGB shows it, 0..255."""
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_gray_profiles_are_applied(tmp_path, gamma):
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    ramp.save(tmp_path / "x.png", icc_profile=gray_profile(gamma))
    got = read(tmp_path / "x.png")
    right = shown((np.arange(256) / 255) ** gamma).reshape(16, 16, 1)
    assert np.abs(np.asarray(got) - right).max() <= 1.5 and not got.info["icc_profile"]
    assert not got.info["lost"]


def test_gamma_and_chromaticities_of_a_png_are_applied(tmp_path):
    x = np.asarray(picture()) / 255
    (tmp_path / "x.png").write_bytes(with_chunk(picture(), b"gAMA", (100_000).to_bytes(4, "big")))
    assert np.abs(np.asarray(read(tmp_path / "x.png")) - shown(x)).max() <= 0.51
    # Display P3 by its chromaticities, and by its code in cICP: the matrix of CSS Color 4
    p3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    to_srgb = [[1.2249, -0.2247, 0], [-0.042, 1.0419, 0], [-0.0197, -0.0786, 1.0979]]
    right = shown((_decoded(x) @ np.array(to_srgb).T).clip(0, 1))
    chunks = [(b"cHRM", struct.pack(">8I", *p3)), (b"cICP", bytes((12, 13, 0, 1)))]
    for chunk in chunks:
        (tmp_path / "x.png").write_bytes(with_chunk(picture(), *chunk))
        assert np.abs(np.asarray(read(tmp_path / "x.png")) - right).max() <= 1
    (tmp_path / "x.png").write_bytes(with_chunk(picture(), b"cICP", bytes((9, 16, 0, 1))))
    with pytest.raises(UserError, match="HDR"):
        read(tmp_path / "x.png")


def test_the_usual_gamma_changes_nothing(tmp_path):
    (tmp_path / "x.png").write_bytes(with_chunk(picture(), b"gAMA", (45_455).to_bytes(4, "big")))
    assert read(tmp_path / "x.png").tobytes() == picture().tobytes()
    assert Space.of_png(None, None) == Space() == Space.of_code(1, 13)


def test_more_than_8_bits_are_found_whatever_the_decoder(tmp_path):
    deep = {"x.ppm": b"P6 2 2 1023 " + bytes(24), "p.ppm": b"P3 1 1 65535 1 2 3 "}
    for name, data in deep.items():
        (tmp_path / name).write_bytes(data)
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(tmp_path / "x.jp2")
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(tmp_path / "x.tif")
    picture().save(tmp_path / "color.jp2")
    jp2 = (tmp_path / "color.jp2").read_bytes()
    at = jp2.index(b"\xff\x4f\xff\x51") + 4 + 38
    (tmp_path / "color.jp2").write_bytes(jp2[:at] + b"\x0b" + jp2[at + 1 :])  # 12 bits of red
    for path in tmp_path.iterdir():
        with pytest.raises(UserError, match="8 bits per channel"):
            read(path)
    picture().save(tmp_path / "x.avif")
    with Image.open(tmp_path / "x.avif") as image:
        avif = bytearray((tmp_path / "x.avif").read_bytes())
        avif[avif.index(b"av1C") + 6] |= 64  # Pillow cannot write a real one
        (tmp_path / "deep.avif").write_bytes(avif)
        assert decoding._bits(image, decoding._File(tmp_path / "deep.avif")) == 10
        assert decoding._bits(image, decoding._File(tmp_path / "x.avif")) == 8


def test_pages_are_not_an_animation(tmp_path):
    options = {"save_all": True, "append_images": [picture(1, (12, 8))]}
    picture().save(tmp_path / "preview.tif", **options)
    assert read(tmp_path / "preview.tif").tobytes() == picture().tobytes()
    picture().save(tmp_path / "pages.tif", **options | {"append_images": [picture(1)]})
    with pytest.raises(UserError, match="has 2 pages"):
        read(tmp_path / "pages.tif")


# ── bombs ──


def test_no_other_program_reads_an_image(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(UserError, match="cannot be read as an image"):
        read(tmp_path / "x.jpg")
    assert not {"EPS", "WMF", "MPEG", "GRIB", "HDF5", "BUFR"} & set(FORMATS)


def test_what_does_not_fit_the_memory_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    picture().save(tmp_path / "x.png")
    less = 24 * 16 * decoding.BYTES_PER_PIXEL - 1
    monkeypatch.setattr(decoding, "memory_of_machine", lambda: less)
    with pytest.raises(UserError, match="24 x 16 pixels, which takes .* of memory"):
        read(tmp_path / "x.png")
    assert decoding.MOST_PIXELS > 16320 * 12240  # what phones write


def test_threads_share_a_bound_of_pixels(monkeypatch):
    monkeypatch.setattr(threads, "ROOM", 10)
    monkeypatch.setattr(threads, "THREADS", 4)
    lock, at_work, most = threading.Lock(), [0], [0]

    def work(n):
        threads.claim(n)
        threads.claim(n)  # of what was written: counts once
        with lock:
            at_work[0] += n
            most[0] = max(most[0], at_work[0])
        threading.Event().wait(0.002)
        with lock:
            at_work[0] -= n
        return n

    sizes = [6, 6, 4, 25, 3, 3, 3, 3] * 3
    assert threads.in_threads(work, sizes, "") == sizes
    assert most == [25] and threads._taken == [0]  # 25 only because it was alone
    most[0] = 0
    threads.in_threads(work, [6, 4, 3, 5] * 6, "")
    assert most[0] <= 10
