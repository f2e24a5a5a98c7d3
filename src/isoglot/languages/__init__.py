"""What a language code means: name, family, script; and which language and script a text is in."""

import lazy_loader

# The public names stand in `__init__.pyi`.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
