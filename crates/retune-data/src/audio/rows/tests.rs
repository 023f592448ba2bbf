//! Tests of folders, tables and splits of sounds.

use serde_json::json;

use super::super::wav::{Store, wav};
use super::*;
use crate::{LabelRows, Records};

fn folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, wav(&[0.5, -0.5, 0.25], 1, 8000, Store::Signed16)).unwrap();
    }
    folder
}

fn layout() -> Layout {
    Layout::audio("audio").labels(["transcription"]).target("--transcription-column", "transcription")
}

fn read(path: impl AsRef<Path>, layout: &Layout) -> Result<TableRows, DataError> {
    read_audio(path, layout, true, OnBadExample::Fail)
}

#[test]
fn class_folders_and_tables_name_sounds() {
    let classes = folder(&["yes/1.wav", "yes/2.WAV", "no/1", "no/notes.txt"]);
    let rows = read(classes.path(), &Layout::audio("audio").labels(["label"])).unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows.label(0).unwrap(), Some(vec![Cell::Text("no".into())]));
    assert!(bytes(&rows, 2).unwrap().is_ok());

    let table = folder(&["wavs/1.wav", "wavs/2.wav"]);
    let content = "file_name,transcription,speaker\nwavs/1.wav,yes no,a\nwavs/2.wav,no,b\n";
    std::fs::write(table.path().join("metadata.csv"), content).unwrap();
    for path in [table.path().to_owned(), table.path().join("metadata.csv")] {
        let rows = read(&path, &layout().group(Some("speaker".into()))).unwrap();
        assert_eq!(rows.label(0).unwrap(), Some(vec![Cell::Text("yes no".into())]));
        assert!(bytes(&rows, 1).unwrap().is_ok() && rows.group(0) != rows.group(1));
    }
    let lines = table.path().join("train.jsonl");
    std::fs::write(&lines, "{\"path\": \"wavs/1.wav\", \"transcription\": \"yes\"}\n").unwrap();
    assert!(bytes(&read(&lines, &layout()).unwrap(), 0).unwrap().is_ok());
    let object = json!({"audio": {"bytes": "UklGRg==", "path": "x.wav"}, "transcription": "yes"});
    std::fs::write(&lines, object.to_string()).unwrap();
    assert_eq!(bytes(&read(&lines, &layout()).unwrap(), 0).unwrap().unwrap(), b"RIFF");
}

#[test]
fn rows_of_one_split_are_chosen_by_a_column() {
    let data = folder(&["1.wav", "2.wav", "3.wav"]);
    let table = data.path().join("metadata.csv");
    let content = "file_name,transcription,split\n1.wav,one,train\n2.wav,two, test \n3.wav,three,train\n";
    std::fs::write(&table, content).unwrap();
    let values = split_values(data.path(), "split").unwrap();
    assert_eq!(values.into_iter().collect::<Vec<_>>(), ["test", "train"]);
    let rows = read(data.path(), &layout().only("split", ["train"])).unwrap();
    assert_eq!((rows.len(), rows.line(1)), (2, 4));
    let rows = read(&table, &layout().group(Some("file_name".into())).only("split", ["test"]));
    assert!(rows.err().unwrap().to_string().contains("group column `file_name` is also"));
    let rows = read(&table, &layout().only("split", ["test"])).unwrap();
    assert_eq!(rows.label(0).unwrap(), Some(vec![Cell::Text("two".into())]));
    let missing = split_values(&table, "part").unwrap_err().to_string();
    assert!(missing.contains("there is no column `part`") && missing.contains("--split-column"), "{missing}");
    let none = folder(&["a/1.wav"]);
    assert!(split_values(none.path(), "split").unwrap_err().to_string().contains("holds no metadata.csv"));
}

#[test]
fn what_is_missing_is_named_by_its_flag() {
    let data = folder(&["1.wav"]);
    let table = data.path().join("train.csv");
    std::fs::write(&table, "audio,transcription\n1.wav,\n,two\nhttps://a.b/c.wav,x\n").unwrap();
    let said = read(&table, &layout()).err().unwrap().to_string();
    for part in [
        "train.csv:2: column `transcription`: has no transcription; fill it in",
        "train.csv:3: column `audio`: is empty",
        "train.csv:4: column `audio`: is an address; fetch the audio file",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    std::fs::write(&table, "audio,text\n1.wav,x\n").unwrap();
    assert!(read(&table, &layout()).err().unwrap().to_string().contains("--transcription-column"));
    std::fs::write(&table, "sound,transcription\n1.wav,x\n").unwrap();
    assert!(read(&table, &layout()).err().unwrap().to_string().contains("--audio-column"));
    let none = tempfile::tempdir().unwrap();
    std::fs::write(none.path().join("notes.txt"), "x").unwrap();
    let said = read(none.path(), &layout()).err().unwrap().to_string();
    assert!(said.contains("holds no audio files, but 1 .txt; files that end in wav, "), "{said}");
}
