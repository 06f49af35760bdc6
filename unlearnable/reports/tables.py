"""Results as text: mean and spread, and tables for a terminal."""

from unlearnable.evaluation.results import Audit, Verdict, Verified

MARKS: dict[Verdict, str] = {
    "protected": "",
    "not protected": "   NOT PROTECTED: over half of what can be learned is left",
    "no verdict": "   NO VERDICT: the model learns too little from the clean images",
}


def mean_std(values: list[float], digits: int = 1) -> str:
    """mean ± sample standard deviation with that many decimals (the value alone where there is
    one)."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:,.{digits}f}"
    deviation = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    return f"{mean:,.{digits}f} ± {deviation:,.{digits}f}"


def audit_table(done: Audit) -> str:
    """The audit as text, for a terminal."""
    lines = [f"{'learner':30}{'clean':>8}{'protected':>11}{'peak':>7}   flags"]
    for row in done.rows:
        flags = " ".join(row.flags)
        lines.append(
            f"{row.learner:30}{row.clean:8.1f}{row.protected:11.1f}{row.peak:7.1f}   {flags}".rstrip()
        )
    if done.flags:
        lines.append(f"The protected images: {', '.join(done.flags)} (docs/checks.md).")
    ordinary = done.rows[0].clean
    lines.append(
        f"Worst-case learnability: {done.worst.peak:.1f} % ({done.worst.learner}); chance {done.chance:.1f} %, "
        f"clean images {ordinary:.1f} %."
    )
    return "\n".join(lines)


def verify_table(done: Verified) -> str:
    """The proof as text, for a terminal."""
    lines = [f"{'accuracy on clean images, %':32}{'clean':>16}{'protected':>16}"]
    for row in done.rows:
        scores = f"{mean_std(row.clean):>16}{mean_std(row.protected):>16}"
        lines.append(f"{row.learner:32}{scores}{MARKS[row.verdict]}")
    lines.append(
        f"Guessing gives {done.chance:.1f}. Trained on clean or on protected images, tested on clean ones."
    )
    lines.append(f"Verdict: {done.verdict}.")
    if done.flags:
        lines.append(f"Flags: {', '.join(done.flags)} (docs/checks.md).")
    return "\n".join(lines)
