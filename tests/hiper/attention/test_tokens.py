"""Labels for tokens: how tokenizers spell, where tails are, and choosing by name."""

from __future__ import annotations

import pytest

from hiper.attention.maps import AttentionMaps, Prompt, Token
from hiper.attention.tokens import choice_of, chosen, labelled, looked_at_first, tokens_of
from hiper.host.tokenizer import read_tokens
from hiper.prompts.placement import TailMark

START, END = 100, 101


class Tokenizer:
    """The shape of ComfyUI's: one inner tokenizer that spells, with start, end and padding."""

    start_token, end_token = START, END

    def __init__(self, spelling: dict[int, str], length: int = 10) -> None:
        self.spelling, self.length = spelling, length

    def untokenize(self, pairs: list[tuple]) -> list[tuple]:
        return [(pair, self.spelling[pair[0]]) for pair in pairs]

    def chunks(self, ids: list) -> list[list[tuple]]:
        step = self.length - 2
        made = []
        for first in range(0, max(len(ids), 1), step):
            chunk = [START, *ids[first : first + step]]
            made.append([(t, 1.0) for t in chunk + [END] * (self.length - len(chunk))])
        return made


class Clip:
    """What the labels need of a CLIP: a tokenizer, and the chunks of a text."""

    def __init__(
        self, ids: list, spelling: dict[int, str], names: tuple[str, ...] = ("l",)
    ) -> None:
        self.tokenizer = type("Outer", (), {})()
        self.ids, self.names = ids, names
        for name in names:
            setattr(self.tokenizer, f"clip_{name}", Tokenizer(spelling))

    def tokenize(self, text: str) -> dict[str, list]:
        return {
            name: getattr(self.tokenizer, f"clip_{name}").chunks(self.ids) for name in self.names
        }


CLIP_WORDS = {1: "a</w>", 2: "stri", 3: "ped</w>", 4: "dog</w>", 5: ",</w>"}


def read(ids: list, spelling: dict[int, str], length: int = 10) -> list[Token]:
    return read_tokens(Clip(ids, spelling), "…", length)


def whole(tails: tuple[TailMark, ...] = (), words: list[Token] = (), length: int = 10) -> Prompt:
    return Prompt("positive", 1, length, tuple(range(length)), tails, None, tuple(words))


def test_pieces_of_a_word_belong_together() -> None:
    tokens = read([1, 2, 3, 4, 5], CLIP_WORDS)
    assert [t.label for t in tokens[:8]] == [
        "‹start›", "a", "stri-", "-ped", "dog", ",", "‹end›", "8",
    ]  # fmt: skip
    assert [t.kind for t in tokens[5:8]] == ["word", "special", "pad"]
    assert {t.text for t in tokens if t.word == tokens[2].word} == {"striped"}
    assert [t.label for t in chosen(tokens, "striped")] == ["stri-", "-ped"]


def test_words_that_begin_with_a_mark() -> None:
    tokens = read([1, 2, 3], {1: "▁a", 2: "▁stri", 3: "ped"})
    assert [t.label for t in tokens[1:4]] == ["a", "stri-", "-ped"]
    tokens = read([1, 2, 3], {1: "a", 2: "Ġstri", 3: "ped"})
    assert [t.text for t in tokens[1:4]] == ["a", "striped", "striped"]


def test_a_tokenizer_of_whole_words() -> None:
    tokens = read([1, 2], {1: "jumping", 2: "dog"})
    assert [t.text for t in tokens[1:3]] == ["jumping", "dog"]


def test_letters_that_are_several_bytes() -> None:
    """Byte-level tokenizers spell ü as two letters, and may cut a character in the middle."""
    tokens = read([1, 2, 3], {1: "Ã¼ber</w>", 2: "çĬ", 3: "¬</w>"})
    assert [t.label for t in tokens[1:4]] == ["über", "犬-", "-…"]
    assert [t.text for t in chosen(tokens, "犬")] == ["犬", "犬"]


def test_a_learned_embedding_among_the_words() -> None:
    tokens = read([1, object(), 4], CLIP_WORDS)
    assert [t.label for t in tokens[1:4]] == ["a", "‹embedding›", "dog"]


def test_several_chunks_each_with_start_and_end() -> None:
    tokens = read([4] * 9, CLIP_WORDS, 20)
    assert len(tokens) == 20
    assert [t.index for t in tokens if t.label == "‹start›"] == [0, 10]
    assert [t.index for t in tokens if t.text == "dog"] == [*range(1, 9), 11]


def test_of_two_encoders_the_one_that_fits() -> None:
    clip = Clip([1, 4], CLIP_WORDS, ("l", "g"))
    clip.tokenizer.clip_g.length = 20
    assert len(read_tokens(clip, "…", 10)) == 10
    assert len(read_tokens(clip, "…", 20)) == 20


def test_labels_longer_than_the_sequence() -> None:
    with pytest.raises(ValueError, match="has 20 tokens, but the conditioning 10: give the text"):
        read([4] * 9, CLIP_WORDS, 10)
    maps = AttentionMaps((whole(),), (), (), (8, 8))
    with pytest.raises(ValueError, match="has 11 tokens, but the conditioning 10"):
        labelled(maps, 0, [Token(n, "x", "word") for n in range(11)])


def test_tails_keep_their_own_labels() -> None:
    words = read([1, 4], CLIP_WORDS)
    tokens = tokens_of(whole((TailMark(7, 3),), words))
    assert [t.label for t in tokens[6:]] == ["7", "hiper 1", "hiper 2", "hiper 3"]
    assert [t.kind for t in tokens] == [
        "special",
        "word",
        "word",
        "special",
        *["pad"] * 3,
        *["tail"] * 3,
    ]
    two = tokens_of(whole((TailMark(6, 2), TailMark(8, 2)), words))
    assert [t.label for t in two[6:]] == ["hiper 1-1", "hiper 1-2", "hiper 2-1", "hiper 2-2"]
    assert [t.label for t in tokens_of(whole((TailMark(8, 2),)))][:3] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("choice", "indices"),
    [
        ("", [7, 8, 9]),
        ("tail", [7, 8, 9]),
        ("dog", [2]),
        ("Dog, a", [1, 2]),
        ("a dog", [1, 2]),
        ("hiper 2", [8]),
        ("2; 9-10", [1, 8, 9]),
        ("words", [1, 2]),
        ("padding", [4, 5, 6]),
        ("start", [0]),
        ("all", list(range(10))),
    ],
)
def test_choosing(choice: str, indices: list[int]) -> None:
    tokens = tokens_of(whole((TailMark(7, 3),), read([1, 4], CLIP_WORDS)))
    assert [token.index for token in chosen(tokens, choice)] == indices


def test_nothing_chosen_and_no_tail_means_the_words() -> None:
    assert [t.text for t in chosen(tokens_of(whole((), read([1, 4], CLIP_WORDS))), "")] == [
        "a",
        "dog",
    ]
    assert [t.index for t in chosen(tokens_of(whole()), "")] == list(range(1, 10))


@pytest.mark.parametrize(
    ("words", "choice", "sentence"),
    [
        (True, "cat", "has the words a, dog and the numbers 1 to 10: choose of these."),
        (True, "12", "has the words a, dog and the numbers 1 to 10"),
        (True, "tail", "put Compose HiPer Conditioning before it, or choose words."),
        (False, "cat", "there are only the numbers 1 to 10: choose of these, or connect a CLIP"),
    ],
)
def test_what_is_not_there_is_said(words: bool, choice: str, sentence: str) -> None:
    read_words = read([1, 4], CLIP_WORDS) if words else []
    with pytest.raises(ValueError) as caught:
        chosen(tokens_of(whole((), read_words)), choice)
    assert sentence in str(caught.value)


def words_of(text: str, tail: int = 0) -> list[Token]:
    tokens = [Token(0, "‹start›", "special")]
    for number, word in enumerate(text.split(), 1):
        tokens.append(Token(number, word, "word", number, word))
    for place in range(tail):
        label = f"hiper {place + 1}"
        tokens.append(Token(len(tokens), label, "tail", text=label))
    return tokens


@pytest.mark.parametrize(
    ("prompts", "of_all", "first"),
    [
        ([("a photo of a dog", 0)], False, [["dog"]]),
        ([("a dog", 2)], False, [["hiper 1", "hiper 2"]]),
        ([("a dog", 0), ("a cat", 2)], False, [[], ["hiper 1", "hiper 2"]]),
        ([("a standing dog", 0), ("a sitting dog", 2)], True, [["dog"], ["dog"]]),
        ([("a dog", 1), ("a dog", 1)], True, [["hiper 1"], ["hiper 1"]]),
        ([("a dog", 0), ("the beach", 0)], False, [["dog"], ["beach"]]),
    ],
)
def test_before_anybody_chose_the_tail_is_seen_or_a_word_that_says_something(
    prompts, of_all: bool, first
) -> None:
    found = looked_at_first([words_of(*prompt) for prompt in prompts], of_all)
    assert [[token.label for token in tokens] for tokens in found] == first


def test_without_words_everything_is_seen() -> None:
    numbers = [Token(index, str(index + 1), "word") for index in range(4)]
    assert looked_at_first([numbers]) == [numbers[1:]]
    nothing = words_of("a the")
    assert looked_at_first([nothing]) == [chosen(nothing, "")]


def test_a_token_has_a_name_that_chooses_it_alone() -> None:
    tokens = words_of("dog and Dog , 2 cat tail", 1)
    names = [choice_of(tokens, token) for token in tokens]
    assert names == ["1", "2", "and", "4", "5", "6", "cat", "8", "hiper 1"]
    for token, name in zip(tokens, names, strict=True):
        assert chosen(tokens, name) == [token]
