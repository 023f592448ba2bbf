//! The task of a recipe that names none.

/// The name of the first task in the list.
pub const USUAL_TASK: &str = "text-classification";
