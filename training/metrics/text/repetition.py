"""How much a text says again."""

import re

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def repeated_ngrams(text: str, n: int) -> float:
    """Returns the share of the text's runs of `n` words that came before in it, from 0 to 1.

    It is 1 less the distinct-n of Li et al. 2016 (section 5), for one text. A text of fewer than
    `n` words has 0.
    """
    tokens = [word.replace("’", "'").lower() for word in _WORD.findall(text)]
    ngrams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0
