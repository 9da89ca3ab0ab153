"""Reading ComfyUI's CLIP tokenizers: the words of a prompt, and how many tokens they leave free."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ..attention.maps import Token
from ..attention.tokens import END, PAD, SPECIAL, START, WORD
from ..prompts.families import Family


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


def read_parts(
    clip: Any, texts: list[str], columns: list[int], family: Family | None = None
) -> list[Token]:
    """Tokens of texts that were encoded one by one and stand behind each other in these columns."""
    if len(texts) == 1:
        read = read_tokens(clip, texts[0], len(columns), family)
        return [replace(token, index=columns[token.index]) for token in read]
    joined: list[Token] = []
    for text in texts:
        left = len(columns) - len(joined)
        read = _moved(read_tokens(clip, text, left, family), len(joined))
        joined += [replace(token, index=columns[token.index]) for token in read]
    if len(joined) != len(columns):
        raise ValueError(
            f"The texts for the labels have {len(joined)} tokens, but the conditioning "
            f"{len(columns)}: give the text that this conditioning was encoded from."
        )
    return joined


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


def free_tokens(clip: Any, text: str, encoder: str = "") -> int:
    """How many padding tokens follow the prompt in its last chunk, for the tightest encoder.

    `encoder` names the one tokenizer that counts, where the family of models says which.
    """
    tokens, nothing = clip.tokenize(text), clip.tokenize("")
    free = []
    for name in [encoder] if encoder in tokens else tokens:
        ids = [entry[0] for entry in tokens[name][-1]]
        empty = [entry[0] for entry in nothing[name][-1]]
        run = 0
        while run < len(ids) and ids[-1 - run] == ids[-1]:
            run += 1
        # CLIP-L pads with its end token; T5 has one of its own, and no start before it
        ended = bool(text.strip()) and run < len(ids) and ids[-1 - run] == empty[0]
        free.append(run - 1 if len(set(empty[1:])) == 1 and not ended else run)
    return min(free)


def check_free_tokens(
    tokens: int, length: int, clip: Any | None, text: str, encoder: str = "", taken: int = 0
) -> None:
    """One sentence when the tail would cut a word of the prompt rather than its padding, of which
    so many tokens are taken by other tails."""
    if clip is None:
        # without the tokenizer: at least one token a word, one start and one end a chunk of 77
        free = length - len(text.split()) - 2 * max(1, length // 77)
    else:
        free = free_tokens(clip, text, encoder)
    free -= taken
    if tokens > free:
        raise ValueError(
            f"tokens is {tokens}, but the prompt {text[:60]!r} leaves "
            f"{max(free, 0)} of {length} tokens free; more would cut its words: "
            f"{f'choose {free} or fewer' if free > 0 else 'shorten the prompt'}."
        )
