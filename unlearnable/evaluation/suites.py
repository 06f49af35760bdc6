"""The learners that an audit tries, in suites."""

from dataclasses import dataclass

from unlearnable.core.errors import UserError

VERSION = 2  # of the suites: results of different versions never share a table


@dataclass(frozen=True)
class Learner:
    """One countermeasure. recipe: what it changes in the learner's recipe, as (field, value); counter: a line of
    ``COUNTERS``, done to the training images and, where ``test`` is set, to the test images too; leaked: the share
    of the images that the learner also has clean, to train a denoiser on."""

    name: str
    recipe: tuple[tuple[str, str | float], ...] = ()
    counter: str | None = None
    test: bool = False
    leaked: float = 0.0


def _recipe(name: str, **changes: str | float) -> Learner:
    return Learner(name, tuple(changes.items()))


_QUICK = (
    Learner("ordinary training"),
    _recipe("adversarial 2/255", adv_eps=2.0),
    Learner("JPEG 10", counter="jpeg10"),
)


_STANDARD = (
    *_QUICK,
    _recipe("adversarial 4/255", adv_eps=4.0),
    _recipe("adversarial 8/255", adv_eps=8.0),
    Learner("grayscale", counter="gray"),
    Learner("2 bits", counter="bits2"),
    Learner("mean 3x3", counter="mean3"),
    Learner("Gaussian 3x3", counter="gaussian3"),
    Learner("median 3x3", counter="median3"),
    Learner("bilateral", counter="bilateral"),
    Learner("orthogonal projection", counter="projection"),
    Learner("COIN", counter="coin"),
    _recipe("Cutout", strong="cutout"),
    _recipe("Mixup", strong="mixup"),
    _recipe("CutMix", strong="cutmix"),
)


_FULL = (
    *_STANDARD,
    _recipe("adversarial 1/255", adv_eps=1.0),
    _recipe("adversarial 6/255", adv_eps=6.0),
    _recipe("adversarial L2 0.25", adv_l2=0.25),
    _recipe("adversarial L2 0.5", adv_l2=0.5),
    _recipe("adversarial L2 0.75", adv_l2=0.75),
    Learner("JPEG 30", counter="jpeg30"),
    Learner("JPEG 50", counter="jpeg50"),
    Learner("grayscale, also tested", counter="gray", test=True),
    _recipe("grayscale jitter", strong="gray"),
    _recipe("Gaussian noise", strong="noise"),
    _recipe("RandAugment", strong="randaugment"),
    _recipe("UEraser", strong="ueraser"),
    _recipe("UEraser-max", strong="ueraser-max"),
    Learner("denoiser from a tenth leaked", leaked=0.1),
)


SUITES: dict[str, tuple[Learner, ...]] = {"quick": _QUICK, "standard": _STANDARD, "full": _FULL}


def find_suite(suite: str) -> tuple[Learner, ...]:
    if suite not in SUITES:
        raise UserError(f"There is no suite '{suite}'; the suites are {', '.join(SUITES)}.")
    return SUITES[suite]
