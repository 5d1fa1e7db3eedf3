"""Tokens to trees, by the rules of text/template's parser."""

from __future__ import annotations

from collections.abc import Collection

from alerts.gotemplate.bounds import MAX_DEPTH, MAX_TEXT, TemplateError
from alerts.gotemplate.language.lexer import Token, lex
from alerts.gotemplate.language.nodes import (
    Action,
    Branch,
    Break,
    Call,
    Chain,
    Command,
    Continue,
    Dot,
    Field,
    Identifier,
    Literal,
    Nil,
    Node,
    Pipeline,
    Text,
    Tree,
    Variable,
)
from alerts.gotemplate.text.numbers import character, number
from alerts.gotemplate.text.quote import quote, unquote

OPERANDS = frozenset(
    ["bool", "char", "complex", "dot", "field", "identifier", "number", "nil", "string", "variable", "("]
)
GLOBALS = ("$labels", "$externalLabels", "$externalURL", "$value")


def parse_trees(text: str, functions: Collection[str]) -> dict[str, Tree]:
    """The trees by name, the main one under "". Raises TemplateError."""
    if len(text) > MAX_TEXT:
        raise TemplateError(f"the template is longer than {MAX_TEXT} characters", MAX_TEXT)
    parser = _Parser(text, functions)
    try:
        parser.main()
    except RecursionError:
        raise TemplateError("the template is nested too deeply", parser.token().at) from None
    return parser.trees


class _End(Node):
    """`{{end}}`, or `{{else}}` with the keyword that follows it."""

    def __init__(self, at: int, kind: str) -> None:
        self.at = at
        self.kind = kind

    def __str__(self) -> str:
        return f"{{{{{self.kind}}}}}"


class _Parser:
    def __init__(self, text: str, functions: Collection[str]) -> None:
        self.tokens = lex(text)
        self.next = 0
        self.functions = functions
        self.trees: dict[str, Tree] = {}
        self.variables = ["$", *GLOBALS]
        self.ranges = 0
        self.depth = self.deepest = 0

    def token(self) -> Token:
        """The token at hand; the last one stays."""
        return self.tokens[min(self.next, len(self.tokens) - 1)]

    def take(self) -> Token:
        found = self.token()
        self.next += 1
        return found

    def skip_space(self) -> Token:
        """The token at hand, spaces left out."""
        while self.token().kind == "space":
            self.next += 1
        return self.token()

    def take_solid(self) -> Token:
        self.skip_space()
        return self.take()

    def fail(self, message: str, at: int) -> TemplateError:
        return TemplateError(message, at)

    def unexpected(self, token: Token, context: str) -> TemplateError:
        if token.kind == "error":
            return TemplateError(token.text, token.at)
        return TemplateError(f"unexpected {token} in {context}", token.at)

    def expect(self, kind: str, context: str) -> Token:
        token = self.take_solid()
        if token.kind != kind:
            raise self.unexpected(token, context)
        return token

    def deeper(self, at: int) -> None:
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        if self.depth > MAX_DEPTH:
            raise TemplateError(f"the template is nested more than {MAX_DEPTH} deep", at)

    def main(self) -> None:
        body: list[Node] = []
        while self.token().kind != "eof":
            if self.token().kind == "left":
                start = self.next
                self.next += 1
                if self.take_solid().kind == "define":
                    self.definition()
                    continue
                self.next = start
            node = self.text_or_action()
            if isinstance(node, _End):
                raise self.fail(f"unexpected {node}", node.at)
            body.append(node)
        self.add(Tree("", body, self.deepest), 0)

    def add(self, tree: Tree, at: int) -> None:
        """A later definition may only replace an empty one, and an empty one replaces none."""
        known = self.trees.get(tree.name)
        if known is None or _is_empty(known.body):
            self.trees[tree.name] = tree
        elif not _is_empty(tree.body):
            raise self.fail(f"multiple definition of template {quote(tree.name)}", at)

    def definition(self) -> None:
        context = "define clause"
        name = self.expect("string", context)
        text = self.unquoted(name)
        self.expect("right", context)
        self.tree(text, name.at, context)

    def tree(self, name: str, at: int, context: str) -> None:
        """The body of a template of its own, which sees no variables but `$`."""
        saved = self.variables, self.ranges, self.deepest
        self.variables, self.ranges, self.deepest = ["$"], 0, self.depth
        self.deeper(at)
        body, end = self.item_list()
        if end.kind != "end":
            raise self.fail(f"unexpected {end} in {context}", end.at)
        self.depth -= 1
        self.add(Tree(name, body, self.deepest - self.depth), at)
        self.variables, self.ranges, self.deepest = saved

    def item_list(self) -> tuple[list[Node], _End]:
        body: list[Node] = []
        while self.skip_space().kind != "eof":
            node = self.text_or_action()
            if isinstance(node, _End):
                return body, node
            body.append(node)
        raise self.fail("unexpected EOF", self.token().at)

    def text_or_action(self) -> Node:
        token = self.take_solid()
        if token.kind == "text":
            return Text(token.at, token.text)
        if token.kind == "left":
            return self.action()
        raise self.unexpected(token, "input")

    def action(self) -> Node:
        token = self.skip_space()
        if token.kind in ("if", "with", "range"):
            self.next += 1
            return self.control(token.kind, token.at)
        if token.kind in ("break", "continue"):
            self.next += 1
            return self.leave(token)
        if token.kind == "else":
            self.next += 1
            if self.skip_space().kind in ("if", "with"):
                return _End(token.at, "else")
            self.expect("right", "else")
            return _End(token.at, "else")
        if token.kind == "end":
            self.next += 1
            self.expect("right", "end")
            return _End(token.at, "end")
        if token.kind in ("template", "block"):
            self.next += 1
            return self.call(token.kind)
        return Action(token.at, self.pipeline("command", "right"))

    def leave(self, token: Token) -> Node:
        word = f"{{{{{token.kind}}}}}"
        self.expect("right", word)
        if not self.ranges:
            raise self.fail(f"{word} outside {{{{range}}}}", token.at)
        return Break(token.at) if token.kind == "break" else Continue(token.at)

    def control(self, kind: str, at: int) -> Branch:
        """if, with and range; the keyword is past."""
        self.deeper(at)
        known = len(self.variables)
        pipeline = self.pipeline(kind, "right")
        self.ranges += kind == "range"
        body, end = self.item_list()
        self.ranges -= kind == "range"
        otherwise: list[Node] | None = None
        if end.kind == "else":
            following = self.skip_space()
            if kind in ("if", "with") and following.kind == kind:
                self.next += 1
                otherwise = [self.control(kind, following.at)]
            else:
                otherwise, end = self.item_list()
                if end.kind != "end":
                    raise self.fail(f"expected end; found {end}", end.at)
        del self.variables[known:]
        self.depth -= 1
        return Branch(at, kind, pipeline, body, otherwise)

    def call(self, kind: str) -> Call:
        context = f"{kind} clause"
        token = self.take_solid()
        if token.kind != "string":
            raise self.unexpected(token, context)
        name = self.unquoted(token)
        pipeline = None
        if kind == "block" or self.skip_space().kind != "right":
            pipeline = self.pipeline(context, "right")
        else:
            self.next += 1
        if kind == "block":
            self.tree(name, token.at, context)
        return Call(token.at, name, pipeline)

    def unquoted(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except ValueError as error:
            raise self.fail(str(error), token.at) from None

    def pipeline(self, context: str, end: str) -> Pipeline:
        pipeline = Pipeline(self.skip_space().at)
        self.declarations(pipeline, context)
        while True:
            token = self.take_solid()
            if token.kind == end:
                self.check(pipeline, context)
                return pipeline
            if token.kind not in OPERANDS:
                raise self.unexpected(token, context)
            self.next -= 1
            pipeline.commands.append(self.command())

    def declarations(self, pipeline: Pipeline, context: str) -> None:
        """`$x :=`, `$x =`, and for range `$i, $e :=`."""
        while self.skip_space().kind == "variable":
            start = self.next
            variable = self.take()
            following = self.skip_space()
            comma = following.kind == "character" and following.text == ","
            if following.kind not in ("=", ":=") and not comma:
                self.next = start
                return
            self.next += 1
            pipeline.variables.append(variable.text)
            self.variables.append(variable.text)
            if not comma:
                pipeline.assigns = following.kind == "="
                return
            if context != "range" or len(pipeline.variables) > 1:
                raise self.fail(f"too many declarations in {context}", variable.at)
            if self.skip_space().kind not in ("variable", "right", ")"):
                raise self.fail("range can only initialize variables", self.token().at)

    def check(self, pipeline: Pipeline, context: str) -> None:
        if not pipeline.commands:
            raise self.fail(f"missing value for {context}", pipeline.at)
        for stage, command in enumerate(pipeline.commands[1:], 2):
            if isinstance(command.operands[0], Literal | Dot | Nil):
                raise self.fail(f"non executable command in pipeline stage {stage}", command.at)

    def command(self) -> Command:
        command = Command(self.skip_space().at, [])
        while True:
            self.skip_space()
            operand = self.operand()
            if operand is not None:
                command.operands.append(operand)
            token = self.take()
            if token.kind == "space":
                continue
            if token.kind in ("right", ")"):
                self.next -= 1
            elif token.kind != "|":
                raise self.unexpected(token, "operand")
            break
        if not command.operands:
            raise self.fail("empty command", command.at)
        return command

    def operand(self) -> Node | None:
        term = self.term()
        if term is None or self.token().kind != "field":
            return term
        at = self.token().at
        names: list[str] = []
        while self.token().kind == "field":
            names.append(self.take().text[1:])
        if isinstance(term, Field | Variable):
            term.names.extend(names)
            return term
        if isinstance(term, Literal | Dot | Nil):
            raise self.fail(f"unexpected . after term {quote(str(term))}", at)
        return Chain(at, term, names)

    def term(self) -> Node | None:
        token = self.take_solid()
        kind, at, text = token.kind, token.at, token.text
        if kind == "identifier":
            if text not in self.functions:
                raise self.fail(f"function {quote(text)} not defined", at)
            return Identifier(at, text)
        if kind == "dot":
            return Dot(at)
        if kind == "nil":
            return Nil(at)
        if kind == "variable":
            if text not in self.variables:
                raise self.fail(f"undefined variable {quote(text)}", at)
            return Variable(at, text, [])
        if kind == "field":
            return Field(at, [text[1:]])
        if kind == "(":
            self.deeper(at)
            pipeline = self.pipeline("parenthesized pipeline", ")")
            self.depth -= 1
            return pipeline
        if kind in ("bool", "string", "char", "number", "complex"):
            return self.literal(token)
        self.next -= 1
        return None

    def literal(self, token: Token) -> Literal:
        kind, text = token.kind, token.text
        if kind == "bool":
            return Literal(token.at, text == "true", text)
        if kind == "string":
            return Literal(token.at, self.unquoted(token), text)
        try:
            if kind == "complex":
                raise ValueError(f"complex numbers are not supported: {text}")
            return Literal(token.at, character(text) if kind == "char" else number(text), text)
        except ValueError as error:
            raise self.fail(str(error), token.at) from None


def _is_empty(body: list[Node]) -> bool:
    return all(isinstance(node, Text) and not node.text.strip() for node in body)
