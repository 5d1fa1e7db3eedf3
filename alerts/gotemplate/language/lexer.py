"""Text to tokens, by the rules of text/template's lexer."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.gotemplate.text.quote import is_print, quote

SPACES = " \t\r\n"
TERMINATORS = frozenset(" \t\r\n.,|:)(")
KEYWORDS = frozenset(["block", "break", "continue", "define", "else", "end", "if", "range", "nil", "template", "with"])
DIGITS = "0123456789_"
PREFIXED_DIGITS = {"x": "0123456789abcdefABCDEF_", "o": "01234567_", "b": "01_"}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is text, left, right, space, eof, error, a keyword, or what an action is made of."""

    kind: str
    at: int
    text: str

    def __str__(self) -> str:
        if self.kind == "eof":
            return "EOF"
        if self.kind == "error":
            return self.text
        if self.kind in KEYWORDS or self.kind == "dot":
            return f"<{self.text}>"
        return f"{quote(self.text[:10])}..." if len(self.text) > 10 else quote(self.text)


def lex(text: str) -> list[Token]:
    """The tokens; the last is eof or error."""
    return _Lexer(text).run()


def is_alphanumeric(c: str) -> bool:
    return c == "_" or c.isalpha() or c.isdecimal()


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tokens: list[Token] = []

    def run(self) -> list[Token]:
        text, trim = self.text, False
        try:
            while True:
                found = text.find("{{", self.at)
                literal = text[self.at : found] if found >= 0 else text[self.at :]
                start = self.at
                if trim:
                    stripped = literal.lstrip(SPACES)
                    start += len(literal) - len(stripped)
                    literal = stripped
                trims_left = found >= 0 and _trims_left(text, found + 2)
                literal = literal.rstrip(SPACES) if trims_left else literal
                if literal:
                    self.tokens.append(Token("text", start, literal))
                if found < 0:
                    self.tokens.append(Token("eof", len(text), ""))
                    return self.tokens
                self.at = found + 2 + 2 * trims_left
                if text.startswith("/*", self.at):
                    trim = self._comment()
                else:
                    self.tokens.append(Token("left", found, "{{"))
                    trim = self._action()
        except _LexError as error:
            self.tokens.append(Token("error", error.at, str(error)))
            return self.tokens

    def _comment(self) -> bool:
        end = self.text.find("*/", self.at + 2)
        if end < 0:
            raise _LexError("unclosed comment", self.at)
        end += 2
        trims = _trims_right(self.text, end)
        if not trims and not self.text.startswith("}}", end):
            raise _LexError("comment ends before closing delimiter", self.at)
        self.at = end + 2 + 2 * trims
        return trims

    def _action(self) -> bool:
        """Tokens up to the closing delimiter; whether it trims what follows."""
        text, parentheses = self.text, 0
        while True:
            start = self.at
            trims = _trims_right(text, start)
            if trims or text.startswith("}}", start):
                if parentheses:
                    raise _LexError("unclosed left paren", start)
                self.at = start + 2 + 2 * trims
                self.tokens.append(Token("right", start, "}}"))
                return trims
            if start >= len(text):
                raise _LexError("unclosed action", start)
            c = text[start]
            if c in SPACES:
                self._space()
            elif c == "(":
                parentheses += 1
                self._emit("(", start + 1)
            elif c == ")":
                parentheses -= 1
                self._emit(")", start + 1)
                if parentheses < 0:
                    raise _LexError("unexpected right paren U+0029 ')'", start)
            else:
                self._operand(c)

    def _operand(self, c: str) -> None:
        text, start = self.text, self.at
        after = text[start + 1 : start + 2]
        if c == "=" or c == "|":
            self._emit(c, start + 1)
        elif c == ":":
            if after != "=":
                raise _LexError("expected :=", start)
            self._emit(":=", start + 2)
        elif c == '"':
            self._quoted(c, "string", "quoted string")
        elif c == "'":
            self._quoted(c, "char", "character constant")
        elif c == "`":
            end = text.find("`", start + 1)
            if end < 0:
                raise _LexError("unterminated raw quoted string", start)
            self._emit("string", end + 1)
        elif c == "$" or (c == "." and not ("0" <= after <= "9")):
            self._name("variable" if c == "$" else "field", "variable" if c == "$" else "dot")
        elif c in "+-." or "0" <= c <= "9":
            self._number()
        elif is_alphanumeric(c):
            self._identifier()
        elif c.isascii() and is_print(c):
            self._emit("character", start + 1)
        else:
            shown = f" '{c}'" if is_print(c) else ""
            raise _LexError(f"unrecognized character in action: U+{ord(c):04X}{shown}", start)

    def _emit(self, kind: str, end: int) -> None:
        self.tokens.append(Token(kind, self.at, self.text[self.at : end]))
        self.at = end

    def _space(self) -> None:
        end = self.at
        while end < len(self.text) and self.text[end] in SPACES:
            end += 1
        # The last space may belong to ` -}}`.
        if _trims_right(self.text, end - 1):
            end -= 1
        if end > self.at:
            self._emit("space", end)

    def _quoted(self, mark: str, kind: str, name: str) -> None:
        text, at = self.text, self.at + 1
        while True:
            c = text[at : at + 1]
            if c == "\\":
                at += 1
                c = text[at : at + 1]
                if c and c != "\n":
                    at += 1
                    continue
            if not c or c == "\n":
                raise _LexError(f"unterminated {name}", self.at)
            at += 1
            if c == mark:
                break
        self._emit(kind, at)

    def _terminates(self, at: int) -> bool:
        return at >= len(self.text) or self.text[at] in TERMINATORS or self.text.startswith("}}", at)

    def _word_end(self, at: int) -> int:
        """The offset behind letters and digits, which a terminator must follow."""
        text = self.text
        while at < len(text) and is_alphanumeric(text[at]):
            at += 1
        if not self._terminates(at):
            c = text[at]
            shown = f" '{c}'" if is_print(c) else ""
            raise _LexError(f"bad character U+{ord(c):04X}{shown}", self.at)
        return at

    def _name(self, kind: str, alone: str) -> None:
        at = self.at + 1
        if self._terminates(at):
            self._emit(alone, at)
        else:
            self._emit(kind, self._word_end(at))

    def _identifier(self) -> None:
        end = self._word_end(self.at)
        word = self.text[self.at : end]
        if word in KEYWORDS:
            self._emit(word, end)
        else:
            self._emit("bool" if word in ("true", "false") else "identifier", end)

    def _number(self) -> None:
        end, good = self._scan_number(self.at)
        if good and self.text[end : end + 1] in ("+", "-"):
            end, good = self._scan_number(end)
            if good and self.text[end - 1] == "i":
                self._emit("complex", end)
                return
            good = False
        if not good:
            raise _LexError(f"bad number syntax: {quote(self.text[self.at : end])}", self.at)
        self._emit("number", end)

    def _scan_number(self, at: int) -> tuple[int, bool]:
        text, digits, exponents = self.text, DIGITS, "eE"
        at += text[at : at + 1] in ("+", "-")
        if text[at : at + 1] == "0":
            at += 1
            prefix = text[at : at + 1].lower()
            if prefix in PREFIXED_DIGITS and prefix:
                digits, exponents = PREFIXED_DIGITS[prefix], "pP" if prefix == "x" else ""
                at += 1
        at = self._run(at, digits)
        if text[at : at + 1] == ".":
            at = self._run(at + 1, digits)
        if exponents and text[at : at + 1] and text[at] in exponents:
            at += 1
            at += text[at : at + 1] in ("+", "-")
            at = self._run(at, DIGITS)
        at += text[at : at + 1] == "i"
        if at < len(text) and is_alphanumeric(text[at]):
            return at + 1, False
        return at, True

    def _run(self, at: int, valid: str) -> int:
        while at < len(self.text) and self.text[at] in valid:
            at += 1
        return at


class _LexError(Exception):
    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def _trims_left(text: str, at: int) -> bool:
    return text.startswith("-", at) and at + 1 < len(text) and text[at + 1] in SPACES


def _trims_right(text: str, at: int) -> bool:
    return text.startswith("-}}", at + 1) and text[at] in SPACES
