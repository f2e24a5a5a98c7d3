from .table import Language as Language
from .table import language as language
