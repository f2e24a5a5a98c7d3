"""Serve open indexes over HTTP: a page for people and an API for programs."""

import lazy_loader

# The public names are declared in `__init__.pyi`.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
