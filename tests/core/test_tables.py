"""Tables from people: whatever program, language and carelessness made them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from core.errors import BadFile
from core.settings import LIMITS
from core.tables import (
    HEAD_BYTES,
    MOST_EXPANDED_BYTES,
    Head,
    Table,
    guess_text_column,
    read_head,
    read_table,
    write_csv,
    write_parquet,
)

CHINESE = "這部電影真的很好看，演員的表演非常出色，值得大家再看一次。"
SIMPLIFIED = "这部电影真的很好看，演员的表演非常出色，值得大家再看一次。"
KOREAN = "이 영화는 정말 재미있고 배우들의 연기가 훌륭해서 다시 보고 싶습니다."


def write(folder: Path, content: bytes | str, name: str = "table.csv") -> Path:
    """Write an upload."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(folder: Path, content: bytes | str, name: str = "table.csv") -> list[dict[str, Any]]:
    """Write an upload and read its rows."""
    return read_table(write(folder, content, name)).rows


def refusal(path: Path) -> str:
    """Return the sentence that refuses this file."""
    with pytest.raises(BadFile) as caught:
        read_table(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "text,n\ngood,1\n"),
        ("t.csv", "text;n\r\ngood;1\r\n"),
        ("t.csv", "text|n\ngood|1"),
        ("t.csv", "\ufefftext,n\ngood,1\n"),
        ("t.csv", "sep=;\r\ntext;n\r\ngood;1\r\n"),
        ("t.csv", "\n\ntext,n\ngood,1\n\n\n"),
        ("T.CSV", 'text,n\n"good","1"\n'),
        ("t.tsv", "text\tn\ngood\t1\n"),
        ("t.jsonl", '{"text": "good", "n": "1"}\n'),
    ],
)
def test_reads_every_kind(tmp_path: Path, name: str, content: str) -> None:
    """Commas, semicolons, pipes, tabs, a BOM, Excel's sep= and JSON Lines mean the same table."""
    table = read_table(write(tmp_path, content, name))
    assert (table.columns, table.rows, dict(table.problems)) == (("text", "n"), [{"text": "good", "n": "1"}], {})


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-16", CHINESE),
        ("utf-16", KOREAN),
        ("big5", CHINESE),
        ("gb18030", SIMPLIFIED),
        ("cp949", KOREAN),
        ("cp1252", "Die Schauspieler waren großartig, aber für mich war es zu früh – schöne Grüße"),
    ],
)
def test_reads_every_encoding(tmp_path: Path, encoding: str, text: str) -> None:
    """A file as Excel saves it in Taipei, Beijing, Seoul or Berlin is read letter by letter."""
    content = f"text;n\r\n{text};1\r\n{text}{text};2\r\n"
    found = read_table(write(tmp_path, content.encode(encoding)))
    assert [row["text"] for row in found.rows] == [text, text + text]


def test_quoted_line_breaks_stay_in_their_cell(tmp_path: Path) -> None:
    """A cell in quotes may hold line breaks, delimiters and doubled quotes."""
    assert rows(tmp_path, 'text,n\n"one\ntwo, ""three""",1\n') == [{"text": 'one\ntwo, "three"', "n": "1"}]


def test_rows_stay_where_the_file_has_them(tmp_path: Path) -> None:
    """A blank line is a blank row, a short row lacks cells, a wide row is empty and named; no row moves."""
    table = read_table(write(tmp_path, "a,b\n1,2\n\n3\n4,5,6\n7,8\n"))
    assert table.rows == [{"a": "1", "b": "2"}, {}, {"a": "3"}, {}, {"a": "7", "b": "8"}]
    assert list(table.problems) == [3]
    assert "3" in str(table.problems[3])
    assert table.column("b") == ["2", None, None, None, "8"]


def test_a_single_column_needs_no_quotes(tmp_path: Path) -> None:
    """Where the header names one column, commas belong to the text."""
    found = rows(tmp_path, "text\nI like it, a lot\n\nfine\n")
    assert found == [{"text": "I like it, a lot"}, {}, {"text": "fine"}]


@pytest.mark.parametrize("header", ["a,a,", "a,a_2,a", "a,a,a_2", ",column_1,", "a_3,b,a,a"])
def test_every_column_gets_a_name_of_its_own(tmp_path: Path, header: str) -> None:
    """Blank and doubled names are made unique, so that no cell is lost."""
    table = read_table(write(tmp_path, header + "\n" + ",".join("123456"[: header.count(",") + 1]) + "\n"))
    assert len(set(table.columns)) == header.count(",") + 1
    assert all(table.columns)
    assert list(table.rows[0].values()) == list("123456"[: header.count(",") + 1])


def test_a_json_line_that_is_none_is_named(tmp_path: Path) -> None:
    """A bad line and a blank line keep their places; a line separator inside a text does not cut it."""
    table = read_table(write(tmp_path, '{"text": "a\u2028b"}\n\n{oops\n[1]\n{"text": "c", "n": 1}\n', "t.jsonl"))
    assert table.rows == [{"text": "a\u2028b"}, {}, {}, {}, {"text": "c", "n": 1}]
    assert list(table.problems) == [2, 3]
    assert table.columns == ("text", "n")


@pytest.mark.parametrize(
    "content", ['[{"text": "a"}]', '[\n{"text": "a"},\n{"text": "b"}\n]', "text\nnot json", "[" * 9_999]
)
def test_a_json_list_is_refused_with_the_way_out(tmp_path: Path, content: str) -> None:
    """A JSON list, or a text, that is called .jsonl says what a line must be."""
    lines = [line for line in content.split("\n") if not line.startswith("{")]
    path = write(tmp_path, "\n".join(lines), "t.jsonl")
    assert "one JSON object" in refusal(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.docx", b"text", ".parquet"),
        ("t.csv", b"", "no rows"),
        ("t.csv", b"text\n", "no rows"),
        ("t.csv", b"\n\n\n", "no rows"),
        ("t.jsonl", b"\n", "no rows"),
        ("t.csv", b"a,b\n\0\0,1\n", "damaged"),
        ("t.parquet", b"PAR1 and then nothing", "damaged"),
        ("t.parquet", b"", "damaged"),
    ],
)
def test_refuses_in_words(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    """An unknown, empty or damaged file is refused with its name and the reason."""
    said = refusal(write(tmp_path, content, name))
    assert name in said
    assert words in said


def zipped() -> bytes:
    """Return what every .xlsx is: a zip with a list of its parts."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return held.getvalue()


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.parquet", "t.xlsx"])
@pytest.mark.parametrize(
    "content", [zipped(), gzip.compress(b"text\ngood\n", mtime=0), bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)]
)
def test_a_workbook_is_called_one(tmp_path: Path, name: str, content: bytes) -> None:
    """An Excel workbook or an archive is told what it is, what is allowed and what to do, under whatever name."""
    said = refusal(write(tmp_path, content, name))
    for part in (name, "Excel workbook", ".csv, .tsv, .jsonl, .parquet", "CSV UTF-8"):
        assert part in said


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_parquet_under_another_name_is_called_one(tmp_path: Path, name: str) -> None:
    """A Parquet file that is named otherwise is told to take its own name."""
    path = tmp_path / name
    parquet.write_table(pa.table({"text": ["good"]}), path)
    assert "ends in .parquet" in refusal(path)


def test_a_text_may_begin_like_a_parquet(tmp_path: Path) -> None:
    """A CSV whose first column is called PAR1 is a CSV."""
    assert rows(tmp_path, "PAR1,text\n1,good\n") == [{"PAR1": "1", "text": "good"}]


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    """An upload that was swept away is asked for again."""
    assert "Upload one of" in refusal(tmp_path / "gone.csv")


def test_refuses_what_is_too_large_before_reading_it(tmp_path: Path) -> None:
    """50 MB are refused with both sizes; the file is not read for that."""
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    assert "50.0 MB" in refusal(path)
    assert "25.0 MB" in refusal(path)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_refuses_too_many_rows(tmp_path: Path, name: str) -> None:
    """200,000 rows are refused with both numbers."""
    path = tmp_path / name
    if name == "t.csv":
        path.write_text("text\n" + "a\n" * 200_000)
    else:
        parquet.write_table(pa.table({"text": ["a"] * 200_000}), path)
    assert "200,000" in refusal(path)
    assert f"{LIMITS.batch_rows:,}" in refusal(path)


def test_refuses_a_parquet_that_expands(tmp_path: Path) -> None:
    """A small file that repeats one long text is stopped before it fills the memory."""
    path = tmp_path / "bomb.parquet"
    text = "a" * 100_000
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000), pa.array([text]))
    parquet.write_table(
        pa.table({"text": column.cast(pa.dictionary(pa.int64(), pa.string()))}), path, store_schema=False
    )
    assert path.stat().st_size < 1_000_000
    assert len(text) * 20_000 > MOST_EXPANDED_BYTES
    assert "memory" in refusal(path)


def test_reads_every_kind_of_parquet_column(tmp_path: Path) -> None:
    """Nested, missing and numeric cells come as Python's own; doubled names are made unique."""
    path = tmp_path / "t.parquet"
    columns = [
        pa.array(["a", None]),
        pa.array([[1, 2], None]),
        pa.array([{"x": 1}, None]),
        pa.array([1.5, float("nan")]),
    ]
    parquet.write_table(pa.Table.from_arrays(columns, names=["text", "list", "struct", "text"]), path)
    table = read_table(path)
    assert table.columns == ("text", "list", "struct", "text_2")
    assert table.rows[0] == {"text": "a", "list": [1, 2], "struct": {"x": 1}, "text_2": 1.5}
    assert table.rows[1]["text"] is None


def test_an_unknown_column_is_answered_with_the_known_ones() -> None:
    """The refusal lists the columns there are."""
    with pytest.raises(BadFile, match="text, n"):
        Table(("text", "n"), [{"text": "a"}]).column("Text")


@pytest.mark.parametrize(
    ("columns", "row", "expected"),
    [
        (("id", "Review"), {"id": "123456789", "Review": "x"}, "Review"),
        (("id", "words"), {"id": "7", "words": "a long sentence"}, "words"),
        (("n", "text"), {"n": 1, "text": None}, "text"),
    ],
)
def test_guesses_the_text(columns: tuple[str, ...], row: dict[str, Any], expected: str) -> None:
    """A telling name wins, then the longest texts."""
    assert guess_text_column(Table(columns, [row])) == expected


def test_numbers_alone_are_not_taken_for_text() -> None:
    """Where no cell holds a letter nothing is guessed: the refusal names the columns, and one can still be chosen."""
    table = Table(("n", "m"), [{"n": "1", "m": 2}])
    with pytest.raises(BadFile, match="n, m"):
        guess_text_column(table)
    assert table.column("n") == ["1"]


def test_no_cell_becomes_a_formula(tmp_path: Path) -> None:
    """What a spreadsheet would run is quoted, in cells and names; numbers stay numbers."""
    path = tmp_path / "out.csv"
    cells = [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\n=1",
        "＝1",
        "-5",
        "+1.5e3",
        "-0.25",
        "a=b",
        -3,
        None,
    ]
    write_csv(path, ["=name"], [{"=name": cell} for cell in cells])
    with path.open(encoding="utf-8-sig", newline="") as file:
        written = [line[0] if line else "" for line in csv.reader(file)]
    assert written[0] == "'=name"
    assert [cell[:1] for cell in written[1:8]] == ["'"] * 7
    assert written[8:] == ["-5", "+1.5e3", "-0.25", "a=b", "-3", ""]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_was_written_can_be_read_again(tmp_path: Path, kind: str) -> None:
    """Emoji, line breaks, quotes and every script survive a round trip."""
    texts = ["😀👩‍👩‍👧 fine", CHINESE, KOREAN, 'say "hi", then\nleave', " spaces ", "it's; a\ttab"]
    made = [{"text": text, "n": place} for place, text in enumerate(texts)]
    path = tmp_path / f"out.{kind}"
    (write_csv if kind == "csv" else write_parquet)(path, ["text", "n"], made)
    assert [row["text"] for row in read_table(path).rows] == texts


def test_columns_of_mixed_kinds_can_be_written(tmp_path: Path) -> None:
    """A Parquet column of numbers and words becomes text; a list becomes JSON in CSV and stays one in Parquet."""
    made = [{"mixed": 1, "vector": [0.5, 1.0]}, {"mixed": "one", "vector": None}, {"vector": [2.0]}]
    write_parquet(tmp_path / "o.parquet", ["mixed", "vector"], made)
    assert parquet.read_table(tmp_path / "o.parquet").to_pylist() == [
        {"mixed": "1", "vector": [0.5, 1.0]},
        {"mixed": "one", "vector": None},
        {"mixed": None, "vector": [2.0]},
    ]
    write_csv(tmp_path / "o.csv", ["vector"], made[:1])
    assert json.loads(read_table(tmp_path / "o.csv").rows[0]["vector"]) == [0.5, 1.0]


# The head alone


def long(line: str, name: str = "table.csv", first: str = "id,note\n") -> tuple[str, str]:
    """Return content that is longer than what is read of it, and its name."""
    return first + line * (2 * HEAD_BYTES // len(line)), name


@pytest.mark.parametrize(
    ("content", "name", "settled"),
    [
        ("id,note\n1,a fine film\n", "t.csv", True),
        ('{"id": 1, "note": "a fine film"}\n', "t.jsonl", True),
        (*long("1,a fine film\n"), True),
        (*long("1;很好看的電影\n", first="sep=;\nid;note\n"), True),
        (*long("1\ta fine film\n", "t.tsv", "id\tnote\n"), True),
        (*long('{"id": 1, "note": "很好看的電影"}\n', "t.jsonl", ""), False),
    ],
)
def test_the_head_tells_columns_and_text(tmp_path: Path, content: str, name: str, settled: bool) -> None:
    """The beginning of a file names the columns that all of it has; only later JSON lines may name more."""
    path = write(tmp_path, content, name)
    assert read_head(path) == Head(read_table(path).columns, "note", settled)


@pytest.mark.parametrize("encoding", ["big5", "utf-16", "utf-8-sig"])
def test_the_head_is_read_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    """A cut in the middle of a character does no harm."""
    content, name = long(f"1,{CHINESE}\n", first="編號,影評\n")
    for shift in range(3):
        path = write(tmp_path, (content[:3] + "x" * shift + content[3:]).encode(encoding), name)
        assert read_head(path).columns == read_table(path).columns


def test_no_more_than_the_head_is_read(tmp_path: Path) -> None:
    """What is wrong further down is not met: the job that reads all of it will tell."""
    content, name = long("1,a fine film\n")
    path = write(tmp_path, content + "\0", name)
    assert read_head(path).columns == ("id", "note")
    assert "damaged" in refusal(path)


def test_the_head_of_a_parquet_is_its_footer(tmp_path: Path) -> None:
    """Columns and text are known though no cell can be read; rows that are too many are counted there, too."""
    path = tmp_path / "t.parquet"
    cells = {"id": ["a", "b"], "note": ["a fine film", "a dull one, and long"], "n": [1.5, 2.5]}
    parquet.write_table(pa.table(cells), path, compression="none")
    raw = bytearray(path.read_bytes())
    end = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    raw[4:end] = bytes(end - 4)
    path.write_bytes(raw)
    assert read_head(path) == Head(("id", "note", "n"), "note", settled=True)
    assert "damaged" in refusal(path)
    parquet.write_table(pa.table({"n": range(LIMITS.batch_rows + 1)}), path)
    with pytest.raises(BadFile, match="100,001"):
        read_head(path)


def test_a_head_refuses_only_what_it_knows(tmp_path: Path) -> None:
    """A column that is certainly missing is refused with the names; one that may still come is not."""
    with pytest.raises(BadFile, match="id, note"):
        read_head(write(tmp_path, *long("1,a fine film\n"))).check("text")
    later, name = long('{"id": 1}\n', "t.jsonl", "")
    read_head(write(tmp_path, later + '{"text": "late"}\n', name)).check("text")
    read_head(write(tmp_path, '{"text": "' + "a" * 2 * HEAD_BYTES + '"}\n', "wide.jsonl")).check("text")


@pytest.mark.parametrize("name", ["empty.csv", "empty.jsonl", "empty.parquet", "t.docx", "gone.csv"])
def test_a_head_refuses_what_the_table_refuses(tmp_path: Path, name: str) -> None:
    """Where the beginning shows that there is no table, the refusal is the same."""
    path = tmp_path / name
    if name.endswith("parquet"):
        parquet.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    elif name != "gone.csv":
        path.write_bytes(b"")
    with pytest.raises(BadFile) as caught:
        read_head(path)
    assert str(caught.value) == refusal(path)
