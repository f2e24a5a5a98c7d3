"""isoglot: train, measure and search with multilingual retrievers that serve every language alike."""

import lazy_loader

# The public names are listed in `__init__.pyi`; each is imported on first use, so that `import isoglot` stays instant.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
