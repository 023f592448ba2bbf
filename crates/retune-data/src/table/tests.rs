//! Tests of the readers: what each format accepts, and what is said about what it does not.

mod shapes;

use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn wanted(names: &[&str]) -> Vec<Wanted> {
    let wanted = |name: &&str| Wanted { name: (*name).to_owned(), flag: "--text-column", required: true, bytes: false };
    names.iter().map(wanted).collect()
}

fn write(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

type Outcome = Result<Vec<Result<Record, RowProblem>>, DataError>;

fn read(name: &str, content: impl AsRef<[u8]>, columns: &[&str]) -> Outcome {
    let (_folder, path) = write(name, content);
    drain(&path, columns)
}

fn drain(path: &Path, columns: &[&str]) -> Outcome {
    let mut reader = open(path, &wanted(columns))?;
    std::iter::from_fn(|| reader.next_record()).collect()
}

fn rows(outcome: Outcome) -> Vec<(u64, Vec<Cell>)> {
    outcome.unwrap().into_iter().map(|record| record.unwrap()).map(|record| (record.line, record.cells)).collect()
}

fn fatal(outcome: Outcome) -> String {
    outcome.unwrap_err().to_string()
}

fn problem(outcome: Outcome) -> RowProblem {
    outcome.unwrap().into_iter().find_map(Result::err).unwrap()
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

#[test]
fn csv_quotes_line_breaks_and_lines() {
    let content = "\u{feff}text,other,label\r\n\"a, \"\"b\"\"\r\nc\",x,1\r\n\r\nplain \"q\",y,2\r\n\"\" ,z,\r\n\r\n";
    assert_eq!(
        rows(read("a.csv", content, &["label", "text"])),
        [
            (2, vec![text("1"), text("a, \"b\"\r\nc")]),
            (5, vec![text("2"), text("plain \"q\"")]),
            (6, vec![text(""), text("")]),
        ]
    );
}

#[test]
fn csv_extension_in_capitals_and_no_last_line_break() {
    assert_eq!(rows(read("a.CSV", "text\nx", &["text"])), [(2, vec![text("x")])]);
}

#[test]
fn tsv_has_no_quotes() {
    let content = "sentence\tlabel\n\"stray quote\t0\nwith \"\"two\t1\n";
    assert_eq!(
        rows(read("a.tsv", content, &["sentence", "label"])),
        [(2, vec![text("\"stray quote"), text("0")]), (3, vec![text("with \"\"two"), text("1")])]
    );
}

#[test]
fn csv_mistakes_are_named() {
    let short = problem(read("a.csv", "text,label\na,b\nonly\n", &["text"]));
    assert!(short.line == 3 && short.message.starts_with("1 fields where the header has 2"), "{short:?}");
    let long = problem(read("a.csv", "text,label\nHello, you,1\n", &["text"]));
    assert!(long.message.contains("double quotes"), "{long:?}");
    let stray = problem(read("a.csv", "text,label\n\"a\"b,1\n", &["text"]));
    assert!(stray.line == 2 && stray.message.contains("field 1: text follows"), "{stray:?}");
    let bytes = problem(read("a.csv", b"text,label\nok,1\nb\xff,2\n", &["text"]));
    assert_eq!((bytes.line, bytes.column.as_deref()), (3, Some("text")));
    assert!(bytes.message.contains("UTF-8"));
    let open = fatal(read("a.csv", "text\na\n\"b\nc\n", &["text"]));
    assert!(open.contains("a.csv:3: a quote opened in this record is never closed"), "{open}");
}

#[test]
fn a_problem_does_not_hide_the_rows_after_it() {
    let outcome = read("a.csv", "text,label\n\"a\"b,1\nfine,2\n", &["text"]).unwrap();
    assert_eq!(outcome.len(), 2);
    assert!(outcome[0].is_err() && outcome[1].as_ref().unwrap().cells == [text("fine")]);
}

#[test]
fn headers_are_checked() {
    let near = fatal(read("a.csv", "Text,label\na,1\n", &["text"]));
    assert!(
        near.contains("no column `text`; the columns are `Text`, `label`; did you mean --text-column Text?"),
        "{near}"
    );
    let headerless = fatal(read("a.csv", "I loved this film a lot,1\nBad,0\n", &["text"]));
    assert!(
        headerless.contains("first line must name the columns") && headerless.contains("--text-column"),
        "{headerless}"
    );
    assert!(headerless.contains("`I loved this film a lot`"));
    let twice = fatal(read("a.csv", "text,label,text\na,1,b\n", &["text"]));
    assert!(twice.contains("`text` stands twice"), "{twice}");
    // A duplicate nobody asked for does no harm.
    assert_eq!(rows(read("a.csv", "x,text,x\na,1,b\n", &["text"])).len(), 1);
}

#[test]
fn names_differ_in_surrounding_space_if_need_be() {
    assert_eq!(rows(read("a.csv", "text, label\na, 1\n", &["text", "label"])), [(2, vec![text("a"), text(" 1")])]);
    // The same name goes first.
    assert_eq!(rows(read("a.csv", " text,text\na,b\n", &["text"])), [(2, vec![text("b")])]);
    assert_eq!(rows(read("a.csv", " text,text\na,b\n", &[" text"])), [(2, vec![text("a")])]);
    let several = fatal(read("a.csv", " text,text \na,b\n", &["text"]));
    assert!(several.contains("a.csv:1: the column `text` may be any of ` text`, `text `"), "{several}");
    assert_eq!(rows(read("a.jsonl", "{\"text \": \"a\"}\n{\"text\": \"b\"}\n", &["text"])).len(), 2);
    let names = |name: &str, content: &str| {
        let (_folder, path) = write(name, content);
        column_names(&path).unwrap()
    };
    assert_eq!(names("a.csv", "b,\"a, c\"\n1,2\n"), ["b", "a, c"]);
    assert_eq!(names("a.json", "[{\"b\": 1, \"a\": 2}]").len(), 2);
}

#[test]
fn files_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = |path: &Path| fatal(drain(path, &["text"]));
    assert!(said(&folder.path().join("absent.csv")).contains("no such file"));
    assert!(said(folder.path()).contains("is a folder"));
    assert!(fatal(read("a.xlsx", "x", &["text"])).contains("unsupported file type; use .csv"));
    for name in ["a.csv", "a.tsv", "a.jsonl", "a.json"] {
        assert!(fatal(read(name, "", &["text"])).contains("has no rows"), "{name}");
    }
    assert!(fatal(read("a.json", " [ ] ", &["text"])).contains("has no rows"));
}

#[test]
fn json_lines_keep_types_and_lines() {
    let content = "\u{feff}{\"text\":\"a\\n\",\"y\":1}\r\n\n{\"y\":[\"p\",2,true,null],\"text\":\"é\"}\n{\"text\":null,\"y\":0.5}";
    assert_eq!(
        rows(read("a.jsonl", content, &["text", "y"])),
        [
            (1, vec![text("a\n"), Cell::Integer(1)]),
            (3, vec![text("é"), Cell::List(vec![text("p"), Cell::Integer(2), Cell::Bool(true), Cell::Null])]),
            (4, vec![Cell::Null, Cell::Number(0.5)]),
        ]
    );
}

#[test]
fn json_array_is_streamed_with_lines() {
    let content =
        "[\n  {\"text\": \"a ] } \\\" ,\", \"y\": {\"z\": [1]}},\n\n  {\"text\": \"b\",\n   \"y\": false}\n]\n";
    assert_eq!(
        rows(read("a.json", content, &["text", "y"])),
        [(2, vec![text("a ] } \" ,"), Cell::Other("an object")]), (4, vec![text("b"), Cell::Bool(false)])]
    );
}

#[test]
fn json_mistakes_are_named() {
    let broken = problem(read("a.jsonl", "{\"text\":\"a\"}\n{\"text\": \"b\" \"c\"}\n", &["text"]));
    assert!(broken.line == 2 && broken.message.starts_with("broken JSON at column 14: "), "{broken:?}");
    let missing = problem(read("a.jsonl", "{\"text\":\"a\"}\n{\"texts\":\"b\"}\n", &["text"]));
    assert_eq!((missing.line, missing.column.as_deref()), (2, Some("text")));
    assert!(missing.message.contains("the object has `texts` (`texts`?)"), "{missing:?}");
    assert!(problem(read("a.jsonl", "{\"text\":\"a\"}\n17\n", &["text"])).message.contains("not a JSON object"));
    assert!(fatal(read("a.jsonl", "{\"sentence\":\"a\"}\n", &["text"])).contains("no column `text`"));
    assert!(fatal(read("a.json", "[{\"text\":\"a\"}", &["text"])).contains("a.json:1: the array is never closed"));
    assert!(fatal(read("a.json", "[{\"text\":\"a\"}\n] x", &["text"])).contains("a.json:2: text follows the end"));
}

fn parquet_file(path: &Path) {
    let schema = "message m {
        REQUIRED BYTE_ARRAY text (UTF8); OPTIONAL INT64 whole; REQUIRED DOUBLE number; REQUIRED BOOLEAN flag;
        REQUIRED group tags (LIST) { REPEATED group list { REQUIRED BYTE_ARRAY element (UTF8); } } }";
    let file = File::create(path).unwrap();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let bytes = |texts: &[&str]| texts.iter().map(|text| ByteArray::from(*text)).collect::<Vec<_>>();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&bytes(&["one", "two"]), None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[7], Some(&[1, 0]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&[0.5, -1.0], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<BoolType>().write_batch(&[true, false], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&bytes(&["a", "b"]), Some(&[1, 1, 0]), Some(&[0, 1, 0])).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_columns_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    parquet_file(&path);
    assert_eq!(
        rows(drain(&path, &["tags", "text", "flag", "whole", "number"])),
        [
            (
                1,
                vec![
                    Cell::List(vec![text("a"), text("b")]),
                    text("one"),
                    Cell::Bool(true),
                    Cell::Integer(7),
                    Cell::Number(0.5)
                ]
            ),
            (2, vec![Cell::List(vec![]), text("two"), Cell::Bool(false), Cell::Null, Cell::Number(-1.0)]),
        ]
    );
    assert_eq!(column_names(&path).unwrap(), ["text", "whole", "number", "flag", "tags"]);
    let missing = fatal(drain(&path, &["label"]));
    assert!(missing.contains("the columns are `text`, `whole`, `number`, `flag`, `tags`"), "{missing}");
    assert!(fatal(read("b.parquet", "not parquet", &["text"])).contains("broken Parquet"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn csv_round_trip_with_an_independent_writer(
        table in prop::collection::vec(prop::collection::vec("[a-z\",\n\r é]{0,8}", 3), 1..12),
        always: bool, crlf: bool,
    ) {
        let style = if always { ::csv::QuoteStyle::Always } else { ::csv::QuoteStyle::Necessary };
        let ending = if crlf { ::csv::Terminator::CRLF } else { ::csv::Terminator::Any(b'\n') };
        let mut writer = ::csv::WriterBuilder::new().quote_style(style).terminator(ending).from_writer(Vec::new());
        writer.write_record(["p", "q", "r"]).unwrap();
        for row in &table {
            writer.write_record(row).unwrap();
        }
        let got = rows(read("a.csv", writer.into_inner().unwrap(), &["p", "q", "r"]));
        let mut line = 2;
        prop_assert_eq!(got.len(), table.len());
        for ((at, cells), row) in got.into_iter().zip(&table) {
            prop_assert_eq!(at, line);
            line += 1 + row.iter().flat_map(|field| field.chars()).filter(|&c| c == '\n').count() as u64;
            prop_assert_eq!(cells, row.iter().map(|field| text(field)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_always_end(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\",\n\r\t{}[]:\\atext ".to_vec())], 0..200),
    ) {
        for name in ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet"] {
            for head in ["", "text\n", "{\"text\":1}\n", "[{\"text\":1},"] {
                let content = [head.as_bytes(), &bytes].concat();
                let limit = content.len() + 1;
                match read(name, &content, &["text"]) {
                    Ok(records) => {
                        prop_assert!(records.len() <= limit);
                        let lines = 1 + content.iter().filter(|byte| b"\n\r".contains(byte)).count() as u64;
                        for record in records {
                            let line = record.map_or_else(|problem| problem.line, |record| record.line);
                            prop_assert!((1..=lines).contains(&line), "line {line} of {lines} in {name}");
                        }
                    }
                    Err(error) => prop_assert!(error.to_string().contains(name), "{error}"),
                }
            }
        }
    }

    #[test]
    fn json_array_and_lines_agree(texts in prop::collection::vec(any::<String>(), 1..10)) {
        let objects: Vec<_> = texts.iter().map(|text| serde_json::json!({"text": text, "n": [1, {"]": 2}]})).collect();
        let lines: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let cells = |outcome| rows(outcome).into_iter().map(|(_, cells)| cells).collect::<Vec<_>>();
        let array = cells(read("a.json", serde_json::to_string_pretty(&objects).unwrap(), &["text"]));
        prop_assert_eq!(&array, &cells(read("a.jsonl", lines.join("\n"), &["text"])));
        prop_assert_eq!(array, texts.iter().map(|t| vec![text(t)]).collect::<Vec<_>>());
    }
}

#[test]
fn damaged_parquet_is_an_error_not_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    parquet_file(&path);
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xa5;
        std::fs::write(&path, &damaged).unwrap();
        // Any outcome but a panic or an endless stream is fine: some bytes are padding or text.
        let mut reader = match open(&path, &wanted(&["text", "whole", "tags"])) {
            Ok(reader) => reader,
            Err(_) => continue,
        };
        let records = std::iter::from_fn(|| reader.next_record()).take(1000).count();
        assert!(records < 1000, "byte {at}");
    }
}
