"""Join the lines of wrapped Chinese and Japanese, which has no spaces between words: a line may end within one."""

from __future__ import annotations

import re

# Ideographs, kana, and their punctuation.
_EAST = "\u3001-\u3003\u3005-\u3011\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff"
_WRAPPED = re.compile(f"(?<=[{_EAST}])[ \t\r\f\v]*\n[ \t\r\n\f\v]*(?=[{_EAST}])")


def unwrapped(text: str) -> str:
    r"""Remove line ends between two East Asian characters, as browsers do (CSS Text 3, section 4.1.3).

    >>> unwrapped("图书馆每周\n一闭馆。\nThe library")
    '图书馆每周一闭馆。\nThe library'
    """
    return _WRAPPED.sub("", text)
