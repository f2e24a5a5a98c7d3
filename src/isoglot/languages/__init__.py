"""Languages: name, family and script of a code, the language of a text, the form of a text for word search."""

import lazy_loader

# The public names are listed in `__init__.pyi`.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
