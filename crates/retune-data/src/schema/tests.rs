//! Tests of schema inference and label encoding.

use super::*;
use crate::table::Cell;
use crate::{LabelNumbers, Layout, OnBadExample, Records, Source, TableRows};

fn texts() -> Layout {
    Layout::text("text").labels(["label"])
}

fn rows(name: &str, content: &str, columns: &Layout) -> TableRows {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    TableRows::read(&path, columns, true, OnBadExample::Fail).unwrap()
}

fn infer(labels: &[&str], problem: Option<Problem>) -> Result<LabelSchema, DataError> {
    let content = format!("text,label\n{}", labels.iter().map(|label| format!("t,{label}\n")).collect::<String>());
    LabelSchema::infer(&rows("a.csv", &content, &texts()), problem)
}

fn infer_json(labels: &[&str], problem: Option<Problem>) -> Result<LabelSchema, DataError> {
    let lines: String = labels.iter().map(|label| format!("{{\"text\":\"t\",\"label\":{label}}}\n")).collect();
    LabelSchema::infer(&rows("a.jsonl", &lines, &texts()), problem)
}

/// The labels of all rows by a schema, and the notes about them.
fn read_labels(rows: &dyn LabelRows, schema: &LabelSchema) -> Result<(Vec<EncodedLabel>, Vec<String>), DataError> {
    let mut labels = Vec::new();
    let notes = crate::target::encode_labels(rows, schema, |label| labels.push(label))?;
    Ok((labels, notes.unwrap()))
}

fn single(names: &[&str]) -> LabelSchema {
    LabelSchema::SingleLabel { names: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn multi(names: &[&str]) -> LabelSchema {
    LabelSchema::MultiLabel { names: names.iter().map(|name| (*name).to_owned()).collect() }
}

#[test]
fn one_column() {
    assert_eq!(infer(&["pos", "neg", "pos"], None).unwrap(), single(&["neg", "pos"]));
    assert_eq!(infer(&["10", "9", "-1", "9"], None).unwrap(), single(&["-1", "9", "10"]));
    assert_eq!(infer(&["1.0", "0.0"], None).unwrap(), single(&["0", "1"]));
    assert_eq!(infer(&["10", "9", "x"], None).unwrap(), single(&["10", "9", "x"]));
    assert_eq!(infer(&["1.5", "2", "-3e2"], None).unwrap(), LabelSchema::Regression { outputs: 1 });
    assert_eq!(infer_json(&["true", "false"], None).unwrap(), single(&["false", "true"]));
    assert_eq!(infer_json(&["[\"b\",\"a\"]", "[]", "[\"b\"]"], None).unwrap(), multi(&["a", "b"]));
    assert_eq!(infer_json(&["[10]", "[9, 2]"], None).unwrap(), multi(&["2", "9", "10"]));
}

/// The schema of JSON lists and each row's label by it.
fn encoded(labels: &[&str], schema: &LabelSchema) -> Result<Vec<EncodedLabel>, DataError> {
    let lines: String = labels.iter().map(|label| format!("{{\"text\":\"t\",\"label\":{label}}}\n")).collect();
    Ok(read_labels(&rows("b.jsonl", &lines, &texts()), schema)?.0)
}

#[test]
fn lists_of_flags_say_which_labels_apply() {
    let labels = ["[0, 1, 0]", "[1, 1.0, 0]", "[false, false, true]", "[0, 0, 0]"];
    let schema = infer_json(&labels, None).unwrap();
    assert_eq!(schema, multi(&["0", "1", "2"]));
    let classes = |all: &[&[u32]]| all.iter().map(|it| EncodedLabel::Classes(it.to_vec())).collect::<Vec<_>>();
    assert_eq!(encoded(&labels, &schema).unwrap(), classes(&[&[1], &[0, 1], &[2], &[]]));
    assert_eq!(infer_json(&labels, Some(Problem::MultiLabel)).unwrap(), schema);
    // Two labels, one of them in each row: no entry stands twice, the equal length decides.
    let two = infer_json(&["[0, 1]", "[1, 0]"], None).unwrap();
    assert_eq!(encoded(&["[1, 0]", "[0, 1]"], &two).unwrap(), classes(&[&[0], &[1]]));
    // Sets of numbers are sets still, and so are texts.
    let sets = infer_json(&["[0, 1]", "[1]", "[]"], None).unwrap();
    assert_eq!(encoded(&["[0, 1]", "[1]", "[]"], &sets).unwrap(), classes(&[&[0, 1], &[1], &[]]));
    assert_eq!(infer_json(&["[\"0\", \"1\"]", "[\"1\", \"2\"]"], None).unwrap(), multi(&["0", "1", "2"]));
}

#[test]
fn lists_of_flags_take_the_names_of_a_model() {
    let lines = "{\"text\":\"t\",\"label\":[1,0,1]}\n";
    let rows = rows("a.jsonl", lines, &texts());
    let of = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        LabelSchema::infer_with_names(&rows, None, &names).unwrap()
    };
    assert_eq!(of(&["joy", "anger", "fear"]), multi(&["joy", "anger", "fear"]));
    assert_eq!(of(&["LABEL_0", "LABEL_1"]), multi(&["0", "1", "2"]));
    let named = encoded(&["[0,1,1]"], &of(&["joy", "anger", "fear"])).unwrap();
    assert_eq!(named, [EncodedLabel::Classes(vec![1, 2])]);
}

#[test]
fn lists_of_flags_that_do_not_fit_are_named() {
    let schema = multi(&["0", "1", "2"]);
    let error = encoded(&["[0, 1, 0]", "[0, 1]", "[0, 2, 0]", "3"], &schema).unwrap_err().to_string();
    for part in [
        "b.jsonl:2: column `label`: is a list of 2 where 3 entries of 0 or 1 are needed",
        "b.jsonl:3: column `label`: is `[0, 2, 0]`, not a list of 3 entries of 0 or 1",
        "b.jsonl:4: column `label`: is `3` where other rows have lists of 0 and 1",
        "3 problems in all",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(encoded(&["[0, 0]"], &schema).unwrap_err().to_string().contains("is a list of 2"));
    let lengths = infer_json(&["[0, 0, 1]", "[1, 0]"], None).unwrap_err().to_string();
    assert!(lengths.contains("a.jsonl:2: column `label`: is a list of 2 where 3"), "{lengths}");
    assert!(infer_json(&["[0, 0]", "[0, 0]"], None).unwrap_err().to_string().contains("no row has any label"));
}

#[test]
fn lists_of_numbers_are_outputs_or_ask() {
    let outputs = |outputs| LabelSchema::Regression { outputs };
    assert_eq!(infer_json(&["[0.5, 1]", "[0, 0]"], None).unwrap(), outputs(2));
    assert_eq!(infer_json(&["[0.5]", "[2]"], None).unwrap(), outputs(1));
    let said = |labels: &[&str]| infer_json(labels, None).unwrap_err().to_string();
    for (labels, part) in [
        (["[3, 7]", "[1, 2]"], "lists of 2 whole numbers, which may be the numbers of labels or 2 values"),
        (["[3, -1]", "[2]"], "negative or repeated"),
        (["[4, 4]", "[2]"], "negative or repeated"),
        (["[0.5, 1]", "[2]"], "of different lengths"),
    ] {
        let error = said(&labels);
        assert!(error.contains(part) && error.contains("--problem multi-label"), "{error}");
    }
    assert_eq!(infer_json(&["[3, 7]", "[1, 2]"], Some(Problem::Regression)).unwrap(), outputs(2));
    assert_eq!(infer_json(&["[3, 7]", "[1, 2]"], Some(Problem::MultiLabel)).unwrap(), multi(&["1", "2", "3", "7"]));
    assert_eq!(infer_json(&["[0, 1]", "[1, 0]"], Some(Problem::Regression)).unwrap(), outputs(2));
}

#[test]
fn booleans_are_one_class_in_every_spelling() {
    assert_eq!(infer(&["True", "False", "True"], None).unwrap(), single(&["False", "True"]));
    assert_eq!(infer(&["True", "FALSE", "TRUE", "false", "true"], None).unwrap(), single(&["false", "true"]));
    assert_eq!(infer_json(&["true", "\"False\"", "false"], None).unwrap(), single(&["false", "true"]));
    let python = single(&["False", "True"]);
    assert_eq!(encode(&python, Cell::Bool(true)).unwrap(), EncodedLabel::Class(1));
    assert_eq!(encode(&python, Cell::Text("false".into())).unwrap(), EncodedLabel::Class(0));
    // Other words are as they are written.
    assert_eq!(infer(&["Yes", "yes"], None).unwrap(), single(&["Yes", "yes"]));
    assert!(encode(&single(&["Yes", "No"]), Cell::Text("yes".into())).is_err());
}

#[test]
fn an_explicit_problem_wins() {
    assert_eq!(infer(&["0", "1"], Some(Problem::Regression)).unwrap(), LabelSchema::Regression { outputs: 1 });
    assert_eq!(infer(&["1.0", "2.1"], Some(Problem::SingleLabel)).unwrap(), single(&["1.0", "2.1"]));
    assert_eq!(infer(&["a", "b"], Some(Problem::MultiLabel)).unwrap(), multi(&["a", "b"]));
    assert_eq!(
        infer_json(&["[0.5, 1]", "[2, 3]"], Some(Problem::Regression)).unwrap(),
        LabelSchema::Regression { outputs: 2 }
    );
}

#[test]
fn several_columns_and_separators() {
    let columns = Layout::text("text").labels(["a", "b"]);
    let of = |content: &str, problem| LabelSchema::infer(&rows("a.csv", content, &columns), problem);
    assert_eq!(of("text,a,b\nt,0,1\nt,True,0.0\n", None).unwrap(), multi(&["a", "b"]));
    assert_eq!(of("text,a,b\nt,0,2\n", None).unwrap(), LabelSchema::Regression { outputs: 2 });
    let flags = of("text,a,b\nt,0,2\n", Some(Problem::MultiLabel)).unwrap_err().to_string();
    assert!(flags.contains("a.csv:2: column `b`: is `2`, not 0 or 1"), "{flags}");
    let words = of("text,a,b\nt,0,x\n", None).unwrap_err().to_string();
    assert!(words.contains("column `b`: is `x`, not a number"), "{words}");
    assert!(of("text,a,b\nt,0,1\n", Some(Problem::SingleLabel)).is_err());

    let columns = texts().label_separator(Some('|'));
    let rows = rows("a.csv", "text,label\nt,b | a\nt,\nt,c\n", &columns);
    assert_eq!(LabelSchema::infer(&rows, None).unwrap(), multi(&["a", "b", "c"]));
}

#[test]
fn unusable_labels_are_named() {
    let said = |labels: &[&str], problem| infer(labels, problem).unwrap_err().to_string();
    assert!(said(&["a", "a"], None).contains("every label is `a`; training needs at least two classes"));
    let mixed = said(&["0.5", "1.5", "n/a", "2", "inf"], None);
    assert!(mixed.contains("a.csv:4: column `label`: is `n/a`, not a number"), "{mixed}");
    assert!(mixed.contains("a.csv:6: column `label`: is `inf`, not a finite number"), "{mixed}");
    assert!(said(&["1", "2", "nan"], None).contains("a.csv:4: column `label`: is `nan`, not a finite number"));
    assert!(said(&["1e39", "2"], Some(Problem::Regression)).contains("not a finite number"));
    let texts: Vec<String> = (0..50).map(|n| format!("word{n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let many = said(&texts, None);
    assert!(many.contains("50 different values in 50 labels") && many.contains("--problem"), "{many}");
    assert_eq!(infer(&texts, Some(Problem::SingleLabel)).unwrap().outputs(), 50);
    let lists = infer_json(&["[1]", "2"], None).unwrap_err().to_string();
    assert!(lists.contains("a.jsonl:2: column `label`: is `2` where other rows have lists"), "{lists}");
    assert!(infer_json(&["[]", "[]"], None).unwrap_err().to_string().contains("no row has any label"));
    assert!(infer_json(&["[null]"], None).unwrap_err().to_string().contains("empty or no label"));
    assert!(
        infer_json(&["[1.5]", "[1, 2]"], Some(Problem::Regression)).unwrap_err().to_string().contains("has 2 numbers")
    );
}

fn encode(schema: &LabelSchema, cell: Cell) -> Result<EncodedLabel, String> {
    let columns = ["label".to_owned()];
    LabelEncoder::new(schema, &columns, None).unwrap().encode(&[cell]).map_err(|(_, message)| message)
}

/// The labels of a CSV file by a schema, and the note about them.
fn noted(labels: &[&str], schema: &LabelSchema, numbers: LabelNumbers) -> Result<(Vec<u32>, Vec<String>), String> {
    let content = format!("text,label\n{}", labels.iter().map(|label| format!("t,{label}\n")).collect::<String>());
    let rows = rows("b.csv", &content, &texts().label_numbers(numbers));
    let (encoded, notes) = read_labels(&rows, schema).map_err(|error| error.to_string())?;
    let class = |label| match label {
        EncodedLabel::Class(class) => class,
        other => panic!("{other:?}"),
    };
    Ok((encoded.into_iter().map(class).collect(), notes))
}

#[test]
fn numbers_are_places_only_in_an_order_that_means_something() {
    use LabelNumbers::{ByOrder, From, Given};
    let news = single(&["World", "Sports", "Business", "Sci/Tech"]);
    let sorted = single(&["Business", "Sci/Tech", "Sports", "World"]);
    // Somebody else's order.
    for numbers in [ByOrder, Given] {
        let (classes, note) = noted(&["3", "0", "Sports"], &news, numbers).unwrap();
        assert_eq!(classes, [3, 0, 1]);
        let note = &note[0];
        assert!(note.contains("b.csv: labels are numbers") && note.contains("0 = World, 1 = Sports"), "{note}");
    }
    // That of inference means nothing.
    let refused = noted(&["0", "1", "2"], &sorted, ByOrder).unwrap_err();
    assert!(refused.contains("order is only the alphabet's") && refused.contains("0 = Business"), "{refused}");
    assert!(refused.contains("--label-numbers"), "{refused}");
    assert_eq!(noted(&["0", "3"], &sorted, Given).unwrap().0, [0, 3]);
    assert_eq!(noted(&["World", "Business"], &sorted, ByOrder), Ok((vec![3, 0], Vec::new())));
    // Counted from 1.
    for (labels, schema) in [(["1", "2", "3"], &news), (["1", "4", "2"], &news)] {
        let refused = noted(&labels, schema, Given).unwrap_err();
        assert!(refused.contains("and never 0"), "{refused}");
    }
    let (classes, note) = noted(&["1", "4"], &news, From(1)).unwrap();
    assert!(classes == [0, 3] && note[0].contains("1 = World"));
    assert_eq!(noted(&["1", "3"], &sorted, From(0)).unwrap().0, [1, 3]);
    assert!(noted(&["4"], &sorted, From(0)).unwrap_err().contains("`4` is not among the known labels"));
    // Made-up names number the outputs.
    let unnamed = single(&["LABEL_0", "LABEL_1", "LABEL_2"]);
    assert_eq!(noted(&["2", "0"], &unnamed, ByOrder).unwrap().0, [2, 0]);
    // 0 and 1 are false and true, whatever the order.
    assert_eq!(noted(&["1", "0"], &single(&["True", "False"]), ByOrder), Ok((vec![0, 1], Vec::new())));
    // Several labels.
    let rows = rows("b.csv", "text,label\nt,0 1\nt,\n", &texts().label_separator(Some(' ')));
    let said = read_labels(&rows, &multi(&["a", "b", "c"])).err().unwrap().to_string();
    assert!(said.contains("only the alphabet's"), "{said}");
}

#[test]
fn lists_in_cells_are_lists() {
    let names = ["\"['red', 'blue']\"", "['green']", "[]", "['red']"];
    let schema = infer(&names, None).unwrap();
    assert_eq!(schema, multi(&["blue", "green", "red"]));
    assert_eq!(infer(&names, Some(Problem::MultiLabel)).unwrap(), schema);
    let flags = ["\"[0, 1, 0]\"", "\"[1, 1, 0]\"", "[0 0 0]"];
    let schema = infer(&flags, None).unwrap();
    assert_eq!(schema, multi(&["0", "1", "2"]));
    let content = format!("text,label\n{}", flags.map(|flags| format!("t,{flags}\n")).concat());
    let (classes, _) = read_labels(&rows("a.csv", &content, &texts()), &schema).unwrap();
    let expected = [vec![1], vec![0, 1], vec![]].map(EncodedLabel::Classes);
    assert_eq!(classes, expected);
    assert_eq!(infer(&["\"[0.5, 1]\"", "\"[2, 3]\""], None).unwrap(), LabelSchema::Regression { outputs: 2 });
    assert_eq!(infer_json(&["\"['a', 'b']\"", "\"['a']\""], None).unwrap(), multi(&["a", "b"]));
    let unread = infer(&["\"[red, blue]\"", "[green]"], None).unwrap_err().to_string();
    assert!(unread.contains("a.csv:2: column `label`: is `[red, blue]`, which looks like a list"), "{unread}");
    let mixed = infer(&["['red']", "green"], None).unwrap_err().to_string();
    assert!(mixed.contains("is `green` where other rows have lists"), "{mixed}");
    assert_eq!(infer(&["[neutral]", "[happy]"], None).unwrap(), single(&["[happy]", "[neutral]"]));
}

#[test]
fn labels_that_spell_numbers_keep_their_spelling() {
    assert_eq!(infer(&["1E1", "2E1", "1E1"], None).unwrap(), single(&["1E1", "2E1"]));
    assert_eq!(infer(&["1.10", "1.9"], Some(Problem::SingleLabel)).unwrap(), single(&["1.10", "1.9"]));
    assert_eq!(infer(&["007", "7"], None).unwrap(), single(&["007", "7"]));
    assert_eq!(infer(&["2.0", "10.00", "2"], None).unwrap(), single(&["2", "10"]));
    assert!(encode(&single(&["10", "20"]), Cell::Text("1E1".into())).is_err());
    assert_eq!(encode(&single(&["10", "20"]), Cell::Text("20.0".into())).unwrap(), EncodedLabel::Class(1));
}

#[test]
fn decimal_commas_are_noticed() {
    let said = infer(&["\"0,5\"", "\"1,25\"", "2"], None).unwrap_err().to_string();
    assert!(said.contains("write a decimal point") && said.contains("--label-separator ,"), "{said}");
    let said = infer(&["\"0,5\"", "1"], Some(Problem::Regression)).unwrap_err().to_string();
    assert!(said.contains("is `0,5`, a number with a decimal comma; write a point"), "{said}");
    let names = infer(&["\"0,5\"", "\"1,5\""], Some(Problem::SingleLabel)).unwrap();
    assert_eq!(names, single(&["0,5", "1,5"]));
    assert_eq!(infer(&["\"1,5\"", "x"], None).unwrap(), single(&["1,5", "x"]));
}

#[test]
fn labels_are_described_in_a_line() {
    assert_eq!(single(&["a", "b"]).describe(), "labels: one of 2 classes (a, b)");
    assert_eq!(multi(&["a", "b"]).describe(), "labels: any number of 2 (a, b)");
    assert_eq!(LabelSchema::Regression { outputs: 1 }.describe(), "labels: a number (regression)");
    assert_eq!(LabelSchema::Regression { outputs: 3 }.describe(), "labels: 3 numbers (regression)");
    let many: Vec<String> = (0..9).map(|number| format!("c{number}")).collect();
    assert!(LabelSchema::SingleLabel { names: many }.describe().ends_with("c7, …)"));
}

/// Rows whose file knows the names of its labels.
struct Named(TableRows, Vec<String>);

impl Records for Named {
    fn file(&self) -> &std::path::Path {
        self.0.file()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn line(&self, row: usize) -> u64 {
        self.0.line(row)
    }

    fn source(&self, row: usize) -> Result<Source, DataError> {
        self.0.source(row)
    }
}

impl LabelRows for Named {
    fn label_columns(&self) -> &[String] {
        self.0.label_columns()
    }

    fn label_separator(&self) -> Option<char> {
        None
    }

    fn has_labels(&self) -> bool {
        self.0.has_labels()
    }

    fn label(&self, row: usize) -> Result<Option<Vec<Cell>>, DataError> {
        self.0.label(row)
    }

    fn label_names(&self) -> Option<&[String]> {
        Some(&self.1)
    }
}

#[test]
fn names_that_the_file_knows_keep_their_order() {
    let named = |labels: &str, names: &[&str]| {
        let rows = rows("a.csv", &format!("text,label\n{labels}"), &texts());
        Named(rows, names.iter().map(|&name| name.to_owned()).collect())
    };
    let news = named("t,Sports\nt,World\n", &["World", "Sports", "Business"]);
    assert_eq!(LabelSchema::infer(&news, None).unwrap(), single(&["World", "Sports", "Business"]));
    assert!(LabelSchema::infer(&named("t,a\nt,a\n", &["a", "b"]), None).is_err());
    assert_eq!(LabelSchema::infer(&named("t,1.5\nt,0.5\n", &["1.5", "0.5"]), None).unwrap(), single(&["1.5", "0.5"]));
    // A model whose labels are only numbers counts as the file does.
    for names in [["LABEL_0", "LABEL_1", "LABEL_2"], ["0", "1", "2"]] {
        let (labels, notes) = read_labels(&news, &single(&names)).unwrap();
        assert_eq!(labels, [EncodedLabel::Class(1), EncodedLabel::Class(0)]);
        assert!(notes[0].contains("0 = World, 1 = Sports"));
    }
}

#[test]
fn checkpoint_names_match_by_name() {
    let text = |text: &str| Cell::Text(text.into());
    let words = single(&["neg", "pos"]);
    assert_eq!(encode(&words, text(" pos ")).unwrap(), EncodedLabel::Class(1));
    let unknown = encode(&words, text("poss")).unwrap_err();
    assert!(unknown.contains("`poss` is not among the known labels `neg`, `pos` (`pos`?)"), "{unknown}");
    assert!(encode(&words, text("2")).is_err());
    assert_eq!(encode(&single(&["LABEL_0", "LABEL_1"]), text("LABEL_1")).unwrap(), EncodedLabel::Class(1));
    // Names that are numbers are names: 1 is the first class here, and 0 is none.
    let stars = single(&["1", "2"]);
    assert_eq!(encode(&stars, text("1.0")).unwrap(), EncodedLabel::Class(0));
    assert!(encode(&stars, text("0")).is_err());
    assert_eq!(encode(&single(&["false", "true"]), Cell::Bool(true)).unwrap(), EncodedLabel::Class(1));
}

#[test]
fn several_labels_and_numbers() {
    let schema = multi(&["a", "b", "c"]);
    let list = Cell::List(vec![Cell::Text("c".into()), Cell::Text("a".into()), Cell::Text("c".into())]);
    assert_eq!(encode(&schema, list).unwrap(), EncodedLabel::Classes(vec![0, 2]));
    let columns = ["c".to_owned(), "a".to_owned()];
    let encoder = LabelEncoder::new(&schema, &columns, None).unwrap();
    let cells = [Cell::Integer(1), Cell::Text("0".into())];
    assert_eq!(encoder.encode(&cells).unwrap(), EncodedLabel::Classes(vec![2]));
    assert_eq!(encoder.encode(&[Cell::Integer(1), Cell::Integer(2)]).unwrap_err().0, 1);
    assert!(LabelEncoder::new(&schema, &["a".to_owned(), "z".to_owned()], None).is_err());
    let numbers = LabelSchema::Regression { outputs: 1 };
    assert_eq!(encode(&numbers, Cell::Text("-2.5".into())).unwrap(), EncodedLabel::Values(vec![-2.5]));
    assert!(encode(&numbers, Cell::List(vec![Cell::Integer(1), Cell::Integer(2)])).is_err());
}

#[test]
fn problem_names() {
    assert_eq!("multi_label_classification".parse::<Problem>().unwrap(), Problem::MultiLabel);
    assert_eq!(Problem::Regression.to_string().parse::<Problem>().unwrap(), Problem::Regression);
    assert!("ranking".parse::<Problem>().is_err());
}
