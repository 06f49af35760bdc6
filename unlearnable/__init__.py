"""unlearnable: publish pictures that models cannot learn from, and prove it.

from unlearnable import REM, Recipe, learn, load, protect

protect(load("shapes"), REM.preset("short"), "protected/rem")
learn(load("protected/rem"), Recipe.preset("short", adv_eps=2), test=load("shapes", split="test"))
"""

from .audit import SUITES, Audit, audit
from .augment import FlipCrop, ResizedCrop
from .certify import certify
from .counter import COUNTERS, counter, dilute
from .data import DATA, Images, load
from .denoise import Denoiser, denoised, train_denoiser
from .errors import UserError
from .leaderboard import leaderboard
from .learn import Learned, Recipe, learn
from .measure import accuracy, ssim, visibility
from .methods import (
    AR,
    ASR,
    AUE,
    CUDA,
    EM,
    HYPO,
    LSP,
    METHODS,
    MIUE,
    NTGA,
    OPS,
    PIL,
    PUE,
    REM,
    SEM,
    TAP,
    Crafted,
    EntF,
    Imported,
    Method,
    Run,
    Uniform,
    UnlearnableClusters,
)
from .models import MODELS, build
from .pgd import Frozen, adversary, jitter, pgd
from .photos import protect_photos
from .protect import Protected, protect
from .report import report
from .strong_augment import STRONG
from .verify import Verified, verify

__all__ = [
    "AR",
    "ASR",
    "AUE",
    "COUNTERS",
    "CUDA",
    "DATA",
    "EM",
    "HYPO",
    "LSP",
    "METHODS",
    "MIUE",
    "MODELS",
    "NTGA",
    "OPS",
    "PIL",
    "PUE",
    "REM",
    "SEM",
    "STRONG",
    "SUITES",
    "TAP",
    "Audit",
    "Crafted",
    "Denoiser",
    "EntF",
    "FlipCrop",
    "Frozen",
    "Images",
    "Imported",
    "Learned",
    "Method",
    "Protected",
    "Recipe",
    "ResizedCrop",
    "Run",
    "Uniform",
    "UnlearnableClusters",
    "UserError",
    "Verified",
    "accuracy",
    "adversary",
    "audit",
    "build",
    "certify",
    "counter",
    "denoised",
    "dilute",
    "jitter",
    "leaderboard",
    "learn",
    "load",
    "pgd",
    "protect",
    "protect_photos",
    "report",
    "ssim",
    "train_denoiser",
    "verify",
    "visibility",
]
