"""How fast the inner loops are, against a plain restatement of them and against the machine's
matrix product.

The restatement is what a research program does at first: float32, contiguous images, batch norm as
it is, the transformation T in a Python loop over images, one draw at a time. Same model, same
batch, same machine, the two alternating in one run; a ratio is taken within each round, and the
median and range of the rounds are printed.

A pass is one image forward and backward through the model. Run it on a quiet machine:

    python benchmarks/speed.py                 # convnet and resnet18, about 10 minutes on 2 cores
    python benchmarks/speed.py --models convnet --rounds 3 --record benchmarks/records/mine.json
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable import Frozen, adversary, build, pgd
from unlearnable.core.device import pick_device
from unlearnable.core.files import write_json
from unlearnable.core.provenance import provenance
from unlearnable.core.seeding import generator
from unlearnable.training.augment import FlipCrop
from unlearnable.training.pgd import total_loss, uniform
from unlearnable.training.precision import use_bfloat16
from unlearnable.training.trainer import Trainer

ADV = {"eps": 4 / 255, "step": 0.8 / 255}
NOISE = {"eps": 8 / 255, "step": 1.6 / 255}
T = FlipCrop()


@dataclass
class Case:
    """A model with a batch of images, and how many steps the inner loops take."""

    model: nn.Module
    x: Tensor
    y: Tensor
    draws: int
    steps: int


# ── the plain restatement ──


def plain_t(x: Tensor) -> Tensor:
    """T, image by image."""
    out = []
    for image in x:
        if torch.rand(()) < 0.5:
            image = image.flip(-1)
        top, left = torch.randint(0, 9, (2,)).tolist()
        out.append(F.pad(image, (4, 4, 4, 4))[:, top : top + 32, left : left + 32])
    return torch.stack(out)


def plain_pgd(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> Tensor:
    """PGD ascent from a random start, gradients of the parameters switched off."""
    model.eval()
    for p in model.parameters():
        p.requires_grad = False
    z = (x + torch.empty_like(x).uniform_(-ADV["eps"], ADV["eps"])).clamp(0, 1)
    for _ in range(steps):
        z.requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(z), y), z)
        z = torch.min(
            torch.max(z.detach() + ADV["step"] * gradient.sign(), x - ADV["eps"]), x + ADV["eps"]
        ).clamp(0, 1)
    for p in model.parameters():
        p.requires_grad = True
    model.train()
    return z.detach()


def plain_noise(case: Case) -> Tensor:
    """One visit of REM: ``steps`` noise steps, each over ``draws`` draws of T, each met by its own
    adversary."""
    u = torch.zeros_like(case.x)
    for _ in range(case.steps):
        u.requires_grad_()
        gradient = torch.zeros_like(u)
        for _ in range(case.draws):
            z = plain_t((case.x + u).clamp(0, 1))
            a = plain_pgd(case.model, z.detach(), case.y, case.steps) - z.detach()
            case.model.eval()
            (part,) = torch.autograd.grad(F.cross_entropy(case.model(z + a), case.y), u)
            case.model.train()
            gradient += part
        u = (u.detach() - NOISE["step"] * gradient.sign()).clamp(-NOISE["eps"], NOISE["eps"])
    return u


def plain_step(case: Case, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
    case.model.train()
    optimizer.zero_grad()
    F.cross_entropy(case.model(x), case.y).backward()
    optimizer.step()


# ── the pieces that are timed ──


def noise(frozen: Frozen, case: Case, g: torch.Generator) -> Tensor:
    """The same visit as ``plain_noise``, as ``min_min`` does it."""
    y = case.y.repeat(case.draws)

    def loss(u: Tensor) -> Tensor:
        z = T((case.x + u).clamp(0, 1).repeat(case.draws, 1, 1, 1), g)
        a = adversary(frozen, z.detach(), y, g, steps=case.steps, **ADV)
        return total_loss(frozen, z + a, y)

    start = uniform(case.x, NOISE["eps"], g)
    return pgd(
        loss,
        torch.zeros_like(case.x),
        steps=case.steps,
        minimize=True,
        start=start,
        valid=False,
        **NOISE,
    )


Pieces = dict[str, tuple[int, int, Callable[[], object], Callable[[], object]]]


def pieces(case: Case, trainer: Trainer) -> Pieces:
    """name -> (passes per image down to the pixels, those that also train the weights, ours, the
    restatement)."""
    g = generator(case.x.device, 0)
    sgd = torch.optim.SGD(case.model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    frozen, k = trainer.frozen, case.steps

    def attacked(x: Tensor) -> Tensor:
        return x + adversary(frozen, x, case.y, g, steps=k, **ADV)

    def step(x: Tensor, refresh: bool) -> None:
        trainer.step(x, case.y, 1e-4, refresh=refresh)

    def rem_step() -> None:
        u = noise(frozen, case, g)
        step(attacked(T((case.x + u).clamp(0, 1), g)), True)

    def plain_rem_step() -> None:
        x = plain_t((case.x + plain_noise(case)).clamp(0, 1))
        plain_step(case, sgd, plain_pgd(case.model, x, case.y, k))

    visit = case.draws * k * (k + 1)
    return {
        "adversary": (
            k,
            0,
            lambda: attacked(case.x),
            lambda: plain_pgd(case.model, case.x, case.y, k),
        ),
        "noise step": (visit, 0, lambda: noise(frozen, case, g), lambda: plain_noise(case)),
        "REM step": (visit + k, 1, rem_step, plain_rem_step),
        "AT step": (
            k,
            1,
            lambda: step(attacked(T(case.x, g)), True),
            lambda: plain_step(case, sgd, plain_pgd(case.model, plain_t(case.x), case.y, k)),
        ),
        "ordinary step": (
            0,
            1,
            lambda: step(T(case.x, g), False),
            lambda: plain_step(case, sgd, plain_t(case.x)),
        ),
    }


def seconds(run: Callable[[], object], device: torch.device, least: float = 0.5) -> float:
    """Of one call: the mean over as many as fill ``least`` seconds."""
    calls, begin = 0, time.perf_counter()
    while True:
        run()
        calls += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
        if (spent := time.perf_counter() - begin) > least:
            return spent / calls


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a matrix product of 2048 x 2048, the best of five."""
    a, b = (torch.randn(2048, 2048, device=device, dtype=dtype) for _ in range(2))
    return 2 * 2048**3 / min(seconds(lambda: a @ b, device, 0.2) for _ in range(5))


def forward_flops(model: nn.Module, x: Tensor) -> float:
    """Floating-point operations of one image forward, counted by torch in convolutions and matrix
    products. A pass down to the pixels is twice this, one that trains the weights three times."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as countermeasure, torch.no_grad():
        model.eval()(x[:2])
    return countermeasure.get_total_flops() / 2


def measure(name: str, args: argparse.Namespace, device: torch.device) -> list[dict]:
    x = torch.rand(args.batch, 3, 32, 32, generator=generator("cpu", 1)).to(device)
    y = (torch.arange(args.batch) % 10).to(device)
    bfloat16 = use_bfloat16("auto", device)
    ours = build(name, 10, size=32, seed=1).to(device)
    theirs = build(name, 10, size=32, seed=1).to(device)
    case = Case(theirs, x, y, args.draws, args.steps)
    trainer = Trainer(ours, lr=1e-4, momentum=0.9, weight_decay=5e-4, bfloat16=bfloat16)
    flops = forward_flops(build(name, 10, size=32).to(device), x)
    peak = matrix_peak(device, torch.bfloat16 if bfloat16 else torch.float32)
    lines = []
    for piece, (inner, train, run, plain) in pieces(case, trainer).items():
        seconds(run, device, 0.0), seconds(plain, device, 0.0)  # the first call sets up
        rounds = [(seconds(run, device), seconds(plain, device)) for _ in range(args.rounds)]
        ratios = sorted(b / a for a, b in rounds)
        passes = inner + train
        rate = args.batch * passes / statistics.median(a for a, _ in rounds)
        lines.append(
            {
                "model": name,
                "piece": piece,
                "passes_per_second": round(rate, 1),
                "plain_passes_per_second": round(
                    args.batch * passes / statistics.median(b for _, b in rounds), 1
                ),
                "ratio": round(statistics.median(ratios), 2),
                "ratio_range": [round(ratios[0], 2), round(ratios[-1], 2)],
                "share_of_matrix_peak": round(
                    rate * flops * (2 * inner + 3 * train) / passes / peak, 3
                ),
                "bfloat16": bfloat16,
            }
        )
        show(lines[-1])
    return lines


def show(line: dict) -> None:
    low, high = line["ratio_range"]
    print(
        f"{line['model']:10} {line['piece']:14} {line['passes_per_second']:10.0f} passes/s "
        f"{line['plain_passes_per_second']:10.0f} plain {line['ratio']:6.2f}x "
        f"({low:.2f}-{high:.2f}) "
        f"{100 * line['share_of_matrix_peak']:5.0f} % of the matrix peak",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="*", default=["convnet", "resnet18"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--draws", type=int, default=2, help="draws of T a noise step")
    parser.add_argument(
        "--steps", type=int, default=2, help="steps of the noise and of the adversary"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--record", type=Path, help="write the figures to this JSON file")
    args = parser.parse_args()
    device = pick_device(args.device)
    lines = [line for name in args.models for line in measure(name, args, device)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated() / 2**30
    print(f"peak memory {memory:.2f} GiB")
    if args.record:
        settings = {k: getattr(args, k) for k in ("batch", "draws", "steps", "rounds")}
        write_json(
            args.record,
            {"settings": settings, "memory_gib": round(memory, 2), "lines": lines}
            | provenance(device),
        )
        print(json.dumps(settings), args.record)


if __name__ == "__main__":
    main()
