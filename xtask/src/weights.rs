//! `weights`: a model into the hub cache, and its folder onto standard output.

use std::process::ExitCode;

use anyhow::Result;
use retune_data::hub::{Hub, HubError, ModelReference};

use crate::progress::Bar;

pub(crate) fn run(id: &str, revision: Option<&str>) -> Result<ExitCode> {
    let model = ModelReference::parse(id, revision)?;
    let hub = Hub::from_env()?;
    let snapshot = hub.fetch_model(model.id(), Some(model.revision()), &Bar::default())?;
    eprintln!("{} at {}", model.id(), snapshot.commit);
    println!("{}", snapshot.dir.display());
    Ok(ExitCode::SUCCESS)
}

/// Whether the request cannot be met as it was typed.
pub(crate) fn is_usage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<HubError>().is_some_and(HubError::is_usage)
}
