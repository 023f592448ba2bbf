//! Runs of the whole engine on a tiny model: stopped, diverging, and used line by line.

mod images;
mod not_finite;
mod predict;
mod stopped;
mod support;
