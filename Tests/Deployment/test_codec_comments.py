"""The generator of the codec: to which declaration a comment of a .proto file belongs."""

import sys

import pytest
from google.protobuf import descriptor_pb2
from repository import ROOT, run

PROTO = """\
syntax = "proto3";
package ringstore.v1;

// Of the message,
// in two lines.
message Several {
  bytes one = 1;          // of one,
                          // continued

                          // about nothing

  bytes two = 2;
  // Before three,
  //
  // in parts.
  bytes three = 3;        // not used
  bytes four = 4;         // of four,
                          //
                          // continued
  // Before five.
  bytes five = 5;         // not used
                          // either
  bytes six = 6 [
      deprecated = true]; // of six,
                          // continued
  bytes seven = 7;        // of seven
}

message Brace { // of the message,
                // continued
  bytes one = 1;
}

enum Kind {
  KIND_NONE = 0;          // of none,
                          // continued
  KIND_ONE = 1;
}
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protos")
    (folder / "comments.proto").write_text(PROTO)
    run(
        sys.executable, "-m", "grpc_tools.protoc", "--include_source_info",
        f"--descriptor_set_out={folder / 'set'}", "-I", str(folder), "comments.proto",
    )
    sys.path.insert(0, str(ROOT / "deploy" / "codec"))
    try:
        from schema import Schema
    finally:
        sys.path.pop(0)
    found = descriptor_pb2.FileDescriptorSet.FromString((folder / "set").read_bytes())
    return Schema(found, folder)


def test_a_comment_behind_a_declaration_continues_in_its_column(schema):
    several = schema.messages[".ringstore.v1.Several"]
    assert several.comment == ["Of the message,", "in two lines."]
    assert {field.name: field.comment for field in several.fields} == {
        "one": ["of one,", "continued"],
        "two": [],
        "three": ["Before three,", "in parts."],
        "four": ["of four,", "continued"],
        "five": ["Before five."],
        "six": ["of six,", "continued"],
        "seven": ["of seven"],
    }


def test_so_does_one_behind_a_brace_or_in_an_enum(schema):
    brace = schema.messages[".ringstore.v1.Brace"]
    assert brace.comment == ["of the message,", "continued"]
    assert [field.comment for field in brace.fields] == [[]]
    kind = schema.enums[".ringstore.v1.Kind"]
    assert [comment for _, _, comment in kind.values] == [["of none,", "continued"], []]
