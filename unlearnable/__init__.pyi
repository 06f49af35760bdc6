"""The public names, once: ``__init__.py`` imports each from here when it is first used."""

from .core.callbacks import (
    Callback as Callback,
    JsonLines as JsonLines,
    TensorBoard as TensorBoard,
    WeightsAndBiases as WeightsAndBiases,
)
from .core.errors import UserError as UserError
from .core.version import __version__ as __version__
from .data.card import Card as Card
from .data.convert import as_images as as_images
from .data.images import Images as Images
from .data.load import load as load
from .data.sources import DATA as DATA
from .data.subsets import mix_in_clean as mix_in_clean
from .data.torch_dataset import TorchDataset as TorchDataset
from .data.visibility import ssim as ssim, visibility as visibility
from .evaluation.audit import audit as audit
from .evaluation.certify import certify as certify
from .evaluation.countermeasures import (
    COUNTERMEASURES as COUNTERMEASURES,
    apply_countermeasure as apply_countermeasure,
)
from .evaluation.denoiser import (
    Denoiser as Denoiser,
    denoised as denoised,
    train_denoiser as train_denoiser,
)
from .evaluation.learners import Learner as Learner
from .evaluation.results import Audit as Audit, Verified as Verified
from .evaluation.suites import SUITES as SUITES
from .evaluation.verify import verify as verify
from .models import MODELS as MODELS, build as build
from .protection.methods import (
    AR as AR,
    ASR as ASR,
    AUE as AUE,
    CUDA as CUDA,
    EM as EM,
    HYPO as HYPO,
    LSP as LSP,
    METHODS as METHODS,
    MIUE as MIUE,
    NTGA as NTGA,
    OPS as OPS,
    PIL as PIL,
    PUE as PUE,
    REM as REM,
    SEM as SEM,
    TAP as TAP,
    ClassSwap as ClassSwap,
    ClassUAP as ClassUAP,
    Context as Context,
    EntF as EntF,
    Gratings as Gratings,
    Imported as Imported,
    Method as Method,
    Noise as Noise,
    NoiseNet as NoiseNet,
    Uniform as Uniform,
    UnlearnableClusters as UnlearnableClusters,
)
from .protection.methods.from_generator import Generated as Generated
from .protection.methods.shared import Shared as Shared
from .protection.photos import protect_photos as protect_photos
from .protection.protect import Protected as Protected, protect as protect
from .protection.share import share as share
from .reports.leaderboard import leaderboard as leaderboard
from .reports.photo_page import report as report
from .training.accuracy import accuracy as accuracy
from .training.augment import FlipCrop as FlipCrop, ResizedCrop as ResizedCrop
from .training.augmentations import AUGMENTATIONS as AUGMENTATIONS
from .training.frozen import Frozen as Frozen
from .training.learn import Learned as Learned, learn as learn
from .training.pgd import (
    adversary as adversary,
    pgd as pgd,
    uniform_perturbation as uniform_perturbation,
)
from .training.recipe import Recipe as Recipe
