"""Evaluation: from rankings to per-query values, confidence intervals and comparisons."""

import lazy_loader

# The public names are listed in `__init__.pyi`.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
