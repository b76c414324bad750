"""The scripted brain: what it does with tools that it has never seen."""

import json
import re
from pathlib import Path

import pytest

from gateway.local.brain.turn import Line, Note

TEXT = {"type": "string"}


@pytest.fixture
def nonsense(talk, tool):
    """A line whose every word is made up."""
    tools = [
        tool(
            "florp_grib",
            "Florp the grib with a wuzzle.",
            wuzzle_number={"type": "string", "description": "The number of the wuzzle."},
            mode={"type": "string", "enum": ["blurn", "skree"], "description": "How to florp."},
        ),
        tool("zank_quible", "Zank one quible.", (), loud={"type": "boolean"}),
    ]
    return talk({"Snerk": tools}, {"florp_grib": "The grib is florped.", "zank_quible": '{"zanked": true, "yop": 3}'})


@pytest.fixture
def desk(talk, tool, handoff):
    """Three agents that hand over to each other, for a trade that does not exist."""
    general = handoff("Triage", "A triage agent that can delegate a request to the appropriate agent.")
    return talk(
        {
            "Triage": [
                handoff("Lore", "Answers questions about moon cheese."),
                handoff("Crater Desk", "Updates a crater on a moon map."),
                tool("get_current_time", "Tell the current time."),
            ],
            "Lore": [tool("lore_lookup", "Lookup frequently asked questions.", question=TEXT), general],
            "Crater Desk": [
                tool(
                    "update_crater",
                    "Update the crater for a permit number.",
                    permit_number={"type": "string", "description": "The permit number of the caller."},
                    new_crater={"type": "string", "description": "The new crater, such as 4B."},
                ),
                general,
            ],
        },
        {
            "lore_lookup": "It is mostly cheddar.",
            "update_crater": lambda a: f"Crater {a['new_crater']} is yours, permit {a['permit_number']}.",
            "get_current_time": "It is 12:30.",
        },
    )


def test_brain_knows_no_word_of_the_shipped_lines():
    root = Path(__file__).parents[2]
    source = "".join(path.read_text() for path in (root / "gateway/local/brain").glob("*.py")).lower()
    for word in ("airline", "flight", "seat", "baggage", "luggage", "suitcase", "wifi", "acme", "refund", "passenger"):
        assert not re.search(rf"\b{word}", source), word


def test_nonsense_tool_is_called_with_what_was_asked_for(nonsense):
    assert nonsense.answer() == "Hello, how can I help you?"
    assert nonsense.say("Could you please florp the grib for me?") == "What is the number of the wuzzle?"
    assert nonsense.say("It's seven seven two one.") == "Which mode: blurn or skree?"
    assert "The grib is florped." in nonsense.say("Skree, please.")
    assert nonsense.calls == [("florp_grib", {"wuzzle_number": "7721", "mode": "skree"})]


def test_everything_said_at_once_needs_no_question(nonsense):
    nonsense.say("Florp my grib in blurn mode, the wuzzle number is 9 9 1.")
    assert nonsense.calls == [("florp_grib", {"wuzzle_number": "991", "mode": "blurn"})]


def test_json_output_becomes_a_sentence(nonsense):
    assert "Zanked: yes. Yop: 3." in nonsense.say("Zank the quible!")


def test_unmatched_words_are_answered_with_sorry_and_call_nothing(nonsense):
    assert nonsense.say("He was not an ill disposed young man.").startswith("I'm sorry")
    assert nonsense.calls == []


def test_request_goes_on_after_the_handoff(desk):
    assert desk.say("I'd like to change my crater.") == "What is your permit number?"
    assert desk.agent == "Crater Desk"
    assert desk.say("A B C one two three") == "What is the new crater?"
    assert "Crater 12A is yours, permit ABC123." in desk.say("Twelve A please.")
    assert desk.calls[-1] == ("update_crater", {"permit_number": "ABC123", "new_crater": "12A"})


def test_question_of_any_kind_goes_to_whoever_answers_questions(desk):
    assert "mostly cheddar" in desk.say("How old is it?")
    assert desk.calls == [("transfer_to_lore", {}), ("lore_lookup", {"question": "How old is it?"})]


def test_caller_is_handed_back_and_on(desk):
    desk.say("How old is it?")
    desk.calls.clear()
    desk.say("I want crater 4B, my permit number is 5 5 1 2.")
    assert [name for name, _ in desk.calls] == ["transfer_to_triage", "transfer_to_crater_desk", "update_crater"]
    assert desk.calls[-1][1] == {"permit_number": "5512", "new_crater": "4B"}


def test_caller_corrects_what_was_done(desk):
    desk.say("Change my crater to 4B, permit number 5512.")
    desk.calls.clear()
    desk.say("Actually, make it 9 C.")
    assert desk.calls == [("update_crater", {"permit_number": "5512", "new_crater": "9C"})]


def test_nobody_is_asked_twice_for_the_same_thing(desk):
    desk.say("Change my crater to 4B, permit number 5512.")
    desk.calls.clear()
    desk.say("I need another crater.")
    desk.say("7 D")
    assert desk.calls[-1] == ("update_crater", {"permit_number": "5512", "new_crater": "7D"})


def test_question_that_nobody_heard_was_not_asked(desk):
    desk.say("Change my crater.")
    note = desk.lines[-1].note
    assert note == Note("update_crater", "permit_number", {}, request="Change my crater.")
    desk.lines[-1] = Line("message", role="assistant", text="")
    desk.say("five five one two")
    assert all(name != "update_crater" for name, _ in desk.calls)


@pytest.mark.parametrize(
    ("directive", "said"),
    [
        ('Greet the caller. Say exactly: "Thanks for calling Snerk."', "Thanks for calling Snerk."),
        ("Say: We are closed today.", "We are closed today."),
        ("Tell the caller that the line is busy.", "the line is busy."),
    ],
)
def test_directive_is_spoken_as_it_stands(nonsense, directive, said):
    assert nonsense.answer(directive) == said


def test_consent_is_asked_for_in_words_and_with_the_keys(nonsense):
    directive = (
        'A tool waits for the caller\'s consent: florp_grib with {"wuzzle_number":"991","mode":"skree"}. Say in one short '
        "sentence what is about to be done, then: press 1 to confirm, or 2 to cancel."
    )
    said = nonsense.answer(directive)
    assert said == "I am about to florp grib: wuzzle number 991, mode skree. Press 1 to confirm, or 2 to cancel."


def test_code_that_is_too_short_is_asked_for_again(talk, tool, handoff):
    number = {"type": "string", "description": "The number of the quible, six digits."}
    line = talk({"A": [tool("zank_quible", "Zank one quible.", quible_number=number), handoff("Front", "Triage.")]})
    assert line.say("Zank a quible.") == "What is the number of the quible, six digits?"
    assert line.say("seven eight nine") == "Sorry. What is the number of the quible, six digits?"
    line.say("seven eight nine one two three")
    assert line.calls == [("zank_quible", {"quible_number": "789123"})]


def test_what_looks_like_one_thing_only_is_offered(desk):
    desk.agent = "Crater Desk"
    assert desk.say("What about seven D?") == "Would you like me to update the crater for a permit number?"
    assert desk.say("Yes please.") == "What is your permit number?"
    desk.say("five five one two")
    assert desk.calls == [("update_crater", {"permit_number": "5512", "new_crater": "7D"})]


def test_details_say_yes_to_an_offer(talk, tool):
    shelf = {"type": "string", "description": "The shelf, such as 4B."}
    line = talk({"A": [tool("zank_quible", "Put a quible onto the blorpian rack.", shelf=shelf)]})
    assert line.say("Something about a rack.") == "Would you like me to put a quible onto the blorpian rack?"
    line.say("nine C")
    assert line.calls == [("zank_quible", {"shelf": "9C"})]


def test_no_at_the_desk_of_another_agent_ends_the_call_too(desk, tool):
    desk.agents["Triage"].append(tool("hang_up", "End the call."))
    desk.say("Change my crater to 4B, permit number 5512.")
    assert desk.say("No thanks.") == "Goodbye."
    assert [name for name, _ in desk.calls][-2:] == ["transfer_to_triage", "hang_up"]


def test_greeting_of_the_instructions_is_used(talk):
    assert (
        talk({"A": []}, instructions='Greet with "Snerk and sons, good day."').answer() == "Snerk and sons, good day."
    )


def test_statements_of_the_instructions_answer_questions(talk):
    line = talk({"A": []}, instructions="You are brief. Opening hours are nine to five. Never mention cheese.")
    assert line.say("What are your opening hours?") == "Opening hours are nine to five."
    assert "cheese" not in line.say("Do you have any cheese?")


def test_keys_count_as_words(desk):
    desk.say("Change my crater to 4B.")
    desk.lines.append(Line("message", role="system", text="The caller pressed these keys: 5512#"))
    desk.answer()
    assert desk.calls[-1] == ("update_crater", {"permit_number": "5512", "new_crater": "4B"})


def test_goodbye_ends_the_call_where_a_tool_can(talk, tool):
    reasons = {"type": "string", "enum": ["done", "other"], "description": "Why the call ends."}
    for_agent = "The call ends as soon as the caller has heard you. Say goodbye briefly if you have not, else nothing."
    line = talk({"A": [tool("hang_up", "End the call.", reason=reasons)]}, {"hang_up": for_agent})
    assert line.say("That's all, thank you, bye.") == "Goodbye."
    assert line.calls == [("hang_up", {"reason": "done"})]


def test_person_is_asked_for(talk, tool):
    targets = {"type": "string", "enum": ["desk", "lab"], "description": "Whom to put the caller through to."}
    line = talk({"A": [tool("transfer", "Put the caller through to somebody else.", target=targets)]})
    assert line.say("Can I talk to a real person?") == "Which target: desk or lab?"
    line.say("The lab.")
    assert line.calls == [("transfer", {"target": "lab"})]


def test_rejected_and_failed_outputs_are_said_so(talk, tool):
    outputs = {"zank": "Tool execution was not approved.", "florp": "An error occurred while running the tool. Boom."}
    line = talk({"A": [tool("zank", "Zank it."), tool("florp", "Florp it.")]}, outputs)
    assert "not approved" in line.say("Zank it.")
    said = line.say("Florp it.")
    assert "didn't work" in said
    assert "Boom" not in said


def test_weak_match_is_offered_first(talk, tool):
    line = talk({"A": [tool("zank_quible", "Put a quible onto the blorpian shelf.")]}, {"zank_quible": "Zanked."})
    assert line.say("Something about a shelf.") == "Would you like me to put a quible onto the blorpian shelf?"
    assert line.calls == []
    assert "Zanked." in line.say("Yes please.")


def test_repeats_what_it_said(nonsense):
    nonsense.say("Florp the grib.")
    assert nonsense.say("Pardon?") == "What is the number of the wuzzle?"
    assert nonsense.say("8 8") == "Which mode: blurn or skree?"


def test_running_tool_is_waited_for(nonsense):
    nonsense.hear("Zank the quible.")
    nonsense.lines.append(Line("function_call", name="zank_quible", call_id="c1", arguments="{}"))
    assert nonsense.say("Hello?") == "One moment, please."


def test_interrupted_request_is_one_with_what_follows(nonsense):
    nonsense.hear("Florp the grib,")
    nonsense.lines.append(Line("message", role="assistant", text=""))
    nonsense.say("skree mode, wuzzle number one two.")
    assert nonsense.calls == [("florp_grib", {"wuzzle_number": "12", "mode": "skree"})]


def test_forced_tool_and_no_tools(nonsense):
    nonsense.hear("hello")
    assert nonsense.ask(tool_choice="zank_quible").calls[0].name == "zank_quible"
    nonsense.hear("Zank the quible")
    assert nonsense.ask(tool_choice="none").calls == ()


def test_optional_parameters_are_null_where_the_schema_wants_them_named(talk):
    strict = {
        "name": "zank",
        "description": "Zank a quible.",
        "parameters": {
            "type": "object",
            "properties": {"note": {"anyOf": [TEXT, {"type": "null"}]}, "size": {"$ref": "#/$defs/Size"}},
            "required": ["note", "size"],
            "$defs": {"Size": {"type": "string", "enum": ["big", "small"]}},
        },
    }
    line = talk({"A": [strict]})
    line.say("Zank a big quible.")
    assert line.calls[0][1]["size"] == "big"


def test_same_words_give_the_same_answer(desk):
    first = desk.say("Change my crater.")
    again = type(desk)(desk.agents, desk.outputs)
    assert again.say("Change my crater.") == first
    assert json.dumps(again.calls) == json.dumps(desk.calls)
