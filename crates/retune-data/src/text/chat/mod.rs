//! Conversations, and prompts with their completions: read from files, rendered by a model's chat template, and cut into tokens of
//! which it is known which are to be learnt.
//!
//! | file | holds |
//! |---|---|
//! | `template` | the chat template of a model's folder |
//! | `python` | what templates expect of Python: JSON, dates, `None` |
//! | `conversation` | one conversation, and how files spell it |
//! | `messages` | its messages: roles, weights, what stands before them in columns of its own |
//! | `records` | conversations of a file or a stream |
//! | `learnt` | the tokens of a conversation |

mod conversation;
mod learnt;
mod messages;
mod python;
mod records;
mod template;

pub use conversation::{ChatColumns, Conversation};
pub use learnt::{ChatTokens, ChatWriter};
pub use records::{ConversationLines, Conversations};
pub use template::{ChatTemplate, Rendered};

#[cfg(test)]
mod tests;
