import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import yaml_files
from bench.errors import UserError


def read(tmp_path, text):
    file = tmp_path / "file.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return yaml_files.read_mapping(file)


def test_plain_values_are_read_as_yaml_reads_them(tmp_path):
    text = "a: 1\nb: [x, 2.5, null]\nc: {1: one, d: {a: yes}}\n1: number\n'1': text\n"
    assert read(tmp_path, text) == yaml.safe_load(text)


# fmt: off
WRONG = {
    "a key twice": ("a: 1\nb: 2\na: 3\n", r"line 3, column 1: key 'a' is given twice"),
    "a key twice further in": ("x: {k: 1, k: 2}", r"key 'k' is given twice"),
    "a tag": ("a: !!python/object/apply:os.system [echo]", r"not readable as YAML: line 1"),
    "an alias": ("a: &x [1]\nb: *x", r"aliases"),
    "a bomb": ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", r"aliases"),
    "no YAML": ("a: [1, 2", r"not readable as YAML: line"),
    "a list": ("- a", r"a mapping of keys to values is wanted"),
    "nothing": ("", r"a mapping of keys to values is wanted"),
    "a key that is a list": ("[a, b]: 1", r"a key is a single value"),
    "two documents": ("a: 1\n---\nb: 2", r"not readable as YAML"),
    "no text": (b"\xff\xfe\xfa", r"not readable as YAML"),
    "a date that is none": ("a: 2020-99-99", r"not readable as YAML"),
    "brackets without end": ("a: " + "[" * 50_000, r"not readable as YAML"),
    "an octal number of YAML 1.1": ("a: 010", r"line 1, column 4: 010 is octal in YAML 1.1; write 10 if that is meant, else 8"),
    "a negative one": ("a: [-010]", r"-010 is octal in YAML 1.1; write -10 if that is meant, else -8"),
    "one for a key": ("010: a", r"line 1, column 1: 010 is octal"),
    "an octal number of YAML 1.2": ("a: 0o10", r"0o10 is text in YAML 1.1; write 8, or put it in quotes"),
    "minutes": ("a: 1:30", r"1:30 counts in sixties in YAML 1.1; write 90, or put it in quotes"),
    "minutes and tenths": ("a: 1:30.5", r"1:30.5 counts in sixties in YAML 1.1; write 90.5, or"),
    "an underscore": ("a: 1_0", r"1_0 has an underscore in a number; write 10, or put it in quotes"),
    "an underscore in a fraction": ("a: 1_0.5", r"1_0.5 has an underscore in a number; write 10.5"),
    "too much": ("a: " + "x" * yaml_files.MAX_BYTES, r"larger than 1 MiB"),
}
# fmt: on


@pytest.mark.parametrize("kind", WRONG)
def test_everything_else_is_refused_in_one_line(kind, tmp_path):
    text, message = WRONG[kind]
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'file.yaml'}: ")
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: cannot be read"):
        yaml_files.read_mapping(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a.b=3", ("a.b", 3)), ("a=[x, 1.5]", ("a", ["x", 1.5])), ("a=b=c", ("a", "b=c"))],
)
def test_an_assignment_has_a_key_and_a_yaml_value(text, expected):
    assert yaml_files.assignment(text) == expected


@pytest.mark.parametrize("text", ["0", "7", "-3", "0.5", "0x1f", "1.0e-2", "08", "00.5", "'010'", '"1:30"', "'1_0'", "'0o10'", "a_1", ".inf", "true"])  # fmt: skip
def test_numbers_of_one_meaning_and_text_in_quotes_stay(text):
    assert yaml_files.assignment(f"a={text}") == ("a", yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "=1",
        "a=010",
        "a=1:30",
        "a=[1_0]",
        "a=0o10",
        "a=[",
        "a=!!python/name:os.system",
        "a={b: 1, b: 2}",
    ],
)
def test_what_is_no_assignment_is_named(text):
    with pytest.raises(UserError) as error:
        yaml_files.assignment(text)
    assert str(error.value).startswith(f"--set {text}: ")


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet="ab:-[]{}&*!<>|#'\"%@,? \n\t\x001.e~", max_size=60))
def test_no_text_gets_through_as_anything_but_a_mapping(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    with contextlib.suppress(UserError):
        assert isinstance(read(folder, text), dict)
