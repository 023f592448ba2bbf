//! Rows of texts and conversations, and what is said of them before anything is computed.

use super::*;
use crate::Recipe;
use crate::task::Split;
use retune_models::CheckpointFolder;
use std::path::Path;

const TEMPLATE: &str = "{% for m in messages %}{{ m.role }}: {{ m.content }}</s>{% endfor %}\
     {% if add_generation_prompt %}assistant: {% endif %}";

/// A copy of the small decoder with a chat template, and data beside it.
fn desk(data: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/llama-with-tokenizer");
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    std::fs::write(folder.path().join("chat_template.jinja"), TEMPLATE).unwrap();
    std::fs::write(folder.path().join("data.jsonl"), data).unwrap();
    folder
}

fn prepared(folder: &Path, more: &str) -> Result<Box<dyn Work>> {
    let data = folder.join("data.jsonl");
    let recipe: Recipe = format!("task = 'causal-lm'\ntrain = '{}'\n{more}", data.display()).parse().unwrap();
    let config = CheckpointFolder::config(folder).unwrap();
    prepare(&Preparing { recipe: &recipe, model: folder, config: &config, progress: &|_, _, _| {} })
}

fn chats(count: usize) -> String {
    let one = |i: usize| {
        let messages =
            json!([{"role": "user", "content": format!("good film {i}")}, {"role": "assistant", "content": "good"}]);
        format!("{}\n", json!({"messages": messages}))
    };
    (0..count).map(one).collect()
}

#[test]
fn a_run_says_what_carries_loss() {
    let folder = desk(&chats(12));
    let work = prepared(folder.path(), "").unwrap();
    let notes = work.about().notes.join("\n");
    assert!(notes.contains("tokens carry loss") && notes.contains("user: good film 0</s>assistant:«"), "{notes}");
    let rows = work.rows(Split::Train).unwrap();
    let batch = rows.batch(&[0], None).unwrap();
    assert!(!batch.inputs.contains_key("position_ids"));
    let retune_data::ArrayData::I64(labels) = &batch.targets["labels"].data else { panic!("labels are integers") };
    let learnt = labels.iter().filter(|&&label| label != -100).count();
    assert!(learnt > 0 && learnt < labels.len() / 2, "{labels:?}");
    // The generation's settings and the template go with the model.
    let files: Vec<_> = work.files().iter().filter_map(|file| file.file_name()?.to_str()).collect();
    assert!(files.contains(&"chat_template.jinja") && files.contains(&"generation_config.json"), "{files:?}");
}

#[test]
fn prompts_as_texts_beside_a_template_are_told() {
    let notes = |turns: bool| {
        let said =
            |role: &str, text: String| if turns { json!([{"role": role, "content": text}]) } else { json!(text) };
        let row = |i: usize| json!({"prompt": said("user", format!("film {i}?")), "completion": said("assistant", format!("good {i}"))});
        let data: String = (0..9).map(|i| format!("{}\n", row(i))).collect();
        prepared(desk(&data).path(), "").unwrap().about().notes.join("\n")
    };
    let (texts, turns) = (notes(false), notes(true));
    assert!(texts.contains("joined as they stand") && !texts.contains("user: film"), "{texts}");
    assert!(!turns.contains("joined as they stand") && turns.contains("user: film"), "{turns}");
}

#[test]
fn packed_conversations_know_where_they_begin() {
    let folder = desk(&chats(12));
    let work = prepared(folder.path(), "packing = true\nblock-size = 60").unwrap();
    let rows = work.rows(Split::Train).unwrap();
    assert!(rows.len() < 10);
    let batch = rows.batch(&[0], None).unwrap();
    let retune_data::ArrayData::I64(documents) = &batch.inputs["document_ids"].data else { panic!("integers") };
    assert!(documents.iter().max().unwrap() > &1);
}

#[test]
fn documents_begin_and_end_as_the_tokenizer_has_it() {
    let lines: String = (0..9).map(|i| format!("{}\n", json!({"text": format!("good film {i}")}))).collect();
    let folder = desk(&lines);
    let first = |more: &str| {
        let work = prepared(folder.path(), &format!("blocks = 'split'\n{more}")).unwrap();
        let batch = work.rows(Split::Train).unwrap().batch(&[0], None).unwrap();
        let retune_data::ArrayData::I64(ids) = &batch.inputs["input_ids"].data else { panic!("integers") };
        (ids[0], *ids.last().unwrap())
    };
    assert_eq!(first(""), (0, 2));
    let (begin, end) = first("begin-token = 'none'\nend-token = '<mask>'");
    assert!(begin != 0 && end != 2);
    let error = prepared(folder.path(), "begin-token = '<none such>'").err().unwrap().to_string();
    assert!(error.contains("begin-token") && error.contains("<none such>"), "{error}");
    let error = prepared(folder.path(), "block-size = 900").err().unwrap().to_string();
    assert!(error.contains("900") && error.contains("64"), "{error}");
}
