//! What happened to every tensor while a model was loaded.

/// A tensor that got fresh values.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewTensor {
    /// Full name in the model.
    pub name: String,
    /// Why it is new.
    pub reason: String,
}

/// Summary of a load: nothing is re-initialised or left out without a line here.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LoadReport {
    /// Number of tensors taken from the checkpoint.
    pub loaded: usize,
    /// Tensors with fresh values, each with its reason.
    pub new: Vec<NewTensor>,
    /// Tensors of the checkpoint that this model has no use for.
    pub unexpected: Vec<String>,
    /// Things worth knowing, such as the layout of names that was found.
    pub notes: Vec<String>,
}

impl LoadReport {
    /// A few lines for a person; long lists are shortened here, never in the report itself.
    pub fn summary(&self) -> String {
        let mut lines = vec![format!("{} tensors loaded", self.loaded)];
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for tensor in &self.new {
            match reasons.iter_mut().find(|(reason, _)| *reason == tensor.reason) {
                Some((_, names)) => names.push(&tensor.name),
                None => reasons.push((&tensor.reason, vec![&tensor.name])),
            }
        }
        for (reason, names) in reasons {
            lines.push(format!("{} new ({reason}): {}", names.len(), shorten(&names)));
        }
        lines.extend(self.warnings());
        lines.join("\n")
    }

    /// What whoever uses the model should know, where nothing is new: tensors that are not used, and notes. A line each.
    pub fn warnings(&self) -> Vec<String> {
        let names: Vec<&str> = self.unexpected.iter().map(String::as_str).collect();
        let unused = (!names.is_empty()).then(|| format!("{} unused: {}", names.len(), shorten(&names)));
        unused.into_iter().chain(self.notes.iter().cloned()).collect()
    }
}

fn shorten(names: &[&str]) -> String {
    match names {
        [first, .., last] if names.len() > 4 => format!("{first} … {last}"),
        _ => names.join(", "),
    }
}
