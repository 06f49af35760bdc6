"""unlearnable: publish images that models cannot learn from, and measure whether it worked.

from unlearnable import REM, Recipe, learn, load, protect

protect(load("shapes"), REM.preset("short"), "protected/rem")
learn(load("protected/rem"), Recipe.preset("short", adv_eps=2), test=load("shapes", split="test"))

Importing the package, a method's settings or a recipe does not load torch; the first verb does.
"""

import logging
import os
import sys

# `python -m unlearnable` puts the current folder first on the import path: a sympy.py beside
# downloaded images would run when torch imports its own. The folder stays where it is the checkout
# that this package comes from. While "-m" looks for the package, the name of the program is "-m".
_checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if sys.argv[:1] == ["-m"] and sys.path[0] in ("", os.getcwd()) and os.getcwd() != _checkout:
    del sys.path[0]

import lazy_loader  # noqa: E402

# a library is silent until its user configures logging; the command line does
logging.getLogger(__name__).addHandler(logging.NullHandler())

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
