//! Which columns of a file hold the texts, and what it says of them.

use super::settings::SimilaritySettings;
use anyhow::Result;
use retune_data::Layout;
use std::io::BufRead;

/// The columns of texts, and the one that says how alike they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    first: String,
    second: String,
    negative: Option<String>,
    target: Option<Target>,
}

/// A column that says how alike texts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Numbers.
    Score(String),
    /// Yes or no.
    Label(String),
}

impl Columns {
    /// Of a file with these columns.
    pub(super) fn choose(settings: &SimilaritySettings, label: &str, there: &[String]) -> Self {
        let has = |name: &str| there.iter().any(|column| column.trim() == name);
        let named = |given: &Option<String>, usual: &str| given.clone().or(has(usual).then(|| usual.to_owned()));
        let target = match named(&settings.score_column, "score") {
            Some(score) => Some(Target::Score(score)),
            None => has(label).then(|| Target::Label(label.to_owned())),
        };
        let text = |given: &Option<String>, usual: [&str; 2]| {
            let found = usual.into_iter().find(|name| has(name)).unwrap_or(usual[0]);
            given.clone().unwrap_or_else(|| found.to_owned())
        };
        let negative = if target.is_none() { named(&settings.negative_column, "negative") } else { None };
        Self {
            first: text(&settings.first_column, ["sentence1", "anchor"]),
            second: text(&settings.second_column, ["sentence2", "positive"]),
            negative,
            target,
        }
    }

    /// What says how alike texts are.
    pub(super) fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// The same two texts alone.
    pub(super) fn pair(self) -> Self {
        Self { negative: None, target: None, ..self }
    }

    /// How a table is read by them.
    pub(super) fn layout(&self, group: Option<String>) -> Layout {
        let texts = [(self.first.clone(), "--first-column"), (self.second.clone(), "--second-column")];
        let negative = self.negative.clone().map(|name| (name, "--negative-column"));
        let layout = Layout::texts(texts.into_iter().chain(negative)).group(group);
        match &self.target {
            None => layout,
            Some(Target::Score(name)) => layout.labels([name.clone()]).target("--score-column", "score"),
            Some(Target::Label(name)) => layout.labels([name.clone()]),
        }
    }
}

/// The keys of the first line of a stream, which stays there.
pub(super) fn of_stream(reader: &mut dyn BufRead) -> Result<Vec<String>> {
    let begin = reader.fill_buf()?;
    let line = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let object: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(line).ok();
    Ok(object.map(|object| object.keys().cloned().collect()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_has_decides() {
        let of = |there: &[&str], settings: &SimilaritySettings| {
            let there: Vec<String> = there.iter().map(|&it| it.to_owned()).collect();
            Columns::choose(settings, "label", &there)
        };
        let usual = SimilaritySettings::default();
        let scored = of(&["sentence1", "sentence2", "score", "label"], &usual);
        assert_eq!(scored.target, Some(Target::Score("score".into())));
        let labelled = of(&["sentence1", "sentence2", "label", "negative"], &usual);
        assert_eq!((&labelled.target, &labelled.negative), (&Some(Target::Label("label".into())), &None));
        let own = of(&["anchor", "positive", "negative"], &usual);
        assert_eq!(
            (own.first.as_str(), own.second.as_str(), own.negative.as_deref()),
            ("anchor", "positive", Some("negative"))
        );
        let named = SimilaritySettings { first_column: Some("q".into()), ..usual };
        assert_eq!(of(&["q", "positive"], &named).first, "q");
        assert_eq!(own.pair().layout(None).input_columns().count(), 2);
        let mut stream: &[u8] = b"{\"anchor\": \"a\", \"positive\": \"b\"}\n{}";
        assert_eq!(of_stream(&mut stream).unwrap(), ["anchor", "positive"]);
        assert!(stream.starts_with(b"{\"anchor\""), "nothing is taken from it");
    }
}
