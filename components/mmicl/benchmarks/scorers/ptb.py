r"""Captions into tokens as pycocoevalcap's PTBTokenizer does, without Java.

The official tool pipes all captions through the Stanford tokenizer of 2014
(`PTBTokenizer -preserveLines -lowerCase`) and drops punctuation. Scores depend on every token, so
that tokenizer's decisions are described here by rules of our own: of all rules that match, the one
that reads furthest wins, its look-ahead counted; among equals the first. Where Java is installed,
tests/oracle runs the original beside it over captions, questions and made-up text.

Kept oddities: brackets become `-lrb-`, `-rrb-` and stay, since the official list of punctuation has
them in capitals; `!!` stays; `1 1/2` is one token with a no-break space. Not described: markup
tags, bare host names, faces such as `^_^`. A line break other than
`\n` within a caption shifts all later captions in the original; here it is a blank.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_DROPPED = {
    "''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--",
    "...", ";",
}  # fmt: skip

# --- the alphabet ------------------------------------------------------------------------------
_NO_LETTERS = r"\u00B2\u00B3\u00B9\u00BC-\u00BE\u2070-\u2089\u2150-\u218B\u2460-\u249B"
_LETTER = rf"[^\W\d_{_NO_LETTERS}]"
_AN = rf"[^\W_{_NO_LETTERS}]"
_L = rf"(?:{_LETTER}|[\u00AD\u0300-\u036F])"
_LD = rf"(?:{_AN}|[\u00AD\u0300-\u036F])"
_APOSTROPHE = r"(?:['\u0092\u2019]|&apos;)"
_ANY_APOSTROPHE = rf"(?:{_APOSTROPHE}|[`\u0091\u2018\u201B])"
_BLANK = r"[ \t\u00A0\u2000-\u200A\u3000]"
_GAP = r"[ \t\u00A0\u2000-\u200A\u3000\n]"
_CLAUSE_END = r"[,;:\u3001]"
_HYPHEN = r"[-_\u058A\u2010\u2011]"

# --- words -------------------------------------------------------------------------------------
_WORD = rf"{_L}{_LD}*(?:[.!?]{_L}{_LD}*)*"
_CLITIC = rf"{_APOSTROPHE}(?:[msdMSD]|(?i:re|ve|ll))"
_NOT = rf"(?i:n{_ANY_APOSTROPHE}t)"
_ELIDED = rf"(?:[dDoOlL]{_ANY_APOSTROPHE}{_AN})?"
_COMPOUND = rf"{_ELIDED}{_AN}+(?:{_HYPHEN}{_ELIDED}{_AN}+)*"
_INITIALS = r"[A-Za-z](?:\.[A-Za-z])+"
_US = r"(?i:(?:canada|sino|korean|eu|japan|non)-u\.s|u\.s\.-(?:u\.k|u\.s\.s\.r))"
_ACRONYM = rf"(?:{_US}|[A-Za-z](?:\.[A-Za-z])*)"
_HYPHENATED = (
    rf"[A-Za-z0-9][A-Za-z0-9.,\u00AD]*(?:-(?:(?:{_US}|{_INITIALS})\.|[A-Za-z0-9\u00AD]+))+"
)
_APOSTROPHE_WORD = (
    rf"{_APOSTROPHE}(?i:n){_APOSTROPHE}?",
    rf"[lLdDjJ]{_APOSTROPHE}",
    rf"(?i:dunkin|somethin|ol){_APOSTROPHE}",
    rf"{_APOSTROPHE}(?i:em|till?|cause)",
    rf"{_APOSTROPHE}[2-9]0(?i:s)",
    rf"[A-HJ-XZn]{_ANY_APOSTROPHE}{_LETTER}{{2,}}",
    rf"{_LETTER}+[aeiouyAEIOUY]{_ANY_APOSTROPHE}[aeiouA-Z]{_LETTER}*",
    r"(?i:cont'd\.?|'twas|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l)",
    rf"(?i:o{_ANY_APOSTROPHE}o)",
)

# --- abbreviations that keep their full stop ------------------------------------------------------
_BEFORE_SMALL = (
    r"(?:(?i:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thu|thurs|fri"
    r"|ala|ariz|calif|colo|conn|ct|dak|fla|ga|ind|kans?|ky|md|mich|minn|mo|mont|neb|nev|okla|penn"
    r"|tenn|va|vt|wisc?|wyo|inc|cos?|corp|ltd|plc|rt|bancorp|bhd|assn|univ|intl|sys"
    r"|tel|est|ext|sq|jr|sr|bros|(?:ed|ph)\.d|blvd|rd|esq|etc|al|seq|bldg)"
    r"|(?i:pp?t)[ye](?i:s?)|A(?i:z|rk)|D(?i:el)|I(?i:ll)|L(?i:a)|M(?i:ass|iss)|O(?i:re)|P(?i:a)|T(?i:ex)|W(?i:ash))\."
)
_BEFORE_CAPITAL = (
    r"(?:(?i:mrs?|ms|drs?|profs?|sens?|reps?|attys?|lt|col|gen|messrs|govs?|adm|rev|maj|sgt|cpl"
    r"|pvt|capt|ste?|ave|pres|lieut|hon|brig|co?mdr|pfc|spc|supts?|det|mt|ft|adj|adv|asst|assoc"
    r"|ens|insp|mlle|mme|msgr|sfc|vs|alex|wm|jos|cie|a\.k\.a|cf|treas|ph|invt|elec|natl|dept)"
    rf"|M(?i:iss)|(?i:m)[ft](?i:g)|{_ACRONYM})"
)
_BEFORE_NUMBER = r"(?i:ca|figs?|prop|nos?|art|bldg|pp|op)\."
_SENTENCE_BEGINNING = (
    "About|According|Additionally|After|An|A|As|At|But|Earlier|He|Her|Here|However|If|In|It|Last|"
    r"Many|More|Mr\.|Ms\.|Now|Once|One|Other|Our|She|Since|So|Some|Such|That|The|Their|Then|There|"
    "These|They|This|We|When|While|What|Yet|You"
)
_SENTENCE_BEGINNING = "|".join(
    f"{word[0]}(?i:{word[1:]})" if len(word) > 1 else word
    for word in _SENTENCE_BEGINNING.split("|")
)

# --- numbers, addresses, signs -----------------------------------------------------------------
_NUMBER = r"[-+]?(?:\d*(?:[.:,\u00AD\u066B\u066C]\d+)+|\d+)"
_DATE = r"\d{1,2}[-/]\d{1,2}[-/]\d{2,4}"
_FRACTION = r"(?:\d{1,4}[- \u00A0])?\d{1,4}(?:\\?/|\u2044)\d{1,4}"
_AREA_CODE = r"(?:\([0-9]{2,3}\)[ \u00A0]?|\+{0,2}(?:[0-9]{2,4}[- \u00A0]){1,2})"
_PHONE = rf"{_AREA_CODE}[0-9]{{3,4}}[- \u00A0]?[0-9]{{3,5}}"
_DOTTED_PHONE = r"(?:\+{0,2}[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}"
_URL = r"(?i:https?)://[^\s\"<>|(){}]*[^\s\"<>|(){}.!?,-]"
_EMAIL = r"[a-zA-Z0-9][^\s\"<>|(){}]*@[^\s\"<>|(){}]*[^\s\"<>|(){}.]"
_EXTENSION = (
    r"(?i:bat|bmp|class|cgi|cpp|c|dll|docx?|exe|gif|gz|html?|h|jar|java|jpe?g|mov|mp3|pdf|php|pl"
    r"|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip)"
)
_PATHLIKE = r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2}"
_SMILEY = r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]]"
_SYMBOL = r"[+%&~^|\\\u00A6-\u00A9\u00AC\u00AE-\u00BA\u00D7\u00F7\u2016-\u2042\u2100-\u2BFF]"
_FRACTIONS = {"\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
_CURRENCY = {"\u00a2": "cents", "\u00a3": "#"} | dict.fromkeys("\u0080\u00a4\u20a0\u20ac", "$")
_BRACKETS = {
    "(": "-LRB-", ")": "-RRB-", "{": "-LCB-", "}": "-RCB-", "[": "-LSB-", "]": "-RSB-",
}  # fmt: skip
_QUOTES = (
    dict.fromkeys("\u0091\u2018\u201b\u2039", "`") | dict.fromkeys("\u0092\u2019\u203a", "'")
    | dict.fromkeys("\u0093\u201c\u00ab", "``") | dict.fromkeys("\u0094\u201d\u00bb", "''")
)  # fmt: skip


def _keep(text: str) -> str:
    return text


def _write_quotes(text: str) -> str:
    text = text.replace("&apos;", "'").replace("&quot;", "''").replace('"', "''")
    return "".join(_QUOTES.get(sign, sign) for sign in text)


def _write_brackets(text: str) -> str:
    return text.replace("(", "-LRB-").replace(")", "-RRB-")


def _write_phone(text: str) -> str:
    return _write_brackets(text.replace(" ", "\u00a0"))


def _plain_ampersand(text: str) -> str:
    return re.sub("(?i)&amp;", "&", text)


def _drop_soft_hyphens(text: str) -> str:
    return text.replace("\u00ad", "") or "-"


@dataclass(frozen=True)
class _Rule:
    """A token, what must follow it, and what is written for it (of which `keep` is read)."""

    pattern: re.Pattern[str]
    write: Callable[[str], str]
    keep: int | None


def _rule(
    token: str,
    follows: str = "",
    write: Callable[[str], str] = _keep,
    keep: int | None = None,
) -> _Rule:
    context = f"(?=(?P<context>{follows}))" if follows else "(?P<context>)"
    return _Rule(re.compile(f"(?P<token>{token}){context}"), write, keep)


_RULES = [
    _rule(r"(?i:c\+\+|[cf]\#)"),
    _rule("(?i:cannot)", keep=3),
    _rule("(?i:'twas)", keep=2),
    _rule("(?i:'tis)", keep=2),
    _rule("(?i:gonna|gotta|lemme|gimme|wanna)", keep=3),
    _rule(r"[\u0096\u0097\u2013-\u2015]", write=lambda _: "--"),
    _rule("(?i:&amp;)", write=lambda _: "&"),
    _rule(_WORD, _CLITIC, _drop_soft_hyphens),
    _rule(r"[A-Za-z\u00AD]*[A-MO-Za-mo-z]\u00AD*", _NOT, _drop_soft_hyphens),
    _rule(_WORD, write=_drop_soft_hyphens),
    *(_rule(pattern) for pattern in _APOSTROPHE_WORD),
    _rule(rf"(?i:y){_APOSTROPHE}", _LETTER),
    _rule(_URL),
    _rule(_EMAIL),
    _rule(rf"@[a-zA-Z_][a-zA-Z_0-9]*|\#{_L}+"),
    _rule(_CLITIC, r"[^A-Za-z]", _write_quotes),
    _rule(_NOT, r"[^A-Za-z]", _write_quotes),
    _rule(_DATE),
    _rule(_NUMBER, write=_drop_soft_hyphens),
    _rule(
        r"[\u207A\u207B\u208A\u208B]?(?:[\u2070\u00B9\u00B2\u00B3\u2074-\u2079]+|[\u2080-\u2089]+)"
    ),
    _rule(_FRACTION, write=lambda text: text.replace(" ", "\u00a0")),
    _rule(r"[\u00BC-\u00BE\u2153-\u215E]", write=lambda text: _FRACTIONS.get(text, text)),
    _rule(
        rf"(?i:-[rl][rcs]b-|c\.d\.s|pro-|anti-|s&(?:amp;)?p-500|s&(?:amp;)?ls"
        rf"|cap{_APOSTROPHE}n|c{_APOSTROPHE}est)",
        write=_plain_ampersand,
    ),
    _rule(_PATHLIKE),
    _rule(r"[A-Z]*\$|\#"),
    _rule(
        r"[\u00A2-\u00A5\u0080\u20A0\u20AC\u060B\u0E3F\u20A4\uFFE0\uFFE1\uFFE5\uFFE6]",
        write=lambda text: _CURRENCY.get(text, text),
    ),
    _rule(r"[A-Za-z]\.", rf"{_GAP}+(?:{_SENTENCE_BEGINNING}){_GAP}", keep=1),
    _rule(rf"{_ACRONYM}\.", rf"{_GAP}+(?:{_SENTENCE_BEGINNING}){_GAP}"),
    _rule(_BEFORE_NUMBER, rf"{_GAP}?\d"),
    _rule(r"(?i:pt)[eyEY]\.|(?i:co\.)", rf"{_BLANK}(?i:ltd|lim)"),
    _rule(_BEFORE_SMALL, r"[\s\S]{0,2}"),
    _rule(rf"{_BEFORE_CAPITAL}\."),
    _rule(_BEFORE_CAPITAL, _BLANK),
    _rule(_ACRONYM, _GAP),
    _rule(rf"{_APOSTROPHE}[0-9][0-9]", _GAP),
    _rule(rf"{_LD}+(?:\.{_LD}+)*\.{_EXTENSION}", rf"(?:{_GAP}|[.?!,])"),
    _rule(rf"{_WORD}\.", _CLAUSE_END, _drop_soft_hyphens),
    _rule(_PHONE, write=_write_phone),
    _rule(_DOTTED_PHONE),
    _rule('"|(?i:&quot;)', "[A-Za-z0-9$]", lambda _: "``"),
    _rule('"|(?i:&quot;)', write=lambda _: "''"),
    _rule("<|(?i:&lt;)", write=lambda _: "<"),
    _rule(">|(?i:&gt;)", write=lambda _: ">"),
    _rule(_SMILEY, "[^A-Za-z0-9]", _write_brackets),
    _rule(r"[(){}\[\]]", write=lambda text: _BRACKETS[text]),
    _rule("-+", write=lambda text: "--" if len(text) in (3, 4) else text),
    _rule(r"\.{3,5}|(?:\.[ \u00A0]){2,4}\.|[\u0085\u2026]", write=lambda _: "..."),
    _rule(r"@+|\#+|_+"),
    _rule(r"\*+|(?:\\\*){1,3}"),
    _rule(_CLAUSE_END),
    _rule("[?!]+"),
    _rule(r"[.\u00A1\u00BF\u037E\u0589\u061F\u06D4\u0700-\u0702\u07FA\u3002]"),
    _rule("[=/]"),
    _rule(rf"{_HYPHENATED}\.", _CLAUSE_END, _drop_soft_hyphens),
    _rule(_HYPHENATED, write=_drop_soft_hyphens),
    _rule(rf"{_COMPOUND}\.", _CLAUSE_END),
    _rule(_COMPOUND),
    _rule(r"[A-Z]+(?:(?:[+&]|(?i:&amp;))[A-Z]+)+\.", _CLAUSE_END, _plain_ampersand),
    _rule(r"[A-Z]+(?:(?:[+&]|(?i:&amp;))[A-Z]+)+", write=_plain_ampersand),
    _rule("'", r"[A-Za-z][^ \t\n\r\u00A0]", lambda _: "`"),
    _rule(_CLITIC, write=_write_quotes),
    _rule(_NOT, write=_write_quotes),
    _rule(r"''|[`\u2018-\u201F\u0091-\u0094\u2039\u203A\u00AB\u00BB]{1,2}", write=_write_quotes),
    _rule(_APOSTROPHE, write=_write_quotes),
    _rule("<<|>>"),
    _rule(_SYMBOL),
]

_PLAIN = re.compile(r"[A-Za-z]{2,}(?= |\n|, )")
"""A word that no rule can read otherwise, but for the few below."""
_SPLIT_WORDS = {"cannot", "gonna", "gotta", "lemme", "gimme", "wanna"}
_LINE_BREAKS = re.compile("\r\n|[\n\r\u2028\u2029\u000b\u000c\u0085]")


def tokenize_captions(captions: Iterable[str]) -> list[str]:
    """Each caption as its lower-case tokens with a blank between, without punctuation.

    A caption's last word can depend on the caption after it (an initial with a full stop before a
    word that begins sentences), as in the original: give them in the official order.
    """
    lines = [_LINE_BREAKS.sub(" ", caption) for caption in captions]
    tokenized: list[list[str]] = [[]]
    for word in _scan("\n".join(lines)):
        if word == "\n":
            tokenized.append([])
        elif word not in _DROPPED:
            tokenized[-1].append(word)
    return [" ".join(line) for line in tokenized] if lines else []


def _scan(text: str) -> Iterable[str]:
    """Lower-case tokens and line breaks of a text."""
    position = 0
    while position < len(text):
        sign = text[position]
        if sign == "\n":
            yield sign
            position += 1
        elif sign == " ":
            position += 1
        elif (plain := _PLAIN.match(text, position)) and plain[0].lower() not in _SPLIT_WORDS:
            yield plain[0].lower()
            position = plain.end()
        else:
            token, position = _read(text, position)
            if token:
                yield token.lower()


def _read(text: str, start: int) -> tuple[str, int]:
    """The token at `start` ("" for a sign that the original deletes) and where it ends."""
    best, reach = None, start
    for rule in _RULES:
        match = rule.pattern.match(text, start)
        if match and match.end("context") > reach:
            best, reach = (rule, match), match.end("context")
    if best is None:
        return "", start + 1
    rule, match = best
    end = match.end("token") if rule.keep is None else start + rule.keep
    return rule.write(text[start:end]), end
