//! Tests of the shapes that people's tables come in: separators, quotes, packing, orientations of JSON.

use std::io::Write;

use super::*;

const WANTED: [&str; 2] = ["text", "label"];

/// What every file here holds.
fn expected() -> Vec<Vec<Cell>> {
    vec![vec![text("a, b"), text("neg")], vec![text("c"), text("pos")]]
}

fn cells(outcome: Outcome) -> Vec<Vec<Cell>> {
    rows(outcome).into_iter().map(|(_, cells)| cells).collect()
}

#[test]
fn separators_are_recognised() {
    for (name, content) in [
        ("a.csv", "text,label\n\"a, b\",neg\nc,pos\n"),
        ("a.csv", "text;label\na, b;neg\nc;pos\n"),
        ("a.csv", "\u{feff}\"text\"\t\"label\"\r\n\"a, b\"\tneg\r\nc\tpos\r\n"),
        ("a.csv", "text|label\na, b|neg\nc|pos\n"),
        ("a.csv", "sep=;\ntext;label\na, b;neg\nc;pos\n"),
        ("a.csv", "sep=\t\ntext\tlabel\na, b\tneg\nc\tpos\n"),
        ("a.tsv", "text;label\n\"a, b\";neg\nc;pos\n"),
        ("a.tsv", "text,label\n\"a, b\",neg\nc,pos\n"),
    ] {
        assert_eq!(cells(read(name, content, &WANTED)), expected(), "{content}");
    }
    let columns = |content: &str| {
        let (_folder, path) = write("a.csv", content);
        column_names(&path).unwrap()
    };
    assert_eq!(columns("text;label\na;b\n"), ["text", "label"]);
    // The cause is named, not a column of the whole line.
    let other = fatal(read("a.csv", "Text;label\na;b\n", &["text"]));
    assert!(other.contains("the columns are `Text`, `label`; did you mean --text-column Text?"), "{other}");
    let more = problem(read("a.csv", "text;label\na;b;c\n", &WANTED));
    assert!(more.message.contains("put a text with semicolons in double quotes"), "{more:?}");
    let escaped = problem(read("a.csv", "text,label\n\"he said \\\"a\\\", twice\",neg\n", &WANTED));
    assert!(escaped.message.contains("a backslash does not escape it"), "{escaped:?}");
}

#[test]
fn old_line_ends_and_packed_files_are_read() {
    let content = "text,label\n\"a, b\",neg\nc,pos\n";
    assert_eq!(cells(read("a.csv", content.replace('\n', "\r"), &WANTED)), expected());
    let lines = "{\"text\": \"a, b\", \"label\": \"neg\"}\r{\"text\": \"c\", \"label\": \"pos\"}\r";
    assert_eq!(cells(read("a.jsonl", lines, &WANTED)), expected());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(content.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstandard = zstd::encode_all(content.as_bytes(), 1).unwrap();
    for (name, bytes) in [("a.csv.gz", &gzip), ("a.csv.zst", &zstandard), ("a.csv", &gzip)] {
        assert_eq!(cells(read(name, bytes, &WANTED)), expected(), "{name}");
    }
    assert!(fatal(read("a.csv.gz", &gzip[..gzip.len() - 9], &WANTED)).contains("cannot be read"));
    assert!(fatal(read("a.txt.gz", &gzip, &WANTED)).contains("unsupported file type"));
}

#[test]
fn other_encodings_are_read() {
    let content = "text,label\ncafé 😀,ja\n";
    let row = vec![text("café 😀"), text("ja")];
    for little in [true, false] {
        let units = std::iter::once(0xfeff).chain(content.encode_utf16());
        let bytes: Vec<u8> =
            units.flat_map(|unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect();
        assert_eq!(cells(read("a.csv", bytes, &WANTED)), std::slice::from_ref(&row));
    }
    let (_folder, path) = write("a.csv", b"text,label\ncaf\xe9 \x80,ja\n");
    let mut reader = open_encoded(&path, &wanted(&WANTED), Encoding::Latin1).unwrap();
    assert_eq!(reader.next_record().unwrap().unwrap().unwrap().cells, [text("café €"), text("ja")]);
    assert!(problem(drain(&path, &WANTED)).message.contains("UTF-8"));
}

#[test]
fn quotes_enclose_fields_of_tsv_as_pandas_writes_them() {
    let pandas = "text\tlabel\n\"he said \"\"a\"\"\"\tneg\nplain\tpos\n\"two\nlines\"\tneg\n";
    assert_eq!(
        rows(read("a.tsv", pandas, &WANTED)),
        [
            (2, vec![text("he said \"a\""), text("neg")]),
            (3, vec![text("plain"), text("pos")]),
            (4, vec![text("two\nlines"), text("neg")]),
        ]
    );
    let r = "\"text\"\t\"label\"\n\"he said \\\"a\\\"\"\t\"neg\"\n";
    assert_eq!(cells(read("a.tsv", r, &WANTED)), [[text("he said \"a\""), text("neg")]]);
    let both = "text\tlabel\n\"he said \"\"a\"\"\"\tneg\nsay \"b\" now\tpos\n";
    let (_folder, path) = write("a.tsv", both);
    let reader = open(&path, &wanted(&WANTED)).unwrap();
    assert!(reader.remarks()[0].contains("a.tsv: some fields stand in double quotes"), "{:?}", reader.remarks());
    assert_eq!(cells(drain(&path, &WANTED))[0], [text("\"he said \"\"a\"\"\""), text("neg")]);
}

#[test]
fn json_comes_in_many_shapes() {
    for content in [
        // pandas' orientations.
        r#"[{"text":"a, b","label":"neg"},{"text":"c","label":"pos"}]"#,
        r#"{"columns":["text","label"],"index":[0,1],"data":[["a, b","neg"],["c","pos"]]}"#,
        r#"{"text":{"0":"a, b","1":"c"},"label":{"0":"neg","1":"pos"}}"#,
        r#"{"0":{"text":"a, b","label":"neg"},"1":{"text":"c","label":"pos"}}"#,
        r#"{"x":{"text":"a, b","label":"neg"},"y":{"text":"c","label":"pos"}}"#,
        r#"{"schema":{"fields":[]},"data":[{"index":0,"text":"a, b","label":"neg"},{"text":"c","label":"pos"}]}"#,
        // Inside an object, on one line and on several.
        r#"{"version": "1", "data": [{"text":"a, b","label":"neg"},{"text":"c","label":"pos"}]}"#,
        "{\n \"data\": [\n  {\"text\":\"a, b\",\"label\":\"neg\"},\n  {\"text\":\"c\",\"label\":\"pos\"}\n ]\n}\n",
        // One after the other.
        "{\n  \"text\": \"a, b\",\n  \"label\": \"neg\"\n}\n{\n  \"text\": \"c\",\n  \"label\": \"pos\"\n}\n",
        "{\n\"text\": \"a, b\",\n\"label\": \"neg\"\n},\n{\"text\": \"c\", \"label\": \"pos\"}\n",
        "{\"text\": \"a, b\", \"label\": \"neg\"},\n{\"text\": \"c\", \"label\": \"pos\"},\n",
        // As Python writes numbers that are none.
        "{\"text\": \"a, b\", \"label\": \"neg\", \"x\": NaN}\n{\"text\": \"c\", \"label\": \"pos\", \"x\": -Infinity}\n",
        "[{\"text\": \"a, b\", \"label\": \"neg\", \"x\": NaN}, {\"text\": \"c\", \"label\": \"pos\"}]",
        // A key that nobody asked for may stand twice.
        "{\"text\": \"a, b\", \"label\": \"neg\", \"x\": 1, \"x\": 2}\n{\"text\": \"c\", \"label\": \"pos\"}\n",
    ] {
        assert_eq!(cells(read("a.json", content, &WANTED)), expected(), "{content}");
    }
    let lines: Vec<u64> =
        rows(read("a.json", "{\n\"text\": 1\n}\n{\n\"text\": 2\n}", &["text"])).iter().map(|it| it.0).collect();
    assert_eq!(lines, [1, 4]);
    // A row is a row where it has what is wanted, whatever else it holds.
    let entities = r#"{"text": "a", "label": "neg", "entities": [{"start": 0}]}"#;
    assert_eq!(cells(read("a.json", entities, &WANTED)), [[text("a"), text("neg")]]);
    let translation = r#"{"translation": {"en": "a", "de": "b"}}"#;
    assert_eq!(cells(read("a.json", translation, &["translation"])), [[Cell::Other("an object")]]);
}

#[test]
fn json_of_another_shape_is_refused_without_hints_about_csv() {
    let said = |content: &str| fatal(read("a.json", content, &WANTED));
    let splits = said(r#"{"train": [{"text":"a","label":"b"}], "test": [{"text":"a","label":"b"}]}"#);
    assert!(splits.contains("holds 2 tables (`train`, `test`); write each into a file of its own"), "{splits}");
    let studio = said(r#"[{"id": 0, "data": {"text": "a"}, "annotations": []}]"#);
    assert!(studio.contains("no column `text` but one inside `data`") && studio.contains("JSON-MIN"), "{studio}");
    let numbers = said(r#"[{"0": 1, "1": "I loved this film a lot"}]"#);
    assert!(!numbers.contains("first line") && numbers.contains("the columns are `0`, `1`"), "{numbers}");
    assert!(said("{\n\"text\": \"a\",\n\"label\": 1\n").contains("a.json:1: the object is never closed"));
    assert!(said("{\n\"text\": \"a\",\n\"label\": 1\n}\nx").contains("a.json:5: text follows an object"));
    let twice = problem(read("a.jsonl", "{\"text\": \"a\", \"text\": \"b\", \"label\": 1}\n", &WANTED));
    assert_eq!(
        (twice.column.as_deref(), twice.message.as_str()),
        (Some("text"), "stands twice in the object; remove one")
    );
    let nan = problem(read("a.jsonl", "{\"text\": \"a\", \"label\": NaNs}\n", &WANTED));
    assert!(nan.message.starts_with("broken JSON at column"), "{nan:?}");
}

/// A Parquet file of texts and numbers with `huggingface` metadata, by its codec.
fn class_label_file(path: &Path, numbers: &[i64], codec: ::parquet::basic::Compression) -> Result<(), String> {
    use ::parquet::file::metadata::KeyValue;
    use ::parquet::file::properties::WriterProperties;
    let features =
        r#"{"info": {"features": {"label": {"names": ["World", "Sports", "Business"], "_type": "ClassLabel"}}}}"#;
    let metadata = vec![KeyValue::new("huggingface".to_owned(), features.to_owned())];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(metadata)).set_compression(codec).build();
    let schema = parse_message_type("message m { REQUIRED BYTE_ARRAY text (UTF8); REQUIRED INT64 label; }").unwrap();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let texts: Vec<ByteArray> = (0..numbers.len()).map(|row| ByteArray::from(format!("t{row}").as_str())).collect();
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).map_err(|error| error.to_string())?;
    column.close().map_err(|error| error.to_string())?;
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(numbers, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().map(drop).map_err(|error| error.to_string())
}

#[test]
fn class_labels_of_parquet_have_their_names_in_every_codec() {
    use ::parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        class_label_file(&path, &[2, 0, -1], codec).unwrap();
        let labels: Vec<Cell> = cells(drain(&path, &["label"])).concat();
        assert_eq!(labels, [text("Business"), text("World"), Cell::Null], "{codec:?}");
    }
    let reader = open(&path, &wanted(&["text", "label"])).unwrap();
    assert_eq!(reader.class_names(0), None);
    assert_eq!(reader.class_names(1).unwrap(), ["World", "Sports", "Business"]);
    class_label_file(&path, &[3], Compression::UNCOMPRESSED).unwrap();
    assert!(problem(drain(&path, &["label"])).message.contains("is 3, but the file names 3 labels, 0 to 2"));
}

#[test]
fn decimals_of_parquet_are_numbers() {
    use ::parquet::data_type::{FixedLenByteArray, FixedLenByteArrayType};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let schema = "message m { REQUIRED FIXED_LEN_BYTE_ARRAY (3) price (DECIMAL (6, 2)); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values = [[0, 4, 210], [255, 255, 246]].map(|bytes| FixedLenByteArray::from(bytes.to_vec()));
    column.typed::<FixedLenByteArrayType>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    assert_eq!(cells(drain(&path, &["price"])).concat(), [Cell::Number(12.34), Cell::Number(-0.1)]);
}
