from .codes import normal_code as normal_code
from .known_languages import Language as Language
from .table import language as language
from .table import register_language as register_language
