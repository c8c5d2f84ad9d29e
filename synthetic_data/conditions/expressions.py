"""Guards: small boolean and arithmetic expressions over a person, compiled once to Python functions.

Names: age (years), female, male, rural, insured, pregnant, child (under 18), season (Jalali month 1..12), chance (a fresh draw in
0..1), every latent variable, and the functions flag('x'), story('id'), drug('key'), allergy('substance').
"""

import ast
from collections.abc import Callable
from functools import cache

from ..calendars import JALALI, YEAR
from ..errors import StoryFormatError
from ..life.latent import variables
from ..life.record import Run

Guard = Callable[[Run, int], bool]
Number = Callable[[Run, int], float]

_NAMES = {
    "age": f"((day - run.life.birth) / {YEAR})",
    "female": "run.life.female",
    "male": "(not run.life.female)",
    "rural": "run.life.home.rural",
    "insured": "run.life.insured",
    "pregnant": "('pregnant' in run.life.flags)",
    "child": f"(day - run.life.birth < {18 * YEAR})",
    "season": "JALALI[day][1]",
    "chance": "run.u()",
    "True": "True",
    "False": "False",
}
_FUNCTIONS = {
    "flag": "({!r} in run.life.flags)",
    "story": "({!r} in run.life.runs)",
    "drug": "any({!r} in other.drugs for other in run.life.runs.values())",
    "allergy": "({!r} in run.life.allergies)",
}
_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.Compare, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.Constant, ast.Name, ast.Load, ast.Call,
)  # fmt: skip


class _Rewrite(ast.NodeTransformer):
    def __init__(self, text: str, place: str) -> None:
        self._text, self._place = text, place

    def _wrong(self, why: str) -> StoryFormatError:
        return StoryFormatError(f"{self._place}: {why} in the guard {self._text!r}")

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, _ALLOWED):
            raise self._wrong(f"{type(node).__name__} is not allowed")
        return super().generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in variables():
            return _python(f"run.life.level({variables()[node.id].index}, day)")
        if node.id in _NAMES:
            return _python(_NAMES[node.id])
        raise self._wrong(f"nothing is called {node.id!r}")

    def visit_Call(self, node: ast.Call) -> ast.AST:
        one = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or not isinstance(one, ast.Constant):
            raise self._wrong("only flag('x'), story('x'), drug('x') and allergy('x') can be called")
        return _python(_FUNCTIONS[node.func.id].format(one.value))


def _python(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


@cache
def compile_expression(text: str, place: str) -> Number:
    """A function of (run, day); raises StoryFormatError naming `place` for anything outside the little language."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise StoryFormatError(f"{place}: {text!r} is not an expression") from error
    body = ast.unparse(ast.fix_missing_locations(_Rewrite(text, place).visit(tree)))
    # The text was checked node by node against a short list above; nothing else can reach this line.
    return eval(f"lambda run, day: {body}", {"JALALI": JALALI})  # type: ignore[no-any-return]  # noqa: S307


def compile_guard(text: str, place: str) -> Guard:
    """Like `compile_expression`, for its truth."""
    return compile_expression(text, place)  # type: ignore[return-value]


def story_names(text: str) -> set[str]:
    """The stories that a guard asks about."""
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(text, mode="eval"))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "story"
        and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }  # fmt: skip
