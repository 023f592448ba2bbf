//! Tests of reading tagged files: each format, and what is said of each mistake.

use serde_json::json;

use super::super::TagScheme;
use super::*;
use crate::OnBadExample;
use crate::annotations::Repair;
use crate::annotations::parquet_fixture::{Column, write};
use crate::annotations::tags::{Gold, unknown_labels};

fn read(name: &str, content: impl AsRef<[u8]>, options: &TagOptions) -> Result<TaggedFile, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    TaggedFile::read(&path, options)
}

fn plain() -> TagOptions {
    TagOptions::default()
}

fn good(name: &str, content: impl AsRef<[u8]>) -> TaggedFile {
    read(name, content, &plain()).unwrap()
}

fn said(result: Result<TaggedFile, DataError>) -> String {
    result.unwrap_err().to_string()
}

/// Each example as `line: word/TAG …`, or `line: text [entities]`.
fn shown(file: &TaggedFile) -> Vec<String> {
    let one = |it: &Tagged| match (&it.gold, it.word_texts()) {
        (Some(Gold::Tags(tags)), Some(words)) => {
            let pairs: Vec<String> = words.iter().zip(tags).map(|(word, tag)| format!("{word}/{tag}")).collect();
            format!("{}: {}", it.line, pairs.join(" "))
        }
        (Some(Gold::Entities(entities)), None) => {
            let all: Vec<String> =
                entities.iter().map(|it| format!("{}-{} {}", it.span.start, it.span.end, it.label)).collect();
            format!("{}: {} [{}]", it.line, it.text, all.join(", "))
        }
        (None, _) => format!("{}: {}", it.line, it.text),
        other => panic!("{other:?}"),
    };
    file.examples.iter().map(one).collect()
}

#[test]
fn conll_files_of_every_make_are_read() {
    let expected = ["1: Zoë/B-PER lives/O", "4: #/O"];
    for content in
        ["Zoë\tB-PER\nlives\tO\n\n#\tO\n", "Zoë B-PER\r\nlives O\r\n\r\n# O", "\u{feff}Zoë  B-PER\rlives\tO \r \r# O\r"]
    {
        assert_eq!(shown(&good("a.conll", content)), expected, "{content:?}");
        assert_eq!(shown(&good("a.tsv", content)), expected, "{content:?}");
    }
    let four = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n-DOCSTART-\n\n\nA DT B-NP O\n";
    let file = good("a.txt", four);
    assert_eq!(shown(&file), ["3: EU/B-ORG rejects/O", "9: A/O"]);
    assert_eq!(file.examples.iter().map(|it| it.document).collect::<Vec<_>>(), [Some(0), Some(1)]);
    let columns = TagOptions { tokens: "2".into(), tags: "3".into(), ..plain() };
    let other = "# sent_id = 5\n1\tEU\tB-ORG\tx\n# a comment\n2\t# y\tO\tx\n";
    let file = read("a.iob", other, &columns).unwrap();
    assert_eq!((shown(&file), file.scheme), (vec!["2: EU/B-ORG # y/O".to_owned()], Some(TagScheme::Iob2)));
    assert_eq!(good("a.bio", "New York\tB-LOC\n").examples[0].word_texts().unwrap(), ["New York"]);
}

#[test]
fn mistakes_of_a_conll_file_are_named_by_line() {
    let width = said(read("a.conll", "a O\nb O\n\nc\nd O x\n", &plain()));
    assert!(width.contains("a.conll:4: has 1 column separated by spaces, where line 1 has 2"), "{width}");
    assert!(width.contains("a.conll:5: has 3 columns"), "{width}");
    let bytes = said(read("a.conll", b"a O\n\xc3\xa9\xff O\n", &plain()));
    assert!(bytes.contains("a.conll:2: is not valid UTF-8 at column 2"), "{bytes}");
    assert!(said(read("a.conll", "a\tO\n\tO\n", &plain())).contains("a.conll:2: has no word"));
    let comment = said(read("a.conll", "a O\n# just a remark here\nb I-X\nc B-Y\nd B-X\n", &plain()));
    assert!(comment.contains("a.conll:3: `I-X` follows `O`; in IOB2 an entity begins with B-"), "{comment}");
    assert!(comment.contains("--on-bad-annotation mend"), "{comment}");
    assert!(said(read("a.conll", "a\nb\n", &plain())).contains("one column only"));
    let columns = TagOptions { tags: "5".into(), ..plain() };
    assert!(said(read("a.conll", "a O\n", &columns)).contains("a.conll:1: has 2 columns, so no column 5 of tags"));
    let named = TagOptions { tokens: "word".into(), ..plain() };
    assert!(
        said(read("a.conll", "a O\n", &named)).contains("--tokens-column word: columns of a CoNLL file have no names")
    );
    let counted = said(read("a.conll", "1 a O\n2 b O\n\n1 c O\n", &plain()));
    assert!(counted.contains("--tokens-column 2"), "{counted}");
    assert!(said(read("a.conll", "\n\n", &plain())).contains("has no rows"));
    assert!(said(read("a.xyz", "a O\n", &plain())).contains(".conll"));
    let unknown = said(read("a.conll", "a B-X\nb PER\nc \tO\nd b-X\n", &plain()));
    assert!(unknown.contains("a.conll:2: `PER` is no tag") && unknown.contains("a.conll:4: `b-X`"), "{unknown}");
    let many = format!("a B-X\n\n{}", "b I-X\n\n".repeat(30)) + &"b B-X\n\n".repeat(40);
    assert!(said(read("a.conll", many, &plain())).contains("10 problems so far"));
}

#[test]
fn schemes_are_recognised_said_and_turned_into_iob2() {
    let file = good("a.conll", "a I-X\nb B-X\nc O\n\nd I-X\ne I-Y\n");
    assert_eq!((file.scheme, shown(&file)[1].as_str()), (Some(TagScheme::Iob1), "5: d/B-X e/B-Y"));
    assert!(file.notes[0].contains("the tags are IOB1"), "{:?}", file.notes);
    let file = good("a.conll", "a B-X\nb L-X\nc U-Y\n");
    assert_eq!((file.scheme, shown(&file)[0].as_str()), (Some(TagScheme::Bilou), "1: a/B-X b/I-X c/B-Y"));
    assert_eq!(good("a.conll", "a S-X\n").scheme, Some(TagScheme::Iobes));
    let io = "a X\nb X\nc O\n";
    assert!(said(read("a.conll", io, &plain())).contains("--tag-scheme io"));
    let file = read("a.conll", io, &TagOptions { scheme: Some(TagScheme::Io), ..plain() }).unwrap();
    assert_eq!(shown(&file), ["1: a/B-X b/I-X c/O"]);
    let file =
        read("a.conll", "a 1\nb 0\n", &TagOptions { names: Some(vec!["O".into(), "B-X".into()]), ..plain() }).unwrap();
    assert_eq!(shown(&file), ["1: a/B-X b/O"]);
    assert!(said(read("a.conll", "a 1\nb 0\n", &plain())).contains("--tag-names"));
}

#[test]
fn broken_sequences_are_mended_or_left_out_as_the_user_chooses() {
    let content = "a B-X\n\nb O\nc I-X\nd I-Y\n\ne B-Y\n";
    let mended = read("a.conll", content, &TagOptions { repair: Repair::Mend, ..plain() }).unwrap();
    assert_eq!(shown(&mended), ["1: a/B-X", "3: b/O c/B-X d/B-Y", "7: e/B-Y"]);
    assert!(mended.notes[0].contains("in 2 places, the first in line 4"), "{:?}", mended.notes);
    let skipped = read("a.conll", content, &TagOptions { on_bad_example: OnBadExample::Skip, ..plain() }).unwrap();
    assert_eq!((skipped.examples.len(), skipped.left_out.len(), skipped.left_out[0].row), (2, 1, 1));
    assert_eq!(skipped.left_out[0].line, 4);
}

#[test]
fn lists_of_words_and_tags_are_read_from_every_table() {
    let expected = ["1: EU/B-ORG rejects/O"];
    let row = "{\"id\": \"7\", \"tokens\": [\"EU\", \"rejects\"], \"ner_tags\": [\"B-ORG\", \"O\"]}\n";
    let file = good("a.jsonl", row);
    assert_eq!((shown(&file), file.examples[0].id.clone()), (expected.map(str::to_owned).to_vec(), Some(json!("7"))));
    assert_eq!(shown(&good("a.json", format!("[{row}]"))), expected);
    let expected = ["2: EU/B-ORG rejects/O"];
    for cells in
        ["\"['EU', 'rejects']\",\"['B-ORG', 'O']\"", "\"['EU' 'rejects']\",\"['B-ORG' 'O']\"", "EU rejects,B-ORG O"]
    {
        assert_eq!(shown(&good("a.csv", format!("tokens,ner_tags\n{cells}\n"))), expected, "{cells}");
    }
    assert_eq!(shown(&good("a.tsv", "tokens\tner_tags\nEU rejects\tB-ORG O\n")), expected);
    let ids = "{\"tokens\": [\"EU\"], \"ner_tags\": [3]}\n";
    let names: Vec<String> = ["O", "B-PER", "I-PER", "B-ORG"].map(str::to_owned).to_vec();
    let file = read("a.jsonl", ids, &TagOptions { names: Some(names), ..plain() }).unwrap();
    assert_eq!(shown(&file), ["1: EU/B-ORG"]);
    let without = said(read("a.jsonl", ids, &plain()));
    assert!(
        without.contains("column `ner_tags`: has tags by number (3 at place 1)") && without.contains("--tag-names"),
        "{without}"
    );
    let few = TagOptions { names: Some(vec!["O".into()]), ..plain() };
    assert!(said(read("a.jsonl", ids, &few)).contains("names for 0 to 0 only"));
}

#[test]
fn names_beside_the_data_are_used_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, "{\"tokens\": [\"EU\"], \"ner_tags\": [1]}\n").unwrap();
    std::fs::write(folder.path().join("id2label.json"), "{\"0\": \"O\", \"1\": \"B-ORG\"}").unwrap();
    let file = TaggedFile::read(&path, &plain()).unwrap();
    assert_eq!(shown(&file), ["1: EU/B-ORG"]);
    assert!(file.notes[0].contains("id2label.json"), "{:?}", file.notes);
}

#[test]
fn mistakes_in_rows_are_named() {
    let refused = |row: &str, words: &str| {
        let message = said(read("a.jsonl", format!("{row}\n"), &plain()));
        assert!(message.contains("a.jsonl:1: ") && message.contains(words), "{row}: {message}");
    };
    refused("{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [\"O\"]}", "has 1 tags for 2 words");
    refused("{\"tokens\": [\"a\", \"\"], \"ner_tags\": [\"O\", \"O\"]}", "empty word at place 2");
    refused("{\"tokens\": [], \"ner_tags\": []}", "has no words");
    refused("{\"tokens\": [\"a\"], \"ner_tags\": null}", "has no tags");
    refused(
        "{\"tokens\": [\"a\", \"b\", \"c\"], \"ner_tags\": [\"B-X\", \"O\", \"I-X\"]}",
        "column `ner_tags`: word 3 (`c`): `I-X` follows `O`",
    );
    refused("{\"tokens\": [\"a\", 1.5], \"ner_tags\": [\"O\", \"O\"]}", "`1.5` at place 2");
    refused(
        "{\"tokens\": \"['a', b]\", \"ner_tags\": [\"O\"]}",
        "column `tokens`: is a broken list: a word without quotes",
    );
    refused("{\"tokens\": [\"a\"], \"labels\": [\"O\"]}", "--tags-column");
    assert!(said(read("a.jsonl", "{\"words\": [\"a\"]}", &plain())).contains("neither a column `tokens`"));
    refused("{\"text\": \"a\"}", "--entities-column");
}

#[test]
fn texts_with_entities_are_read_in_every_layout() {
    let expected = ["1: Zoë is in Rome [0-3 PER, 10-14 LOC]"];
    for entities in [
        "\"entities\": [{\"start\": 10, \"end\": 14, \"label\": \"LOC\"}, {\"start\": 0, \"end\": 3, \"label\": \"PER\"}]",
        "\"label\": [[0, 3, \"PER\"], [10, 14, \"LOC\"]]",
        "\"labels\": [[0, 4, \"PER\"], [10, 14, \"LOC\"]]",
        "\"spans\": [{\"start\": 0, \"end\": 3, \"label\": \"PER\", \"text\": \"Zoë\"}, {\"start\": 10, \"end\": 14, \"label\": \"LOC\"}]",
        "\"label\": [{\"start\": 0, \"end\": 3, \"labels\": [\"PER\"]}, {\"start\": 10, \"end\": 14, \"labels\": [\"LOC\"]}]",
        "\"entities\": [{\"id\": 1, \"start_offset\": 0, \"end_offset\": 3, \"label\": \"PER\"}, [10, 14, \"LOC\"]]",
    ] {
        assert_eq!(
            shown(&good("a.jsonl", format!("{{\"text\": \"Zoë is in Rome\", {entities}}}"))),
            expected,
            "{entities}"
        );
    }
    assert_eq!(
        shown(&good("a.csv", "text,entities\nRome,\"[(0, 4, 'LOC')]\"\nno,[]\n")),
        ["2: Rome [0-4 LOC]", "3: no []"]
    );
    let spaced = good("a.jsonl", "{\"text\": \"in Rome\", \"entities\": [[2, 7, \"LOC\"]]}");
    assert_eq!(shown(&spaced), ["1: in Rome [3-7 LOC]"]);
    assert!(spaced.notes[0].contains("space at an end"), "{:?}", spaced.notes);
}

#[test]
fn label_studio_is_read() {
    let task =
        |result: &str| format!("[{{\"id\": 5, \"data\": {{\"text\": \"😀 Rome\"}}, \"annotations\": {result}}}]");
    let value = |start: usize, end: usize| {
        format!(
            "{{\"type\": \"labels\", \"value\": {{\"start\": {start}, \"end\": {end}, \"text\": \"Rome\", \"labels\": [\"LOC\"]}}}}"
        )
    };
    let one = format!(
        "[{{\"was_cancelled\": true, \"result\": []}}, {{\"result\": [{}, {{\"type\": \"relation\"}}]}}]",
        value(2, 6)
    );
    assert_eq!(shown(&good("a.json", task(&one))), ["1: 😀 Rome [2-6 LOC]"]);
    let javascript = task(&format!("[{{\"result\": [{}]}}]", value(3, 7)));
    let message = said(read("a.json", &javascript, &plain()));
    assert!(message.contains("UTF-16 units"), "{message}");
    let mended = read("a.json", &javascript, &TagOptions { repair: Repair::Mend, ..plain() }).unwrap();
    assert_eq!((shown(&mended), mended.notes.len()), (vec!["1: 😀 Rome [2-6 LOC]".to_owned()], 1));
    assert!(
        said(read("a.json", task("[{\"result\": []}, {\"result\": []}]"), &plain())).contains("has 2 of this text")
    );
    assert!(said(read("a.json", task("[]"), &plain())).contains("annotate the task"));
    let unlabelled = read("a.json", task("[]"), &TagOptions { required: false, ..plain() }).unwrap();
    assert_eq!(shown(&unlabelled), ["1: 😀 Rome"]);
    let key = TagOptions { text: "body".into(), ..plain() };
    assert!(said(read("a.json", task("[]"), &key)).contains("has no text `body`, but `text`"));
}

#[test]
fn entities_that_cannot_stand_are_named() {
    let row = |entities: &str| format!("{{\"text\": \"é in Rome\", \"entities\": [{entities}]}}\n");
    let refused = |entities: &str, words: &str| {
        let message = said(read("a.jsonl", row(entities), &plain()));
        assert!(message.contains("a.jsonl:1: ") && message.contains(words), "{entities}: {message}");
    };
    refused("[5, 5, \"A\"]", "has no length");
    refused("[6, 5, \"A\"]", "ends before it starts");
    refused("[5, 12, \"A\"]", "beyond the text's 9 characters");
    refused("[6, 10, \"A\"]", "would fit if these were bytes of UTF-8");
    refused("[-1, 2, \"A\"]", "before the text");
    refused("[1, 2, \"A\"]", "nothing but space");
    refused("[0, 6, \"A\"], [5, 9, \"B\"]", "5..9 (`Rome`, B)");
    refused("[5, 9, \"A\"], [5, 9, \"A\"]", "stands twice");
    refused("[5, 9, 3]", "by number");
    refused("[5, 9]", "is no entity");
    refused("{\"start\": 5, \"end\": 9}", "has no label");
    refused(
        "{\"start\": 5, \"end\": 9, \"label\": \"A\", \"text\": \"Paris\"}",
        "should be `Paris`, but there stands `Rome`",
    );
    let mend = TagOptions { repair: Repair::Mend, ..plain() };
    let mended = read("a.jsonl", row("[0, 6, \"A\"], [5, 9, \"B\"]"), &mend).unwrap();
    assert_eq!(shown(&mended), ["1: é in Rome [0-6 A]"]);
    assert!(mended.notes[0].contains("the longer one is kept"), "{:?}", mended.notes);
}

#[test]
fn marks_are_optional_for_prediction() {
    let options = TagOptions { required: false, ..plain() };
    let unmarked = |name: &str, content: &str| shown(&read(name, content, &options).unwrap());
    assert_eq!(unmarked("a.conll", "EU\nrejects\n\n#\n"), ["1: EU rejects", "4: #"]);
    assert_eq!(
        unmarked("a.jsonl", "{\"tokens\": [\"EU\"]}\n{\"tokens\": [\"a\"], \"ner_tags\": [\"O\"]}"),
        ["1: EU", "2: a/O"]
    );
    assert_eq!(unmarked("a.csv", "text\nRome\n"), ["2: Rome"]);
    assert_eq!(TaggedFile::line(3, "Zoë {".as_bytes(), &plain()).unwrap(), Tagged::of_text(3, "Zoë {".into()));
    let words = TaggedFile::line(3, b" {\"tokens\": [\"a\", \"b\"], \"id\": 1}", &plain()).unwrap();
    assert_eq!((words.word_texts().unwrap(), words.id.clone()), (vec!["a", "b"], Some(json!(1))));
    assert_eq!(TaggedFile::line(1, b"{\"text\": \"a\"}", &plain()).unwrap().text, "a");
    assert!(TaggedFile::line(4, b"{\"txt\": \"a\"}", &plain()).unwrap_err().message.contains("has no text"));
}

#[test]
fn plain_text_is_read_as_texts_unless_it_has_columns() {
    let options = TagOptions { required: false, ..plain() };
    let read_as = |content: &str, options: &TagOptions| {
        let file = read("a.txt", content, options).unwrap();
        let columns = file.notes[0].ends_with("(CoNLL)");
        assert_ne!(columns, file.notes[0].ends_with("each of its lines is a text"), "{:?}", file.notes);
        (columns, shown(&file))
    };
    let texts = |content: &str| match read_as(content, &options) {
        (false, texts) => texts,
        (true, _) => panic!("{content:?} was read as columns"),
    };
    assert_eq!(texts("Zoë lives in Rome.\r\n\nSo do I\n"), ["1: Zoë lives in Rome.", "3: So do I"]);
    assert_eq!(texts("His blood type is O\n"), ["1: His blood type is O"]);
    assert_eq!(texts("Rome\nParis\n"), ["1: Rome", "2: Paris"]);
    assert_eq!(texts("It was I\nThat was he\nThis was she\n"), ["1: It was I", "2: That was he", "3: This was she"]);
    let columns = |content: &str| match read_as(content, &options) {
        (true, texts) => texts,
        (false, _) => panic!("{content:?} was read as texts"),
    };
    assert_eq!(columns("EU B-ORG\nrejects O\n"), ["1: EU/B-ORG rejects/O"]);
    assert_eq!(columns("EU B\nthe I\nrejects O\n").len(), 1);
    assert_eq!(columns("EU\tB-ORG\n"), ["1: EU/B-ORG"]);
    assert_eq!(columns("EU\nrejects\n\nRome\n"), ["1: EU rejects", "4: Rome"]);
    let second = TagOptions { tokens: "2".to_owned(), ..options.clone() };
    assert_eq!(read_as("1 EU O\n", &second), (true, vec!["1: EU/O".to_owned()]));
    // A file that is nearly one of columns is none of texts: what is wrong with it is told.
    assert!(said(read("a.txt", "EU B-ORG\nrejects\nRome B-LOC\n", &options)).contains("a.txt:2: has 1 column"));
    // What is learnt from has tags.
    assert!(said(read("a.txt", "Zoë lives in Rome.\nSo do I\n", &plain())).contains("the tags have no B- and I-"));
}

#[test]
fn labels_that_only_another_file_has_are_named_once() {
    let train = good("a.conll", "a B-PER\nb B-LOC\n");
    assert_eq!(train.labels(), ["LOC", "PER"]);
    let other = good("b.conll", "a B-PER\n\nb B-LOK\nc I-LOK\nd B-LOK\n");
    let message = unknown_labels(&other, &train.labels()).unwrap_err().to_string();
    assert!(message.contains("b.conll:3: label `LOK` (`LOC`?) of 2 entities"), "{message}");
    assert!(unknown_labels(&train, &other.labels()).is_err() && unknown_labels(&train, &train.labels()).is_ok());
}

#[test]
fn class_names_in_parquet_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(
        &path,
        "message m {
            REQUIRED group tokens (LIST) { REPEATED group list { REQUIRED BYTE_ARRAY element (UTF8); } }
            REQUIRED group ner_tags (LIST) { REPEATED group list { REQUIRED INT64 element; } } }",
        &[Column::Texts(&[&["EU", "rejects"], &["a"]]), Column::Numbers(&[&[1, 0], &[0]])],
        Some(
            r#"{"info": {"features": {"ner_tags":
            {"feature": {"names": ["O", "B-ORG"], "_type": "ClassLabel"}, "_type": "Sequence"}}}}"#,
        ),
    );
    let file = TaggedFile::read(&path, &plain()).unwrap();
    assert_eq!(shown(&file), ["1: EU/B-ORG rejects/O", "2: a/O"]);
    assert!(file.notes[0].contains("metadata of"), "{:?}", file.notes);
}

#[test]
fn rows_of_one_word_are_gathered_into_sentences() {
    let options = TagOptions { tokens: "Word".into(), tags: "Tag".into(), ..plain() };
    let kaggle = "Sentence #,Word,POS,Tag\nSentence: 1,EU,NNP,B-ORG\n,rejects,VBZ,O\n\n,\"\"\"\",X,O\nSentence: 2,Rome,NNP,B-LOC\n";
    let file = read("a.csv", kaggle, &options).unwrap();
    assert_eq!(shown(&file), ["2: EU/B-ORG rejects/O \"/O", "6: Rome/B-LOC"]);
    let repeated = "doc_id\tsent_id\tWord\tTag\n1\t0\ta\tO\n1\t0\tb\tB-A\n2\t0\tc\tO\n2\t1\td\tO\n";
    assert_eq!(shown(&read("a.tsv", repeated, &options).unwrap()), ["2: a/O b/B-A", "4: c/O", "5: d/O"]);
    let again = "sent_id,Word,Tag\n1,a,O\n2,b,B-A\n1,c,O\n";
    let file = read("a.csv", again, &options).unwrap();
    assert!(file.notes[0].contains("a.csv:4: a sentence's name comes again"), "{:?}", file.notes);
    let own = TagOptions { sentence: Some("s".into()), ..options.clone() };
    assert_eq!(shown(&read("a.csv", "s,Word,Tag\n1,a,O\n1,b,B-A\n", &own).unwrap()), ["2: a/O b/B-A"]);
    let missing = said(read("a.csv", "Word,Tag\na,O\nb,O\n", &own));
    assert!(missing.contains("no column `s`") && missing.contains("--sentence-column"), "{missing}");
    let homeless = said(read("a.csv", "Word,Tag\na,O\nb,B-A\n", &options));
    assert!(homeless.contains("holds one word (`a`, `b`)") && homeless.contains("--sentence-column"), "{homeless}");
    let broken = said(read("a.csv", "sent_id,Word,Tag\n1,a,O\n\n1,,O\n1,b,X\n2,c,X\n2,d,B-A\n", &options));
    assert!(
        broken.contains("a.csv:4: column `Word`: has no word") && broken.contains("a.csv:6: `X` is no tag"),
        "{broken}"
    );
    // Lists of one word among others are sentences of one word, and predictions have one for each row.
    let lists = "Word,Tag\nhello,O\na b,O B-A\n";
    assert_eq!(shown(&read("a.csv", lists, &options).unwrap()), ["2: hello/O", "3: a/O b/B-A"]);
    let asked = TagOptions { required: false, ..options };
    assert_eq!(shown(&read("a.csv", "Word\na\nb\n", &asked).unwrap()), ["2: a", "3: b"]);
}

#[test]
fn a_column_that_counts_words_is_no_column_of_words() {
    for content in
        ["1\ta\tO\n2\tb\tB-A\n\n1\tc\tO\n", "3 a O\n4 b B-A\n\n6 c O\n", "1 a O\n2-3 bc O\n2 b O\n3 c O\n\n1 d O\n"]
    {
        let said = said(read("a.conll", content, &plain()));
        assert!(said.contains("--tokens-column 2"), "{said}");
    }
    let second = TagOptions { tokens: "2".into(), ..plain() };
    let file = read("a.conll", "1\t-DOCSTART-\tO\n\n3\ta\tO\n4\tb\tB-A\n", &second).unwrap();
    assert_eq!(shown(&file), ["3: a/O b/B-A"]);
    let years = "1990 O\n1991 B-A\n\nin O\n1992 O\n";
    assert_eq!(shown(&good("a.conll", years)), ["1: 1990/O 1991/B-A", "4: in/O 1992/O"]);
}

#[test]
fn documents_and_names_of_columns_stand_before_words() {
    let medline = "###MEDLINE:95369245\n\nIL-2\tB-DNA\ngene\tI-DNA\n\n###MEDLINE:95333264\n\nx\tO\n";
    let file = good("a.iob2", medline);
    assert_eq!(shown(&file), ["3: IL-2/B-DNA gene/I-DNA", "8: x/O"]);
    assert_eq!(file.examples.iter().map(|it| it.document).collect::<Vec<_>>(), [Some(0), Some(1)]);
    let headed = said(read("a.conll", "token\tlabel\na\tO\nb\tB-A\n", &plain()));
    assert!(
        headed.contains("a.conll:1: `label` is no tag; remove this line if it names the columns (`token`"),
        "{headed}"
    );
    let later = said(read("a.conll", "a\tB-A\nb\tlabel\n", &plain()));
    assert!(later.contains("a.conll:2: `label` is no tag; write O"), "{later}");
}

#[test]
fn entities_without_a_type_are_entities() {
    let bare = "a\tB\nb\tI\nc\tO\n";
    let file = good("a.tsv", bare);
    assert_eq!(shown(&file), ["1: a/B-entity b/I-entity c/O"]);
    assert!(file.notes[0].contains("of the type `entity`"), "{:?}", file.notes);
    let model = TagOptions { untyped: true, ..plain() };
    assert_eq!(shown(&read("a.tsv", bare, &model).unwrap()), ["1: a/B b/I c/O"]);
}
