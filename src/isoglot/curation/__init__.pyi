from .auditing import audit as audit
from .mining import Mined as Mined
from .mining import MineSettings as MineSettings
from .mining import mine as mine
from .token_counts import Tokeniser as Tokeniser
from .token_counts import open_tokeniser as open_tokeniser
