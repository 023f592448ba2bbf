//! Tests of parallel files: which are meant, and what is said of lines that do not fit.

use super::*;
use crate::Records;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    folder
}

#[test]
fn the_other_file_is_found_by_its_ending() {
    let all =
        ["a.en", "a.fr", "a.csv", "b.de", "c.en", "c.de", "c.fr", "d.source", "d.target", "d.en", "e.en.gz", "e.fr"];
    let folder = folder(&all.map(|name| (name, "x\n")));
    let of = |name: &str, languages: [Option<&str>; 2]| {
        let found = ParallelFiles::of(&folder.path().join(name), languages, true).map_err(|error| error.to_string())?;
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        Ok::<_, String>(found.map(|found| (name(&found.source), name(&found.target.unwrap()))))
    };
    let pair = |source: &str, target: &str| Ok(Some((source.to_owned(), target.to_owned())));
    assert_eq!(of("a.en", [None, None]), pair("a.en", "a.fr"));
    assert_eq!(of("a.fr", [None, None]), pair("a.fr", "a.en"));
    assert_eq!(of("a.fr", [Some("en"), Some("fr")]), pair("a.en", "a.fr"));
    assert_eq!(of("a.fr", [Some("en_XX"), None]), pair("a.en", "a.fr"));
    assert_eq!(of("a.en", [Some("eng_Latn"), Some("fra_Latn")]), pair("a.en", "a.fr"));
    assert_eq!(of("c.de", [None, Some("fr")]), pair("c.de", "c.fr"));
    assert_eq!(of("d.target", [None, None]), pair("d.source", "d.target"));
    assert_eq!(of("e.en.gz", [None, None]), pair("e.en.gz", "e.fr"));
    assert_eq!(of("a.csv", [Some("en"), Some("fr")]), Ok(None));
    assert_eq!(of("b.de", [None, None]), Ok(None));
    for (name, languages, part) in [
        (
            "a.en",
            [Some("en"), Some("de")],
            "no file for the language `de`; beside `a.` there are the endings `en`, `fr`",
        ),
        ("c.en", [None, None], "which files belong together"),
        ("c.de", [Some("en"), Some("fr")], "`de` is of neither language"),
        ("b.de", [Some("de"), Some("en")], "no file for the language `en`"),
    ] {
        let said = of(name, languages).unwrap_err();
        assert!(said.contains(part) && said.contains(name), "{said}");
    }
    let lone = ParallelFiles::of(&folder.path().join("b.de"), [Some("de"), Some("en")], false).unwrap().unwrap();
    assert_eq!(lone.target, None);
    assert!(ParallelFiles::of(&folder.path().join("a.fr"), [Some("en"), Some("fr")], false).is_err());
}

#[test]
fn lines_of_two_files_are_pairs() {
    let read = |one: &str, other: &str, skip| {
        let folder = folder(&[("a.en", one), ("a.fr", other)]);
        let files = ParallelFiles::of(&folder.path().join("a.en"), [None, None], true).unwrap().unwrap();
        let layout = Layout::text("source").labels(["target"]).target("--target-column", "target");
        TableRows::read_parallel(&files, &layout, true, skip).map_err(|error| error.to_string())
    };
    let rows = read("a \"b\r\n\r\nc\u{2028}d\n\n", "x\n\ny", OnBadExample::Fail).unwrap();
    let pair = |row| (rows.inputs(row).unwrap()[0].clone(), rows.label_cells(row).unwrap()[0].clone());
    let cell = |text: &str| Cell::Text(text.to_owned());
    assert_eq!((pair(0), pair(1)), ((cell("a \"b"), cell("x")), (cell("c\u{2028}d"), cell("y"))));
    assert_eq!((rows.line(1), rows.len()), (3, 2));
    let note = &rows.remarks()[0];
    assert!(note.contains("a.en is the source") && note.contains("a.fr the target"), "{note}");
    let said = read("a\nb\n", "x\ny\nz\n", OnBadExample::Fail).err().unwrap();
    assert!(said.contains("a.en: has 2 lines, but") && said.contains("a.fr has 3"), "{said}");
    let said = read("a\nb\n", "x\n\n", OnBadExample::Fail).err().unwrap();
    assert!(said.contains("a.en: has 2 lines, but") && said.contains("a.fr has 1"), "{said}");
    let said = read("a\n\nc\n", "x\ny\nz\n", OnBadExample::Fail).err().unwrap();
    assert!(said.contains("a.en:2: is blank in") && said.contains("a.en alone"), "{said}");
    assert_eq!(read("a\n\nc\n", "x\ny\nz\n", OnBadExample::Skip).unwrap().left_out().len(), 1);
}
