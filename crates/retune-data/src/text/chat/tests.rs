//! Chat templates against transformers' own rendering, and what is learnt of conversations.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::text::{Documents, Tokenizer};
use crate::{DataError, OnBadExample, Records};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn template(source: &str, tokens: &Value) -> ChatTemplate {
    ChatTemplate::new(source, object(tokens), Path::new("t.jinja")).unwrap()
}

#[test]
fn templates_render_as_in_transformers() {
    let file: Value = serde_json::from_slice(&std::fs::read(fixture("chat/cases.json")).unwrap()).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let name = case["template"].as_str().unwrap();
        let template = template(file["templates"][name].as_str().unwrap(), &file["tokens"]);
        let messages = case["messages"].as_array().unwrap();
        for (prompt, expected) in [(false, &case["whole"]), (true, &case["prompt"])] {
            match template.render(messages, prompt) {
                Ok(rendered) => assert_eq!(Some(rendered.text.as_str()), expected.as_str(), "{name}: {messages:?}"),
                Err(error) => {
                    let theirs = expected["error"].as_str().unwrap_or_else(|| panic!("{name}: {error}"));
                    let ours = error.to_string();
                    assert!(ours.contains(theirs) && ours.starts_with("t.jinja:"), "{ours}");
                }
            }
        }
        if let Ok(rendered) = template.render(messages, false) {
            let spans: Vec<Value> = rendered.marked.iter().map(|span| json!([span.start, span.end])).collect();
            assert_eq!(Value::Array(spans), case["marked"], "{name}: {messages:?}");
        }
    }
}

#[test]
fn a_template_that_is_no_jinja_names_its_line() {
    let error = ChatTemplate::new("a\n{% if %}", Map::new(), Path::new("m/chat_template.jinja")).err().unwrap();
    assert!(error.to_string().starts_with("m/chat_template.jinja:2"), "{error}");
}

fn writer(source: &str) -> ChatWriter {
    let tokenizer = Tokenizer::load(fixture("tiny-tokenizer-bpe")).unwrap();
    let end = tokenizer.end_id();
    let template = template(source, &json!({"bos_token": "<s>", "eos_token": "</s>"}));
    ChatWriter { template: Some(template), before: vec![0], end, tokenizer }
}

const TURNS: &str = "{% for m in messages %}[{{ m.role }}] {{ m.content }}</s>{% endfor %}\
     {% if add_generation_prompt %}[assistant] {% endif %}";

fn said(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

fn learnt(writer: &ChatWriter, tokens: &ChatTokens) -> Vec<String> {
    let part = |range: &std::ops::Range<u32>| {
        writer.tokenizer.spelled(&tokens.ids[range.start as usize..range.end as usize]).unwrap()
    };
    tokens.learnt.iter().map(part).collect()
}

#[test]
fn only_what_the_assistant_says_is_learnt() {
    let writer = writer(TURNS);
    let chat = Conversation::Chat(vec![
        said("user", "good film"),
        said("assistant", "good film"),
        said("user", "bad"),
        said("assistant", "very bad"),
    ]);
    let tokens = writer.whole(1, &chat).unwrap().unwrap();
    let text = "[user] good film</s>[assistant] good film</s>[user] bad</s>[assistant] very bad</s>";
    assert_eq!(writer.tokenizer.spelled(&tokens.ids).unwrap(), text);
    // The same words stand in the user's turn: nothing is searched for.
    let parts = learnt(&writer, &tokens);
    assert_eq!(parts.iter().map(|part| part.trim()).collect::<Vec<_>>(), ["good film</s>", "very bad</s>"]);
    let asked = writer.asked(1, &chat.asked()).unwrap().unwrap();
    let expected = "[user] good film</s>[assistant] good film</s>[user] bad</s>[assistant] ";
    assert_eq!(writer.tokenizer.spelled(&asked).unwrap(), expected);
}

#[test]
fn a_template_that_writes_the_past_anew_is_refused_unless_it_marks() {
    let last_only =
        "{% for m in messages %}{% if loop.last or m.role == 'user' %}{{ m.content }}|{% endif %}{% endfor %}";
    let chat =
        Conversation::Chat(vec![said("user", "a"), said("assistant", "b"), said("user", "c"), said("assistant", "d")]);
    let problem = writer(last_only).whole(7, &chat).unwrap().unwrap_err();
    assert!(problem.line == 7 && problem.message.contains("message 2"), "{}", problem.message);
    let marked = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}|{% elif loop.last %}\
         {% generation %}{{ m.content }}{% endgeneration %}|{% endif %}{% endfor %}";
    let writer = writer(marked);
    let tokens = writer.whole(7, &chat).unwrap().unwrap();
    assert_eq!(learnt(&writer, &tokens), ["d"]);
}

/// As TRL has it: what the assistant said in a prompt is asked, not learnt.
#[test]
fn of_messages_that_are_a_prompt_the_completion_alone_is_learnt() {
    let row = json!({
        "prompt": [said("user", "good"), said("assistant", "film"), said("user", "bad")],
        "completion": [said("assistant", "very bad")],
    });
    let chats = read(&format!("{row}\n"), true).unwrap();
    let writer = writer(TURNS);
    let tokens = writer.whole(1, chats.get(0)).unwrap().unwrap();
    let parts = learnt(&writer, &tokens);
    assert_eq!(parts.iter().map(|part| part.trim()).collect::<Vec<_>>(), ["very bad</s>"]);
    let row = json!({"prompt": [said("user", "good")], "completion": [said("user", "bad")]});
    assert!(read(&format!("{row}\n"), true).is_err());
}

#[test]
fn of_a_prompt_the_completion_is_learnt_with_its_end() {
    let writer = writer(TURNS);
    let pair = Conversation::Prompt { prompt: "good".into(), completion: Some(" film".into()) };
    let tokens = writer.whole(1, &pair).unwrap().unwrap();
    assert_eq!(tokens.ids[0], 0);
    assert_eq!(learnt(&writer, &tokens), [" film</s>"]);
    assert_eq!(writer.asked(1, &pair.asked()).unwrap().unwrap()[0], 0);
}

fn columns() -> ChatColumns {
    let [messages, prompt, completion, text] = ["messages", "prompt", "completion", "text"].map(str::to_owned);
    ChatColumns { messages, prompt, completion, text }
}

fn read(lines: &str, required: bool) -> Result<Conversations, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    std::fs::write(&file, lines).unwrap();
    assert!(Conversations::are_in(&file, &columns()).unwrap());
    Conversations::read(&file, &columns(), required, OnBadExample::Fail)
}

#[test]
fn conversations_are_spelled_in_many_ways() {
    let chat = |turns: &[(&str, &str)]| Conversation::Chat(turns.iter().map(|(role, text)| said(role, text)).collect());
    for (line, expected) in [
        (json!({"messages": [said("user", "a"), said("assistant", "b")]}), chat(&[("user", "a"), ("assistant", "b")])),
        (
            json!({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}),
            chat(&[("user", "a"), ("assistant", "b")]),
        ),
        (json!({"instruction": "a", "input": "x", "output": "b"}), chat(&[("user", "a\n\nx"), ("assistant", "b")])),
        (json!({"instruction": "a", "input": "", "output": "b"}), chat(&[("user", "a"), ("assistant", "b")])),
        (
            json!({"prompt": [said("user", "a")], "completion": [said("assistant", "b")]}),
            chat(&[("user", "a"), ("assistant", "b")]),
        ),
        (
            json!({"prompt": "a", "completion": "b"}),
            Conversation::Prompt { prompt: "a".into(), completion: Some("b".into()) },
        ),
        (
            json!({"messages": json!([said("user", "a"), said("assistant", "b")]).to_string()}),
            chat(&[("user", "a"), ("assistant", "b")]),
        ),
    ] {
        let found = read(&format!("{line}\n"), true).unwrap();
        assert_eq!(*found.get(0), expected, "{line}");
        assert_eq!((found.len(), found.line(0)), (1, 1));
    }
}

#[test]
fn what_holds_nothing_to_learn_is_refused_with_its_line() {
    let lines = [
        json!({"messages": [said("user", "a")]}),
        json!({"messages": [said("assistant", " ")]}),
        json!({"messages": "no json"}),
        json!({"messages": [{"content": "a"}]}),
        json!({"messages": 5}),
        json!({"messages": []}),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let error = read(&text, true).err().unwrap().to_string();
    for part in [
        ":1: has no turn of the assistant",
        ":2: has an empty turn",
        ":3: column `messages`: is a text that is no JSON",
        ":4: column `messages`: message 1 has no `role`",
        ":5: column `messages`: is a number",
        ":6: holds no message",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    let error = read("{\"prompt\": \"a\", \"completion\": \"\"}\n", true).err().unwrap().to_string();
    assert!(error.contains("empty completion"), "{error}");
    // To be continued they need no end.
    assert!(read(&format!("{}\n", lines[0]), false).is_ok());
}

#[test]
fn lines_are_prompts_or_objects() {
    let text = "plain words\n{\"prompt\": \"a\"}\n{\"text\": \"b\"}\n";
    let mut lines = ConversationLines::new(text.as_bytes(), Path::new("input"), &columns(), OnBadExample::Fail);
    let all = lines.next_rows(9).unwrap().unwrap();
    let prompts =
        ["plain words", "a", "b"].map(|prompt| Conversation::Prompt { prompt: prompt.into(), completion: None });
    assert_eq!([0, 1, 2].map(|example| all.get(example).clone()), prompts);
    assert!(lines.next_rows(9).unwrap().is_none());
}

#[test]
fn documents_know_what_is_learnt_and_prompts_have_to_fit() {
    let writer = writer(TURNS);
    let chats = std::sync::Arc::new(read("{\"prompt\": \"good\", \"completion\": \" film\"}\n", true).unwrap());
    let documents: Documents = writer.documents(&chats, true, None, OnBadExample::Fail).unwrap();
    assert_eq!(documents.learnt(0).unwrap().len(), 1);
    let prompts = writer.documents(&chats, false, Some(9), OnBadExample::Fail).unwrap();
    assert!(prompts.learnt(0).is_none() && prompts.length(0) > 1);
    let error = writer.documents(&chats, false, Some(1), OnBadExample::Fail).err().unwrap().to_string();
    assert!(error.contains(":1: is a prompt of"), "{error}");
}

#[test]
fn what_is_to_be_answered_is_the_last_turn_or_the_completion() {
    let (user, assistant) = (said("user", "a"), said("assistant", "b"));
    let call = json!({"role": "assistant", "content": "b", "tool_calls": [{"name": "f"}]});
    let of = |messages: &[&Value]| Conversation::Chat(messages.iter().map(|&one| one.clone()).collect());
    assert_eq!(of(&[&user, &assistant]).reference(), Some("b"));
    assert_eq!(of(&[&user, &assistant]).asked(), of(&[&user]));
    for messages in
        [&[&user][..], &[&assistant], &[&user, &assistant, &assistant], &[&user, &call], &[&assistant, &user]]
    {
        assert_eq!(of(messages).reference(), None, "{messages:?}");
    }
    let prompt = Conversation::Prompt { prompt: "a".to_owned(), completion: Some(" b".to_owned()) };
    assert_eq!(prompt.reference(), Some(" b"));
}

#[test]
fn the_column_that_is_wrong_is_named() {
    let columns = ChatColumns {
        messages: "messages".to_owned(),
        prompt: "prompt".to_owned(),
        completion: "completion".to_owned(),
        text: "text".to_owned(),
    };
    for (row, column, message) in [
        (json!({"prompt": 3}), "prompt", "is a number, neither a text nor a list of messages"),
        (json!({"prompt": "a", "completion": 3}), "completion", "is a number, not a text"),
        (json!({"prompt": [3]}), "prompt", "message 1 is no object"),
        (
            json!({"prompt": [said("user", "a")], "completion": "b"}),
            "completion",
            "is a text, but the prompt is a list",
        ),
    ] {
        let problems = Conversation::of_row(1, &object(&row), &columns, false).unwrap_err();
        let told = (problems[0].column.as_deref(), problems[0].message.as_str());
        assert!(told.0 == Some(column) && told.1.starts_with(message), "{told:?}");
    }
}

#[test]
fn turns_of_the_weight_0_are_not_learnt() {
    let weighed = |content: &str, weight: Value| json!({"role": "assistant", "content": content, "weight": weight});
    let chat = |one, other| json!({"messages": [said("user", "a"), weighed("good", one), said("user", "b"), weighed("bad", other)]});
    let found = |row: &Value, source: &str| {
        let chat = Conversation::of_row(1, &object(row), &columns(), true).unwrap();
        let writer = writer(source);
        let tokens = writer.whole(1, &chat).unwrap().unwrap();
        (
            learnt(&writer, &tokens).iter().map(|part| part.trim().to_owned()).collect::<Vec<_>>(),
            chat.reference().is_some(),
        )
    };
    let marked = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}|{% else %}\
         {% generation %}{{ m.content }}</s>{% endgeneration %}{% endif %}{% endfor %}";
    for source in [TURNS, marked] {
        assert_eq!(found(&chat(json!(0), json!(1)), source), (vec!["bad</s>".to_owned()], true));
        assert_eq!(found(&chat(json!(1.0), json!(false)), source), (vec!["good</s>".to_owned()], false));
    }
    let refused = |row: &Value| Conversation::of_row(1, &object(row), &columns(), true).unwrap_err().remove(0).message;
    assert!(refused(&chat(json!(0), json!(0))).contains("weight 0 in each turn"));
    assert!(refused(&chat(json!(0.5), json!(1))).contains("message 2 has the weight 0.5"));
}

#[test]
fn system_prompts_and_history_stand_in_columns_of_their_own() {
    let of = |row: Value| Conversation::of_row(1, &object(&row), &columns(), true);
    let turns = [said("system", "s"), said("user", "a"), said("assistant", "b")];
    let shared = json!([{"from": "prompter", "value": "a"}, {"from": "gpt", "value": "b"}]);
    for row in [
        json!({"system": "s", "conversations": shared}),
        json!({"system": "s", "messages": turns}),
        json!({"system": "s", "messages": [{"role": "prompter", "content": "a"}, turns[2]]}),
        json!({"system": "s", "instruction": "a", "input": "", "output": "b", "history": []}),
    ] {
        assert_eq!(of(row.clone()), Ok(Conversation::Chat(turns.to_vec())), "{row}");
    }
    let history = json!({"instruction": "c", "output": "d", "history": [["a", "b"]]});
    let expected = [said("user", "a"), said("assistant", "b"), said("user", "c"), said("assistant", "d")];
    assert_eq!(of(history), Ok(Conversation::Chat(expected.to_vec())));
    for (row, message) in [
        (json!({"system": "t", "messages": turns}), "another system prompt"),
        (json!({"messages": [said("narrator", "x"), turns[2]]}), "message 1 has the role `narrator`; known: user"),
        (json!({"instruction": "c", "output": "d", "history": ["a"]}), "turn 1 is no pair"),
    ] {
        let problem = of(row).unwrap_err().remove(0);
        assert!(problem.message.contains(message), "{}", problem.message);
    }
    let line = json!({"system": "s", "prompt": "a", "completion": "b", "tools": []});
    let remarks = read(&format!("{line}\n"), true).unwrap().remarks();
    let parts = ["the column `system` is not used", "the column `tools` is not used"];
    assert!(remarks.len() == 2 && remarks.iter().zip(parts).all(|(remark, part)| remark.contains(part)), "{remarks:?}");
}

/// As SmolLM's: a system prompt of its own where there is none.
const OWN_SYSTEM: &str = "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}[system] be good</s>\
     {% endif %}{{ '[' + m['role'] + '] ' + m['content'] }}</s>{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}";

#[test]
fn a_conversation_may_begin_with_the_assistant() {
    let chat =
        Conversation::Chat(vec![said("assistant", " good film "), said("user", "good film"), said("assistant", "bad")]);
    let writer = writer(OWN_SYSTEM);
    let tokens = writer.whole(1, &chat).unwrap().unwrap();
    assert_eq!(
        learnt(&writer, &tokens).iter().map(|part| part.trim()).collect::<Vec<_>>(),
        ["good film </s>", "bad</s>"]
    );
    let hides =
        "{% for m in messages %}{% if loop.first %}<{{ m.content | length }}>{% endif %}{{ m.content }}|{% endfor %}";
    let problem = self::writer(hides).whole(1, &chat).unwrap().unwrap_err();
    assert!(
        problem.message.contains("begins with the assistant") && problem.message.contains("skip"),
        "{}",
        problem.message
    );
}

#[test]
fn what_a_template_refuses_is_listed_with_its_reason() {
    let writer = writer(OWN_SYSTEM);
    let row = |content: Value| json!({"messages": [{"role": "user", "content": content}, said("assistant", "bad")]});
    let text: String = [json!("good"), json!([{"type": "text", "text": "film"}]), json!("film"), Value::Null]
        .map(|content| format!("{}\n", row(content)))
        .concat();
    let chats = std::sync::Arc::new(read(&text, true).unwrap());
    let error = writer.documents(&chats, true, None, OnBadExample::Fail).err().unwrap().to_string();
    for part in [
        ":2: t.jinja:1: the chat template fails",
        "the content of message 1 is a list",
        "the content of message 1 is nothing",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    let documents = writer.documents(&chats, true, None, OnBadExample::Skip).unwrap();
    let left_out: Vec<(usize, u64)> = documents.left_out().iter().map(|bad| (bad.row, bad.line)).collect();
    assert_eq!(left_out, [(1, 2), (3, 4)]);
    assert!(documents.left_out()[0].reason.contains("is a list"), "{}", documents.left_out()[0]);
}
