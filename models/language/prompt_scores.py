"""How likely a model finds each token of a text that it reads."""

from collections.abc import Sequence

from models.artifacts import Drawn
from models.language.detokenizer import Detokenizer
from models.language.sampling import Choice
from models.language.sequence import chance_of, drawn_of
from models.language.tokenizer import TextTokens


def prompt_drawn(
    tokenizer: TextTokens, tokens: Sequence[int], choices: Sequence[Choice], count: int
) -> tuple[Drawn, ...]:
    """Returns the log-probabilities of a prompt's tokens, with `count` of the likeliest of each.

    `choices` are those of all tokens but the first. Tokens that the tokenizer puts around a text
    are left out, and have no part in the offsets.
    """
    draft, drawn = Detokenizer(tokenizer, (), ()), list[Drawn]()
    for token, choice in zip(tokens, (None, *choices), strict=True):
        before = draft.letters
        draft.add(token)
        if tokenizer.special(token):
            continue
        if choice is None:
            drawn.append(Drawn(chance_of(tokenizer, token, None), 0))
        else:
            drawn.append(drawn_of(tokenizer, choice, (before, draft.letters), count))
    return tuple(drawn)
