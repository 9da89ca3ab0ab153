"""Which token is which: labels from the tokenizer, tails by their marks, and choosing by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .attention import AttentionMaps, Prompt, Token
from .conditioning import TailMark
from .families import Family

SPECIAL, WORD, TAIL, PAD = "special", "word", "tail", "pad"
START, END = "‹start›", "‹end›"


def labelled(maps: AttentionMaps, prompt: int, words: Sequence[Token]) -> AttentionMaps:
    """The same maps with what a tokenizer made of one prompt's text."""
    length = maps.prompts[prompt].length
    if len(words) > length:
        raise ValueError(
            f"The text for the labels has {len(words)} tokens, but the conditioning {length}: "
            "give the text that this conditioning was encoded from."
        )
    prompts = list(maps.prompts)
    prompts[prompt] = replace(prompts[prompt], words=tuple(words))
    return replace(maps, prompts=tuple(prompts))


def tokens_of(prompt: Prompt) -> list[Token]:
    """The kept tokens of a prompt: read ones where there are any, else `1 … T`, tails marked."""
    named = {token.index: token for token in prompt.words}
    tails = tail_labels(prompt.tails)
    tokens = []
    for index in prompt.columns:
        if index in tails:
            tokens.append(Token(index, tails[index], TAIL, text=tails[index]))
        elif index in named:
            tokens.append(named[index])
        else:
            tokens.append(Token(index, str(index + 1), PAD if named else WORD))
    return tokens


def tail_labels(tails: Sequence[TailMark]) -> dict[int, str]:
    """`hiper 1 … N` by column; with several tails `hiper 1-1 …`, so that each is told apart."""
    labels = {}
    for number, mark in enumerate(tails, 1):
        for place, column in enumerate(mark.columns, 1):
            labels[column] = f"hiper {place}" if len(tails) == 1 else f"hiper {number}-{place}"
    return labels


def read_tokens(clip: Any, text: str, length: int, family: Family | None = None) -> list[Token]:
    """Tokens of a text as the CLIP's tokenizer cuts it, for a sequence of `length`.

    The family says which encoders' texts follow each other; where it is not known, the longest that
    fits is read: they cut alike, or the text can't be theirs.
    """
    read = {
        name: _with_words(_tokens(clip.tokenizer, name, chunks))
        for name, chunks in clip.tokenize(text).items()
    }
    joined: list[Token] = []
    for name in family.encoders if family is not None else ():
        if name in read and len(joined) + len(read[name]) <= length:
            joined += _moved(read[name], len(joined))
    if joined:
        return joined
    if family is not None and family.drops_template:
        (tokens, *_) = read.values()
        dropped = max(0, len(tokens) - length)
        return _moved(tokens[dropped:], -dropped)
    fitting = [tokens for tokens in read.values() if len(tokens) <= length]
    if fitting:
        return max(fitting, key=len)
    shortest = min(map(len, read.values()))
    raise ValueError(
        f"The text for the labels has {shortest} tokens, but the conditioning {length}: give the "
        "text that this conditioning was encoded from."
    )


def _moved(tokens: list[Token], by: int) -> list[Token]:
    """Tokens at other columns, their words told apart from those of the columns before."""
    return [
        replace(t, index=t.index + by, word=None if t.word is None else t.word + max(by, 0))
        for t in tokens
    ]


def _tokens(tokenizer: Any, name: str, chunks: list[list[tuple]]) -> list[Token]:
    """Every chunk has its own start, end and padding."""
    inner = getattr(tokenizer, f"clip_{name}", None) or getattr(tokenizer, name, None) or tokenizer
    start, end = getattr(inner, "start_token", None), getattr(inner, "end_token", None)
    tokens: list[Token] = []
    for chunk in chunks:
        ended = False
        for place, (token, *_) in enumerate(chunk):
            index = len(tokens)
            if not isinstance(token, int):
                kind = token.get("type", "vector") if isinstance(token, dict) else "embedding"
                tokens.append(Token(index, f"‹{kind}›", WORD, text=f"‹{kind}›"))
            elif ended:
                tokens.append(Token(index, str(index + 1), PAD))
            elif place == 0 and token == start:
                tokens.append(Token(index, START, SPECIAL))
            elif token == end:
                ended = True
                tokens.append(Token(index, END, SPECIAL))
            else:
                piece = _piece(inner, token)
                # a chat template's marks and line ends are no part of a word
                mark = re.fullmatch(r"<\|.*\|>|\[/?[A-Z_]+\]|Ċ+", piece) is not None
                label = (_decoded(piece).strip() or "‹line›") if mark else piece
                tokens.append(Token(index, label, SPECIAL if mark else WORD))
    return tokens


def _piece(tokenizer: Any, token: int) -> str:
    """The tokenizer's own spelling of one token, which says whether a word ends or begins there."""
    try:
        spelled = tokenizer.untokenize([(token, 1.0)])[0][1]
    except (AttributeError, KeyError, TypeError):
        return str(token)
    return spelled.decode(errors="replace") if isinstance(spelled, bytes) else str(spelled)


def _with_words(tokens: list[Token]) -> list[Token]:
    """Pieces joined to words: CLIP ends a word with `</w>`, others begin one with `▁` or `Ġ`."""
    pieces = [token.label for token in tokens if token.kind == WORD]
    ends = any(piece.endswith("</w>") for piece in pieces)
    begins = any(piece.startswith(("▁", "Ġ")) for piece in pieces)
    words: list[list[Token]] = []
    open_word = False
    for token in tokens:
        if token.kind != WORD:
            open_word = False
            continue
        begun = begins and token.label.startswith(("▁", "Ġ"))
        if open_word and not begun and not token.text:
            words[-1].append(token)
        else:
            words.append([token])
        open_word = not token.label.endswith("</w>") if ends else begins
        open_word = open_word and not token.text  # a vector among the words is a word of its own
    joined = {token.index: token for token in tokens}
    for number, word in enumerate(words):
        pieces = [_bare(token.label) for token in word]
        text = _decoded("".join(pieces)) or "‹space›"
        for place, token in enumerate(word):
            # a letter may be cut in the middle: then the first piece shows the whole word
            label = _decoded(pieces[place], text if place == 0 else "…")
            label = ("-" if place else "") + label + ("-" if place + 1 < len(word) else "")
            joined[token.index] = replace(token, label=label, word=number, text=text)
    return [joined[token.index] for token in tokens]


def _bare(piece: str) -> str:
    return piece.removesuffix("</w>").lstrip("▁Ġ").strip()


def _byte_letters() -> dict[str, int]:
    """Byte-level tokenizers write each byte as a printable letter, those that have none shifted."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + place): byte for place, byte in enumerate(others)}


BYTE_LETTERS = _byte_letters()


def _decoded(piece: str, broken: str = "?") -> str:
    """A byte-level piece as text, or `broken` where it stops amid a letter."""
    if piece.isascii() or not all(letter in BYTE_LETTERS for letter in piece):
        return piece
    try:
        return bytes(BYTE_LETTERS[letter] for letter in piece).decode()
    except UnicodeDecodeError:
        return broken


def chosen(tokens: Sequence[Token], choice: str) -> list[Token]:
    """Tokens by a list such as `dog, tail, hiper 2, 5, 8-10`; empty: the tail, else the words."""
    names = [name.strip() for name in re.split(r"[,;\n]", choice) if name.strip()]
    if not names:
        kinds = {token.kind for token in tokens}
        wanted = TAIL if TAIL in kinds else WORD
        # without labels the first column is the start of the sequence, which is no word
        return [t for t in tokens if t.kind == wanted and (t.index > 0 or t.text)] or list(tokens)
    picked: dict[int, Token] = {}
    for name in names:
        for token in _named(tokens, name):
            picked[token.index] = token
    return [picked[index] for index in sorted(picked)]


def _named(tokens: Sequence[Token], name: str) -> list[Token]:
    wanted = name.casefold()
    kinds = {"tail": TAIL, "hiper": TAIL, "words": WORD, "padding": PAD, "pad": PAD}
    if wanted in ("all", "*"):
        return list(tokens)
    if wanted in kinds:
        found = [token for token in tokens if token.kind == kinds[wanted]]
        if not found and kinds[wanted] == TAIL:
            raise ValueError(
                "tokens asks for the tail, but this conditioning has none: put Compose HiPer "
                "Conditioning before it, or choose words."
            )
    elif re.fullmatch(r"\d+(\s*-\s*\d+)?", wanted):
        first, *last = (int(number) for number in wanted.split("-"))
        found = [t for t in tokens if first - 1 <= t.index <= (last[0] if last else first) - 1]
    else:
        found = [
            token
            for token in tokens
            if wanted in (token.text.casefold(), token.label.casefold(), token.label.strip("‹›"))
        ]
        if not found and " " in wanted:
            return [token for part in wanted.split() for token in _named(tokens, part)]
    if found:
        return found
    words = list(dict.fromkeys(token.text for token in tokens if token.kind == WORD and token.text))
    if not words and all(token.kind in (WORD, TAIL) for token in tokens):
        raise ValueError(
            f"tokens asks for {name!r}, but without labels there are only the numbers 1 to "
            f"{len(tokens)}: choose of these, or connect a CLIP and give the prompt as labels."
        )
    there = f"the words {', '.join(words)}" if words else "no words"
    raise ValueError(
        f"tokens asks for {name!r}, but this conditioning has {there} and the numbers 1 to "
        f"{tokens[-1].index + 1}: choose of these."
    )
