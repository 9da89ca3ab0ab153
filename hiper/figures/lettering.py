"""Fonts for labels: Pillow's own where it has the letters, else one of the system's that has."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont

# usual sans-serif fonts of Linux, Windows and macOS, the wider ones last
SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "arial.ttf",
    "Arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "malgun.ttf",
    "msyh.ttc",
    "YuGothM.ttc",
    "AppleSDGothicNeo.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "Arial Unicode.ttf",
    "Arial Unicode MS.ttf",
)
# what is written where no font has the letter
SPELLED = {"α": "alpha", "ε": "eps", "σ": "sigma", "×": "x", "–": "-", "—": "-", "′": "'"}
NO_LETTER = "\U0010ffff"


def lettering(text: str, size: int) -> tuple[str, Font]:
    """The text as it can be drawn, and the font to draw it in."""
    own = ImageFont.load_default(size)
    if covers(own, text):
        return text, own
    for name in SYSTEM_FONTS:
        font = _system_font(name, size)
        if font is not None and covers(font, text):
            return text, font
    return "".join(SPELLED.get(letter, letter) for letter in text), own


def covers(font: Font, text: str) -> bool:
    """Whether the font has a picture of its own for every letter."""
    missing = _drawn(font, NO_LETTER)
    return all(_drawn(font, letter) != missing for letter in set(text) if not letter.isspace())


def _drawn(font: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@lru_cache(maxsize=64)
def _system_font(name: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None
