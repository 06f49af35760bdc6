"""Mistakes that the user can correct."""


class UserError(ValueError):
    """One sentence that says what is wrong, where, and what to do. The command line prints it and
    exits with status 2.

    details: further sentences, each printed on a line of its own before it (for instance one per
    bad file of a folder).
    """

    def __init__(self, sentence: str, details: list[str] | None = None):
        super().__init__(sentence)
        self.details = details or []
