"""The suites of learners that audits try."""

from unlearnable.core.errors import UserError, unknown
from unlearnable.evaluation.learners import Learner, pretrained
from unlearnable.training.recipe import Recipe

VERSION = 8  # of the suites: results of different versions never share a table


def _recipe(name: str, **changes: str | float) -> Learner:
    return Learner(name, tuple(changes.items()))


# PGD whatever the recipe's own attack is
def _pgd(radius: float) -> Learner:
    return _recipe(f"adversarial {radius:g}/255", attack="pgd", adv_eps=radius)


def _l2(radius: float) -> Learner:
    return _recipe(f"adversarial L2 {radius:g}", attack="pgd", adv_l2=radius)


_QUICK = (
    Learner("ordinary training"),
    _pgd(2.0),
    Learner("JPEG 10", countermeasure="jpeg10"),
)


_QUALITIES = (90, 70, 50, 30, 10)
_SITE = Learner("what a site does", countermeasure="site")
_CLASS_MEANS = Learner("class means taken out", countermeasure="class-means")
_COLORS = (
    # test images too: a network that learned from balanced images fails on others as they are
    Learner("white balance", countermeasure="white-balance", countermeasure_test=True),
    _recipe("channel offsets", augmentation="channel-offsets"),
    _recipe("color jitter", augmentation="color-jitter"),
)
_N_FGSM = tuple(
    _recipe(f"N-FGSM {radius:g}/255", attack="n-fgsm", adv_eps=radius) for radius in (4.0, 8.0)
)


_STANDARD = (
    *_QUICK,
    _pgd(4.0),
    _pgd(8.0),
    Learner("grayscale", countermeasure="gray"),
    Learner("2 bits, cut off", countermeasure="posterize2"),
    Learner("mean 3x3", countermeasure="mean3"),
    Learner("Gaussian 3x3", countermeasure="gaussian3"),
    Learner("median 3x3", countermeasure="median3"),
    Learner("bilateral", countermeasure="bilateral"),
    Learner("orthogonal projection", countermeasure="projection"),
    _recipe("COIN", augmentation="coin"),
    _recipe("Cutout", augmentation="cutout"),
    _recipe("Mixup", augmentation="mixup"),
    _recipe("CutMix", augmentation="cutmix"),
)


_FULL = (
    *_STANDARD,
    _pgd(1.0),
    _pgd(6.0),
    _l2(0.25),
    _l2(0.5),
    _l2(0.75),
    Learner("2 bits, rounded", countermeasure="bits2"),
    Learner("JPEG 30", countermeasure="jpeg30"),
    Learner("JPEG 50", countermeasure="jpeg50"),
    Learner("grayscale, also tested", countermeasure="gray", countermeasure_test=True),
    _recipe("grayscale jitter", augmentation="gray"),
    _recipe("Gaussian noise", augmentation="noise"),
    _recipe("RandAugment", augmentation="randaugment"),
    _recipe("UEraser", augmentation="ueraser"),
    _recipe("UEraser-max", augmentation="ueraser-max"),
    Learner("denoiser from a tenth leaked", leaked=0.1),
    *_N_FGSM,
    *_COLORS,
    Learner("JPEG 70", countermeasure="jpeg70"),
    Learner("JPEG 90", countermeasure="jpeg90"),
    _SITE,
    _CLASS_MEANS,
)


# What an attacker does who knows the method. Apart from the others, because they run the protection
# again and train networks before the learner's own.
_ADAPTIVE = (
    Learner("ordinary training"),
    *_N_FGSM,
    *(Learner(f"JPEG {quality}", countermeasure=f"jpeg{quality}") for quality in _QUALITIES),
    _SITE,
    *_COLORS,
    _CLASS_MEANS,
    _recipe("UEraser-max", augmentation="ueraser-max"),
    Learner("D-VAE", countermeasure="d-vae"),
    Learner("purifier from 500 pairs", own_pairs=500),
    Learner("purifier from 4,000 pairs", own_pairs=4000),
)


# Apart from the others, because it needs weights that are installed apart. Each has its own recipe.
_PRETRAINED = (
    Learner("ordinary training"),
    pretrained("frozen", "mobilenet-v2-imagenet"),
    pretrained("frozen", "efficientnet-lite0-imagenet"),
    pretrained("fine-tuned", "mobilenet-v2-imagenet"),
)


SUITES: dict[str, tuple[Learner, ...]] = {
    "quick": _QUICK,
    "standard": _STANDARD,
    "full": _FULL,
    "pretrained": _PRETRAINED,
    "adaptive": _ADAPTIVE,
}


WITH_DETECTOR = ("adaptive",)
"""suites that also ask how well protected images can be told from clean ones"""


def check_recipe(suite: str, recipe: Recipe) -> None:
    """Raise UserError for settings of the learners that ``suite`` sets itself, or cannot set."""
    if recipe.adversarial or recipe.augmentation:
        raise UserError(
            "The suite chooses adversarial training and augmentation; leave adv_eps, adv_l2 and "
            "augmentation out."
        )
    if recipe.protocol == "frozen" and suite != "pretrained":
        raise UserError(
            f"The suite {suite} trains adversarially, which a frozen network does not; choose the "
            "suite pretrained, or another preset."
        )


def find_suite(suite: str) -> tuple[Learner, ...]:
    """Return the learners of ``suite``. Raises UserError where there is no such suite."""
    if suite not in SUITES:
        raise unknown("suite", suite, SUITES)
    return SUITES[suite]
