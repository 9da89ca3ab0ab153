"""The words of a prompt: where the graph says them, and how many tokens they leave free."""

from __future__ import annotations

from typing import Any

TEXT_INPUTS = ("text", "prompt", "text_g", "text_l", "t5xxl", "clip_l")
TAIL_INPUT = "embedding"  # behind it stands the prompt that the tail was learned with
LONGEST_SEARCH = 200


def prompt_text(graph: dict[str, Any] | None, node_id: str | None, socket: str) -> str | None:
    """The one literal text upstream of a node's conditioning, or None where it can't be known."""
    if not graph or node_id not in graph:
        return None
    texts: list[str] = []
    waiting, seen = [graph[node_id].get("inputs", {}).get(socket)], set()
    while waiting and len(seen) < LONGEST_SEARCH:
        link = waiting.pop()
        if not (isinstance(link, list) and len(link) == 2) or link[0] in seen:
            continue
        seen.add(link[0])
        inputs = graph.get(link[0], {}).get("inputs", {})
        if isinstance(inputs.get("clip"), list):
            spoken = [inputs[name] for name in TEXT_INPUTS if name in inputs]
            if not all(isinstance(text, str) for text in spoken):
                return None
            texts += spoken
        else:
            waiting += [value for name, value in inputs.items() if name != TAIL_INPUT]
    different = list(dict.fromkeys(texts))
    return different[0] if len(different) == 1 else None


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
    tokens: int, length: int, clip: Any | None, text: str | None, encoder: str = ""
) -> None:
    """One sentence when the tail would cut a word of the prompt rather than its padding."""
    if text is None:
        return
    if clip is None:
        # without the tokenizer: at least one token a word, one start and one end a chunk of 77
        free = length - len(text.split()) - 2 * max(1, length // 77)
    else:
        free = free_tokens(clip, text, encoder)
    if tokens > free:
        raise ValueError(
            f"tokens is {tokens}, but the prompt {text[:60]!r} leaves "
            f"{max(free, 0)} of {length} tokens free; more would cut its words: "
            f"{f'choose {free} or fewer' if free > 0 else 'shorten the prompt'}."
        )
