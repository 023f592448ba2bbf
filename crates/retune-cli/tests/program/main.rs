//! The program as a user meets it: the real binary, tiny models, exit codes, messages and what lies on disk afterwards.

mod crash;
mod disk;
mod finetune;
mod images;
mod input;
mod marked;
mod methods;
mod models;
mod predict;
mod settings;
mod support;
