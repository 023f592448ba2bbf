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

/// LibriSpeech's folders, without one of its sounds and with one more than its transcripts.
fn libri_speech() -> tempfile::TempDir {
    let data = folder(&["19/5/19-5-0.flac", "19/5/19-5-1.flac", "20/6/20-6-0.WAV"]);
    std::fs::write(data.path().join("19/5/19-5.trans.txt"), "19-5-0 HE SHOULD\n19-5-1 SHE DID\n19-5-2 GONE\n").unwrap();
    std::fs::write(data.path().join("20/6/20-6.trans.txt"), "20-6-0 YES\r\n").unwrap();
    data
}

#[test]
fn transcripts_lie_beside_the_sounds_of_libri_speech() {
    let data = libri_speech();
    let rows = read(data.path(), &layout().group(Some("speaker".into()))).unwrap();
    assert_eq!((rows.len(), rows.group_name(1), rows.group_name(2)), (3, Some("19"), Some("20")));
    assert_eq!(rows.label(1).unwrap(), Some(vec![Cell::Text("SHE DID".into())]));
    assert_eq!(rows.label(2).unwrap(), Some(vec![Cell::Text("YES".into())]));
    assert!(rows.remarks()[0].contains("1 of the lines in .trans.txt files has no audio file"), "{:?}", rows.remarks());
    let refused = |path: &Path, layout: &Layout| read(path, layout).err().unwrap().to_string();
    assert!(refused(data.path(), &layout().group(Some("age".into()))).contains("no column `age`"));

    std::fs::write(data.path().join("19/5/19-5.trans.txt"), "19-5-0 HE SHOULD\n").unwrap();
    let said = refused(data.path(), &layout());
    assert!(said.contains("19/5/19-5-1.flac has no line in a .trans.txt file"), "{said}");
    let rows = read_audio(data.path(), &layout(), true, OnBadExample::Skip).unwrap();
    assert_eq!((rows.len(), rows.left_out().len()), (2, 1));
    assert_eq!(read_audio(data.path(), &layout(), false, OnBadExample::Fail).unwrap().len(), 3);
    std::fs::write(data.path().join("19/5/19-5.trans.txt"), "19-5-0 HE\n19-5-1\n19-5-0 SHE\n").unwrap();
    let said = refused(data.path(), &layout());
    assert!(said.contains("19-5.trans.txt:2: has no transcription behind `19-5-1`"), "{said}");
    assert!(said.contains("19-5.trans.txt:3: `19-5-0` is there twice"), "{said}");

    let both = folder(&["train-clean-5/1/2/1-2-0.flac", "test-other/3/4/3-4-0.flac"]);
    std::fs::write(both.path().join("test-other/3/4/3-4.trans.txt"), "3-4-0 NO\n").unwrap();
    assert!(refused(both.path(), &layout()).contains("holds the splits `test-other`, `train-clean-5`; name each"));
}

#[test]
fn names_of_folders_are_no_transcripts() {
    let data = folder(&["clips/1.wav", "clips/2.wav"]);
    std::fs::write(data.path().join("dev.tsv"), "path\tsentence\n1.wav\tyes\n").unwrap();
    let said = read(data.path(), &layout()).err().unwrap().to_string();
    for part in ["nothing says what is said", "`file_name` and `transcription`", ".trans.txt", "(`dev.tsv`)"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(read_audio(data.path(), &layout(), false, OnBadExample::Fail).unwrap().len(), 2, "to be predicted");
}

#[test]
fn bare_names_are_looked_for_in_the_folders_of_sounds() {
    let data = folder(&["clips/1.mp3", "clips/2.wav"]);
    let table = data.path().join("train.tsv");
    let layout = Layout::audio("audio").labels(["sentence"]).target("--transcription-column", "transcription");
    // Common Voice names files with their endings, other corpora without.
    std::fs::write(&table, "path\tsentence\n1.mp3\tyes\n2\tno\n3.mp3\tno\n").unwrap();
    let rows = read(&table, &layout).unwrap();
    assert!(bytes(&rows, 0).unwrap().is_ok() && bytes(&rows, 1).unwrap().is_ok());
    assert!(rows.remarks()[0].ends_with("its audio files lie in the folder `clips` beside it"), "{:?}", rows.remarks());
    assert!(rows.place(2).unwrap().ends_with("clips/3.mp3"));
    // What lies where it is said to lie is not looked for elsewhere.
    std::fs::write(data.path().join("3.mp3"), "x").unwrap();
    assert!(read(&table, &layout).unwrap().remarks().is_empty());
    std::fs::write(&table, "path\tsentence\nnone.mp3\tyes\n").unwrap();
    let said = bytes(&read(&table, &layout).unwrap(), 0).unwrap().unwrap_err();
    assert!(said.contains("relative to the table, or to a folder clips or audio or wavs"), "{said}");
}

#[test]
fn one_sound_can_be_named_where_nothing_is_to_be_known_of_it() {
    let data = folder(&["1.wav"]);
    let sound = data.path().join("1.wav");
    let rows = read_audio(&sound, &layout(), false, OnBadExample::Fail).unwrap();
    assert!(rows.len() == 1 && bytes(&rows, 0).unwrap().is_ok() && !rows.has_labels());
    assert_eq!(rows.place(0).unwrap(), sound.display().to_string());
    let said = read(&sound, &layout()).err().unwrap().to_string();
    assert!(said.contains("is one audio file, of which no transcription is known; name a folder"), "{said}");
}
