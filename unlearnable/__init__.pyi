"""The public names, once: ``__init__.py`` imports each from here when it is first used."""

from .core.errors import UserError as UserError
from .core.version import __version__ as __version__
from .data.images import Images as Images
from .data.load import load as load
from .data.sources import DATA as DATA
from .data.subsets import mix_in_clean as mix_in_clean
from .data.visibility import ssim as ssim
from .data.visibility import visibility as visibility
from .evaluation.audit import Audit as Audit
from .evaluation.audit import audit as audit
from .evaluation.certify import certify as certify
from .evaluation.countermeasures import (
    COUNTERMEASURES as COUNTERMEASURES,
)
from .evaluation.countermeasures import (
    apply_countermeasure as apply_countermeasure,
)
from .evaluation.denoiser import (
    Denoiser as Denoiser,
)
from .evaluation.denoiser import (
    denoised as denoised,
)
from .evaluation.denoiser import (
    train_denoiser as train_denoiser,
)
from .evaluation.suites import SUITES as SUITES
from .evaluation.verify import Verified as Verified
from .evaluation.verify import verify as verify
from .models import MODELS as MODELS
from .models import build as build
from .protection.methods import (
    AR as AR,
)
from .protection.methods import (
    ASR as ASR,
)
from .protection.methods import (
    AUE as AUE,
)
from .protection.methods import (
    CUDA as CUDA,
)
from .protection.methods import (
    EM as EM,
)
from .protection.methods import (
    HYPO as HYPO,
)
from .protection.methods import (
    LSP as LSP,
)
from .protection.methods import (
    METHODS as METHODS,
)
from .protection.methods import (
    MIUE as MIUE,
)
from .protection.methods import (
    NTGA as NTGA,
)
from .protection.methods import (
    OPS as OPS,
)
from .protection.methods import (
    PIL as PIL,
)
from .protection.methods import (
    PUE as PUE,
)
from .protection.methods import (
    REM as REM,
)
from .protection.methods import (
    SEM as SEM,
)
from .protection.methods import (
    TAP as TAP,
)
from .protection.methods import (
    Context as Context,
)
from .protection.methods import (
    EntF as EntF,
)
from .protection.methods import (
    Imported as Imported,
)
from .protection.methods import (
    Method as Method,
)
from .protection.methods import (
    Noise as Noise,
)
from .protection.methods import (
    Uniform as Uniform,
)
from .protection.methods import (
    UnlearnableClusters as UnlearnableClusters,
)
from .protection.photos import protect_photos as protect_photos
from .protection.protect import Protected as Protected
from .protection.protect import protect as protect
from .reports.leaderboard import leaderboard as leaderboard
from .reports.photo_page import report as report
from .training.accuracy import accuracy as accuracy
from .training.augment import FlipCrop as FlipCrop
from .training.augment import ResizedCrop as ResizedCrop
from .training.augmentations import AUGMENTATIONS as AUGMENTATIONS
from .training.frozen import Frozen as Frozen
from .training.learn import Learned as Learned
from .training.learn import learn as learn
from .training.pgd import (
    adversary as adversary,
)
from .training.pgd import (
    pgd as pgd,
)
from .training.pgd import (
    uniform_perturbation as uniform_perturbation,
)
from .training.recipe import Recipe as Recipe
