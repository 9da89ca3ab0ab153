"""The word of a prompt that stands for the subject, found among its tokens."""

from __future__ import annotations

from typing import Any

from ..hiper.host.tokenizer import read_parts
from ..hiper.prompts.families import Family
from .words import Spoken


def columns_of(
    word: str, said: Spoken, columns: list[int], clip: Any, family: Family | None
) -> tuple[int, ...]:
    """Where the words for the subject stand among the columns that its text encoder gave."""
    if clip is None:
        raise ValueError(
            f"The word {word.strip()!r} is to be found in the prompt, but without a CLIP it isn't "
            "known which of its tokens that is: connect clip."
        )
    if not said.known:
        raise ValueError(
            f"The word {word.strip()!r} is to be found in the prompt, but its words can't be found "
            "in the graph: write the prompt into text."
        )
    read = read_parts(clip, said.texts, columns, family)
    there = list(dict.fromkeys(token.text for token in read if token.text))
    found: list[int] = []
    for wanted in word.split():
        own = [t.index for t in read if t.text.strip(",.;:!?").casefold() == wanted.casefold()]
        if not own:
            raise ValueError(
                f"The prompt does not hold the word {wanted!r}; it has "
                f"{', '.join(there) or 'no words'}: choose one of these."
            )
        found += own
    return tuple(sorted(found))
