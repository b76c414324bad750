from collections.abc import Mapping

import pytest

from gateway.call.policy import BargeIn, OnFailure, Target
from gateway.config.loader import load

BRIEF = "instructions: Be brief.\n"


@pytest.fixture
def line_of(write):
    """Return a function that loads one line."""

    def one(text: str, more: Mapping[str, str | bytes] | None = None, environment=None):
        return load(write({"a.yaml": text, **(more or {})}), environment).lines["a"]

    return one


def test_three_lines_are_enough(line_of):
    line = line_of('number: "+14155550199"\ngreeting: Thanks for calling Acme.\ninstructions: You are brief.\n')
    assert line.numbers == ("+14155550199",)
    assert line.greeting == "Thanks for calling Acme."
    assert line.agent == "a"
    assert line.agents["a"].instructions == "You are brief."
    assert line.label == "a"


def test_windows_line_ends_are_fine_and_places_right(line_of, faults_of):
    assert line_of("instructions: |\r\n  One\r\n  Two\r\nlabel: A\r\n").agents["a"].instructions == "One\nTwo"
    assert faults_of({"a.yaml": "label: A\r\ninstructions: Hi\r\ngreting: Hi\r\n"})[0].startswith("a.yaml:3:1: ")


def test_yaml_is_1_2(line_of):
    line = line_of(
        "instructions: no\nlabel: 17:30\nvars: {a: on, b: off, c: 2026-11-23}\nmodel: {transcription: off}\n"
    )
    assert (line.agents["a"].instructions, line.label) == ("no", "17:30")
    assert (line.vars["a"], line.vars["b"], line.vars["c"]) == ("on", "off", "2026-11-23")
    assert line.model.transcription == "off"


def test_maps_merge_lists_replace_and_null_removes(line_of):
    defaults = """\
vars: {site: Zurich, floor: "2"}
model: {voice: cedar, speed: 1.2, noise_reduction: far_field, transcription: {keywords: [a, b], prompt: p}}
guardrails: [no_links]
greeting: {clip: clips/x.wav, text: Hi}
limits: {silence: 30s}
"""
    own = """\
vars: {site: Bern}
model: {voice: marin, speed: ~, transcription: {keywords: [c]}}
guardrails: [no_ibans]
greeting: Hello {{site}}, floor {{floor}}.
limits: ~
"""
    line = line_of(BRIEF + own, {"_defaults.yaml": defaults})
    assert line.greeting == "Hello Bern, floor 2."
    assert (line.model.voice, line.model.speed, line.model.noise_reduction) == ("marin", None, "far_field")
    assert line.model.transcription.keywords == ("c",)
    assert line.model.transcription.prompt == "p"
    assert line.guardrails == ("no_ibans",)
    assert line.limits.silence == 60


def test_a_fault_of_the_defaults_is_told_once_and_where_it_stands(faults_of):
    files = {"a.yaml": BRIEF, "b.yaml": BRIEF + "limits: {silence: 10}\n", "_defaults.yaml": "limits:\n  silence: 9\n"}
    assert [fault.partition(": ")[0] for fault in faults_of(files)] == ["_defaults.yaml:2:12", "b.yaml:2:19"]


def test_own_agents_win_over_shared_ones(line_of):
    shared = {
        "agents/desk.yaml": "instructions: file:prompts/desk.{{language}}.md\nhandoffs: [billing]\n",
        "agents/billing.yaml": "instructions: Shared\n",
        "prompts/desk.de-CH.md": "Du bist {{label}}.\n",
    }
    line = line_of("language: de-CH\nagent: desk\nagents: {billing: {instructions: Own}}\n", shared)
    assert {name: agent.instructions for name, agent in line.agents.items()} == {"desk": "Du bist a.", "billing": "Own"}


def test_only_agents_that_can_be_reached_are_there(line_of):
    shared = {"agents/x.yaml": "instructions: X\n", "agents/y.yaml": "instructions: Y\nhandoffs: [z]\n"}
    line = line_of("agent: y\nagents: {z: {instructions: Z, handoffs: [y]}}\n", shared)
    assert [*line.agents] == ["y", "z"]


def test_an_agent_in_python_is_named_not_run(line_of):
    line = line_of('agent: "mine:desk"\n', {"mine.py": "raise SystemExit\nif True:\n    desk = 1\n"})
    assert (line.agent, dict(line.agents)) == ("mine:desk", {})


@pytest.mark.parametrize(
    "python",
    ["def f(): ...", "async def f(): ...", "f = 1", "f: int = 1", "from x import f", "from x import y as f",
     "try:\n    import f\nexcept ImportError:\n    f = None", "a, f = 1, 2", "class f: ..."],
)  # fmt: skip
def test_tools_are_found_without_running_them(line_of, python):
    line = line_of(BRIEF + 'tools: ["deep.mine:f"]\n', {"tools/deep/mine.py": python})
    assert line.agents["a"].tools == ("deep.mine:f",)


def test_secrets_come_from_the_environment(line_of):
    text = BRIEF + 'model: {url: "wss://${HOST}/v1?api-key=${KEY}", headers: {api-key: "${KEY}", X-Site: bern}}\n'
    model = line_of(text, environment={"HOST": "example.com", "KEY": "hunter2"}).model
    assert model.url == "wss://example.com/v1?api-key=hunter2"
    assert {name: value.get_secret_value() for name, value in model.headers.items()} == {
        "api-key": "hunter2",
        "X-Site": "bern",
    }
    assert "hunter2" not in repr(model.headers)
    assert line_of(text).model.headers["api-key"].get_secret_value() == "${KEY}"


def test_a_missing_variable_of_the_environment_is_a_fault(faults_of):
    text = BRIEF + 'model:\n  url: "${EU_URL}"\n  headers: {api-key: "${KEY}"}\n'
    assert faults_of({"a.yaml": text}, {"EU_URL": "https://example.com/v1"}) == [
        "a.yaml:3:8: 'https://example.com/v1' is not the address of a WebSocket (write wss://example.com/v1)",
        "a.yaml:4:23: KEY is not set in the environment (set KEY before the gateway starts)",
    ]


@pytest.mark.parametrize(
    ("text", "language"),
    [("", None), ("language: de-CH\n", "de"), ("language: de-CH\nmodel: {transcription: {language: fr}}\n", "fr"),
     ("language: de-CH\nmodel: {transcription: {languages: [de, fr]}}\n", None)],
)  # fmt: skip
def test_the_language_of_a_line_is_that_of_its_transcription(line_of, text, language):
    assert line_of(BRIEF + text).model.transcription.language == language


def test_policy_has_what_the_line_says(line_of):
    policy = line_of(
        BRIEF
        + """\
language: de-CH
vars: {desk: Empfang}
greeting: Hoi.
transfer: {desk: {to: "+41445550111", timeout: 25s, caller_id: "+41445550100"}, pbx: {to: "sip:a@pbx.example", mode: cold}}
on_failure: {say: "Moment, {{desk}}.", then: "transfer:desk"}
limits: {max_duration: 15m, silence: 8s}
barge_in: {allowed: false, min_speech: 200ms, protect_greeting: true}
approvals: {keypad: false, timeout: 45s}
model: {turn_detection: {type: server_vad, silence_duration_ms: 350}}
end_by: rest
"""
    ).policy()
    assert (policy.line, policy.language, policy.greeting) == ("a", "de-CH", "Hoi.")
    assert policy.transfers == {
        "desk": Target("desk", "+41445550111", 25, "+41445550100"),
        "pbx": Target("pbx", "sip:a@pbx.example"),
    }
    assert policy.on_failure == OnFailure("Moment, Empfang.", "desk")
    assert (policy.max_duration, policy.silence) == (900, 8)
    assert policy.barge_in == BargeIn(allowed=False, min_speech=0.2, protect_greeting=True)
    assert (policy.approval, policy.approve_by_keypad, policy.end_by) == (45, False, "rest")
    assert policy.end_of_speech == 0.35


def test_the_policy_of_a_bare_line_is_the_cores_own_default(line_of):
    from gateway.call.policy import Policy  # noqa: PLC0415

    assert line_of(BRIEF).policy() == Policy(line="a")


def test_every_option_of_the_model_is_taken(line_of):
    model = line_of(
        BRIEF
        + """\
tools: [hang_up]
model:
  name: gpt-realtime
  voice: {id: voice_1}
  speed: 1.1
  modalities: [audio, text]
  transcription: {model: whisper-1, prompt: p, keywords: [k], delay: low}
  noise_reduction: off
  turn_detection: {type: semantic_vad, eagerness: high, create_response: false, interrupt_response: false}
  max_output_tokens: inf
  tool_choice: hang_up
  parallel_tool_calls: false
  reasoning: {effort: low}
  prompt: {id: pmpt_1, version: "2", variables: {a: b}}
  tracing: {workflow_name: w, group_id: g, metadata: {k: v}}
"""
    ).model.model_dump(exclude_none=True)
    assert model == {
        "name": "gpt-realtime", "headers": {}, "voice": {"id": "voice_1"}, "speed": 1.1, "modalities": ("audio", "text"),
        "transcription": {"model": "whisper-1", "languages": (), "prompt": "p", "keywords": ("k",), "delay": "low"},
        "noise_reduction": "off",
        "turn_detection": {"type": "semantic_vad", "eagerness": "high", "create_response": False, "interrupt_response": False},
        "max_output_tokens": "inf", "tool_choice": "hang_up", "parallel_tool_calls": False,
        "reasoning": {"effort": "low"}, "prompt": {"id": "pmpt_1", "version": "2", "variables": {"a": "b"}},
        "tracing": {"workflow_name": "w", "group_id": "g", "metadata": {"k": "v"}},
    }  # fmt: skip
