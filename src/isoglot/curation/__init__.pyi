from .auditing import audit as audit
from .mining import Mined as Mined
from .mining import MineSettings as MineSettings
from .mining import mine as mine
from .tokeniser import Tokeniser as Tokeniser
from .tokeniser import open_tokeniser as open_tokeniser
