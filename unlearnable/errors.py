"""The one exception for a user's mistake: its text is a sentence that says what is wrong, where, and what to do."""


class UserError(Exception):
    """Bad input. The command line prints the sentence alone and exits with status 2."""
