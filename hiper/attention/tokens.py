"""Which token is which: labels from the tokenizer, tails by their marks, and choosing by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..prompts.tails import TailMark
from .maps import AttentionMaps, Prompt, Token

SPECIAL, WORD, TAIL, PAD = "special", "word", "tail", "pad"
START, END = "‹start›", "‹end›"
# what a prompt may begin with that says nothing of what it shows
ARTICLES = frozenset({"a", "an", "the", "this", "that", "my", "his", "her", "its"})
PREPOSITIONS = frozenset({"of", "in", "on", "at", "to", "by", "for", "from", "with", "and", "or"})
PICTURES = frozenset({"photo", "photograph", "picture", "image", "drawing", "painting"})
NO_CONTENT = ARTICLES | PREPOSITIONS | PICTURES


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


def may_be_padding(token: Token) -> bool:
    """Padding, or a number that nobody could name: who can tell it from a word?"""
    return token.kind == PAD or (token.kind == WORD and not token.text)


def tail_labels(tails: Sequence[TailMark]) -> dict[int, str]:
    """`hiper 1 … N` by column; with several tails `hiper 1-1 …`, so that each is told apart."""
    labels = {}
    for number, mark in enumerate(tails, 1):
        for place, column in enumerate(mark.columns, 1):
            labels[column] = f"hiper {place}" if len(tails) == 1 else f"hiper {number}-{place}"
    return labels


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


def looked_at_first(
    prompts: Sequence[Sequence[Token]], tail_of_all: bool = False
) -> list[list[Token]]:
    """What is seen of each prompt before anybody chose: the tail, if one or all of them have one;
    else the first word that says something and is in all of them, else the first of its own."""
    tails = [[token for token in tokens if token.kind == TAIL] for tokens in prompts]
    if all(tails) or (any(tails) and not tail_of_all):
        return tails
    telling = [
        [t for t in tokens if t.kind == WORD and t.text and t.text.casefold() not in NO_CONTENT]
        for tokens in prompts
    ]
    for word in telling[0]:
        found = [[token for token in tokens if token.text == word.text] for tokens in telling]
        if all(found):
            return found
    return [
        [token for token in words if token.word == words[0].word] or chosen(tokens, "")
        for words, tokens in zip(telling, prompts, strict=True)
    ]


def choice_of(tokens: Sequence[Token], token: Token) -> str:
    """What chooses this token and no other: its label, else its number."""
    number = str(token.index + 1)
    if not token.text:
        return number
    try:
        return token.label if chosen(tokens, token.label) == [token] else number
    except ValueError:  # its label is what a list is made of
        return number


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
