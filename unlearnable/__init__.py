"""unlearnable: publish images that models cannot learn from, and prove it.

from unlearnable import REM, Recipe, learn, load, protect

protect(load("shapes"), REM.preset("short"), "protected/rem")
learn(load("protected/rem"), Recipe.preset("short", adv_eps=2), test=load("shapes", split="test"))

Importing the package, a method's settings or a recipe does not load torch; the first verb does.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
