from .debias import Debias as Debias
from .encoding import encode as encode
from .loading import load as load
