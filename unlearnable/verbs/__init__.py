"""The verbs of the command line, a room each; cli.py has those of one's own pictures."""
