"""What a code means: name, family, script; which language a text is in; its normal form."""

import lazy_loader

# The public names stand in `__init__.pyi`.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
