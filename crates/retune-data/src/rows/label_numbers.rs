//! What numbers in label cells may mean, where a model's labels have names.

/// Whether label cells may be numbers where a model's labels have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LabelNumbers {
    /// Only if the names do not stand in the order that inference gives them: then somebody else chose it.
    #[default]
    ByOrder,
    /// Yes: the order is that of a checkpoint made elsewhere.
    Given,
    /// Yes, and counted from this number (0 or 1), whatever the order: somebody said so.
    From(u32),
}
