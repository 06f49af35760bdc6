"""The user's mistakes."""


class UserError(Exception):
    """One sentence: what is wrong, where, what to do. The command line prints it and exits with
    status 2.

    details: further sentences, one a line before it (every bad file of a folder, for instance)."""

    def __init__(self, sentence: str, details: list[str] | None = None):
        super().__init__(sentence)
        self.details = details or []
