from .auditing import audit as audit
from .mining import mine as mine
