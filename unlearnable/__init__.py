"""unlearnable: publish images that models cannot learn from, and prove it.

from unlearnable import REM, Recipe, learn, load, protect

protect(load("shapes"), REM.preset("short"), "protected/rem")
learn(load("protected/rem"), Recipe.preset("short", adv_eps=2), test=load("shapes", split="test"))
"""

from unlearnable.core.errors import UserError
from unlearnable.data.images import Images
from unlearnable.data.load import DATA, load
from unlearnable.data.subsets import mix_in_clean
from unlearnable.data.visibility import ssim, visibility
from unlearnable.evaluation.audit import Audit, audit
from unlearnable.evaluation.certify import certify
from unlearnable.evaluation.countermeasures import COUNTERMEASURES, apply_countermeasure
from unlearnable.evaluation.denoiser import Denoiser, denoised, train_denoiser
from unlearnable.evaluation.suites import SUITES
from unlearnable.evaluation.verify import Verified, verify
from unlearnable.models import MODELS, build
from unlearnable.protection.methods import (
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
    Context,
    EntF,
    Imported,
    Method,
    Noise,
    Uniform,
    UnlearnableClusters,
)
from unlearnable.protection.photos import protect_photos
from unlearnable.protection.protect import Protected, protect
from unlearnable.reports.leaderboard import leaderboard
from unlearnable.reports.photo_page import report
from unlearnable.training.accuracy import accuracy
from unlearnable.training.augment import AUGMENTATIONS, FlipCrop, ResizedCrop
from unlearnable.training.frozen import Frozen
from unlearnable.training.learn import Learned, learn
from unlearnable.training.pgd import adversary, pgd, uniform_perturbation
from unlearnable.training.recipe import Recipe

__all__ = [
    "AR",
    "ASR",
    "AUE",
    "AUGMENTATIONS",
    "Audit",
    "COUNTERMEASURES",
    "CUDA",
    "Context",
    "DATA",
    "Denoiser",
    "EM",
    "EntF",
    "FlipCrop",
    "Frozen",
    "HYPO",
    "Images",
    "Imported",
    "LSP",
    "Learned",
    "METHODS",
    "MIUE",
    "MODELS",
    "Method",
    "NTGA",
    "Noise",
    "OPS",
    "PIL",
    "PUE",
    "Protected",
    "REM",
    "Recipe",
    "ResizedCrop",
    "SEM",
    "SUITES",
    "TAP",
    "Uniform",
    "UnlearnableClusters",
    "UserError",
    "Verified",
    "accuracy",
    "adversary",
    "audit",
    "build",
    "certify",
    "apply_countermeasure",
    "denoised",
    "leaderboard",
    "learn",
    "load",
    "mix_in_clean",
    "pgd",
    "protect",
    "protect_photos",
    "report",
    "ssim",
    "train_denoiser",
    "uniform_perturbation",
    "verify",
    "visibility",
]
