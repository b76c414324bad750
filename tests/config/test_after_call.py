import pytest

from gateway.config.loader import load

OK = "default: true\ninstructions: Be brief.\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("outcome: {}\n", "schema"),
        ("outcome: {schema: {type: object}}\n", "describes no object"),
        ("outcome: {schema: {type: object, properties: {a: {type: text}}}}\n", "not a JSON Schema: properties.a.type"),
        ("deliver: [{}]\n", "one of webhook, email and slack"),
        ('deliver: [{webhook: "https://a.example/", email: a@b.example}]\n', "one of webhook, email and slack"),
        ('deliver: [{webhook: "http://a.example/"}]\n', "no https address"),
        ("deliver: [{email: desk}]\n", "no e-mail address"),
        ('deliver: [{email: "${DESK}"}]\n', "has no meaning here"),
        ('deliver: [{slack: "${SLACK"}]\n', "SLACK"),
    ],
)
def test_what_is_wrong_is_told(faults_of, text, fault):
    assert any(fault in each for each in faults_of({"a.yaml": OK + text}, {}))


def test_a_secret_address_comes_from_the_environment(write, faults_of):
    files = {"a.yaml": OK + 'deliver: [{slack: "${SLACK}"}, {email: a@b.example, messages_only: true}]\n'}
    assert any("SLACK" in each for each in faults_of(files, {}))
    line = load(write(files), {"SLACK": "https://hooks.example/secret"}).lines["a"]
    assert [(to.kind, to.address, to.messages_only) for to in line.deliver] == [
        ("slack", "https://hooks.example/secret", False),
        ("email", "a@b.example", True),
    ]
    assert "secret" not in repr(line.deliver)


def test_an_outcome_is_its_schema(write):
    text = "outcome: {schema: {type: object, properties: {reason: {enum: [a, b]}}}}\n"
    line = load(write({"a.yaml": OK + text})).lines["a"]
    assert line.outcome == {"type": "object", "properties": {"reason": {"enum": ["a", "b"]}}}
