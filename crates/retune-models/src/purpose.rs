//! What a model is for: decides its head, and Hugging Face's class.

/// A purpose; each is a constant beside its head. Two are the same if their keys are.
#[derive(Debug)]
pub struct Purpose {
    /// Name, such as `token-classification`.
    pub key: &'static str,
    /// How the names of Hugging Face's classes end, such as `ForTokenClassification`.
    pub class_ending: &'static str,
    /// PEFT's `task_type`, if it has one.
    pub peft: Option<&'static str>,
    /// Whether its head may be new: without one that was trained, training starts from random values.
    pub fresh: bool,
    /// Whether its outputs are the labels that a configuration names.
    pub labels: bool,
}

impl Purpose {
    /// In words, for messages.
    pub fn name(&self) -> String {
        self.key.replace('-', " ")
    }
}

impl PartialEq for Purpose {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Purpose {}
