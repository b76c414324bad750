"""Words as the rules compare them: lower case, without endings, and everyday synonyms as one.

The lists hold everyday English alone, nothing of any trade: what a line is about is read from its tools.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"[A-Za-z]\.(?:[A-Za-z]\.)+|\d{1,2}:\d{2}|\d+(?:\.\d+)?[A-Za-z]?(?![A-Za-z])|[^\W_]+(?:['\u2019][^\W\d_]+)*"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_STOP = (
    "a an the this that these those it its i me my mine you your yours he she we us our they them their is am are was"
    " were be been being do does did doing done have has had will would shall should can could may might must to of in"
    " on at by for with from into onto about as and or but if so then than too very just please okay ok well oh uh um"
    " hm hmm hey there here what which who whom whose where when why how not no yes yeah yep some any all one thing"
    " things like want need wanna gonna got let lets i'd i'm i'll i've you're that's it's what's could've get give take"
    " tell say know think also only now really actually maybe kind sort back out up down over again more most much many"
    " s t d ll re ve m don't doesn't can't couldn't wouldn't using use used given via per"
)
STOP = frozenset(_STOP.split())
"""Words that say nothing about what is wanted."""

_GROUPS = (
    "change update modify switch move alter edit replace swap adjust correct",
    "book reserve schedule arrange",
    "cancel remove delete drop",
    "find search lookup check fetch retrieve show look see",
    "buy purchase order",
    "price cost fee charge",
    "time clock hour",
    "person human somebody someone representative operator people staff colleague",
    "question faq information info answer inquiry query",
    "problem issue trouble fault complaint",
    "begin start open",
    "address location place",
    "phone telephone",
    "send mail email",
    "create add make new",
    "today current",
)

_FAREWELL = re.compile(
    r"\b(?:good\s?bye|bye(?:\s?bye)?|see you|hang up|that(?:'s| is| will be|'ll be) (?:all|it|everything)|nothing else"
    r"|have a (?:nice|good) (?:day|one)|i(?:'m| am) done)\b",
    re.IGNORECASE,
)
_YES = re.compile(
    r"^\W*(?:yes|yeah|yep|yup|sure|correct|right|exactly|please do|go ahead|of course|absolutely|okay|ok)\b",
    re.IGNORECASE,
)
_NO = re.compile(
    r"^\W*(?:no|nope|nah|not really|never mind|nevermind|don't|do not|cancel that|forget it|stop)\b", re.IGNORECASE
)
_REPEAT = re.compile(
    r"\b(?:(?:say|repeat) (?:that|it)(?: again)?|come again|pardon|what did you say|repeat please|please repeat)\b",
    re.IGNORECASE,
)
_HELLO = re.compile(
    r"^\W*(?:hello|hi|hey|good (?:morning|afternoon|evening)|greetings)\b[\w\s,]{0,12}\W*$", re.IGNORECASE
)
_PERSON = re.compile(
    r"\b(?:talk|speak|get|connect|put|transfer|pass)\b.*\b(?:person|human|someone|somebody|representative|operator|people)\b",
    re.IGNORECASE,
)
_THANKS = re.compile(r"\b(?:thanks|thank you|cheers|great|perfect|wonderful)\b", re.IGNORECASE)
_HELP = re.compile(
    r"\b(?:what can you (?:do|help)|how can you help|what are my options|who are you)\b|^\W*help\W*$", re.IGNORECASE
)
_ASKING = re.compile(
    r"^\W*(?:(?:hi|hello|hey|well|so|and|okay|ok|um|uh|yes|yeah|sorry|excuse me)\W+)*"
    r"(?:what|when|where|who|whom|whose|why|which|how|is|are|am|was|were|do|does|did|can i|could i|may i|can we|should"
    r"|will|has|have you|tell me|i(?:'d| would) like to know|i(?:'m| am) wondering|do you)\b"
    r"|\bquestions? (?:about|on|regarding)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Word:
    """One word of an utterance: as it stood, in lower case, and its stem."""

    text: str
    lower: str
    stem: str


def stem(word: str) -> str:
    """Cut a lower-case word to what its forms share; synonyms give the same."""
    root = _root(word)
    return _SYNONYMS.get(root, root)


def _root(word: str) -> str:
    word = word.removesuffix("'s").removesuffix("\u2019s")
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST:
            word = word.removesuffix(ending) + instead
            break
    if len(word) > _SHORTEST and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > _SHORTEST else word


_ENDINGS = (
    ("ations", ""), ("ation", ""), ("ments", ""), ("ment", ""), ("ings", ""), ("ing", ""), ("ies", "y"), ("ied", "y"),
    ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("ions", ""), ("ion", ""), ("ed", ""), ("ly", ""), ("ss", "ss"),
    ("us", "us"), ("s", ""),
)  # fmt: skip
_SHORTEST = 3
"""Letters that stay of a word, whatever its ending."""

_SYNONYMS: dict[str, str] = {}
for _group in _GROUPS:
    _first, *_rest = [_root(_one) for _one in _group.split()]
    _SYNONYMS |= dict.fromkeys(_rest, _first)


def words(text: str) -> list[Word]:
    """Cut an utterance into words; ``12A``, ``7:30`` and ``p.m.`` stay whole."""
    found = []
    for match in _TOKEN.finditer(text):
        lower = match.group().lower().replace("\u2019", "'")
        found.append(Word(match.group(), lower, stem(lower)))
    return found


def name_words(name: str) -> str:
    """Turn an identifier (``look_up``, ``lookUp``) into words."""
    return _CAMEL.sub(" ", name).replace("_", " ").replace("-", " ").strip().lower()


def stems(text: str) -> set[str]:
    """Give the stems of the words that mean something."""
    return {word.stem for word in words(text) if word.lower not in STOP and not word.lower[0].isdigit()}


def asks_something(text: str) -> bool:
    """Whether it is put as a question."""
    return bool(_ASKING.search(text)) or text.rstrip().endswith("?")


def is_farewell(text: str) -> bool:
    """Whether the caller is done."""
    return bool(_FAREWELL.search(text))


def is_yes(text: str) -> bool:
    """Whether it begins as a yes."""
    return bool(_YES.search(text))


def is_no(text: str) -> bool:
    """Whether it begins as a no."""
    return bool(_NO.search(text))


def wants_repetition(text: str) -> bool:
    """Whether the caller did not understand us."""
    return bool(_REPEAT.search(text))


def is_hello(text: str) -> bool:
    """Whether it is a greeting and nothing more."""
    return bool(_HELLO.search(text))


def wants_person(text: str) -> bool:
    """Whether the caller would rather talk to somebody."""
    return bool(_PERSON.search(text))


def is_thanks(text: str) -> bool:
    """Whether the caller is content."""
    return bool(_THANKS.search(text))


def wants_help(text: str) -> bool:
    """Whether the caller asks what can be done here."""
    return bool(_HELP.search(text))
