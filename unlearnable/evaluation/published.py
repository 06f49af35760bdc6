"""Figures that others printed: accuracy on clean test images, in %. Those of Fu et al. (2022) are
the paper's. Every figure here was read in a source; one that nobody here has read has no place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A printed figure.

    value: the paper's own, if any. others: what further groups measured for the same thing."""

    value: float | None = None
    others: tuple[float, ...] = ()

    def __str__(self) -> str:
        words = [f"{self.value:g}"] if self.value is not None else []
        if self.others:
            words.append(
                f"others {'-'.join(f'{v:g}' for v in sorted({min(self.others), max(self.others)}))}"
            )
        return ", ".join(words)


# data -> radius of adversarial training in /255 -> clean, EM, TAP, NTGA, REM(4)
PAPER: dict[str, dict[float, tuple[float, ...]]] = {
    "cifar10": {0: (94.66, 13.20, 22.51, 16.27, 27.09), 4: (89.51, 88.62, 88.02, 88.96, 48.16)},
    "cifar100": {0: (76.27, 1.60, 13.75, 3.22, 10.14), 4: (64.50, 63.43, 62.39, 62.44, 27.10)},
    "imagenet100": {0: (80.66, 1.26, 9.10, 8.42, 13.74), 4: (66.62, 63.40, 63.56, 63.06, 41.66)},
}


NAMES = ("clean", "EM", "TAP", "NTGA", "REM(4)")
# CIFAR-10, ResNet-18, other groups: (row, radius of adversarial training)
OTHERS: dict[tuple[str, float], tuple[float, ...]] = {
    ("REM(4)", 4): (39.45,),
    ("REM(4)", 6): (81.9,),
    ("REM(4)", 8): (78.7, 86.0),
    ("SEM(4)", 0): (14.8,),
    ("SEM(4)", 2): (19.4,),
    ("SEM(4)", 4): (29.8,),
    ("SEM(4)", 6): (86.8,),
    ("MI-UE", 0): (10.0,),
    ("MI-UE", 2): (17.4,),
    ("MI-UE", 4): (31.8,),
    ("CUDA", 0): (18.5,),
    ("CUDA", 4): (44.4,),
    ("PIL", 0): (12.8,),
    ("HYPO", 0): (70.0,),
    ("EntF", 4): (75.4,),
}


PERCENT = (20, 40, 60, 80, 100)
# CIFAR-10, AT-4, ResNet-18, by the fraction that is protected (PERCENT)
FRACTIONS: dict[str, tuple[float, ...]] = {
    "EM": (89.60, 89.40, 89.49, 89.10, 88.62),
    "TAP": (89.01, 88.66, 88.40, 88.04, 88.02),
    "NTGA": (89.56, 89.35, 89.22, 89.17, 88.96),
    "REM(4)": (89.60, 89.34, 89.61, 88.09, 48.16),
    "the clean rest alone": (88.17, 86.76, 85.07, 79.41),
}


# CIFAR-10, AT-4, by the network of the released program: clean, EM, TAP, NTGA, REM(4)
NETWORKS = {
    "vgg16-fu": (87.51, 86.48, 86.27, 86.65, 65.23),
    "resnet18-fu": (89.51, 88.62, 88.02, 88.96, 48.16),
    "densenet121-fu": (83.27, 82.44, 81.72, 80.73, 81.48),
    "wrn-34-10-fu": (91.21, 90.05, 90.23, 89.95, 48.39),
}


HOURS = {  # on one V100
    "cifar10": {"EM": 0.4, "TAP": 0.5, "NTGA": 5.2, "REM(4)": 22.6},
    "imagenet100": {"EM": 3.9, "TAP": 5.2, "NTGA": 14.6, "REM(4)": 51.2},
}


def figure(data: str, row: str, radius: float) -> Figure | None:
    """Return what was printed for ResNet-18 trained on all of ``data``, protected by the method of
    that row, under adversarial training of that radius in /255."""
    others = OTHERS.get((row, radius), ()) if data == "cifar10" else ()
    if row in NAMES and radius in PAPER.get(data, {}):
        return Figure(PAPER[data][radius][NAMES.index(row)], others)
    return Figure(None, others) if others else None
