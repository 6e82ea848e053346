# SPDX-License-Identifier: Apache-2.0
"""A QuestionnaireResponse against its Questionnaire (https://hl7.org/fhir/R4/questionnaireresponse.html#notes).

Asked where the Questionnaire is at hand: contained, or installed. Required answers are missed in a completed response
only, and never where a question may be disabled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from salus.fhir.validate.knowledge import Knowledge

Json = dict[str, Any]
Fault = tuple[str, str, str]  # code, further steps of the place, words

# JSON names of `answer.value[x]` for each type of question; groups and displays have no answers.
_ANSWERS: Final = {
    "boolean": {"valueBoolean"},
    "decimal": {"valueDecimal"},
    "integer": {"valueInteger"},
    "date": {"valueDate"},
    "dateTime": {"valueDateTime"},
    "time": {"valueTime"},
    "string": {"valueString"},
    "text": {"valueString"},
    "url": {"valueUri"},
    "choice": {"valueCoding", "valueInteger", "valueDate", "valueTime", "valueString", "valueReference"},
    "open-choice": {"valueCoding", "valueInteger", "valueDate", "valueTime", "valueString", "valueReference"},
    "attachment": {"valueAttachment"},
    "reference": {"valueReference"},
    "quantity": {"valueQuantity"},
}
_DONE: Final = frozenset({"completed", "amended"})


def questionnaire_response(response: Json, knowledge: Knowledge) -> Iterator[Fault]:
    """What is wrong with a response by its Questionnaire; nothing when that is not at hand."""
    form = _form(response, knowledge)
    if form is not None:
        done = response.get("status") in _DONE
        yield from _items(_list(response, "item"), _list(form, "item"), "", done=done)


def _form(response: Json, knowledge: Knowledge) -> Json | None:
    canonical = response.get("questionnaire")
    if type(canonical) is not str:
        return None
    if canonical.startswith("#"):
        inside = (one for one in _list(response, "contained") if one.get("id") == canonical[1:])
        return next((one for one in inside if one.get("resourceType") == "Questionnaire"), None)
    return knowledge.find("Questionnaire", canonical)


def _items(items: list[Json], questions: list[Json], place: str, *, done: bool) -> Iterator[Fault]:
    """Items on one level against the questions of that level."""
    by_link = {question.get("linkId"): question for question in questions}
    counts: dict[Any, int] = {}
    for index, item in enumerate(items):
        where = f"{place}.item[{index}]"
        question = by_link.get(item.get("linkId"))
        if question is None:
            yield "structure", f"{where}.linkId", "is not a question of the questionnaire at this place"
            continue
        link = item.get("linkId")
        counts[link] = counts.get(link, 0) + 1
        if counts[link] > 1 and not (question.get("type") == "group" and question.get("repeats") is True):
            yield "structure", where, "answers a question that was answered before"
        yield from _item(item, question, where, done=done)
    for question in questions if done else ():
        asked = question.get("required") is True and "enableWhen" not in question and question.get("type") != "display"
        if asked and question.get("linkId") not in counts:
            yield "required", f"{place}.item", "lacks an item that the questionnaire requires"


def _item(item: Json, question: Json, place: str, *, done: bool) -> Iterator[Fault]:
    kind, answers = str(question.get("type")), _list(item, "answer")
    allowed = _ANSWERS.get(kind, set())
    if answers and not allowed:
        yield "structure", f"{place}.answer", "may not be there: groups and displays have no answers"
    if len(answers) > 1 and question.get("repeats") is not True:
        yield "structure", f"{place}.answer", "may be there once only by the questionnaire"
    required = question.get("required") is True and "enableWhen" not in question
    if done and required and allowed and not answers:
        yield "required", f"{place}.answer", "is required by the questionnaire"
    inner = _list(question, "item")
    for index, answer in enumerate(answers):
        where = f"{place}.answer[{index}]"
        values = {name for name in answer if name.startswith("value")}
        if allowed and values and not values <= allowed:
            yield "structure", where, "has a value of a type that the question does not take"
        elif kind == "choice" and not _offered(answer, _list(question, "answerOption")):
            yield "code-invalid", where, "is not one of the answers that the question offers"
        yield from _items(_list(answer, "item"), inner if answer.get("item") else [], where, done=done)
    if _list(item, "item") or (kind == "group" and inner):
        yield from _items(_list(item, "item"), inner, place, done=done)


def _offered(answer: Json, options: list[Json]) -> bool:
    """Whether an answer is one of the options; true when the question lists none."""
    if not options:
        return True
    for option in options:
        for name in (name for name in option if name.startswith("value")):
            wanted, given = option[name], answer.get(name)
            if wanted == given:
                return True
            if type(wanted) is dict and type(given) is dict and name == "valueCoding":
                same_system = "system" not in given or given.get("system") == wanted.get("system")
                if wanted.get("code") == given.get("code") and same_system:
                    return True
    return not any(name.startswith("value") for name in answer)


def _list(node: Json, name: str) -> list[Json]:
    found = node.get(name)
    return [one for one in found if type(one) is dict] if type(found) is list else []
