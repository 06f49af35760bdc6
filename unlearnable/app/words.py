"""What the page says, in a photographer's words."""

from unlearnable.app.messages import Level, Tried, VerdictWord

TITLE = "Protect your photos"
LEAD = (
    "Adds noise to copies of your photos, so that a model trained on them from scratch learns "
    "little. Everything happens on this computer: nothing is sent anywhere, and your own folder "
    "is never written to."
)
SORTED = (
    "The folder needs one sub-folder for each thing that a model would tell apart: each person, "
    "each product, each series. A few dozen photos in each are enough for a first look."
)
COPIES = (
    "Or drop a folder here. A browser hands over copies only: they go into {into}, and it is those "
    "that are protected."
)

LEVELS: dict[Level, tuple[str, str]] = {
    "light": ("Light", "Hardest to see. Where we measured it, it did not protect."),
    "normal": (
        "Normal",
        "Stains smooth areas such as sky and skin. Where we measured it, it held back small models "
        "that are trained from scratch.",
    ),
    "strong": ("Strong", "Plain to see. What it protects was not measured."),
}
UNFINISHED = (
    "This noise is nearly as strong as it will be, but unfinished: it was made in a few training "
    "steps, and the pattern will differ."
)

HOLDS_BACK = (
    "A small model trained from scratch, where nearly all photos are protected. On 480 photos of "
    "six kinds of waste it recognized 19 of 100 new photos instead of 64; guessing gets 17."
)
NOT_STOPPED = (
    (
        "Image generators.",
        "Whether trained on your work or told to imitate it: this was never measured.",
    ),
    (
        "Models that were trained elsewhere before,",
        "which is how most people start: one whose last layer alone learned anew recognized 79 of "
        "100 after protected photos, 86 after clean ones.",
    ),
    (
        "Models trained on black-and-white copies.",
        "They recognized 47 of 100, and 49 after clean photos.",
    ),
    (
        "Sites that change photos.",
        "Saving as JPEG did little where we tried it; other changes may do more.",
    ),
    (
        "Someone who knows about it",
        "and cleans the photos first, for which an average over each sub-folder is enough, and "
        "whatever has been published without it already.",
    ),
)

MEASURED = (
    "Test models are trained on your clean and on your protected photos, and asked to name clean "
    "photos that they have not seen. Where they say that it does not protect, believe it."
)
VERDICTS: dict[VerdictWord, str] = {
    "protected": "Protected",
    "not protected": "Not protected",
    "no verdict": "No verdict",
}
_LEARNERS = (  # how the name of a learner begins, and who that is
    ("ordinary training", "someone who trains a model the ordinary way"),
    ("adversarial", "someone who trains it to withstand noise (adversarial training)"),
    ("training after grayscale", "someone who trains on black-and-white copies"),
    ("training after white balance", "someone who evens out the colors first"),
    ("frozen", "someone who starts from a network trained on a million other photos"),
)


def who(learner: str) -> str:
    """A learner of ``verify`` as a person."""
    return next((said for begins, said in _LEARNERS if learner.startswith(begins)), learner)


def sentence(text: str) -> str:
    """``text`` with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def named(row: Tried, chance: float) -> str:
    """What a learner reached, in photos."""
    return (
        f"Of 100 new photos it recognizes {row.protected:.0f} after training on the protected "
        f"photos, {row.clean:.0f} after the clean ones. Guessing gets {chance:.0f}."
    )


def duration(seconds: float) -> str:
    """Seconds as one says them: about 4 minutes."""
    if seconds < 50:
        tens = max(1, round(seconds / 10)) * 10
        return f"about {tens} seconds"
    if seconds < 5400:
        minutes = max(1, round(seconds / 60))
        return f"about {minutes} minute{'s' * (minutes > 1)}"
    return f"about {seconds / 3600:.1f} hours"


def photos(count: int) -> str:
    return f"{count} photo{'s' * (count != 1)}"
